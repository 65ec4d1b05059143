"""Account sections on the console's pages of members."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.enums import ActionVariant

from members.models import Member
from mps.base import console
from mps.base.console import Act, Done
from mps.product.accounts import services


class RegisterForm(console.ActForm):
    """A new member."""

    name = forms.CharField(label=_("Name"), max_length=80)
    phone = forms.CharField(label=_("Phone"), max_length=30, required=False)
    email = forms.CharField(label=_("E-mail"), max_length=254, required=False)
    password = forms.CharField(
        label=_("Password"),
        max_length=512,
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("Leave blank if the member should not sign in by password yet."),
    )


def _register(nothing: None, values: dict[str, Any], staff: Any) -> Done:
    member, card = services.register_member(
        name=values["name"],
        phone=values["phone"],
        email=values["email"],
        password=values["password"],
    )
    return Done(
        text=_("%(member)s was registered with card %(card)s.") % {"member": member, "card": card},
        show=member,
    )


console.add_acts(
    Member,
    Act(
        name="register",
        label=_("Register a member"),
        explanation=_("Registers a member and issues their standard card."),
        run=_register,
        form=RegisterForm,
        on_object=False,
        icon="person_add",
        variant=ActionVariant.PRIMARY,
    ),
)
