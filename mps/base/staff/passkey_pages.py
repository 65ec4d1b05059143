"""Pages where staff manage their own passkeys, after using their second factor again."""

from typing import Any

from allauth.mfa.webauthn.forms import AddWebAuthnForm
from allauth.mfa.webauthn.internal import auth as webauthn
from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextInputWidget

from mps.base import console
from mps.base.core import errors
from mps.base.staff import passkeys, services, sessions
from mps.base.staff.sign_in import SignInSite

_AddForm: Any = AddWebAuthnForm  # allauth's forms are not typed as ours
MAX_NAME = 60


class NewPasskeyForm(_AddForm):  # type: ignore[misc]
    """A passkey that was made just now, and what it is called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, initial={"name": ""}, **kwargs)
        self.fields["name"] = forms.CharField(
            label=_("Passkey name"),
            required=False,
            max_length=MAX_NAME,
            widget=UnfoldAdminTextInputWidget(attrs={"maxlength": MAX_NAME, "autocomplete": "off"}),
            help_text=_("A name to recognise it by, such as “My phone”."),
        )
        self.fields["credential"] = passkeys.CredentialField()

    def clean(self) -> dict[str, Any]:
        """Verify the answer to our challenge, which counts for one answer."""
        try:
            with passkeys.said_plainly():
                cleaned: dict[str, Any] = super().clean()
        finally:
            webauthn.clear_state()
        return cleaned


class PasskeySite(SignInSite):
    """The console as it is installed, with the pages of one's own passkeys."""

    def get_urls(self) -> list[URLPattern]:
        """Return the console's pages, and these."""
        urls: list[URLPattern] = super().get_urls()
        return [
            path("passkeys/", self.admin_view(self.own_passkeys), name="passkeys"),
            path(
                "passkeys/<int:passkey_id>/remove/",
                self.admin_view(self.remove_passkey),
                name="passkey_remove",
            ),
            *urls,
        ]

    def own_passkeys(self, request: HttpRequest) -> HttpResponseBase:
        """Show one's own, and add one."""
        user: Any = request.user
        if request.method == "POST" and not sessions.is_fresh(request):
            return self._ask_again(request)
        form = NewPasskeyForm(request.POST if "credential" in request.POST else None, user=user)
        if form.is_bound and self._add(request, user, form):
            return redirect(f"{self.name}:passkeys")
        with console.platform():
            return console.rendered(self._passkeys_page(request, user, form))

    own_passkeys.opens_own_scope = True  # type: ignore[attr-defined]

    def _add(self, request: HttpRequest, user: User, form: Any) -> bool:
        """Add the passkey of a form; return whether it was."""
        name = user.get_username()
        if not form.is_valid():
            self.record(
                "PASSKEY_ADD_REFUSED",
                object_type="user",
                object_id=name,
                details={"error": errors.InvalidRequestError.code},
            )
            return False
        new = form.cleaned_data
        try:
            services.add_passkey(user=user, name=new["name"], credential=new["credential"])
        except (errors.AlreadyExistsError, errors.InvalidRequestError) as error:
            form.add_error(None, error.detail)
            return False
        messages.success(request, _("Passkey %(name)s was added.") % {"name": new["name"]})
        return True

    def _passkeys_page(self, request: HttpRequest, user: User, form: Any) -> TemplateResponse:
        page = {
            **self.each_context(request),
            "title": _("Passkeys"),
            "passkeys": passkeys.of_user(user),
            "form": form,
        }
        if sessions.is_fresh(request):
            page["passkey_options"] = webauthn.begin_registration(user, passwordless=False)
        return TemplateResponse(request, "console/passkeys.html", page)

    def remove_passkey(self, request: HttpRequest, passkey_id: int) -> HttpResponseBase:
        """Ask whether to remove one of one's own; remove it."""
        user: Any = request.user
        if request.method == "POST":
            if not sessions.is_fresh(request):
                return self._ask_again(request)
            self._remove(request, user, passkey_id)
            return redirect(f"{self.name}:passkeys")
        with console.platform():
            passkey = passkeys.of_user(user).filter(pk=passkey_id).first()
            if passkey is None:
                raise Http404
            page = {
                **self.each_context(request),
                "title": _("Remove a passkey"),
                "passkey": passkey,
            }
            return console.rendered(TemplateResponse(request, "console/passkey_remove.html", page))

    remove_passkey.opens_own_scope = True  # type: ignore[attr-defined]

    def _remove(self, request: HttpRequest, user: User, passkey_id: int) -> None:
        try:
            services.remove_passkey(user=user, passkey_id=passkey_id)
        except errors.NotFoundError:
            raise Http404 from None
        except errors.InvalidRequestError as error:
            messages.error(request, error.detail)
        else:
            messages.success(request, _("The passkey was removed."))

    def _ask_again(self, request: HttpRequest) -> HttpResponseBase:
        """Have the second factor shown anew before ways in are changed, and come back."""
        user: Any = request.user
        sessions.ask_again(request, user, request.path)
        return redirect(f"{self.name}:second_factor")
