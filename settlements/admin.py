"""Console pages of settlements, and settlement sections on the pages of shops."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.enums import ActionVariant

from merchants.models import Merchant
from mps.base import console
from mps.base.console import Act, Done, Section
from mps.base.core.db_scope import Scope, current_scope
from mps.base.ledger.models import Entry
from settlements import selectors, services, statements
from settlements.models import Line, Settlement

STATUS_COLOURS = {"pending": "info", "settled": "warning", "paid": "success", "failed": "danger"}
_DAY = forms.DateInput(attrs={"type": "date"})
_FORMS = {"csv": statements.CSV, "xlsx": statements.XLSX}


@admin.register(Settlement)
class SettlementAdmin(console.Exported, console.LogAdmin):
    """What shops are owed. Figures never change; acts move it on."""

    export_fields = (
        "merchant__code",
        "mode",
        "period_start",
        "period_end",
        "currency",
        "gross",
        "refunds",
        "cash_topups",
        "fee",
        "carried_in",
        "net",
        "tx_count",
        "status",
        "created_at",
        "approved_at",
        "paid_at",
        "payout_reference",
    )
    list_display = (
        "shown_merchant",
        "mode",
        "period_start",
        "period_end",
        "tx_count",
        "gross",
        "fee",
        "net",
        "shown_status",
    )
    list_display_links = ("period_start", "period_end")
    list_select_related = ("merchant",)
    date_hierarchy = "period_end"
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("mode", ChoicesDropdownFilter),
        ("period_end", console.DayFilter),
    )
    search_fields = ("=merchant__code",)
    search_help_text = _("Merchant code")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "shown_merchant",
                    "mode",
                    "period_start",
                    "period_end",
                    "created_at",
                    "shown_statement",
                )
            },
        ),
        (
            _("Amounts"),
            {
                "fields": (
                    "currency",
                    "tx_count",
                    "gross",
                    "refunds",
                    "cash_topups",
                    "fee",
                    "carried_in",
                    "net",
                    "shown_carried_to",
                )
            },
        ),
        (
            _("Status"),
            {
                "fields": (
                    "shown_status",
                    "approved_at",
                    "approved_by",
                    "paid_at",
                    "payout_reference",
                    "failure_reason",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Settlement]:
        """Return settlements with their shop at hand."""
        found: QuerySet[Settlement] = super().get_queryset(request)
        return found.select_related("merchant", "carried_to__merchant")

    def get_urls(self) -> list[URLPattern]:
        """Return the pages, and the statements."""
        view = self.admin_site.admin_view(self.statement_view)
        urls: list[URLPattern] = super().get_urls()
        return [
            path(
                "<uuid:object_id>/statement.<str:form>",
                view,
                name="settlements_settlement_statement",
            ),
            *urls,
        ]

    def statement_view(self, request: HttpRequest, object_id: UUID, form: str) -> HttpResponseBase:
        """Return a statement as a file."""
        if form not in _FORMS or not self.has_view_permission(request):
            raise PermissionDenied
        scope = current_scope()
        settlement = selectors.get_settlement(scope, settlement_id=object_id)
        return statements.download(scope, settlement, _FORMS[form])

    @console.shown(_("status"))
    def shown_status(self, each: Settlement) -> Any:
        """Show the status in its colour."""
        return _badge(each)

    @console.shown(_("merchant"))
    def shown_merchant(self, each: Settlement) -> Any:
        """Link to the shop."""
        return console.link(each.merchant, each.merchant.code)

    @console.shown(_("carried to"))
    def shown_carried_to(self, each: Settlement) -> Any:
        """Link to the settlement that took the debt over."""
        return console.link(each.carried_to)

    @console.shown(_("statement"))
    def shown_statement(self, each: Settlement) -> Any:
        """Link to the statement's files."""
        if each.status == Settlement.Status.FAILED:
            return "–"
        csv, xlsx = (
            reverse("admin:settlements_settlement_statement", args=[each.pk, form])
            for form in _FORMS
        )
        return format_html(
            '<span class="files"><a href="{}">CSV</a> <a href="{}">XLSX</a></span>', csv, xlsx
        )


