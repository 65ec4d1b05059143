"""The console's pages of transactions, what payments add to the pages of cards and shops, and the
first page.
"""

import json
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.enums import ActionVariant

from cards.admin import CARD_NUMBER, MEMBER_NUMBER
from cards.models import Card, CodeHistory
from members.models import Member
from merchants.models import Merchant, WebhookDelivery, WebhookEvent
from merchants.webhook_admin import STATE_COLOURS, translated
from mps.base import console
from mps.base.audit.models import Event
from mps.base.console import Act, Done, Figure, Section
from mps.base.core import errors, problems
from mps.base.core.money import show_rate
from mps.base.ledger.models import Account, Entry
from payments import cash_outs, charge_decision, dashboard, member_topups, points, refunds, topups
from payments.models import Order, TopUp, Transaction

_STAFF_KEYS = uuid.UUID("3d0f5a52-6c0e-4a55-9a39-5f7c1b2f8f10")
_CARDS_READ = 100
_ORDER_SHOWN = 10
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


# --- transactions --------------------------------------------------------------------------------


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
            _("Money"),
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
        (_("Given back"), {"fields": ("refunded_total", "refunded_fee")}),
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


def _entries(each: Transaction) -> Section:
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


def _refunds(each: Transaction) -> Section | None:
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


def _order(each: Transaction) -> Section | None:
    if not each.external_order_id or each.merchant_id is None:
        return None
    order = Order.objects.filter(
        merchant_id=each.merchant_id, external_order_id=each.external_order_id
    ).first()
    if order is None:
        return None
    return Section(
        _("Order"),
        [_("Order"), _("Paid by this"), _("Amount"), _("Reversed at")],
        [
            [
                order.external_order_id,
                _("yes") if order.tx_id == each.id else _("no"),
                console.amount(order.amount),
                console.moment(order.reversed_at),
            ]
        ],
    )


def _asked(each: Transaction) -> Section | None:
    top_up = TopUp.objects.filter(tx_id=each.id).first()
    if top_up is None:
        return None
    return Section(
        _("Member's top-up"),
        [_("Order"), _("Provider"), _("Asked at"), _("Late")],
        [
            [
                console.link(top_up, top_up.order_id),
                top_up.provider,
                console.moment(top_up.created_at),
                _("yes") if top_up.late else _("no"),
            ]
        ],
    )


