"""The console's pages of members, and of the people who work here."""

from typing import Any, ClassVar

from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from members import services
from members.models import ExternalIdentity, Member, MemberToken
from mps.base import console
from mps.base.audit.models import Event
from mps.base.console import Act, Section

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
    search_help_text = _("Member number, phone or e-mail; or a part of the name")
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
        max_length=services.MAX_PASSWORD_LENGTH,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class IdentityForm(console.ActForm):
    """Who a member is at a provider."""

    provider = forms.CharField(label=_("Provider"), max_length=30, help_text=_("Such as wechat."))
    external_id = forms.CharField(label=_("External id"), max_length=128)


console.add_acts(
    Member,
    Act(
        name="profile",
        label=_("Change profile"),
        explanation=_("Changes what is known of this member, who signs in by phone or e-mail."),
        run=console.calling(
            services.vouch_profile, "member_id", _("The profile of %(name)s is saved.")
        ),
        form=ProfileForm,
        offered=lambda member: member.status == Member.Status.ACTIVE,
        icon="edit",
        group=_("Account"),
    ),
    Act(
        name="password",
        label=_("Set password"),
        explanation=_("Gives this member a new password. They are signed out everywhere."),
        run=console.calling(services.set_password, "member_id", _("%(name)s has a new password.")),
        form=PasswordForm,
        icon="key",
        group=_("Account"),
    ),
    Act(
        name="identity",
        label=_("Bind identity"),
        explanation=_(
            "Lets this member sign in by an account at a provider. Do so only when it is proved"
            " that the account is theirs."
        ),
        run=console.calling(
            services.bind_identity, "member_id", _("The identity is bound to %(name)s.")
        ),
        form=IdentityForm,
        icon="link",
        group=_("Account"),
    ),
    Act(
        name="suspend",
        label=_("Suspend"),
        explanation=_("These members' cards stop paying and get no payment codes, at once:"),
        run=console.calling(services.suspend_member, "member_id", _("%(name)s is suspended.")),
        bulk=True,
        offered=lambda member: member.status == Member.Status.ACTIVE,
        icon="block",
        variant=ActionVariant.DANGER,
    ),
    Act(
        name="activate",
        label=_("Activate"),
        explanation=_("These members' cards pay again:"),
        run=console.calling(services.activate_member, "member_id", _("%(name)s is active again.")),
        bulk=True,
        offered=lambda member: member.status == Member.Status.SUSPENDED,
        icon="check_circle",
        variant=ActionVariant.SUCCESS,
    ),
    console.limiting(
        services.set_limits,
        "member_id",
        _("Limits what this member pays, with whatever card, from the next payment on:"),
    ),
)


def _identities(member: Member) -> Section:
    return Section(
        _("External identities"),
        [_("Provider"), _("External id"), _("Bound at")],
        [
            [each.provider, each.external_id, console.moment(each.created_at)]
            for each in member.identities.order_by("provider")
        ],
    )


def _tokens(member: Member) -> Section:
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


def _trail(member: Member) -> Section:
    events = Event.objects.filter(object_id__in=[member.number, str(member.pk)])
    return Section(
        _("Audit trail"),
        [_("When"), _("What"), _("Who"), _("About")],
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
    search_help_text = _("External id or member number")
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


# --- staff ---------------------------------------------------------------------------------------

# The framework's own pages, of which ours are made.
_UserAdmin: Any = DjangoUserAdmin
_GroupAdmin: Any = DjangoGroupAdmin
admin.site.unregister(User)
admin.site.unregister(Group)
# Who members are at providers is in a table of ours; the framework's own are not used.
for _unused in (SocialAccount, SocialApp, SocialToken):
    admin.site.unregister(_unused)
# A member's user never enters here, whatever flags it carries.
console.add_doorkeeper(lambda user: not Member.objects.filter(user_id=user.pk).exists())


@admin.register(User)
class UserAdmin(console.ConsoleAdmin, _UserAdmin):  # type: ignore[misc]
    """Who works here. The accounts of members are not shown: their door is another one.

    Nobody but a superuser grants rights, or touches a superuser's account.
    """

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    can_add = True
    list_display = ("username", "first_name", "last_name", "is_staff", "is_superuser", "last_login")
    list_filter = (
        ("is_staff", BooleanRadioFilter),
        ("is_superuser", BooleanRadioFilter),
        ("is_active", BooleanRadioFilter),
    )
    ordering = ("username",)
    search_fields = ("username", "first_name", "last_name", "email")
    history_fields = ("username",)
    filter_horizontal = ()
    autocomplete_fields = ("groups",)
    editable = (
        "username",
        "first_name",
        "last_name",
        "email",
        "is_active",
        "is_staff",
        "is_superuser",
        "groups",
    )
    rights = ("is_staff", "is_superuser", "groups")
    fieldsets = (
        (None, {"fields": ("username", "first_name", "last_name", "email", "password_link")}),
        (_("Rights"), {"fields": ("is_active", *rights)}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("username", "usable_password", "password1", "password2"),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Return everybody who is no member."""
        users: QuerySet[User] = super().get_queryset(request).filter(member=None)
        return users

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return what may not be changed; rights, for all but superusers."""
        fixed = list(super().get_readonly_fields(request, obj))
        if obj is not None and not request.user.is_superuser:
            fixed += [name for name in self.rights if name not in fixed]
        return fixed

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether who is signed in may change this account."""
        return super().has_change_permission(request, obj) and (
            request.user.is_superuser or not isinstance(obj, User) or not obj.is_superuser
        )

    @console.shown(_("password"))
    def password_link(self, user: User) -> Any:
        """Show where the password is set, and nothing of it."""
        return format_html(
            '<a class="text-link" href="{}">{}</a>',
            reverse("admin:auth_user_password_change", args=[user.pk]),
            _("Set another password") if user.has_usable_password() else _("Set a password"),
        )


_RIGHTS = {"view": _("may look"), "change": _("may act"), "add": _("may add")}


@admin.register(Group)
class GroupAdmin(console.ConsoleAdmin, _GroupAdmin):  # type: ignore[misc]
    """Rights that are given together."""

    can_add = True
    editable = ("name", "permissions")
    fieldsets = ((None, {"fields": ("name", "permissions")}),)
    history_fields = ("name",)
    ordering = ("name",)
    search_fields = ("name",)
    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the rights the console knows: to look and to change, and to add by a form."""
        pages: dict[Any, Any] = self.admin_site._registry
        names = [
            (model._meta.app_label, f"{right}_{model._meta.model_name}")
            for model, page in pages.items()
            for right in ("view", "change", *(["add"] if getattr(page, "can_add", False) else []))
        ]
        known = Q()
        for app, name in names:
            known |= Q(content_type__app_label=app, codename=name)
        kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
        kwargs["queryset"] = Permission.objects.filter(known).select_related("content_type")
        field = db_field.formfield(**kwargs)
        field.label_from_instance = _right
        return field


def _right(permission: Permission) -> str:
    """Say what somebody may, in the reader's language."""
    right = _RIGHTS.get(permission.codename.partition("_")[0], permission.name)
    return f"{permission.content_type} | {right}"
