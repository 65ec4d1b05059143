"""How staff come in: a password, then a second factor; without one they set one up and see nothing
else. Attempts are counted before anything is hashed or compared, and each leaves an audit event.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import redis
from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import BaseAuthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import TOTP, clear_totp_secret
from allauth.mfa.webauthn.forms import AuthenticateWebAuthnForm
from allauth.mfa.webauthn.internal import auth as webauthn
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from unfold.widgets import UnfoldAdminTextInputWidget

from mps.base import console
from mps.base.console import ConsoleSite, refusal_page
from mps.base.core import context, errors, problems, throttle
from mps.base.core.throttle import Guess
from mps.base.staff import passkeys, second_factors, sessions, users

# allauth's and the framework's forms and views are not typed as ours.
_AuthenticateForm: Any = BaseAuthenticateForm
_ActivateForm: Any = ActivateTOTPForm
_WebAuthnForm: Any = AuthenticateWebAuthnForm
_LoginView: Any = LoginView

_WRONG = "INVALID_CREDENTIALS"


class CodeForm(_AuthenticateForm):  # type: ignore[misc]
    """A code of the app, or a recovery code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _dress(self)

    def clean_code(self) -> str:
        """Return the code if it is right, and was not used before."""
        code: str = super().clean_code()
        if self.authenticator.type == Authenticator.Type.TOTP:
            _use_up(self.user, code)
        return code


class EnrolForm(_ActivateForm):  # type: ignore[misc]
    """The first code of a new app."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _dress(self)

    def clean_code(self) -> str:
        """Return the code if it is right; it does not also open the next door."""
        code: str = super().clean_code()
        _use_up(self.user, code)
        return code


class PasskeyForm(_WebAuthnForm):  # type: ignore[misc]
    """A passkey instead of a code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["credential"] = passkeys.CredentialField()

    def clean_credential(self) -> Authenticator:
        """Return whose answer to our challenge this is, if it is right and the first one."""
        asked = webauthn.get_state() or {}
        try:
            with passkeys.said_plainly():
                found: Authenticator = super().clean_credential()
                _open_once(f"staff:challenge:{asked['challenge']}", sessions.PENDING_SECONDS)
        finally:
            webauthn.clear_state()
        self.authenticator = found
        return found


def _use_up(user: User, code: str) -> None:
    """Let a code of the app count once, as long as it is valid; allauth forgets it too early.

    :raises ValidationError: it was used before.
    """
    valid_seconds = app_settings.TOTP_PERIOD * (2 * app_settings.TOTP_TOLERANCE + 1)
    _open_once(f"staff:totp:{user.pk}:{normalize_user_code(code)}", valid_seconds)


def _open_once(key: str, valid_seconds: int) -> None:
    if not cache.add(key, 1, valid_seconds):
        raise get_adapter().validation_error("incorrect_code")


def _dress(form: Any) -> None:
    form.fields["code"].max_length = 32
    form.fields["code"].widget = UnfoldAdminTextInputWidget(
        attrs={"autocomplete": "one-time-code", "autofocus": True, "maxlength": 32}
    )


class _PasswordView(_LoginView):  # type: ignore[misc]
    """The framework's sign-in page, which does not sign in."""

    then: Callable[[HttpRequest, User, str], HttpResponseBase] | None = None

    def form_valid(self, form: Any) -> HttpResponseBase:
        """Go on with whose password it was."""
        assert self.then is not None
        return self.then(self.request, form.get_user(), self.get_success_url())


