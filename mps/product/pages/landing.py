"""The landing page at `/`, with links to everything."""

from csp.decorators import csp_replace
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from mps.product.demo import plan
from mps.product.pages.views import POLICY


@require_safe
@csp_replace(POLICY)
def landing(request: HttpRequest) -> HttpResponse:
    """Show where everything is and, where the demonstration is loaded, who may sign in.

    Keys are not shown: they stay in the file whose name is.
    """
    context: dict[str, object] = {}
    if settings.MPS_DEMO:
        context = {
            "people": plan.PEOPLE,
            "member_password": plan.MEMBER_PASSWORD,
            "staff_name": plan.STAFF_NAME,
            "staff_password": plan.STAFF_PASSWORD,
            "checker_name": plan.CHECKER_NAME,
            "checker_password": plan.CHECKER_PASSWORD,
            "shop_name": plan.SHOPS[0].name,
            "manager_name": plan.MANAGER_NAME,
            "manager_password": plan.MANAGER_PASSWORD,
            "file": plan.CREDENTIALS_FILE,
        }
    return render(request, "pages/landing.html", context)
