"""Write the transaction, with its id, number and time, for every movement of money or points."""

from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection

from cards.models import Card
from merchants.selectors import Till
from mps.base.core.db_scope import Scope
from payments.models import Transaction


class Stamp(NamedTuple):
    """The id, number and time of a transaction about to be written."""

    tx_id: UUID
    tx_no: str
    at: datetime


def stamp(scope: Scope, transaction_type: str) -> Stamp:
    """Return the id and number of a transaction of this type to be written now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT core_new_id(), payments_next_number(%s), core_now()", [transaction_type]
        )
        return Stamp(*cursor.fetchone())


def write_transaction(
    scope: Scope,
    now: Stamp,
    transaction_type: str,
    *,
    card: Card,
    member_id: UUID,
    amount: Decimal,
    till: Till | None = None,
    points: int = 0,
    fee: Decimal = Decimal("0.00"),
    payment_method: str = "",
    original_id: UUID | None = None,
    credited_to: str = "",
    reason: str = "",
    tag: dict[str, Any] | None = None,
) -> Transaction:
    """Write a completed transaction that is no payment."""
    done = Transaction(
        id=now.tx_id,
        tx_no=now.tx_no,
        type=transaction_type,
        status=Transaction.Status.COMPLETED,
        merchant_id=till.merchant_id if till else None,
        terminal_id=till.terminal_id if till else None,
        card=card,
        card_no=card.number,
        member_id=member_id,
        currency=settings.MPS_CURRENCY,
        amount=amount,
        final_amount=amount,
        points=points,
        fee=fee,
        payment_method=payment_method,
        original_id=original_id,
        credited_to=credited_to,
        reason=reason,
        tag=tag or {},
        created_at=now.at,
    )
    done.save(force_insert=True)
    if till is not None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT payments_enter_unclaimed(%s::uuid[])", [[done.id]])
    return done


def money_account(card: Card) -> UUID:
    """Return the money account of a card that is known to have one: it paid, or is topped up."""
    account_id: UUID | None = card.money_account_id
    assert account_id is not None
    return account_id


def as_json(value: dict[str, Any]) -> str:
    """Return a document as the database is given it."""
    return orjson.dumps(value).decode()
