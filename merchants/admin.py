"""Console pages of shops and terminals."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget

from merchants import merchant_users, services
from merchants.models import Merchant, MerchantUser, Terminal
from merchants.webhooks import admin as webhook_admin  # noqa: F401 -- registers its pages
from mps.base import console
from mps.base.console import Act, Done, Section
from mps.base.core.days import time_zones
from mps.base.core.db_scope import Scope

STATUS_COLOURS = {"active": "success", "suspended": "danger"}


def _zones() -> list[tuple[str, str]]:
    return [(name, name) for name in sorted(time_zones())]


class MerchantForm(forms.ModelForm):  # type: ignore[type-arg]
    """What may be changed of a shop."""

    time_zone = forms.ChoiceField(
        label=_("Time zone"), choices=_zones, widget=UnfoldAdminSelectWidget
    )


@admin.register(Merchant)
class MerchantAdmin(console.Exported, console.ConsoleAdmin):
    """Shops."""

    form = MerchantForm
    export_fields = (
        "code",
        "name",
        "contact",
        "status",
        "settlement_mode",
        "fee_rate",
        "time_zone",
        "created_at",
    )
    list_display = ("code", "name", "shown_status", "settlement_mode", "fee_rate", "created_at")
    list_display_links = ("code", "name")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("settlement_mode", ChoicesDropdownFilter),
        ("created_at", console.DayFilter),
    )
    ordering = ("code",)
    search_fields = ("code", "name", "contact")
    editable: ClassVar[tuple[str, ...]] = (
        "name",
        "contact",
        "settlement_mode",
        "fee_rate",
        "time_zone",
    )
    fieldsets = (
        (None, {"fields": ("code", "name", "contact", "created_at")}),
        (_("Status"), {"fields": ("shown_status", "status_reason")}),
        (_("Limits"), {"fields": ("limit_per_payment", "limit_per_day")}),
        (_("Settlement"), {"fields": ("settlement_mode", "fee_rate", "time_zone", "account")}),
    )

    @console.shown(_("status"), ordering="status")
    def shown_status(self, merchant: Merchant) -> Any:
        """Show the status in its colour."""
        return console.badge(merchant.status, merchant.get_status_display(), STATUS_COLOURS)


class NewMerchantForm(console.ActForm):
    """A shop to open."""

    code = forms.CharField(
        label=_("Code"),
        max_length=32,
        help_text=_("A-Z 0-9 _ -, such as SHOP001. It cannot be changed later."),
    )
    name = forms.CharField(label=_("Name"), max_length=80)
    contact = forms.CharField(label=_("Contact"), max_length=200, required=False)
    settlement_mode = forms.ChoiceField(
        label=_("Settlement mode"),
        choices=Merchant.SettlementMode.choices,
        initial=Merchant.SettlementMode.T_PLUS_1,
    )
    fee_rate = console.RateField(
        label=_("Fee rate"), initial=0, help_text=_("0.02 takes 2 % of each payment.")
    )
    time_zone = forms.CharField(
        label=_("Time zone"),
        max_length=64,
        required=False,
        help_text=_("For example, Asia/Taipei. Leave blank for the platform's time zone."),
    )


class NewTerminalForm(console.ActForm):
    """A till to open."""

    name = forms.CharField(label=_("Till name"), max_length=80, help_text=_("For example, Till 2."))
    can_top_up = forms.BooleanField(label=_("Can take cash top-ups"), required=False)
    can_manage_webhooks = forms.BooleanField(
        label=_("Can manage webhook endpoints"), required=False
    )


class RotateForm(console.ActForm):
    """How long the old key goes on working."""

    overlap_seconds = forms.IntegerField(
        label=_("Keep the old key for (seconds)"),
        min_value=0,
        max_value=7 * 86_400,
        initial=86_400,
        help_text=_("0 revokes it immediately. 86400 is one day."),
    )


def _create(nothing: None, values: dict[str, Any], staff: Any) -> Done:
    merchant = services.create_merchant(
        code=values["code"],
        name=values["name"],
        contact=values["contact"],
        settlement_mode=values["settlement_mode"],
        fee_rate=values["fee_rate"],
        time_zone=values["time_zone"],
    )
    return Done(text=_("%(name)s was added.") % {"name": merchant}, show=merchant)


def _create_terminal(merchant: Merchant, values: dict[str, Any], staff: Any) -> Done:
    terminal, key = services.create_terminal(
        merchant_id=merchant.id,
        name=values["name"],
        can_top_up=values["can_top_up"],
        can_manage_webhooks=values["can_manage_webhooks"],
    )
    return Done(
        text=_("%(till)s was added to %(shop)s. This is its key:")
        % {"till": terminal.name, "shop": merchant},
        secret=key,
        show=terminal,
    )


def _rotate(terminal: Terminal, values: dict[str, Any], staff: Any) -> Done:
    key = services.rotate_terminal_key(
        terminal_id=terminal.id, overlap_seconds=values["overlap_seconds"]
    )
    return Done(text=_("This is the new key of %(till)s:") % {"till": terminal.name}, secret=key)


console.add_acts(
    Merchant,
    Act(
        name="create",
        label=_("Add shop"),
        explanation=_("Adds a shop with its ledger account. It needs a till to take payments."),
        run=_create,
        form=NewMerchantForm,
        on_object=False,
        icon="add_business",
        variant=ActionVariant.PRIMARY,
    ),
    Act(
        name="create-terminal",
        label=_("Add till"),
        explanation=_("Adds a till to this shop. Its key is shown only once, on the next page:"),
        run=_create_terminal,
        form=NewTerminalForm,
        icon="point_of_sale",
    ),
    Act(
        name="suspend",
        label=_("Suspend"),
        explanation=_("These shops can no longer take payments, top-ups or refunds, starting now:"),
        run=console.calling(services.suspend_merchant, "merchant_id", _("%(name)s was suspended.")),
        bulk=True,
        offered=lambda merchant: merchant.status == Merchant.Status.ACTIVE,
        icon="block",
        variant=ActionVariant.DANGER,
    ),
    Act(
        name="activate",
        label=_("Activate"),
        explanation=_("These shops can take payments, top-ups and refunds again:"),
        run=console.calling(
            services.activate_merchant, "merchant_id", _("%(name)s was activated.")
        ),
        bulk=True,
        offered=lambda merchant: merchant.status == Merchant.Status.SUSPENDED,
        icon="check_circle",
        variant=ActionVariant.SUCCESS,
    ),
    console.limiting(
        services.set_limits,
        "merchant_id",
        _("Limits the payments this shop can take, from the next payment on:"),
    ),
)
console.add_acts(
    Terminal,
    Act(
        name="rotate-key",
        label=_("New key"),
        explanation=_("Creates a new key for this till. It is shown only once, on the next page:"),
        run=_rotate,
        form=RotateForm,
        offered=lambda terminal: terminal.revoked_at is None,
        icon="key",
    ),
    Act(
        name="require-signatures",
        label=_("Require signatures"),
        explanation=_(
            "From now on these tills must sign their requests. A key alone is no longer accepted:"
        ),
        run=console.calling(
            services.require_signatures, "terminal_id", _("%(name)s must sign its requests.")
        ),
        bulk=True,
        offered=lambda terminal: terminal.revoked_at is None and not terminal.require_signature,
        icon="signature",
    ),
    Act(
        name="allow-unsigned",
        label=_("Allow unsigned requests"),
        explanation=_("These tills can send their key again instead of signing their requests:"),
        run=console.calling(
            services.allow_unsigned,
            "terminal_id",
            _("%(name)s does not have to sign its requests."),
        ),
        bulk=True,
        offered=lambda terminal: terminal.revoked_at is None and terminal.require_signature,
        icon="no_encryption",
    ),
    Act(
        name="revoke",
        label=_("Revoke"),
        explanation=_("These tills and all their keys stop working immediately and permanently:"),
        run=console.calling(services.revoke_terminal, "terminal_id", _("%(name)s was revoked.")),
        bulk=True,
        offered=lambda terminal: terminal.revoked_at is None,
        icon="block",
        variant=ActionVariant.DANGER,
    ),
)


def _withdraw(right: MerchantUser, values: dict[str, Any], staff: Any) -> Done:
    merchant_users.withdraw_user(merchant_user_id=right.pk, reason=values["reason"])
    return Done(
        text=_("%(person)s no longer has access to %(shop)s.")
        % {"person": right.user.get_username(), "shop": right.merchant},
        show=right.merchant,
    )


console.add_acts(
    MerchantUser,
    Act(
        name="withdraw",
        label=_("Remove access"),
        explanation=_(
            "This person loses access to this shop immediately. Their account and "
            "the record of what they did are kept:"
        ),
        run=_withdraw,
        icon="person_off",
        variant=ActionVariant.DANGER,
    ),
)


@console.shown(_("active"), boolean=True)
def is_working(terminal: Terminal) -> bool:
    """Show whether a till is not shut out."""
    return terminal.revoked_at is None


@admin.register(Terminal)
class TerminalAdmin(console.ConsoleAdmin):
    """Tills."""

    list_display = (
        "name",
        "merchant",
        "can_top_up",
        "can_manage_webhooks",
        is_working,
        "created_at",
    )
    list_select_related = ("merchant",)
    list_filter = (("created_at", console.DayFilter),)
    ordering = ("-id",)
    search_fields = ("name", "merchant__code", "merchant__name")
    editable: ClassVar[tuple[str, ...]] = ("name", "can_top_up", "can_manage_webhooks")
    fieldsets = (
        (None, {"fields": ("merchant", "name", "created_at", "revoked_at")}),
        (_("Permissions"), {"fields": ("can_top_up", "can_manage_webhooks", "require_signature")}),
    )


@admin.register(MerchantUser)
class MerchantUserAdmin(console.ConsoleAdmin):
    """Who manages which shop."""

    list_display = ("user", "merchant", "role", "created_at")
    list_select_related = ("user", "merchant")
    list_filter = (("role", ChoicesDropdownFilter),)
    ordering = ("-id",)
    search_fields = ("user__username", "merchant__code", "merchant__name")
    autocomplete_fields = ("user", "merchant")
    can_add = True
    editable: ClassVar[tuple[str, ...]] = ("role",)
    fieldsets = ((None, {"fields": ("merchant", "user", "role")}),)


def _terminals(scope: Scope, merchant: Merchant) -> Section:
    newest = merchant.terminals.order_by("-created_at")[: console.ROWS_SHOWN]
    return Section(
        _("Tills"),
        [_("Name"), _("Cash top-ups"), _("Added at"), _("Revoked at")],
        [
            [
                console.link(each, each.name),
                _("yes") if each.can_top_up else _("no"),
                console.moment(each.created_at),
                console.moment(each.revoked_at),
            ]
            for each in newest
        ],
    )


def _users(scope: Scope, merchant: Merchant) -> Section:
    return Section(
        _("People"),
        [_("User"), _("Role"), _("Since")],
        [
            [
                console.link(each, each.user),
                each.get_role_display(),
                console.moment(each.created_at),
            ]
            for each in merchant.users.select_related("user").order_by("created_at")
        ],
    )


def _keys(scope: Scope, terminal: Terminal) -> Section:
    return Section(
        _("Keys"),
        [_("Key"), _("Created at"), _("Expires at"), _("Revoked at")],
        [
            [
                str(each),
                console.moment(each.created_at),
                console.moment(each.expires_at),
                console.moment(each.revoked_at),
            ]
            for each in terminal.keys.order_by("-created_at")[: console.ROWS_SHOWN]
        ],
    )


console.add_sections(Merchant, _terminals, _users)
console.add_sections(Terminal, _keys)
