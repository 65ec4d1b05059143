"""Report what happened to payment codes. Inside the platform's scope."""

from dataclasses import dataclass
from datetime import date

from mps.base.core import db_scope
from mps.base.core.days import Days
from mps.base.core.db_scope import Scope

# A code is in the history from when the next one took its place, so never before it was issued;
# until then it is the one row of its card and member.
_USAGE = """
    WITH issued AS (
        SELECT h.issued_at, h.outcome FROM cards_codehistory h
        WHERE h.id >= core_uuid_floor(%(start)s - interval '1 hour')
          AND h.issued_at >= %(start)s AND h.issued_at < %(end)s
        UNION ALL
        SELECT c.issued_at,
               CASE WHEN c.ended_at IS NOT NULL THEN c.outcome
                    WHEN c.expires_at <= core_now() THEN 'expired' ELSE 'live' END
        FROM cards_paymentcode c
        WHERE c.issued_at >= %(start)s AND c.issued_at < %(end)s
    )
    SELECT (issued_at AT TIME ZONE %(zone)s)::date AS day, count(*),
           count(*) FILTER (WHERE outcome = 'used'), count(*) FILTER (WHERE outcome = 'expired'),
           count(*) FILTER (WHERE outcome = 'revoked'),
           count(*) FILTER (WHERE outcome = 'replaced'), count(*) FILTER (WHERE outcome = 'live')
    FROM issued GROUP BY day ORDER BY day
"""


@dataclass(frozen=True, slots=True)
class UsageLine:
    """The codes issued on a day, by what became of them; the parts add up to `issued`.

    :param expired: unused. :param replaced: by another while live; rotation does that, too.
    """

    day: date
    issued: int
    used: int
    expired: int
    revoked: int
    replaced: int
    live: int


def code_usage(scope: Scope, days: Days) -> list[UsageLine]:
    """Return what became of the codes issued on each day; the past is kept for 30 days."""
    with db_scope.reporting_cursor(scope) as cursor:
        cursor.execute(_USAGE, days.bounds)
        return [UsageLine(*row) for row in cursor.fetchall()]
