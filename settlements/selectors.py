"""Read settlements, shops that are due, and lines of statements. Inside a scope."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum
from django.utils.translation import gettext

from merchants.models import Merchant
from mps.base.core.db_scope import Scope
from mps.base.core.errors import NotFoundError
from payments.selectors import mask_card_number
from settlements.models import Line, Settlement
from settlements.periods import Period

_CHUNK = 2000


@dataclass(frozen=True, slots=True)
class Due:
    """A shop with something to settle before the end of a period."""

    merchant_id: UUID
    merchant_code: str
    period: Period


@dataclass(frozen=True, slots=True)
class StatementLine:
    """A transaction as a statement lists it, and what it adds to each figure."""

    tx_no: str
    type: str
    created_at: datetime
    external_order_id: str
    original_tx_no: str
    card_no: str
    payment_method: str
    amount: Decimal
    gross: Decimal
    refund: Decimal
    cash_topup: Decimal
    fee: Decimal

    @property
    def net(self) -> Decimal:
        """What the shop is owed for it."""
        return self.gross - self.refund - self.cash_topup - self.fee


def list_settlements(scope: Scope, *, merchant_id: UUID | None = None) -> QuerySet[Settlement]:
    """Return settlements, newest first; of one shop, or of all the scope may see."""
    found = Settlement.objects.select_related("merchant").order_by("-id")
    return found if merchant_id is None else found.filter(merchant_id=merchant_id)


def unpaid_settlements(scope: Scope) -> tuple[int, int, Decimal]:
    """Return how many settlements wait for approval, how many for the payout, and their net."""
    states = Settlement.Status
    found = Settlement.objects.filter(status__in=[states.PENDING, states.SETTLED]).aggregate(
        pending=Count("id", filter=Q(status=states.PENDING)),
        settled=Count("id", filter=Q(status=states.SETTLED)),
        owed=Sum("net"),
    )
    return found["pending"], found["settled"], found["owed"] or Decimal(0)


def get_settlement(
    scope: Scope, *, settlement_id: UUID, merchant_id: UUID | None = None
) -> Settlement:
    """Return a settlement; :raises NotFoundError: there is none, or not of this shop."""
    found = list_settlements(scope, merchant_id=merchant_id).filter(id=settlement_id).first()
    if found is None:
        raise NotFoundError(gettext("Settlement not found."))
    return found


def get_merchant(scope: Scope, *, merchant_id: UUID) -> Merchant:
    """Return a shop; :raises NotFoundError: there is none."""
    merchant = Merchant.objects.filter(id=merchant_id).first()
    if merchant is None:
        raise NotFoundError("Merchant not found.")
    return merchant


def statement_lines(scope: Scope, settlement: Settlement) -> Iterator[StatementLine]:
    """Yield the lines of a statement in the order in which they happened, however many."""
    rows = (
        Line.objects.filter(settlement_id=settlement.id)
        .order_by("tx_id")
        .values_list(
            "tx__tx_no",
            "tx__type",
            "tx__created_at",
            "tx__external_order_id",
            "tx__original__tx_no",
            "tx__card_no",
            "tx__payment_method",
            "tx__final_amount",
            "gross",
            "refund",
            "cash_topup",
            "fee",
        )
    )
    for row in rows.iterator(chunk_size=_CHUNK):
        line: tuple[Any, ...] = row
        tx_no, kind, at, order, original, card_no, *rest = line
        yield StatementLine(
            tx_no, kind, at, order, original or "", mask_card_number(card_no), *rest
        )


def time_zones(scope: Scope, *, mode: str) -> list[str]:
    """Return the time zones of the shops that are settled in this mode."""
    shops = Merchant.objects.filter(settlement_mode=mode)
    return sorted(shops.values_list("time_zone", flat=True).distinct())


def find_due(
    scope: Scope, *, mode: str, time_zone: str, period: Period, merchant_code: str = ""
) -> list[Due]:
    """Return the shops of a time zone that have something to settle and were not settled for it.

    Looks at the unclaimed only, by index.

    :param merchant_code: only this shop, whatever mode it is usually settled in.
    """
    which = "m.code = %(code)s" if merchant_code else "m.settlement_mode = %(mode)s"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT m.id, m.code FROM merchants_merchant m
                WHERE {which} AND m.time_zone = %(time_zone)s
                  AND EXISTS (SELECT FROM payments_unclaimed u
                              WHERE u.merchant_id = m.id AND u.created_at < %(end)s)
                  AND NOT EXISTS (SELECT FROM settlements_settlement s
                                  WHERE s.merchant_id = m.id AND s.mode = %(mode)s
                                    AND s.period_start = %(start)s AND s.period_end = %(end)s)
                ORDER BY m.code""",
            {
                "mode": mode,
                "code": merchant_code,
                "time_zone": time_zone,
                "start": period.start,
                "end": period.end,
            },
        )
        rows = cursor.fetchall()
    return [Due(merchant_id, code, period) for merchant_id, code in rows]


def count_unclaimed(scope: Scope, due: Due) -> int:
    """Return how many transactions a settlement would take."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM payments_unclaimed WHERE merchant_id = %s AND created_at < %s",
            [due.merchant_id, due.period.end],
        )
        return int(cursor.fetchone()[0])


def database_now(scope: Scope) -> datetime:
    """Return the time of the database transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT core_now()")
        now: datetime = cursor.fetchone()[0]
    return now
