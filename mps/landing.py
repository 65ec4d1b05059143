"""The page at `/`: where everything is."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """Show where everything is and, where the demonstration is loaded, who may sign in.

    Keys are not shown: they stay in the file whose name is.
    """
    context: dict[str, object] = {}
    if settings.MPS_DEMO:
        # Here, as it imports every service there is.
        from mps.rpc import demo

        context = {
            "people": demo.PEOPLE,
            "member_password": demo.MEMBER_PASSWORD,
            "staff_name": demo.STAFF_NAME,
            "staff_password": demo.STAFF_PASSWORD,
            "file": demo.CREDENTIALS_FILE,
        }
    return render(request, "landing.html", context)
