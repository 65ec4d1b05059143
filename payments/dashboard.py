"""Figures for the console's dashboard: today, the same day last week, and recent days.

Every query is bounded by the time-ordered ids, or reads a table by index; nothing here grows with
the history but the chart, whose past is kept for a while.
"""

import logging
from dataclasses import astuple, dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import redis
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from cards import reports
from cards.reports import UsageLine
from mps.base.core.days import Days
from mps.base.core.db_scope import Scope

logger = logging.getLogger(__name__)

RANGES = (7, 30, 90)
_WEEK = timedelta(days=7)
# A payment's amount never changes, nor whether it failed: what is drawn of a past day is final, but
# for what commits late.
_KEPT_SECONDS = 60
_KEPT_LONG_SECONDS = 3600
_KEPT_DAYS_SECONDS = 24 * 3600
_KEEPS_NOTHING = "the dashboard keeps nothing: Redis is not reachable"

# One statement for both days. Ids are made a little before or after the time their row bears. Why
# payments failed is known by the audit log: a code nobody knows, or that is used, leaves no
# transaction.
_SPANS = """
    WITH span (name, start, stop) AS (
        VALUES ('now', %(today)s, %(now)s), ('then', %(today_then)s, %(now_then)s)
    )
    SELECT span.name, t.type, CASE WHEN t.status = 'failed' THEN 'failed' END, false, count(*),
           sum(t.amount), sum(t.discount_amount), sum(t.final_amount)
    FROM span CROSS JOIN LATERAL (
        SELECT type, status, amount, discount_amount, final_amount FROM payments_transaction
        WHERE id >= core_uuid_floor(span.start - interval '1 hour')
          AND id < core_uuid_floor(span.stop + interval '1 hour')
          AND created_at >= span.start AND created_at <= span.stop
    ) AS t
    WHERE t.type IN ('payment', 'refund') OR t.type = 'recharge' AND t.status = 'completed'
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT span.name, 'failure', coalesce(e.error, 'UNKNOWN'), e.object_type = 'transaction',
           count(*), 0, 0, 0
    FROM span CROSS JOIN LATERAL (
        SELECT object_type, context ->> 'error' AS error FROM audit_event
        WHERE action = 'PAYMENT_FAILED'
          AND id >= core_uuid_floor(span.start - interval '1 hour')
          AND id < core_uuid_floor(span.stop + interval '1 hour')
          AND happened_at >= span.start AND happened_at <= span.stop
    ) AS e
    GROUP BY 1, 3, 4
    UNION ALL
    SELECT span.name, 'member', NULL, false, count(*), 0, 0, 0
    FROM span JOIN members_member m ON m.created_at >= span.start AND m.created_at <= span.stop
    GROUP BY 1
"""
_LIABILITY = """
    SELECT coalesce(sum(balance) FILTER (WHERE kind = 'card_money'), 0),
           count(*) FILTER (WHERE kind = 'card_money' AND balance > 0),
           coalesce(sum(balance) FILTER (WHERE kind = 'unclaimed'), 0)
    FROM ledger_account WHERE kind IN ('card_money', 'unclaimed') AND unit = %(currency)s
"""
# One pass over the rows; where a day begins is found out once, not for each row. OFFSET keeps the
# planner from taking every moment for a group of its own, which it would sort.
_HISTORY = """
    SELECT %(first)s::date + place - 1, count(*) FILTER (WHERE NOT declined),
           coalesce(sum(final_amount) FILTER (WHERE NOT declined), 0),
           count(*) FILTER (WHERE declined)
    FROM (
        SELECT width_bucket(created_at, (
                   SELECT array_agg(day AT TIME ZONE %(zone)s ORDER BY day)
                   FROM generate_series(%(first)s::timestamp, %(last)s::timestamp, '1 day') AS day
               )) AS place, status = 'failed' AS declined, final_amount
        FROM payments_transaction
        WHERE id >= core_uuid_floor(%(start)s - interval '1 hour')
          AND id < core_uuid_floor(%(end)s + interval '1 hour')
          AND created_at >= %(start)s AND created_at < %(end)s AND type = 'payment'
        OFFSET 0
    ) AS paid
    GROUP BY place ORDER BY place
"""


@dataclass(frozen=True, slots=True)
class Now:
    """This moment, and the same one a week ago.

    :param today: when the day began, in the platform's time zone; `_then`: a week before.
    """

    now: datetime
    today: datetime
    now_then: datetime
    today_then: datetime

    @property
    def day(self) -> date:
        """Today."""
        return self.today.date()

    @property
    def day_then(self) -> date:
        """The same day last week."""
        return self.today_then.date()


