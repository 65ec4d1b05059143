"""Console pages of tiers, bindings, vouchers and payment codes. Cards are in `card_admin`."""

from typing import Any, ClassVar

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from cards import card_admin, card_limits, member_admin  # noqa: F401
from cards.models import Binding, CodeHistory, PaymentCode, Tier, Voucher
from mps.base import console
from mps.base.core.money import show_rate

_OUTCOMES = {"used": _("used"), "revoked": _("revoked"), "expired": _("expired")}

console.add_acts(
    Binding,
    console.limiting(
        card_limits.set_binding_limits,
        "binding_id",
        _("Limits what this member can pay with this card, from the next payment on:"),
    ),
)


@admin.register(Tier)
class TierAdmin(console.ConsoleAdmin):
    """Membership levels. A change holds for the next payment on."""

    list_display = ("name", "code", "level", "min_points", "shown_rate")
    ordering = ("level",)
    can_add = True
    editable: ClassVar[tuple[str, ...]] = ("name", "min_points", "rate")
    fieldsets = ((None, {"fields": ("code", "name", "level", "min_points", "rate")}),)
    history_fields: ClassVar[tuple[str, ...]] = ("code",)

    @console.shown(_("rate"), ordering="rate")
    def shown_rate(self, tier: Tier) -> str:
        """Show the factor of the price."""
        return show_rate(tier.rate)


@admin.register(Binding)
class BindingAdmin(console.ConsoleAdmin):
    """Who may use which card. Bound and unbound on the card's page."""

    list_display = ("card", "member", "role", "limit_per_payment", "limit_per_day", "created_at")
    list_select_related = ("card", "member")
    list_filter = (("role", ChoicesDropdownFilter), ("created_at", console.DayFilter))
    ordering = ("-id",)
    exact_search = (
        (card_admin.CARD_NUMBER, "card__number"),
        (card_admin.MEMBER_NUMBER, "member__number"),
    )
    search_fields = ("=card__number", "=member__number")
    search_help_text = _("Card number or member number")
    fieldsets = (
        (None, {"fields": ("card", "member", "role", "created_at")}),
        (_("Limits"), {"fields": ("limit_per_payment", "limit_per_day")}),
    )


@admin.register(Voucher)
class VoucherAdmin(console.ConsoleAdmin):
    """What voucher cards are good for."""

    list_display = ("card", "kind", "value", "min_spend", "is_used")
    list_select_related = ("card",)
    list_filter = (("kind", ChoicesDropdownFilter),)
    ordering = ("-pk",)
    search_fields = ("=card__number",)
    search_help_text = _("Card number")
    fieldsets = ((None, {"fields": ("card", "kind", "value", "min_spend", "is_used")}),)

    @console.shown(_("used"), boolean=True)
    def is_used(self, voucher: Voucher) -> bool:
        """Show whether it was used."""
        return voucher.used_by_tx_id is not None


class CodeAdmin(console.ConsoleAdmin):
    """Payment codes: whose and when. Neither the digits nor what they are derived from."""

    list_display = ("card", "member", "issued_at", "expires_at", "ended_at", "shown_outcome")
    list_select_related = ("card", "member")
    ordering = ("-id",)
    sortable_by = ()
    exact_search = (
        (card_admin.CARD_NUMBER, "card__number"),
        (card_admin.MEMBER_NUMBER, "member__number"),
    )
    search_fields = ("=card__number", "=member__number")
    search_help_text = _("Card number or member number")
    fieldsets = (
        (
            None,
            {"fields": ("card", "member", "issued_at", "expires_at", "ended_at", "shown_outcome")},
        ),
    )

    @console.shown(_("outcome"))
    def shown_outcome(self, code: Any) -> Any:
        """Show what became of it."""
        return _OUTCOMES.get(code.outcome, code.outcome) or "–"


@admin.register(PaymentCode)
class PaymentCodeAdmin(CodeAdmin):
    """The latest code of each member for each card."""

    list_filter = (("issued_at", console.DayFilter),)


@admin.register(CodeHistory)
class CodeHistoryAdmin(CodeAdmin, console.LogAdmin):
    """Codes that are gone."""

    date_hierarchy = "ended_at"
    list_filter = (("ended_at", console.DayByIdFilter),)
