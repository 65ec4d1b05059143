"""Console pages of members."""

from typing import Any, ClassVar

from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django import forms
from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.enums import ActionVariant

from members import field_checks, profiles, services
from members.models import ExternalIdentity, Member, MemberToken
from mps.base import console
from mps.base.audit.models import Event
from mps.base.console import Act, Section
from mps.base.core.db_scope import Scope
from mps.base.staff import users

STATUS_COLOURS = {"active": "success", "suspended": "danger"}

# --- members -------------------------------------------------------------------------------------


@admin.register(Member)
class MemberAdmin(console.Exported, console.ConsoleAdmin):
    """Members. What is changed is changed by services."""

    export_fields = (
        "number",
        "name",
        "phone",
        "email",
        "status",
        "status_reason",
        "created_at",
    )
    list_display = ("number", "name", "phone", "email", "shown_status", "created_at")
    list_display_links = ("number", "name")
    date_hierarchy = "created_at"
    oldest_by = "created_at"
    list_filter = (("status", ChoicesDropdownFilter), ("created_at", console.DayFilter))
    ordering = ("-number",)
    search_fields = ("name", "phone", "email")
    search_help_text = _("Member number, phone or e-mail, or part of the name")
    exact_search = (
        (r"M[0-9]{8,11}", "number"),
        (r"\+?[0-9]{6,15}", "phone"),
        (r"[^@\s]+@[^@\s]+", "email"),
    )
    history_fields: ClassVar[tuple[str, ...]] = ("number",)
    fieldsets = (
        (
            None,
            {"fields": ("number", "name", "phone", "email", "created_at")},
        ),
        (_("Status"), {"fields": ("shown_status", "status_reason")}),
        (_("Limits"), {"fields": ("limit_per_payment", "limit_per_day")}),
    )

    @console.shown(_("status"), ordering="status")
    def shown_status(self, member: Member) -> Any:
        """Show the status in its colour."""
        return console.badge(member.status, member.get_status_display(), STATUS_COLOURS)

    def exact_match(self, lookup: str, term: str) -> Q:
        """Return the condition; e-mail addresses are kept in small letters."""
        return Q(email=term.lower()) if lookup == "email" else super().exact_match(lookup, term)


class ProfileForm(console.ActForm):
    """What a member says of themselves."""

    name = forms.CharField(label=_("Name"), max_length=80)
    phone = forms.CharField(label=_("Phone"), max_length=30, required=False)
    email = forms.CharField(label=_("E-mail"), max_length=254, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.targets:
            member = self.targets[0]
            self.initial.update(name=member.name, phone=member.phone, email=member.email)


class PasswordForm(console.ActForm):
    """A new password."""

    password = forms.CharField(
        label=_("New password"),
        max_length=field_checks.MAX_PASSWORD_LENGTH,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class IdentityForm(console.ActForm):
    """Who a member is at a provider."""

    provider = forms.CharField(
        label=_("Provider"), max_length=30, help_text=_("For example, wechat.")
    )
    external_id = forms.CharField(label=_("External ID"), max_length=128)


console.add_acts(
    Member,
    Act(
        name="profile",
        label=_("Change profile"),
        explanation=_("Changes this member's details. Members sign in by phone or e-mail."),
        run=console.calling(
            profiles.vouch_profile, "member_id", _("The profile of %(name)s was saved.")
        ),
        form=ProfileForm,
        offered=lambda member: member.status == Member.Status.ACTIVE,
        icon="edit",
        group=_("Account"),
    ),
    Act(
        name="password",
        label=_("Set password"),
        explanation=_("Sets a new password for this member and signs them out everywhere."),
        run=console.calling(
            services.set_password, "member_id", _("The password of %(name)s was changed.")
        ),
        form=PasswordForm,
        icon="key",
        group=_("Account"),
    ),
    Act(
        name="identity",
        label=_("Link identity"),
        explanation=_(
            "Lets this member sign in with an account at a provider. Make sure that "
            "the account is theirs first."
        ),
        run=console.calling(
            profiles.bind_identity, "member_id", _("The identity was linked to %(name)s.")
        ),
        form=IdentityForm,
        icon="link",
        group=_("Account"),
    ),
    Act(
        name="suspend",
        label=_("Suspend"),
        explanation=_(
            "These members can no longer pay with their cards or get payment codes, starting now:"
        ),
        run=console.calling(services.suspend_member, "member_id", _("%(name)s was suspended.")),
        bulk=True,
        offered=lambda member: member.status == Member.Status.ACTIVE,
        icon="block",
        variant=ActionVariant.DANGER,
    ),
    Act(
        name="activate",
        label=_("Activate"),
        explanation=_("These members can pay with their cards again:"),
        run=console.calling(services.activate_member, "member_id", _("%(name)s was activated.")),
        bulk=True,
        offered=lambda member: member.status == Member.Status.SUSPENDED,
        icon="check_circle",
        variant=ActionVariant.SUCCESS,
    ),
    console.limiting(
        services.set_limits,
        "member_id",
        _("Limits what this member can pay with any card, from the next payment on:"),
    ),
)


def _identities(scope: Scope, member: Member) -> Section:
    return Section(
        _("External identities"),
        [_("Provider"), _("External ID"), _("Bound at")],
        [
            [each.provider, each.external_id, console.moment(each.created_at)]
            for each in member.identities.order_by("provider")
        ],
    )


def _tokens(scope: Scope, member: Member) -> Section:
    newest = member.tokens.order_by("-created_at")[: console.ROWS_SHOWN]
    return Section(
        _("Latest sign-ins"),
        [_("Signed in at"), _("Expires at"), _("Ended at")],
        [
            [
                console.moment(each.created_at),
                console.moment(each.expires_at),
                console.moment(each.revoked_at),
            ]
            for each in newest
        ],
    )


def _trail(scope: Scope, member: Member) -> Section:
    events = Event.objects.filter(object_id__in=[member.number, str(member.pk)])
    return Section(
        _("Audit trail"),
        [_("When"), _("Action"), _("Who"), _("Object")],
        [
            [
                console.moment(each.happened_at),
                console.link(each, each.action),
                each.who,
                each.about,
            ]
            for each in events.order_by("-id")[: console.ROWS_SHOWN]
        ],
    )


console.add_sections(Member, _identities, _tokens, _trail, last=True)


@admin.register(ExternalIdentity)
class ExternalIdentityAdmin(console.ConsoleAdmin):
    """Who members are at providers."""

    list_display = ("provider", "external_id", "member", "created_at")
    list_select_related = ("member",)
    list_filter = (("created_at", console.DayFilter),)
    ordering = ("-id",)
    exact_search = ((r"M[0-9]{8,11}", "member__number"),)
    search_fields = ("=external_id",)
    search_help_text = _("External ID or member number")
    fieldsets = ((None, {"fields": ("provider", "external_id", "member", "created_at")}),)


@admin.register(MemberToken)
class MemberTokenAdmin(console.ConsoleAdmin):
    """Members' sign-ins. The tokens themselves are nowhere."""

    list_display = ("member", "created_at", "expires_at", "revoked_at")
    list_select_related = ("member",)
    list_filter = (("created_at", console.DayFilter),)
    ordering = ("-id",)
    search_fields = ("=member__number",)
    search_help_text = _("Member number")
    fieldsets = ((None, {"fields": ("member", "created_at", "expires_at", "revoked_at")}),)


# Who members are at providers is in a table of ours; the framework's own are not used.
for _unused in (SocialAccount, SocialApp, SocialToken):
    admin.site.unregister(_unused)
# A member's user never enters the console, whatever flags it carries.
users.require(Q(member=None))
