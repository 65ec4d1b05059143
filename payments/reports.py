"""Reports over many days: takings by shop, and reasons for failed payments.

A span of days is bounded, and read by the time-ordered ids, so that an index or a few partitions
serve. Days are those of `MPS_TIME_ZONE`.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from mps.base.core import db_scope
from mps.base.core.days import Days
from mps.base.core.db_scope import Scope

# What took effect. A top-up that was taken back the same day is none; ids are made a little after
# the time their row bears.
_DAILY = """
    SELECT (t.created_at AT TIME ZONE %(zone)s)::date AS day, shop.code, t.payment_method,
           count(*) FILTER (WHERE t.type = 'payment'),
           coalesce(sum(t.final_amount) FILTER (WHERE t.type = 'payment'), 0),
           count(*) FILTER (WHERE t.type = 'refund'),
           coalesce(sum(t.final_amount) FILTER (WHERE t.type = 'refund'), 0),
           count(*) FILTER (WHERE t.type = 'recharge'),
           coalesce(sum(t.final_amount) FILTER (WHERE t.type = 'recharge'), 0)
    FROM payments_transaction t
    LEFT JOIN merchants_merchant shop ON shop.id = t.merchant_id
    WHERE t.id >= core_uuid_floor(%(start)s - interval '1 hour')
      AND t.id < core_uuid_floor(%(end)s + interval '1 hour')
      AND t.created_at >= %(start)s AND t.created_at < %(end)s
      AND (t.type IN ('payment', 'refund') AND t.status IN ('completed', 'refunded', 'cancelled')
           OR t.type = 'recharge' AND t.status = 'completed')
    GROUP BY day, shop.code, t.payment_method
    ORDER BY day, shop.code NULLS LAST, t.payment_method
"""
# By the audit log: a code nobody knows, or that is used, leaves no transaction.
_FAILURES = """
    WITH tried AS (
        SELECT e.action, e.context ->> 'error' AS error FROM audit_event e
        WHERE e.action IN ('PAYMENT_COMPLETED', 'PAYMENT_FAILED')
          AND e.id >= core_uuid_floor(%(start)s - interval '1 hour')
          AND e.id < core_uuid_floor(%(end)s + interval '1 hour')
          AND e.happened_at >= %(start)s AND e.happened_at < %(end)s
    )
    SELECT error, count(*) AS n,
           round(count(*) / sum(count(*)) OVER (), 4),
           round(count(*)::numeric / (SELECT count(*) FROM tried), 4)
    FROM tried WHERE action = 'PAYMENT_FAILED' GROUP BY error ORDER BY n DESC, error
"""


@dataclass(frozen=True, slots=True)
class DailyLine:
    """What a shop took on a day by one method; without a shop: members' own top-ups."""

    day: date
    merchant_code: str | None
    payment_method: str
    payments: int
    paid: Decimal
    refunds: int
    refunded: Decimal
    topups: int
    topped_up: Decimal


@dataclass(frozen=True, slots=True)
class FailureLine:
    """A reason why payments failed: how often, of all that failed, and of all that were tried."""

    failure_code: str
    count: int
    share_of_failures: Decimal
    share_of_attempts: Decimal


def daily(scope: Scope, days: Days) -> list[DailyLine]:
    """Return payments, refunds and top-ups by day, shop and method, by day."""
    with db_scope.reporting_cursor(scope) as cursor:
        cursor.execute(_DAILY, days.bounds)
        return [DailyLine(*row) for row in cursor.fetchall()]


def failure_reasons(scope: Scope, days: Days) -> list[FailureLine]:
    """Return why payments failed, the most frequent reason first."""
    with db_scope.reporting_cursor(scope) as cursor:
        cursor.execute(_FAILURES, days.bounds)
        return [FailureLine(*row) for row in cursor.fetchall()]
