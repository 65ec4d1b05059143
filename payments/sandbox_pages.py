"""The sandbox provider's payment page."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from mps.base.console import refusal_page
from mps.base.core import problems
from payments import topup_confirmations


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def pay(request: HttpRequest, order_id: str) -> HttpResponse:
    """Show an order with two buttons; take what was pressed and go back where it came from."""
    try:
        if request.method != "POST":
            return _page(request, topup_confirmations.show_in_sandbox(order_id=order_id))
        shown = topup_confirmations.pay_in_sandbox(
            order_id=order_id, paid=request.POST.get("answer") == "pay"
        )
    except Exception as exception:
        error = problems.as_mps_error(exception)
        if error is None:
            raise
        return refusal_page(error)
    return redirect(shown.return_path) if shown.return_path else _page(request, shown)


def _page(request: HttpRequest, shown: Any) -> HttpResponse:
    context = {"order": shown, "shop": settings.UNFOLD["SITE_TITLE"]}
    return render(request, "payments/sandbox_pay.html", context)
