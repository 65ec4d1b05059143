"""Static web pages whose scripts load data through the public APIs."""

from typing import Any

from csp.decorators import csp_replace
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from payments.charge_decision import METHODS

# No inline script or style, no foreign host, nothing evaluated.
POLICY: dict[str, list[str]] = {
    "default-src": ["'self'"],
    "img-src": ["'self'", "data:", "blob:"],
    "worker-src": ["'self'", "blob:"],
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}
# The scanner is WebAssembly.
SCANNER_POLICY = {**POLICY, "script-src": ["'self'", "'wasm-unsafe-eval'"]}


@require_safe
@csp_replace(POLICY)
def wallet(request: HttpRequest) -> HttpResponse:
    """Show the wallet: a small app over the member API."""
    return _page(request, "pages/wallet/wallet.html", currency=settings.MPS_CURRENCY)


@require_safe
@never_cache
def wallet_worker(request: HttpRequest) -> HttpResponse:
    """Hand out the wallet's service worker; its address is its scope."""
    names = ("access", "approvals", "cards", "dom", "history", "passkey", "pay", "session")
    modules = [f"pages/wallet/{name}.js" for name in (*names, "wallet")]
    context = {"modules": modules}
    return render(request, "pages/wallet/sw.js", context, content_type="text/javascript")


@require_safe
def wallet_manifest(request: HttpRequest) -> HttpResponse:
    """Say how the wallet is installed."""
    return render(
        request,
        "pages/wallet/manifest.webmanifest",
        content_type="application/manifest+json",
    )


@require_safe
@csp_replace(SCANNER_POLICY)
def till(request: HttpRequest) -> HttpResponse:
    """Show the till: a small app over the POS API."""
    return _page(request, "pages/till/till.html")


def _page(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    return render(request, template, {"methods": METHODS, **context})
