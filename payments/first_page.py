"""The console's dashboard: the figures of `dashboard` as numbers and charts."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from cards.models import CodeHistory
from members.models import Member
from mps.base import console
from mps.base.audit.models import Event
from mps.base.console import Figure
from mps.base.core import errors
from mps.base.core.db_scope import Scope, current_scope
from mps.base.ledger.models import Account
from payments import dashboard, transaction_admin
from payments.models import Transaction

_REASONS_SHOWN = 4


def first_page(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add what somebody may see of today: figures, what waits, a chart, the latest transactions."""
    can: Callable[[str], bool] = request.user.has_perm
    groups: list[tuple[Any, list[Figure]]] = []
    scope, now = current_scope(), dashboard.read_now()
    if can("payments.view_transaction"):
        today, then = dashboard.today_and_then(scope, now)
        groups.append((_("Payments"), _of_payments(now, today, then)))
        others = _of_people(now, today, then) if can("members.view_member") else []
        context.update(_chart(scope, request, now, today))
        context["sections"] = [transaction_admin.latest(Transaction.objects.all())]
    else:
        others = []
    if can("ledger.view_account"):
        others.append(_owed(scope))
    if can("cards.view_codehistory"):
        others.append(_of_codes(scope, now))
    groups.append((_("Members and cards"), others))
    groups.append((_("To do"), console.figures_for(scope, request.user)))
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
            title=_("Payment volume"),
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


def _owed(scope: Scope) -> Figure:
    owed = dashboard.liability(scope)
    return Figure(
        title=_("Outstanding balances"),
        value=_money(owed.balances),
        href=console.rows_url(Account, kind__exact="card_money"),
        note=_("on %(count)s cards") % {"count": console.whole(owed.cards)},
        parts=[
            (
                _("Unclaimed refunds: %(sum)s") % {"sum": _money(owed.unclaimed)},
                console.rows_url(Account, kind__exact="unclaimed"),
            )
        ]
        if owed.unclaimed
        else (),
    )


def _of_codes(scope: Scope, now: dashboard.Now) -> Figure:
    today, then = dashboard.codes(scope, now)
    days = f"?from={now.day}&to={now.day}"
    return Figure(
        title=_("Payment codes issued"),
        value=console.whole(today.issued),
        href=reverse("report-code-usage") + days,
        note=_("%(number)s on the same day last week (full day)")
        % {"number": console.whole(then.issued)},
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


def _chart(
    scope: Scope, request: HttpRequest, now: dashboard.Now, today: dashboard.Span
) -> dict[str, Any]:
    """The last days as the page draws them."""
    asked = request.GET.get("days", "")
    days = next((each for each in dashboard.RANGES if str(each) == asked), dashboard.RANGES[0])
    lines = dashboard.history(scope, now, today, days=days)
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

    volume = drawn(_("Payment volume"), [float(each.volume) for each in lines], "primary-600")
    charges = drawn(_("Charges"), [each.charges for each in lines], "primary-600")
    declined = drawn(_("Declined"), [each.declined for each in lines], "red-500")
    return {
        "ranges": [(each, each == days) for each in dashboard.RANGES],
        "charts": [
            {
                "title": _("Payment volume per day (%(currency)s)")
                % {"currency": settings.MPS_CURRENCY},
                "type": "bar",
                "data": json.dumps({"labels": labels, "datasets": [volume]}),
            },
            {
                "title": _("Charges and declined payments per day"),
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
    return _("%(value)s at this time last week") % {"value": value}


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
