"""The pages people look at: they hold no data, their scripts fetch it over the public APIs."""

from typing import Any

from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

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
    return _page(request, "pages/wallet/wallet.html")


@require_safe
@csp_replace(SCANNER_POLICY)
def till(request: HttpRequest) -> HttpResponse:
    """Show the till: a small app over the POS API."""
    return _page(request, "pages/till/till.html")


def _page(request: HttpRequest, template: str, **context: Any) -> HttpResponse:
    return render(request, template, context)
