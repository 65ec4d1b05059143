"""Members' histories of transactions and points, page by page.

Each card's rows are read from an index that ends with the id, no more of them than a page holds,
and merged: a page costs the same however deep it lies and however long the history is.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection

from cards.errors import CardNotFoundError
from cards.selectors import require_number
from mps.base.core.db_scope import Scope


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """A transaction as a member who has part in its card sees it."""

    id: UUID
    tx_no: str
    type: str
    status: str
    failure_code: str | None
    card_no: str
    merchant_code: str | None
    merchant_name: str | None
    amount: Decimal
    discount_rate: Decimal
    discount_amount: Decimal
    final_amount: Decimal
    currency: str
    points: int
    payment_method: str | None
    external_order_id: str | None
    original_tx_no: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PointsLine:
    """How a card's points moved, and why."""

    id: UUID
    card_no: str
    points: int
    balance_after: int
    tx_no: str | None
    type: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of a history: so many rows older than `position`, or newer ones if not `older`."""

    limit: int
    position: UUID | None = None
    older: bool = True

    def condition(self, column: str) -> str:
        """Return the SQL condition of the span; its parameter is `position`."""
        return f" AND {column} {'<' if self.older else '>'} %(position)s" if self.position else ""

    @property
    def order(self) -> str:
        """In which direction the rows are read."""
        return "DESC" if self.older else "ASC"


# The cards a member has part in, and those they paid with before they left: of these they see
# what they paid themselves. Whoever paid once has a row in cards_paymentcode.
_TRANSACTION_CARDS = """
    SELECT b.card_id, NULL::uuid AS payer_id FROM cards_binding b WHERE b.member_id = %(member)s
    UNION ALL
    SELECT c.card_id, c.member_id FROM cards_paymentcode c
    WHERE c.member_id = %(member)s AND NOT EXISTS (
        SELECT FROM cards_binding b WHERE b.card_id = c.card_id AND b.member_id = c.member_id)
"""


def transactions_of_member(
    scope: Scope, *, member_id: UUID, span: Span, card_no: str = "", transaction_type: str = ""
) -> list[HistoryLine]:
    """Return the transactions of a member's cards, and of other cards those they paid.

    They come in the span's direction.

    :param card_no: only of this card; empty: of all.
    :param transaction_type: only of this type; empty: of all.
    :raises CardNotFoundError: the member has and had no part in a card of this number.
    """
    number = require_number(card_no) if card_no else ""
    one_card = " WHERE mine.card_id = cards_find_id(%(card_no)s)" if number else ""
    one_type = " AND t.type = %(type)s" if transaction_type else ""
    sql = f"""
        WITH mine AS ({_TRANSACTION_CARDS}), page AS (
            SELECT found.*
            FROM mine CROSS JOIN LATERAL (
                SELECT t.* FROM payments_transaction t
                WHERE t.card_id = mine.card_id
                  AND (mine.payer_id IS NULL OR t.member_id = mine.payer_id)
                  {one_type}{span.condition("t.id")}
                ORDER BY t.id {span.order} LIMIT %(limit)s
            ) found{one_card}
            ORDER BY found.id {span.order} LIMIT %(limit)s
        )
        SELECT page.id, page.tx_no, page.type, page.status, nullif(page.failure_code, ''),
               page.card_no, shop.code, shop.name, page.amount, page.discount_rate,
               page.discount_amount, page.final_amount, page.currency, page.points,
               nullif(page.payment_method, ''), nullif(page.external_order_id, ''),
               original.tx_no, page.created_at
        FROM page
        LEFT JOIN LATERAL merchants_name(page.merchant_id) shop ON true
        LEFT JOIN payments_transaction original ON original.id = page.original_id
        ORDER BY page.id {span.order}
    """
    parameters = {
        "member": member_id,
        "card_no": number,
        "type": transaction_type,
        "position": span.position,
        "limit": span.limit,
    }
    lines = _read(scope, sql, parameters, HistoryLine)
    if not lines and number:
        _require_part_in(scope, member_id, number)
    return lines


def points_of_member(scope: Scope, *, member_id: UUID, span: Span) -> list[PointsLine]:
    """Return how the points of a member's cards moved.

    In the span's direction.
    """
    sql = f"""
        WITH mine AS (
            SELECT card.number AS card_no, card.points_account_id
            FROM cards_binding b JOIN cards_card card ON card.id = b.card_id
            WHERE b.member_id = %(member)s AND card.points_account_id IS NOT NULL
        ), page AS (
            SELECT mine.card_no, found.*
            FROM mine CROSS JOIN LATERAL (
                SELECT e.* FROM ledger_entry e
                WHERE e.account_id = mine.points_account_id{span.condition("e.id")}
                ORDER BY e.id {span.order} LIMIT %(limit)s
            ) found
            ORDER BY found.id {span.order} LIMIT %(limit)s
        )
        SELECT page.id, page.card_no, page.amount::bigint, page.balance_after::bigint, t.tx_no,
               coalesce(t.type, posting.kind), coalesce(t.created_at, posting.posted_at)
        FROM page
        JOIN ledger_posting posting ON posting.id = page.posting_id
        LEFT JOIN payments_transaction t ON t.id = posting.reference
        ORDER BY page.id {span.order}
    """
    parameters = {"member": member_id, "position": span.position, "limit": span.limit}
    return _read(scope, sql, parameters, PointsLine)


def _require_part_in(scope: Scope, member_id: UUID, card_no: str) -> None:
    """Tell an empty history from a card the member has nothing to do with."""
    sql = f"""
        SELECT EXISTS (SELECT FROM ({_TRANSACTION_CARDS}) mine
                       WHERE mine.card_id = cards_find_id(%(card_no)s))
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, {"member": member_id, "card_no": card_no})
        if not cursor.fetchone()[0]:
            raise CardNotFoundError


Line = TypeVar("Line", HistoryLine, PointsLine)


def _read(scope: Scope, sql: str, parameters: dict[str, Any], line: type[Line]) -> list[Line]:
    """Read rows whose columns are the fields of `line`, in their order."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [line(*row) for row in cursor.fetchall()]
