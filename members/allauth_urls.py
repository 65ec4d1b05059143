"""URLs of the django-allauth endpoints offered to apps, under `/_allauth/app/v1/`.

Only what our members have: registration, phone and e-mail have endpoints of our own.
"""

import io
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from allauth.headless.account import views as account
from allauth.headless.base import views as base
from allauth.headless.constants import Client
from allauth.headless.internal.restkit.response import ErrorResponse
from allauth.headless.mfa import views as mfa
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path
from redis import RedisError

from members import rate_limits, selectors, services
from mps.base.core import errors, passkeys, problems, throttle
from mps.base.core.parsing import StrictJSONParser

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


class ChangePasswordView(account.ChangePasswordView):
    """Another password; guesses of the present one are counted as at sign-in."""

    def handle(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Count the guess before it is hashed; give it back if it was right."""
        guesses = rate_limits.password(selectors.account_key_of_user(request.user.pk or 0))
        throttle.count_guesses(guesses)
        response: HttpResponseBase = super().handle(request, *args, **kwargs)
        if response.status_code == HTTPStatus.OK:
            throttle.give_guesses_back(guesses)
        return response


class _Ceremony(base.APIView):
    """An endpoint that takes what a passkey says."""

    def handle_input(self, data: Any) -> ErrorResponse | None:
        """Check it; what cannot be taken apart is wrong."""
        try:
            with passkeys.odd_is_wrong():
                response: ErrorResponse | None = super().handle_input(data)
        except ValidationError as error:
            return ErrorResponse(self.request, exception=error)
        return response


class PasskeyLoginView(_Ceremony, mfa.LoginWebAuthnView):
    """Sign in by a passkey alone, as members may; staff have passkeys, too."""

    def handle_input(self, data: Any) -> ErrorResponse | None:
        """Check whose it is."""
        response = super().handle_input(data)
        if response is None and self.request.method == "POST":
            user = self.input.cleaned_data["credential"].user
            if selectors.find_sign_in_of_user(user.pk) is None:
                wrong = get_mfa_adapter().validation_error("incorrect_code")
                return ErrorResponse(self.request, exception=wrong)
        return response


class PasskeyStepView(_Ceremony, mfa.AuthenticateWebAuthnView):
    """A passkey after a password."""


class PasskeyAgainView(_Ceremony, mfa.ReauthenticateWebAuthnView):
    """A passkey once more, before ways in are changed."""


class PasskeysView(_Ceremony, mfa.ManageWebAuthnView):
    """A member's passkeys; allauth wants them to have signed in a moment ago."""

    def handle(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Write down what was changed."""
        response: HttpResponseBase = super().handle(request, *args, **kwargs)
        action = {"POST": "PASSKEY_ADDED", "DELETE": "PASSKEY_REMOVED"}.get(request.method or "")
        if action and response.status_code == HTTPStatus.OK:
            services.record_passkey_change(user_id=request.user.pk or 0, action=action)
        return response


class SecondFactorView(mfa.AuthenticateView):
    """A recovery code at sign-in; guesses are counted before it is looked at."""

    def get_input_kwargs(self) -> dict[str, Any]:
        """Count the guess against whoever's password was right."""
        self._guesses = rate_limits.second_factor(self.stage.login.user.pk)
        throttle.count_guesses(self._guesses)
        kwargs: dict[str, Any] = super().get_input_kwargs()
        return kwargs

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Give the guess back: it was right."""
        throttle.give_guesses_back(self._guesses)
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response


def _path(route: str, view: type[base.APIView], name: str) -> URLPattern:
    return path(f"app/v1/{route}", strict(view.as_api_view(client=Client.APP)), name=name)


app_name = "allauth"
urlpatterns = [
    _path("config", base.ConfigView, "config"),
    _path("auth/login", account.LoginView, "login"),
    _path("auth/session", account.SessionView, "session"),
    _path("auth/reauthenticate", account.ReauthenticateView, "reauthenticate"),
    _path("account/password/change", ChangePasswordView, "change_password"),
    _path("account/authenticators", mfa.AuthenticatorsView, "authenticators"),
    _path("account/authenticators/webauthn", PasskeysView, "passkeys"),
    _path("account/authenticators/recovery-codes", mfa.ManageRecoveryCodesView, "recovery_codes"),
    _path("auth/webauthn/login", PasskeyLoginView, "passkey_login"),
    _path("auth/webauthn/authenticate", PasskeyStepView, "passkey_authenticate"),
    _path("auth/webauthn/reauthenticate", PasskeyAgainView, "passkey_reauthenticate"),
    _path("auth/2fa/authenticate", SecondFactorView, "second_factor"),
]