@dataclass(slots=True)
class Span:
    """What happened from the start of a day to a moment of it.

    :param declined: failed payments that are transactions; `failures` counts all that were tried.
    :param failures: how often payments failed, by error and whether a transaction tells of it.
    """

    charges: int = 0
    listed: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    volume: Decimal = Decimal(0)
    declined: int = 0
    refunds: int = 0
    refunded: Decimal = Decimal(0)
    top_ups: int = 0
    topped_up: Decimal = Decimal(0)
    members: int = 0
    failures: dict[tuple[str, bool], int] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many payments failed, for whatever reason."""
        return sum(self.failures.values())

    @property
    def success_rate(self) -> Decimal | None:
        """Of all payments tried, the part that went through; None if none was tried."""
        tried = self.charges + self.failed
        return Decimal(self.charges) / tried if tried else None

    @property
    def discount_rate(self) -> Decimal | None:
        """Of all prices, the part that was taken off; None if there was nothing to pay."""
        return self.discount / self.listed if self.listed else None


@dataclass(frozen=True, slots=True)
class Liability:
    """What the platform owes to whoever holds cards, now.

    :param cards: how many hold something. :param unclaimed: refunds to cards that are closed.
    """

    balances: Decimal
    cards: int
    unclaimed: Decimal


@dataclass(frozen=True, slots=True)
class Day:
    """A day's payments."""

    day: date
    charges: int
    volume: Decimal
    declined: int


def read_now() -> Now:
    """Return what today is."""
    local = timezone.now().astimezone(ZoneInfo(settings.MPS_TIME_ZONE))
    today = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    # By the clock on the wall: a day with a changed clock is compared up to the same hour.
    return Now(local, today, local - _WEEK, today - _WEEK)


def today_and_then(scope: Scope, now: Now) -> tuple[Span, Span]:
    """Return what happened today, and on the same day last week up to the same hour."""
    bounds = {
        # To the end of the day: what happened is here, whatever this machine's clock says.
        "now": now.now + timedelta(days=1),
        "today": now.today,
        "now_then": now.now_then,
        "today_then": now.today_then,
    }
    spans = {"now": Span(), "then": Span()}
    for name, kind, detail, is_transaction, count, listed, discount, final in _rows(
        scope, _SPANS, bounds
    ):
        span = spans[name]
        if kind == "failure":
            span.failures[detail, is_transaction] = count
        elif kind == "member":
            span.members = count
        elif kind == "refund":
            span.refunds, span.refunded = count, final
        elif kind == "recharge":
            span.top_ups, span.topped_up = count, final
        elif detail:
            span.declined = count
        else:
            span.charges, span.listed, span.discount, span.volume = count, listed, discount, final
    return spans["now"], spans["then"]


def liability(scope: Scope) -> Liability:
    """Return what is on all cards now, exactly."""
    ((balances, cards, unclaimed),) = _rows(scope, _LIABILITY, {"currency": settings.MPS_CURRENCY})
    return Liability(balances, cards, unclaimed)


def codes(scope: Scope, now: Now) -> tuple[UsageLine, UsageLine]:
    """Return what became of the codes issued today, and on the whole same day last week.

    One query: that of today, which reads the week, too, where last week's answer is not kept.
    """
    key = _key(f"codes:{now.day_then}")
    try:
        kept = cache.get(key)
    except redis.RedisError:
        kept = None
    then = None if kept is None else UsageLine(now.day_then, *kept)
    first = now.day if then else now.day_then
    found = {each.day: each for each in reports.code_usage(scope, Days(first, now.day))}
    if then is None:
        then = found.get(now.day_then) or _no_codes(now.day_then)
        try:
            _day, *counts = astuple(then)
            cache.set(key, counts, _KEPT_LONG_SECONDS)
        except redis.RedisError:
            logger.warning(_KEEPS_NOTHING)
    return found.get(now.day) or _no_codes(now.day), then


def history(scope: Scope, now: Now, today: Span, *, days: int) -> list[Day]:
    """Return the payments of so many days, today the last of them; days without any are there."""
    every = [now.day - timedelta(days=n) for n in reversed(range(days))]
    found = _kept_days(scope, every[:-1])
    found[now.day] = Day(now.day, today.charges, today.volume, today.declined)
    return [found[day] for day in every]


def _kept_days(scope: Scope, days: list[date]) -> dict[date, Day]:
    """Return past days in order: those that are kept, and the others read at once and then kept."""
    keys = {_key(f"day:{day}"): day for day in days}
    try:
        kept = cache.get_many(keys)
    except redis.RedisError:
        kept = {}
    found = {
        keys[key]: Day(keys[key], charges, Decimal(volume), declined)
        for key, (charges, volume, declined) in kept.items()
    }
    missing = [day for day in days if day not in found]
    if not missing:
        return found
    bounds = Days(missing[0], missing[-1]).bounds
    rows = _rows(scope, _HISTORY, {**bounds, "first": missing[0], "last": missing[-1]})
    paid = {row[0]: Day(*row) for row in rows}
    read = {day: paid.get(day) or Day(day, 0, Decimal(0), 0) for day in missing}
    try:
        # Yesterday may still get a payment that was begun before midnight.
        figures = {
            _key(f"day:{day}"): [each.charges, str(each.volume), each.declined]
            for day, each in read.items()
        }
        yesterday = figures.pop(_key(f"day:{days[-1]}"), None)
        cache.set_many(figures, _KEPT_DAYS_SECONDS)
        if yesterday is not None:
            cache.set(_key(f"day:{days[-1]}"), yesterday, _KEPT_SECONDS)
    except redis.RedisError:
        logger.warning(_KEEPS_NOTHING)
    return found | read


def _no_codes(day: date) -> UsageLine:
    return UsageLine(day, 0, 0, 0, 0, 0, 0)


def _key(name: str) -> str:
    return f"dashboard:{connection.settings_dict['NAME']}:{settings.MPS_TIME_ZONE}:{name}"


def _rows(scope: Scope, sql: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