def _latest(found: QuerySet[Transaction]) -> Section:
    newest = found.select_related("merchant", "card").order_by("-id")[: console.ROWS_SHOWN]
    return Section(
        _("Latest transactions"),
        [
            _("Number"),
            _("Type"),
            _("Status"),
            _("Amount"),
            _("Final"),
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


def _of_card(card: Card) -> Section:
    return _latest(Transaction.objects.filter(card_id=card.id))


def _of_merchant(merchant: Merchant) -> Section:
    return _latest(Transaction.objects.filter(merchant_id=merchant.id))


def _of_member(member: Member) -> Section:
    # By the cards' index: there is none by member.
    cards = Card.objects.filter(bindings__member_id=member.id)
    ids = list(cards.values_list("id", flat=True)[:_CARDS_READ])
    return _latest(Transaction.objects.filter(card_id__in=ids, member_id=member.id))


def _points_of_member(member: Member) -> Section:
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


def _told(each: Transaction) -> Section | None:
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
        [_("Event"), _("Endpoint"), _("State"), _("Attempts"), _("Error"), _("Created at")],
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


# --- acts on payments ----------------------------------------------------------------------------


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
        text=_("%(payment)s: %(amount)s given back as %(number)s.")
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
            "Gives this money back at once, in the shop's name and at its expense, and takes the"
            " points back that it earned. What was paid outside the till gives back by hand:"
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


# --- members' top-ups ----------------------------------------------------------------------------


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
    search_help_text = _("Order, the provider's payment, or card number")
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
            _("Money"),
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
        return console.badge(each.status, each.get_status_display(), STATUS_COLOURS)

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
    done = member_topups.confirm_with_provider(top_up_id=top_up.id)
    return Done(
        text=_("%(top_up)s: %(status)s.") % {"top_up": done, "status": done.get_status_display()},
        refused=done.status == TopUp.Status.FAILED,
    )


console.add_acts(
    TopUp,
    Act(
        name="confirm",
        label=_("Ask the provider"),
        explanation=_("Asks the provider whether this was paid, and credits it if it was:"),
        run=_confirm,
        form=console.ActForm,
        offered=lambda top_up: top_up.status != TopUp.Status.COMPLETED,
        replays=True,
        icon="sync",
    ),
)


# --- acts on cards -------------------------------------------------------------------------------


class TopUpForm(console.ActForm):
    """Money that was received for a card."""

    amount = console.MoneyField(label=_("Amount"))
    payment_method = forms.ChoiceField(
        label=_("Received by"),
        choices=[*charge_decision.OUTSIDE_METHODS.items(), ("bank", _("Bank transfer"))],
    )
    provider_order_id = forms.RegexField(
        label=_("The provider's order"),
        regex=r"\A[A-Za-z0-9._:-]{1,64}\Z",
        max_length=64,
        required=False,
        help_text=_("Credited once, however often it is entered. Empty: none."),
    )
    reason = forms.CharField(label=_("Note"), max_length=200, required=False)


class CashOutForm(console.ActForm):
    """Money that was paid out."""

    amount = console.MoneyField(label=_("Amount"))
    reason = forms.CharField(label=_("Reason"), max_length=200)


class PointsForm(console.ActForm):
    """Points to add or take."""

    delta_points = forms.IntegerField(
        label=_("Points"), help_text=_("50 adds fifty, -50 takes fifty.")
    )
    reason = forms.CharField(label=_("Reason"), max_length=200)


def _top_up(card: Card, values: dict[str, Any], staff: Any) -> Done:
    answer = topups.recharge_card(
        card_id=card.id,
        amount=values["amount"],
        scope_id=uuid.uuid5(_STAFF_KEYS, f"staff:{staff.pk}"),
        idempotency_key=values["token"],
        payment_method=values["payment_method"],
        provider_order_id=values["provider_order_id"],
        reason=values["reason"],
    )
    if answer.refused:
        title = problems.in_readers_language(answer.body)["title"]
        return Done(text=f"{card}: {title}", refused=True)
    return Done(
        text=_("%(card)s: %(amount)s credited as %(number)s.")
        % {"card": card, "amount": answer.body["amount"], "number": answer.body["tx_no"]}
    )


def _cash_out(card: Card, values: dict[str, Any], staff: Any) -> Done:
    answer = cash_outs.cash_out_card(
        card_id=card.id,
        amount=values["amount"],
        scope_id=uuid.uuid5(_STAFF_KEYS, f"staff:{staff.pk}"),
        idempotency_key=values["token"],
        reason=values["reason"],
    )
    return Done(
        text=_("%(card)s: %(amount)s paid out as %(number)s.")
        % {"card": card, "amount": answer.body["amount"], "number": answer.body["tx_no"]}
    )


def _adjust_points(card: Card, values: dict[str, Any], staff: Any) -> Done:
    done = points.adjust_points(
        card_id=card.id, delta=values["delta_points"], reason=values["reason"]
    )
    return Done(
        text=_("%(card)s: points changed by %(delta)s, as %(number)s.")
        % {"card": card, "delta": f"{values['delta_points']:+}", "number": done.tx_no}
    )


console.add_acts(
    Card,
    Act(
        name="top-up",
        label=_("Top up"),
        explanation=_("Credits money you have received to this card, at once:"),
        run=_top_up,
        four_eyes=console.above_amount,
        form=TopUpForm,
        offered=lambda card: card.type.may_be_topped_up and card.status == Card.Status.ACTIVE,
        replays=True,
        icon="add",
        group=_("Money and points"),
    ),
    Act(
        name="cash-out",
        label=_("Pay out"),
        explanation=_("Records that money of this card was paid out to its owner:"),
        run=_cash_out,
        four_eyes=console.above_amount,
        form=CashOutForm,
        offered=lambda card: card.money_account_id is not None,
        replays=True,
        icon="payments",
        group=_("Money and points"),
    ),
    Act(
        name="adjust-points",
        label=_("Adjust points"),
        explanation=_("Adds points to this card or takes some; its tier follows at once:"),
        run=_adjust_points,
        four_eyes=console.above_points,
        form=PointsForm,
        offered=lambda card: card.points_account_id is not None,
        icon="stars",
        group=_("Money and points"),
    ),
)


# --- the first page ------------------------------------------------------------------------------

_REASONS_SHOWN = 4


def first_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what somebody may see of today: figures, what waits, a chart, the latest transactions."""
    can: Callable[[str], bool] = request.user.has_perm
    groups: list[tuple[Any, list[Figure]]] = []
    now = dashboard.read_now()
    if can("payments.view_transaction"):
        today, then = dashboard.today_and_then(now)
        groups.append((_("Payments"), _of_payments(now, today, then)))
        others = _of_people(now, today, then) if can("members.view_member") else []
        context.update(_chart(request, now, today))
        context["sections"] = [_latest(Transaction.objects.all())]
    else:
        others = []
    if can("ledger.view_account"):
        others.append(_owed())
    if can("cards.view_codehistory"):
        others.append(_of_codes(now))
    groups.append((_("Members and cards"), others))
    groups.append((_("What waits"), console.figures_for(request.user)))
    context["groups"] = [
        {"title": title, "figures": figures} for title, figures in groups if figures
    ]
    return context


def _of_payments(now: dashboard.Now, today: dashboard.Span, then: dashboard.Span) -> list[Figure]:
    """The day's payments; each number leads to the day's rows."""

    def rows(**filters: Any) -> str:
        return console.rows_url(
            Transaction, **filters, created_at_from=now.day, created_at_to=now.day
        )

    paid = rows(type__exact="payment")
    return [
        Figure(
            title=_("Charges"),
            value=console.whole(today.charges),
            href=paid,
            note=_then(console.whole(then.charges)),
            **_moved(Decimal(today.charges), Decimal(then.charges)),
        ),
        Figure(
            title=_("Volume"),
            value=_money(today.volume),
            href=paid,
            note=_then(_money(then.volume)),
            **_moved(today.volume, then.volume),
            parts=[
                (
                    _("Refunds: %(sum)s") % {"sum": _money(today.refunded)},
                    rows(type__exact="refund"),
                ),
                (
                    _("Top-ups: %(sum)s") % {"sum": _money(today.topped_up)},
                    rows(type__exact="recharge"),
                ),
            ],
        ),
        Figure(
            title=_("Success rate"),
            value=_percent(today.success_rate),
            href=rows(type__exact="payment", status__exact="failed"),
            note=_then(_percent(then.success_rate)),
            **_points(today.success_rate, then.success_rate, good=1),
            parts=_reasons(now.day, today, rows),
        ),
        Figure(
            title=_("Average discount"),
            value=_percent(today.discount_rate),
            href=paid,
            note=_then(_percent(then.discount_rate)),
            **_points(today.discount_rate, then.discount_rate, good=0),
        ),
    ]


def _reasons(day: date, today: dashboard.Span, rows: Callable[..., str]) -> list[tuple[Any, str]]:
    """Why payments failed, most frequent first. What left no transaction is in the audit log."""
    found = sorted(today.failures.items(), key=lambda each: (-each[1], each[0]))
    logged = console.rows_url(
        Event, action__exact="PAYMENT_FAILED", happened_at_from=day, happened_at_to=day
    )
    return [
        (
            f"{count:,} × {errors.titles().get(error, error)}",
            rows(type__exact="payment", failure_code__exact=error) if is_transaction else logged,
        )
        for (error, is_transaction), count in found[:_REASONS_SHOWN]
    ]


def _of_people(now: dashboard.Now, today: dashboard.Span, then: dashboard.Span) -> list[Figure]:
    return [
        Figure(
            title=_("New members"),
            value=console.whole(today.members),
            href=console.rows_url(Member, created_at_from=now.day, created_at_to=now.day),
            note=_then(console.whole(then.members)),
            **_moved(Decimal(today.members), Decimal(then.members)),
        )
    ]


def _owed() -> Figure:
    owed = dashboard.liability()
    return Figure(
        title=_("Outstanding balances"),
        value=_money(owed.balances),
        href=console.rows_url(Account, kind__exact="card_money"),
        note=_("owed to the holders of %(count)s cards") % {"count": console.whole(owed.cards)},
        parts=[
            (
                _("Unclaimed refunds: %(sum)s") % {"sum": _money(owed.unclaimed)},
                console.rows_url(Account, kind__exact="unclaimed"),
            )
        ]
        if owed.unclaimed
        else (),
    )


def _of_codes(now: dashboard.Now) -> Figure:
    today, then = dashboard.codes(now)
    days = f"?from={now.day}&to={now.day}"
    return Figure(
        title=_("Payment codes issued"),
        value=console.whole(today.issued),
        href=reverse("report-code-usage") + days,
        note=_("%(number)s on that whole day last week") % {"number": console.whole(then.issued)},
        parts=[
            (
                _("Used: %(number)s") % {"number": console.whole(today.used)},
                console.rows_url(
                    Transaction,
                    type__exact="payment",
                    created_at_from=now.day,
                    created_at_to=now.day,
                ),
            ),
            (
                _("Expired: %(number)s") % {"number": console.whole(today.expired)},
                console.rows_url(
                    CodeHistory,
                    outcome__exact="expired",
                    ended_at_from=now.day,
                    ended_at_to=now.day,
                ),
            ),
        ],
    )


def _chart(request: HttpRequest, now: dashboard.Now, today: dashboard.Span) -> dict[str, Any]:
    """The last days as the page draws them."""
    asked = request.GET.get("days", "")
    days = next((each for each in dashboard.RANGES if str(each) == asked), dashboard.RANGES[0])
    lines = dashboard.history(now, today, days=days)
    labels = [f"{each.day:%m-%d}" for each in lines]

    def drawn(title: Any, values: list[Any], colour: str) -> dict[str, Any]:
        return {
            "label": str(title),
            "data": values,
            "borderColor": f"var(--color-{colour})",
            "backgroundColor": f"var(--color-{colour})",
            "displayYAxis": True,
            "maxTicksXLimit": 10,
            "maxBarThickness": 24,
        }

    volume = drawn(_("Volume"), [float(each.volume) for each in lines], "primary-600")
    charges = drawn(_("Charges"), [each.charges for each in lines], "primary-600")
    declined = drawn(_("Declined"), [each.declined for each in lines], "red-500")
    return {
        "ranges": [(each, each == days) for each in dashboard.RANGES],
        "charts": [
            {
                "title": _("Volume a day, %(currency)s") % {"currency": settings.MPS_CURRENCY},
                "type": "bar",
                "data": json.dumps({"labels": labels, "datasets": [volume]}),
            },
            {
                "title": _("Charges and declined payments a day"),
                "type": "line",
                "data": json.dumps({"labels": labels, "datasets": [charges, declined]}),
            },
        ],
        "chart_rows": f"{reverse('report-daily')}?from={lines[0].day}&to={lines[-1].day}",
    }


def _money(value: Decimal) -> str:
    return f"{settings.MPS_CURRENCY} {console.amount(value)}"


def _percent(part: Decimal | None) -> str:
    return "–" if part is None else f"{part * 100:.1f} %"


def _then(value: str) -> Any:
    return _("%(value)s at this hour last week") % {"value": value}


def _moved(today: Decimal, then: Decimal) -> dict[str, Any]:
    """How a number that should grow has moved."""
    if not then or today == then:
        return {}
    change = (today - then) / then * 100
    return {"change": f"{change:+,.0f} %", "tone": "good" if change > 0 else "bad"}


def _points(today: Decimal | None, then: Decimal | None, *, good: int) -> dict[str, Any]:
    """How a rate has moved, in percentage points; `good`: 1 if more is better, 0 if neither is."""
    if today is None or then is None or today == then:
        return {}
    change = (today - then) * 100
    tone = "" if not good else "good" if change * good > 0 else "bad"
    return {"change": f"{change:+.1f} pp", "tone": tone}
