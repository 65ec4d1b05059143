"""Console pages of transactions and refunds, and transaction sections on other pages."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.enums import ActionVariant

from cards.card_admin import CARD_NUMBER, MEMBER_NUMBER
from cards.models import Card
from members.models import Member
from merchants.models import Merchant
from merchants.webhooks.admin import STATE_COLOURS, translated
from merchants.webhooks.models import WebhookDelivery, WebhookEvent
from mps.base import console
from mps.base.console import Act, Done, Section
from mps.base.core import problems
from mps.base.core.db_scope import Scope
from mps.base.core.money import show_rate
from mps.base.ledger.models import Entry
from payments import charge_decision, refunds
from payments.models import Order, TopUp, Transaction

_CARDS_READ = 100

# A webhook is written with what it tells of; a database transaction takes 30 s at most.
_TOLD_WITHIN = timedelta(seconds=60)

STATUS_COLOURS = {
    "pending": "info",
    "completed": "success",
    "failed": "danger",
    "refunded": "warning",
    "cancelled": "warning",
    "expired": "warning",
}


class MethodFilter(DropdownFilter):
    """How it was paid."""

    title = _("payment method")
    parameter_name = "method"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the methods there are."""
        return list(charge_decision.METHODS.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep those paid so."""
        return queryset.filter(payment_method=self.value()) if self.value() else queryset


@admin.register(Transaction)
class TransactionAdmin(console.Exported, console.LogAdmin):
    """What happened with money. Read-only."""

    export_fields = (
        "tx_no",
        "type",
        "status",
        "failure_code",
        "created_at",
        "card__number",
        "member__number",
        "merchant__code",
        "terminal__name",
        "currency",
        "amount",
        "discount_rate",
        "discount_amount",
        "final_amount",
        "points",
        "fee",
        "payment_method",
        "external_order_id",
        "refunded_total",
        "reason",
    )
    list_display = (
        "tx_no",
        "shown_time",
        "type",
        "shown_status",
        "amount",
        "final_amount",
        "shown_card",
        "member_number",
        "shown_merchant",
        "shown_method",
        "points",
    )
    list_fullwidth = True
    list_select_related = ("card", "member", "merchant")
    date_hierarchy = "created_at"
    list_filter = (
        ("type", ChoicesDropdownFilter),
        ("status", ChoicesDropdownFilter),
        MethodFilter,
        ("created_at", console.DayByIdFilter),
    )
    search_fields = ("=external_order_id",)
    search_help_text = _("Number, order, card number, member number or merchant code")
    exact_search = (
        (r"(PAY|REF|RCG|ADJ|OUT)[0-9]{10,13}", "tx_no"),
        (CARD_NUMBER, "card"),
        (MEMBER_NUMBER, "member"),
    )
    history_fields = ("tx_no",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "tx_no",
                    "type",
                    "shown_status",
                    "shown_failure",
                    "shown_original",
                    "created_at",
                )
            },
        ),
        (
            _("Who"),
            {"fields": ("shown_card", "shown_member", "shown_merchant", "shown_terminal")},
        ),
        (
            _("Amounts"),
            {
                "fields": (
                    "currency",
                    "amount",
                    "shown_rate",
                    "discount_amount",
                    "final_amount",
                    "balance_after",
                    "fee",
                    "shown_method",
                    "shown_voucher",
                    "credited_to",
                )
            },
        ),
        (_("Points"), {"fields": ("points", "tier", "refunded_points")}),
        (_("Refunded"), {"fields": ("refunded_total", "refunded_fee")}),
        (_("Order"), {"fields": ("external_order_id", "reason", "tag")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Transaction]:
        """Return transactions with what their pages name at hand."""
        found: QuerySet[Transaction] = super().get_queryset(request)
        return found.select_related("card", "member", "merchant", "terminal")

    def exact_match(self, lookup: str, term: str) -> Q:
        """Return the condition, by index: a member's transactions are those of their cards."""
        if lookup == "card":
            return Q(card__in=Card.objects.filter(number=term.upper()).values("id"))
        if lookup == "member":
            member = Member.objects.filter(number=term.upper())
            cards = Card.objects.filter(bindings__member__in=member.values("id"))
            return Q(card__in=cards.values("id"), member__in=member.values("id"))
        return super().exact_match(lookup, term)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by merchant code if there is one, else as usual."""
        merchant = Merchant.objects.filter(code=search_term.strip()).first()
        if merchant is not None:
            return queryset.filter(merchant_id=merchant.id), False
        found: tuple[QuerySet[Any], bool] = super().get_search_results(
            request, queryset, search_term
        )
        return found

    @console.shown(_("status"))
    def shown_status(self, each: Transaction) -> Any:
        """Show the status in its colour."""
        return console.badge(each.status, each.get_status_display(), STATUS_COLOURS)

    @console.shown(_("created at"))
    def shown_time(self, each: Transaction) -> str:
        """Show when."""
        return console.moment(each.created_at)

    @console.shown(_("card"))
    def shown_card(self, each: Transaction) -> Any:
        """Link to the card."""
        return console.link(each.card)

    @console.shown(_("member"))
    def shown_member(self, each: Transaction) -> Any:
        """Link to the member."""
        return console.link(each.member)

    @console.shown(_("member"))
    def member_number(self, each: Transaction) -> Any:
        """Link to the member, in few letters."""
        return console.link(each.member, each.member.number)

    @console.shown(_("merchant"))
    def shown_merchant(self, each: Transaction) -> Any:
        """Link to the shop."""
        return console.link(each.merchant, each.merchant.code if each.merchant else None)

    @console.shown(_("payment method"))
    def shown_method(self, each: Transaction) -> Any:
        """Show how it was paid."""
        return charge_decision.name_method(each.payment_method)

    @console.shown(_("terminal"))
    def shown_terminal(self, each: Transaction) -> Any:
        """Link to the till."""
        return console.link(each.terminal, each.terminal.name if each.terminal else None)

    @console.shown(_("voucher"))
    def shown_voucher(self, each: Transaction) -> Any:
        """Link to the voucher."""
        return console.link(each.voucher_card)

    @console.shown(_("original"))
    def shown_original(self, each: Transaction) -> Any:
        """Link to what was given back or reversed."""
        return console.link(each.original)

    @console.shown(_("failure"))
    def shown_failure(self, each: Transaction) -> str:
        """Say why it failed."""
        return console.refusal(each.failure_code)

    @console.shown(_("discount rate"))
    def shown_rate(self, each: Transaction) -> str:
        """Show the factor of the price."""
        return show_rate(each.discount_rate)


def _entries(scope: Scope, each: Transaction) -> Section:
    entries = (
        Entry.objects.filter(posting__reference=each.id)
        .select_related("account", "posting")
        .order_by("id")
    )
    return Section(
        _("Ledger entries"),
        [_("Account"), _("Unit"), _("Amount"), _("Balance after"), _("Posted at")],
        [
            [
                console.link(entry.account, entry.account.get_kind_display()),
                entry.account.unit,
                console.amount(entry.amount),
                console.amount(entry.balance_after),
                console.moment(entry.posting.posted_at),
            ]
            for entry in entries
        ],
    )


def _refunds(scope: Scope, each: Transaction) -> Section | None:
    if each.type not in {Transaction.Type.PAYMENT, Transaction.Type.RECHARGE}:
        return None
    return Section(
        _("Refunds and reversals"),
        [_("Number"), _("Amount"), _("Points"), _("Credited to"), _("Reason"), _("When")],
        [
            [
                console.link(refund),
                console.amount(refund.final_amount),
                console.whole(refund.points),
                refund.credited_to or "–",
                refund.reason or "–",
                console.moment(refund.created_at),
            ]
            for refund in Transaction.objects.filter(original_id=each.id).order_by("id")
        ],
    )


def _order(scope: Scope, each: Transaction) -> Section | None:
    if not each.external_order_id or each.merchant_id is None:
        return None
    order = Order.objects.filter(
        merchant_id=each.merchant_id, external_order_id=each.external_order_id
    ).first()
    if order is None:
        return None
    return Section(
        _("Order"),
        [_("Order"), _("Paid by this transaction"), _("Amount"), _("Reversed at")],
        [
            [
                order.external_order_id,
                _("yes") if order.tx_id == each.id else _("no"),
                console.amount(order.amount),
                console.moment(order.reversed_at),
            ]
        ],
    )


def _asked(scope: Scope, each: Transaction) -> Section | None:
    top_up = TopUp.objects.filter(tx_id=each.id).first()
    if top_up is None:
        return None
    return Section(
        _("Member's top-up"),
        [_("Order"), _("Provider"), _("Started at"), _("Paid late")],
        [
            [
                console.link(top_up, top_up.order_id),
                top_up.provider,
                console.moment(top_up.created_at),
                _("yes") if top_up.late else _("no"),
            ]
        ],
    )


def latest(found: QuerySet[Transaction]) -> Section:
    """Show the newest of some transactions."""
    newest = found.select_related("merchant", "card").order_by("-id")[: console.ROWS_SHOWN]
    return Section(
        _("Latest transactions"),
        [
            _("Number"),
            _("Type"),
            _("Status"),
            _("Amount"),
            _("Amount paid"),
            _("Points"),
            _("Card"),
            _("Merchant"),
            _("When"),
        ],
        [
            [
                console.link(each),
                each.get_type_display(),
                console.badge(each.status, each.get_status_display(), STATUS_COLOURS),
                console.amount(each.amount),
                console.amount(each.final_amount),
                console.whole(each.points),
                console.link(each.card),
                each.merchant.code if each.merchant else "–",
                console.moment(each.created_at),
            ]
            for each in newest
        ],
    )


def _of_card(scope: Scope, card: Card) -> Section:
    return latest(Transaction.objects.filter(card_id=card.id))


def _of_merchant(scope: Scope, merchant: Merchant) -> Section:
    return latest(Transaction.objects.filter(merchant_id=merchant.id))


def _of_member(scope: Scope, member: Member) -> Section:
    # By the cards' index: there is none by member.
    cards = Card.objects.filter(bindings__member_id=member.id)
    ids = list(cards.values_list("id", flat=True)[:_CARDS_READ])
    return latest(Transaction.objects.filter(card_id__in=ids, member_id=member.id))


def _points_of_member(scope: Scope, member: Member) -> Section:
    cards = {
        card.points_account_id: card
        for card in Card.objects.filter(bindings__member_id=member.id)[:_CARDS_READ]
        if card.points_account_id
    }
    entries = Entry.objects.filter(account_id__in=list(cards)).select_related("posting")
    return Section(
        _("Points"),
        [_("Posting"), _("Card"), _("Points"), _("Balance after"), _("When")],
        [
            [
                console.link(entry.posting, entry.posting.kind_label),
                console.link(cards[entry.account_id]),
                console.whole(entry.amount),
                console.whole(entry.balance_after),
                console.moment(entry.posting.posted_at),
            ]
            for entry in entries.order_by("-id")[: console.ROWS_SHOWN]
        ],
    )


def _told(scope: Scope, each: Transaction) -> Section | None:
    """What the shop was told of this, found by when it was told."""
    if each.merchant_id is None:
        return None
    deliveries = (
        WebhookDelivery.objects.filter(
            event_id__in=WebhookEvent.objects.filter(
                id__gte=console.smallest_id(each.created_at - timedelta(seconds=1)),
                id__lt=console.smallest_id(each.created_at + _TOLD_WITHIN),
                merchant_id=each.merchant_id,
                payload__tx_no=each.tx_no,
            ).values("id")
        )
        .select_related("event", "endpoint")
        .order_by("id")[: console.ROWS_SHOWN]
    )
    return Section(
        _("Webhook deliveries"),
        [_("Event"), _("Endpoint"), _("Status"), _("Attempts"), _("Error"), _("Created at")],
        [
            [
                console.link(told, told.event.get_type_display()),
                console.link(told.endpoint),
                console.badge(told.state, told.get_state_display(), STATE_COLOURS),
                console.whole(told.attempts),
                translated(told.last_error) or "–",
                console.moment(told.created_at),
            ]
            for told in deliveries
        ],
    )


console.add_sections(Transaction, _entries, _refunds, _told, _order, _asked)

console.add_sections(Card, _of_card)

console.add_sections(Member, _points_of_member, _of_member)

console.add_sections(Merchant, _of_merchant)


class RefundForm(console.ActForm):
    """How much to give back, and why."""

    amount = console.MoneyField(label=_("Amount"), or_zero=True)
    reason = forms.CharField(label=_("Reason"), max_length=200)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for payment in self.targets[:1]:
            self.fields["amount"].initial = payment.final_amount - payment.refunded_total


def _refund(payment: Transaction, values: dict[str, Any], staff: Any) -> Done:
    answer = refunds.refund_for_shop(
        tx_no=payment.tx_no,
        merchant_id=payment.merchant_id,
        amount=values["amount"],
        idempotency_key=f"staff:{values['token']}",
        reason=values["reason"],
    )
    if answer.refused:
        title = problems.in_readers_language(answer.body)["title"]
        return Done(text=f"{payment}: {title}", refused=True)
    return Done(
        text=_("%(payment)s: %(amount)s refunded as %(number)s.")
        % {
            "payment": payment,
            "amount": console.amount(values["amount"]),
            "number": answer.body["tx_no"],
        }
    )


console.add_acts(
    Transaction,
    Act(
        name="refund",
        label=_("Refund"),
        explanation=_(
            "Refunds this payment immediately, in the shop's name and at its "
            "expense, and takes back the points it earned. Money paid outside the "
            "till must be returned separately:"
        ),
        run=_refund,
        four_eyes=console.above_amount,
        form=RefundForm,
        offered=lambda payment: (
            payment.type == Transaction.Type.PAYMENT
            and payment.status == Transaction.Status.COMPLETED
            and payment.merchant_id is not None
        ),
        replays=True,
        icon="undo",
        variant=ActionVariant.DANGER,
    ),
)