def _badge(each: Settlement) -> Any:
    return console.badge(each.status, each.get_status_display(), STATUS_COLOURS)


def _entries(scope: Scope, each: Settlement) -> Section:
    entries = (
        Entry.objects.filter(posting__reference=each.id)
        .select_related("account", "posting")
        .order_by("id")
    )
    return Section(
        _("Ledger entries"),
        [_("What"), _("Account"), _("Amount"), _("Posted at")],
        [
            [
                entry.posting.kind_label,
                console.link(entry.account, entry.account.get_kind_display()),
                console.amount(entry.amount),
                console.moment(entry.posting.posted_at),
            ]
            for entry in entries
        ],
    )


def _debts(scope: Scope, each: Settlement) -> Section | None:
    if not each.carried_in:
        return None
    return Section(
        _("Carried in from"),
        [_("Settlement"), _("Net"), _("Status")],
        [
            [console.link(debt), console.amount(debt.net), _badge(debt)]
            for debt in each.carried_from.select_related("merchant").order_by("id")
        ],
    )


def _lines(scope: Scope, each: Settlement) -> Section:
    lines = (
        Line.objects.filter(settlement_id=each.id)
        .select_related("tx")
        .order_by("tx_id")[: console.ROWS_SHOWN]
    )
    return Section(
        _("First transactions (see the statement for all)"),
        [_("Number"), _("Type"), _("Payments"), _("Refunds"), _("Cash top-ups"), _("Fee")],
        [
            [
                console.link(line.tx),
                line.tx.get_type_display(),
                console.amount(line.gross),
                console.amount(line.refund),
                console.amount(line.cash_topup),
                console.amount(line.fee),
            ]
            for line in lines
        ],
    )


def _of_merchant(scope: Scope, merchant: Merchant) -> Section:
    newest = selectors.list_settlements(scope, merchant_id=merchant.id)[: console.ROWS_SHOWN]
    return Section(
        _("Latest settlements"),
        [_("Settlement"), _("Transactions"), _("Net"), _("Status")],
        [
            [
                console.link(each),
                console.whole(each.tx_count),
                console.amount(each.net),
                _badge(each),
            ]
            for each in newest
        ],
    )


console.add_sections(Settlement, _debts, _entries, _lines)
console.add_sections(Merchant, _of_merchant)


def _due(scope: Scope) -> console.Figure:
    pending, settled, net = selectors.unpaid_settlements(scope)
    states = {"pending": pending, "settled": settled}
    parts = [
        (f"{Settlement.Status(state).label}: {count:,}", _rows_of(state))
        for state, count in states.items()
    ]
    return console.Figure(
        title=_("Settlements due"),
        value=console.whole(pending + settled),
        href=_rows_of("pending" if pending or not settled else "settled"),
        note=f"{settings.MPS_CURRENCY} {console.amount(net)}",
        parts=parts,
    )


def _rows_of(state: str) -> str:
    return console.rows_url(Settlement, status__exact=state)


console.add_figure("settlements.view_settlement", _due)


# --- acts ----------------------------------------------------------------------------------------


