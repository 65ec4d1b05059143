"""Measure how long charges take to answer."""

from collections.abc import Callable
from time import perf_counter

from django.http import HttpRequest, HttpResponse
from prometheus_client import Histogram

_SECONDS = Histogram(
    "mps_charge_seconds",
    "How long a charge took to answer, by the way it came and its status.",
    ["door", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_DOORS = {"/api/v1/pos/charges": "pos", "/rest/v1/rpc/merchant_charge_by_qr": "rpc"}
# What a charge is answered with: paid, refused, not now.
_STATUSES = (2, 4, 5)


class ChargeLatencyMiddleware:
    """Time charges; the outermost layer, so that nothing of the answer is left out.

    Costs two clock readings and two additions a charge; other requests, one look at the path.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._observe = {
            path: {
                hundreds: _SECONDS.labels(door, f"{hundreds}xx").observe for hundreds in _STATUSES
            }
            for path, door in _DOORS.items()
        }

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request, and time it if it is a charge."""
        observe = self._observe.get(request.path_info)
        if observe is None or request.method != "POST":
            return self.get_response(request)
        began = perf_counter()
        response = self.get_response(request)
        observe.get(response.status_code // 100, observe[5])(perf_counter() - began)
        return response
