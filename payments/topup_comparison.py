"""Compare a day's top-ups with the providers' records of payments."""

import logging
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings

from mps.base.audit import services as audit
from mps.base.core import db_scope
from mps.base.core.db_scope import Scope
from mps.base.core.errors import (
    UnavailableError,
)
from mps.base.core.money import show_money
from payments import providers, topup_confirmations
from payments.models import TopUp
from payments.providers.base import Report

logger = logging.getLogger(__name__)

_COMPARED_DAYS = 3

# An order is made here a little before the provider makes it, and clocks differ.
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something a provider's books and ours do not agree on.

    :param kind: `not_credited` (paid there, not credited here), `not_paid` (credited here, not paid
        there), `amount_differs`, `unknown_order` (paid there, never asked for here).
    """

    kind: str
    provider: str
    order_id: str
    here: str
    there: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing.

    :param compared: how many orders were looked at.
    :param unreachable: the providers that could not be asked.
    """

    compared: int
    differences: tuple[Difference, ...]
    unreachable: tuple[str, ...]


def compare_top_ups(*, day: date | None = None) -> Comparison:
    """Compare the top-ups of a day with what the providers say was paid. Reports; credits nothing.

    Each difference is an audit event and an alert in the log. A payment whose callback got lost is
    credited by `confirm_with_provider`.

    :param day: in `MPS_TIME_ZONE`; None: the three days up to yesterday, as what is paid slowly is
        paid a day or two later.
    """
    zone = ZoneInfo(settings.MPS_TIME_ZONE)
    with db_scope.principal_scope("platform_admin") as scope:
        yesterday = topup_confirmations.read_clock(scope).astimezone(zone).date() - timedelta(
            days=1
        )
    first = day or yesterday - timedelta(days=_COMPARED_DAYS - 1)
    start = datetime.combine(first, time.min, zone)
    end = datetime.combine((day or yesterday) + timedelta(days=1), time.min, zone)
    compared, differences, unreachable = 0, list[Difference](), list[str]()
    for name in settings.MPS_TOPUP_PROVIDERS:
        try:
            there = {
                report.order_id: report
                for report in providers.get_provider(name).list_paid(
                    since=start - _CLOCK_SKEW, until=end + _CLOCK_SKEW
                )
            }
        except UnavailableError:
            unreachable.append(name)
            logger.error("top-ups not compared", extra={"provider": name})
            continue
        with db_scope.principal_scope("platform_admin") as scope:
            number, found = _compare(scope, name, there, start, end)
            for each in found:
                _report_difference(each)
        compared += number
        differences += found
    return Comparison(compared, tuple(differences), tuple(unreachable))


def _compare(
    scope: Scope, provider: str, there: dict[str, Report], start: datetime, end: datetime
) -> tuple[int, list[Difference]]:
    """Return how many orders of the time were looked at, and what differs."""
    ours = TopUp.objects.filter(provider=provider)
    here = {
        each.order_id: each
        for each in ours.filter(created_at__gte=start, created_at__lt=end).order_by("id")
    }
    # What the provider took near the edges may be of the day before or after.
    elsewhere = set(
        ours.filter(order_id__in=[name for name in there if name not in here]).values_list(
            "order_id", flat=True
        )
    )
    differences = []
    for order_id in sorted((here.keys() | there.keys()) - elsewhere):
        kind = _kind_of_difference(here.get(order_id), there.get(order_id), start, end)
        if kind:
            top_up, report = here.get(order_id), there.get(order_id)
            differences.append(
                Difference(
                    kind,
                    provider,
                    order_id,
                    here=f"{top_up.status} {_sum(top_up)}" if top_up else "",
                    there=f"{report.amount} {report.currency}" if report else "",
                )
            )
    return len(here), differences


def _kind_of_difference(
    top_up: TopUp | None, report: Report | None, start: datetime, end: datetime
) -> str:
    if top_up is None:
        return "unknown_order" if report and start <= report.opened_at < end else ""
    credited = top_up.status == TopUp.Status.COMPLETED
    if report is None:
        return "not_paid" if credited else ""
    if not credited:
        return "not_credited"
    return "amount_differs" if topup_confirmations.find_difference(top_up, report) else ""


def _report_difference(each: Difference) -> None:
    about = {
        "kind": each.kind,
        "provider": each.provider,
        "here": each.here,
        "there": each.there,
    }
    audit.record(
        "TOP_UP_DIFFERENCE", object_type="top_up_order", object_id=each.order_id, details=about
    )
    logger.error("books differ from a provider's", extra={"order": each.order_id, **about})


def _sum(top_up: TopUp) -> str:
    return f"{show_money(top_up.amount)} {top_up.currency}"