class SettleForm(console.ActForm):
    """Which days to settle."""

    mode = forms.ChoiceField(label=_("Settlement mode"), choices=Merchant.SettlementMode.choices)
    first_day = forms.DateField(
        label=_("First day"), widget=_DAY, help_text=_("In the shop's time zone.")
    )
    last_day = forms.DateField(
        label=_("Last day"),
        widget=_DAY,
        help_text=_("Anything not yet settled from before is included."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for shop in self.targets[:1]:
            self.initial["mode"] = shop.settlement_mode


class MoneyShown:
    """What an act moves, beside what it asks for."""

    targets: Sequence[Any]

    @property
    def details(self) -> list[tuple[Any, Any]]:
        """Return the figures of a settlement; of many, what they come to."""
        found = self.targets
        return [
            *((_("Merchant"), str(each.merchant)) for each in found if len(found) == 1),
            (_("Transactions"), console.whole(sum(each.tx_count for each in found))),
            (_("Fee"), _sum_of(found, "fee")),
            (_("Net"), _sum_of(found, "net")),
        ]


class PaidForm(MoneyShown, console.ActForm):
    """How it was paid out."""

    payout_reference = forms.CharField(label=_("Bank reference"), max_length=100, required=False)


class NothingForm(MoneyShown, console.ActForm):
    """Asks for nothing but yes."""


class FailForm(MoneyShown, console.ReasonForm):
    """Asks why."""


def _sum_of(found: Sequence[Settlement], name: str) -> str:
    """Write what a figure of some settlements comes to, with its currency."""
    currency = settings.MPS_CURRENCY if not found else found[0].currency
    return f"{currency} {console.amount(sum((getattr(each, name) for each in found), Decimal(0)))}"


def _settle(merchant: Merchant, values: dict[str, Any], staff: Any) -> Done:
    settlement = services.generate_settlement(
        merchant_id=merchant.id,
        mode=values["mode"],
        period_start=values["first_day"],
        period_end=values["last_day"] + timedelta(days=1),
    )
    return Done(
        text=_("%(shop)s: %(net)s for %(count)s transactions.")
        % {
            "shop": merchant,
            "net": console.amount(settlement.net),
            "count": settlement.tx_count,
        },
        show=settlement,
    )


def _approve(settlement: Settlement, values: dict[str, Any], staff: Any) -> Done:
    services.approve_settlement(settlement_id=settlement.id)
    return Done(text=_("%(name)s was approved.") % {"name": settlement})


def _mark_paid(settlement: Settlement, values: dict[str, Any], staff: Any) -> Done:
    services.mark_paid(settlement_id=settlement.id, payout_reference=values["payout_reference"])
    return Done(text=_("%(name)s was paid out.") % {"name": settlement})


def _fail(settlement: Settlement, values: dict[str, Any], staff: Any) -> Done:
    services.fail_settlement(settlement_id=settlement.id, reason=values["reason"])
    return Done(
        text=_("%(name)s was marked as failed. The next settlement includes its transactions.")
        % {"name": settlement}
    )


console.add_acts(
    Merchant,
    Act(
        name="settle",
        label=_("Settle"),
        explanation=_("Settles this shop's transactions up to the end of the last day:"),
        run=_settle,
        form=SettleForm,
        replays=True,
        icon="account_balance_wallet",
    ),
)
console.add_acts(
    Settlement,
    Act(
        name="approve",
        label=_("Approve"),
        explanation=_("Approves the settlement and takes the fee from the shop's account:"),
        run=_approve,
        form=NothingForm,
        bulk=True,
        replays=True,
        offered=lambda each: each.status == Settlement.Status.PENDING,
        icon="check",
        variant=ActionVariant.PRIMARY,
    ),
    Act(
        name="mark-paid",
        label=_("Mark as paid"),
        explanation=_("Records that the net amount was paid to the shop:"),
        run=_mark_paid,
        four_eyes=console.always,
        form=PaidForm,
        replays=True,
        offered=lambda each: each.status == Settlement.Status.SETTLED and each.net >= 0,
        icon="payments",
        variant=ActionVariant.PRIMARY,
    ),
    Act(
        name="fail",
        label=_("Mark as failed"),
        explanation=_(
            "Marks the settlement as failed. The next settlement includes its transactions:"
        ),
        run=_fail,
        form=FailForm,
        replays=True,
        offered=lambda each: (
            each.status in {Settlement.Status.PENDING, Settlement.Status.SETTLED}
            and each.carried_to_id is None
        ),
        icon="block",
        variant=ActionVariant.DANGER,
    ),
)