class SignInSite(ConsoleSite):
    """The console's doors."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether the session is one of staff who came in by our doors."""
        return bool(super().has_permission(request)) and sessions.is_live(request)

    def keep_alive(self, request: HttpRequest) -> None:
        """Remember that a live session is used."""
        sessions.keep_alive(request)

    def get_urls(self) -> list[URLPattern]:
        """Return the console's pages, and those on the way in."""
        urls: list[URLPattern] = super().get_urls()
        return [
            path("second-factor/", never_cache(self.second_factor), name="second_factor"),
            path("recovery-codes/", self.admin_view(self.recovery_codes), name="recovery_codes"),
            *urls,
        ]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Ask for name and password, within the limits of every sign-in."""
        if request.method != "POST":
            return super().login(request, extra_context)
        name = request.POST.get("username", "").replace("\x00", "")[:80]
        guesses = _password_guesses(name)
        try:
            throttle.count_guesses(guesses)
        except errors.RateLimitedError as error:
            self._refused(name, error.code)
            return refusal_page(error)
        return self._password_page(request, name, guesses, extra_context)

    def _password_page(
        self,
        request: HttpRequest,
        name: str,
        guesses: list[Guess],
        extra_context: dict[str, Any] | None,
    ) -> HttpResponseBase:
        accepted = []

        def then(request: HttpRequest, user: User, next_url: str) -> HttpResponseBase:
            accepted.append(user)
            throttle.give_guesses_back(guesses)
            return self._password_was_right(request, user, next_url)

        page = {
            **self.each_context(request),
            "title": _("Log in"),
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            **(extra_context or {}),
        }
        response: HttpResponseBase = _PasswordView.as_view(
            authentication_form=self.login_form,
            template_name="admin/login.html",
            next_page=reverse(f"{self.name}:index"),
            extra_context=page,
            then=then,
        )(request)
        if not accepted:
            self._refused(name, _WRONG)
        return response

    def _password_was_right(
        self, request: HttpRequest, user: User, next_url: str
    ) -> HttpResponseBase:
        with console.platform() as scope:
            belongs = users.may_sign_in(scope, user)
        if not belongs:
            self._refused(user.get_username(), errors.PermissionDeniedError.code)
            raise PermissionDenied
        sessions.begin(request, user, next_url)
        if second_factors.needs_second_factor(user):
            return redirect(f"{self.name}:second_factor")
        return redirect(self._sign_in(request, user, "password"))

    def second_factor(self, request: HttpRequest) -> HttpResponseBase:
        """Ask for the second factor, or let somebody who has none set one up."""
        user = sessions.pending_user(request)
        if user is None:
            return redirect(f"{self.name}:login")
        form_class = _form_of(request, user)
        try:
            if request.method == "POST":
                throttle.count_guess("staff:code", user.get_username(), 5, 300)
                form = form_class(request.POST, user=user)
                if form.is_valid():
                    throttle.give_back("staff:code", user.get_username(), 300)
                    return self._came_in(request, user, form)
                self._refused(user.get_username(), _WRONG)
            else:
                form = form_class(user=user)
            return self._second_factor_page(request, user, form)
        except Exception as exception:
            error = problems.as_mps_error(exception)
            if error is None and isinstance(exception, redis.RedisError):
                # Nobody remembers what was used: only a recovery code opens.
                error = errors.UnavailableError()
            if error is None:
                raise
            self._refused(user.get_username(), error.code)
            return refusal_page(error)

    def _second_factor_page(self, request: HttpRequest, user: User, form: Any) -> HttpResponseBase:
        page = {**self.each_context(request), "title": _("Two-step verification"), "form": form}
        if isinstance(form, PasskeyForm):
            page |= {"form": CodeForm(user=user), "passkey_errors": form.errors.get("credential")}
        if passkeys.of_user(user).exists():
            page["passkey_options"] = webauthn.begin_authentication(user)
        if isinstance(form, EnrolForm):
            url = get_adapter().build_totp_url(user, form.secret)
            picture = get_adapter().build_totp_svg(url)
            page |= {"secret": form.secret, "picture": f"data:image/svg+xml,{quote(picture)}"}
        return TemplateResponse(request, "console/second_factor.html", page)

    def _came_in(self, request: HttpRequest, user: User, form: Any) -> HttpResponseBase:
        """Let in whose second factor was right; show who has just set it up the way back in."""
        if not isinstance(form, EnrolForm):
            form.authenticator.record_usage()
            return redirect(self._let_in(request, user, form.authenticator.type))
        TOTP.activate(user, form.secret)
        codes = RecoveryCodes.activate(user).get_unused_codes()
        clear_totp_secret(request)
        next_url = self._let_in(request, user, "totp")
        self._changed(user, "SECOND_FACTOR_SET_UP", {"factor": "totp"})
        return self._codes_page(request, codes, next_url)

    def _let_in(self, request: HttpRequest, user: User, factor: str) -> str:
        """Begin a session, or go on with one that was asked again; return where to go."""
        if sessions.is_asked_again(request):
            next_url = sessions.go_on(request)
            context.set_actor("staff", user.get_username())
            self._changed(user, "SECOND_FACTOR_SHOWN", {"factor": factor})
        else:
            next_url = self._sign_in(request, user, factor)
        sessions.remember_proof(request)
        return next_url

    def recovery_codes(self, request: HttpRequest) -> HttpResponseBase:
        """Make new recovery codes; the old ones are worth nothing from then on."""
        user: Any = request.user
        if request.method != "POST" or not second_factors.has_second_factor(user):
            return TemplateResponse(
                request,
                "console/recovery_codes.html",
                {
                    **self.each_context(request),
                    "title": _("Recovery codes"),
                    "has_factor": second_factors.has_second_factor(user),
                },
            )
        Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).delete()
        codes = RecoveryCodes.activate(user).get_unused_codes()
        self._changed(user, "RECOVERY_CODES_MADE", {})
        return self._codes_page(request, codes, reverse(f"{self.name}:index"))

    def _codes_page(
        self, request: HttpRequest, codes: list[str], next_url: str
    ) -> HttpResponseBase:
        response = TemplateResponse(
            request,
            "console/recovery_codes.html",
            {
                **self.each_context(request),
                "title": _("Recovery codes"),
                "codes": codes,
                "next_url": next_url,
            },
        )
        response["Cache-Control"] = "no-store"
        return response

    def _sign_in(self, request: HttpRequest, user: User, factor: str) -> str:
        """Begin the session; return where to go."""
        next_url = sessions.sign_in(request, user)
        context.set_actor("staff", user.get_username())
        self._changed(user, "STAFF_SIGNED_IN", {"factor": factor})
        return next_url or reverse(f"{self.name}:index")

    def _refused(self, name: str, error: str) -> None:
        self.record(
            "STAFF_SIGN_IN_REFUSED", object_type="user", object_id=name, details={"error": error}
        )

    def _changed(self, user: User, action: str, details: dict[str, Any]) -> None:
        self.record(action, object_type="user", object_id=user.get_username(), details=details)


def _form_of(request: HttpRequest, user: User) -> Any:
    """Return what somebody answers by: a code, a passkey, or first of all a new app."""
    if not second_factors.has_second_factor(user):
        return EnrolForm
    return PasskeyForm if "credential" in request.POST else CodeForm


def _password_guesses(name: str) -> list[Guess]:
    address = context.current().address or "unknown"
    return [
        Guess("staff:account", name.lower(), 5, 300),
        Guess("staff:address", address, 30, 60),
    ]
