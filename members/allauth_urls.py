"""The endpoints of django-allauth that are offered to programs, under `/_allauth/app/v1/`.

Only what our members have: registration, phone and e-mail have endpoints of our own.
"""

import io
from collections.abc import Callable
from functools import wraps

from allauth.headless.account import views as account
from allauth.headless.base import views as base
from allauth.headless.constants import Client
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, path
from redis import RedisError

from mps.core import errors, problems
from mps.core.parsing import StrictJSONParser

View = Callable[..., HttpResponseBase]


def strict(view: View) -> View:
    """Hold a view of allauth to what all our endpoints are held to: strict JSON in, no defects out.

    :param view: any of allauth's views for programs.
    """

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponseBase:
        try:
            if request.body:
                StrictJSONParser().parse(
                    io.BytesIO(request.body), request.META.get("CONTENT_TYPE", "")
                )
            return view(request)
        except RedisError:
            return problems.problem_response(request, errors.UnavailableError())
        except Exception as exception:
            error = problems.as_mps_error(exception)
            if error is None:
                raise
            return problems.problem_response(request, error)

    return guarded


def _path(route: str, view: type[base.APIView], name: str) -> URLPattern:
    return path(f"app/v1/{route}", strict(view.as_api_view(client=Client.APP)), name=name)


app_name = "allauth"
urlpatterns = [
    _path("config", base.ConfigView, "config"),
    _path("auth/login", account.LoginView, "login"),
    _path("auth/session", account.SessionView, "session"),
    _path("auth/reauthenticate", account.ReauthenticateView, "reauthenticate"),
    _path("account/password/change", account.ChangePasswordView, "change_password"),
]
