"""`/metrics`: Prometheus metrics for authorized callers."""

import hmac
import ipaddress

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from django_prometheus import exports
from prometheus_client import generate_latest

from mps.product.monitoring import metrics

# Who speaks through a proxy is somewhere else, whatever address the proxy has.
_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host", "Via")


@require_safe
def show_metrics(request: HttpRequest) -> HttpResponse:
    """Show the figures of the web processes and of the platform."""
    if not _may_see(request):
        return HttpResponse(
            "From this machine only, or with the token of MPS_METRICS_TOKEN.\n",
            status=403,
            content_type="text/plain",
        )
    response: HttpResponse = exports.ExportToDjangoView(request)  # type: ignore[no-untyped-call]
    response.content += generate_latest(metrics.registry)
    return response


def _may_see(request: HttpRequest) -> bool:
    """Return whether the caller holds the token, or is on this machine and comes directly."""
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    wanted = settings.MPS_METRICS_TOKEN
    if wanted and scheme.lower() == "bearer":
        return hmac.compare_digest(token.strip().encode(), wanted.encode())
    if settings.SECURE_SSL_REDIRECT or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
