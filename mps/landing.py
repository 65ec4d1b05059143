"""The page at `/`: where everything is. It names the demonstration, so it is above the pages."""

from csp.decorators import csp_replace
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from mps.product.pages.views import POLICY


@require_safe
@csp_replace(POLICY)
def landing(request: HttpRequest) -> HttpResponse:
    """Show where everything is and, where the demonstration is loaded, who may sign in.

    Keys are not shown: they stay in the file whose name is.
    """
    context: dict[str, object] = {}
    if settings.MPS_DEMO:
        # Here, as it imports every service there is.
        from mps.product.rpc import demo

        context = {
            "people": demo.PEOPLE,
            "member_password": demo.MEMBER_PASSWORD,
            "staff_name": demo.STAFF_NAME,
            "staff_password": demo.STAFF_PASSWORD,
            "checker_name": demo.CHECKER_NAME,
            "checker_password": demo.CHECKER_PASSWORD,
            "shop_name": demo.SHOPS[0].name,
            "manager_name": demo.MANAGER_NAME,
            "manager_password": demo.MANAGER_PASSWORD,
            "file": demo.CREDENTIALS_FILE,
        }
    return render(request, "pages/landing.html", context)
