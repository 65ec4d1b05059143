"""Console pages of members' top-ups."""

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from cards.card_admin import CARD_NUMBER
from mps.base import console
from mps.base.console import Act, Done
from payments import topup_confirmations, transaction_admin
from payments.models import TopUp, Transaction

_ORDER_SHOWN = 10


@admin.register(TopUp)
class TopUpAdmin(console.Exported, console.LogAdmin):
    """What members asked providers to take. Read-only, but for asking the provider."""

    export_fields = (
        "order_id",
        "created_at",
        "provider",
        "payment_id",
        "status",
        "failure_code",
        "amount",
        "currency",
        "card__number",
        "member__number",
        "paid_amount",
        "paid_currency",
        "paid_at",
        "late",
    )
    list_display = (
        "shown_time",
        "shown_order",
        "provider",
        "shown_status",
        "amount",
        "shown_card",
        "member_number",
        "failure_code",
        "shown_late",
    )
    list_display_links = ("shown_time", "shown_order")
    list_fullwidth = True
    list_select_related = ("card", "member")
    date_hierarchy = "created_at"
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("created_at", console.DayByIdFilter),
        "provider",
        "late",
    )
    search_fields = ("=order_id",)
    search_help_text = _("Order, provider payment or card number")
    exact_search = (
        (CARD_NUMBER, "card__number"),
        (r"[A-Za-z0-9_-]{32}", "order_id"),
        (r"(pi|sbx)_[A-Za-z0-9]{8,60}", "payment_id"),
    )
    history_fields = ("order_id",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    *("order_id", "provider", "shown_status", "shown_failure"),
                    *("created_at", "expires_at", "closed_at", "late"),
                )
            },
        ),
        (_("Who"), {"fields": ("shown_card", "shown_member")}),
        (
            _("Amounts"),
            {
                "fields": (
                    *("amount", "currency", "paid_amount", "paid_currency", "paid_at"),
                    *("reference", "payment_id", "shown_transaction"),
                )
            },
        ),
    )

    def exact_match(self, lookup: str, term: str) -> Q:
        """Return the condition; orders and payments have small letters, too."""
        if lookup == "card__number":
            return super().exact_match(lookup, term)
        return Q(**{lookup: term})

    @console.shown(_("status"))
    def shown_status(self, each: TopUp) -> Any:
        """Show the status in its colour."""
        return console.badge(
            each.status, each.get_status_display(), transaction_admin.STATUS_COLOURS
        )

    @console.shown(_("failure"))
    def shown_failure(self, each: TopUp) -> str:
        """Say why it failed."""
        return console.refusal(each.failure_code)

    @console.shown(_("created at"))
    def shown_time(self, each: TopUp) -> str:
        """Show when."""
        return console.moment(each.created_at)

    @console.shown(_("card"))
    def shown_card(self, each: TopUp) -> Any:
        """Link to the card."""
        return console.link(each.card)

    @console.shown(_("member"))
    def shown_member(self, each: TopUp) -> Any:
        """Link to the member."""
        return console.link(each.member)

    @console.shown(_("member"))
    def member_number(self, each: TopUp) -> Any:
        """Link to the member, in few letters."""
        return console.link(each.member, each.member.number)

    @console.shown(_("order"))
    def shown_order(self, each: TopUp) -> str:
        """Show how its order begins; all of it is on its page."""
        return f"{each.order_id[:_ORDER_SHOWN]}…"

    @console.shown(_("late"))
    def shown_late(self, each: TopUp) -> Any:
        """Show it if it was paid after its time."""
        return console.badge("late", _("late"), {"late": "warning"}) if each.late else "–"

    @console.shown(_("transaction"))
    def shown_transaction(self, each: TopUp) -> Any:
        """Link to what credited it."""
        if each.tx_id is None:
            return "–"
        return console.link(Transaction.objects.filter(id=each.tx_id).first())


def _confirm(top_up: TopUp, values: dict[str, Any], staff: Any) -> Done:
    done = topup_confirmations.confirm_with_provider(top_up_id=top_up.id)
    return Done(
        text=_("%(top_up)s: %(status)s.") % {"top_up": done, "status": done.get_status_display()},
        refused=done.status == TopUp.Status.FAILED,
    )


console.add_acts(
    TopUp,
    Act(
        name="confirm",
        label=_("Check with the provider"),
        explanation=_("Checks with the provider whether this was paid, and credits it if so:"),
        run=_confirm,
        form=console.ActForm,
        offered=lambda top_up: top_up.status != TopUp.Status.COMPLETED,
        replays=True,
        icon="sync",
    ),
)
