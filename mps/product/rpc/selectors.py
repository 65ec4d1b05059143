"""Look up callers, and read cards and transactions for the RPC functions."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet

from cards import selectors as cards
from cards.errors import CardNotFoundError
from cards.models import Binding, Card, PaymentCode
from members import selectors as members
from members.selectors import MemberPrincipal
from merchants import selectors as merchants
from merchants.models import Merchant
from merchants.selectors import Till
from mps.base.core import db_scope
from mps.base.core.db_scope import Scope
from mps.base.core.errors import NotFoundError
from mps.base.core.keys import PresentedKey
from mps.base.core.money import show_rate
from payments import selectors as payments
from payments.models import Transaction
from settlements import selectors as settlements

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ServiceCaller:
    """A trusted backend; it acts as the platform."""

    service_key_id: UUID
    name: str

    role: db_scope.Role = "platform_admin"
    principal_id: UUID | None = None
    is_authenticated: bool = True


Caller = ServiceCaller | MemberPrincipal | Till


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a history: a page of it, and a span of time `[start, end)`.

    A plain end date means that whole day. What has no zone is local to whoever it is about.
    """

    limit: int = 50
    offset: int = 0
    start_date: date | datetime | None = None
    end_date: date | datetime | None = None

    def of(self, found: QuerySet[Transaction], time_zone: str) -> QuerySet[Transaction]:
        """Narrow transactions to the span of time."""
        start, end = self.start_date, self.end_date
        return payments.created_between(
            found,
            _moment(start, time_zone, days=0) if start else None,
            _moment(end, time_zone, days=1) if end else None,
        )


def _moment(value: date | datetime, time_zone: str, *, days: int) -> datetime:
    """Return the moment a text stood for; a plain date is the midnight `days` after its own."""
    if not isinstance(value, datetime):
        value = datetime.combine(value + timedelta(days=days), time())
    return value if value.tzinfo else value.replace(tzinfo=ZoneInfo(time_zone))


def end_of(value: date | datetime) -> datetime:
    """Return the moment up to which something is good; a plain date is good all day long."""
    return _moment(value, settings.MPS_TIME_ZONE, days=1)


def ids_of_merchants(codes: list[str]) -> list[UUID]:
    """Return the ids of shops, for a trusted backend.

    :raises NotFoundError: there is no shop with one of the codes.
    """
    with db_scope.principal_scope("platform_admin"):
        found = dict(Merchant.objects.filter(code__in=codes).values_list("code", "id"))
    if len(found) < len(set(codes)):
        raise NotFoundError("At least one of these merchant codes does not exist.")
    return list(found.values())


# --- who calls -----------------------------------------------------------------------------------


def find_service_by_key(key: PresentedKey) -> ServiceCaller | None:
    """Return the trusted backend that holds this key, if it may act now."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT service_key_id, name FROM rpc_authenticate_service(%s, %s)",
            [key.id, key.secret_hash],
        )
        row = cursor.fetchone()
    return ServiceCaller(*row) if row else None


# --- cards ---------------------------------------------------------------------------------------


def owner_of(card_id: UUID) -> UUID:
    """Return who owns a card, for a trusted backend; of several whose name it is in.

    :raises CardNotFoundError: there is no such card.
    """
    with db_scope.principal_scope("platform_admin") as scope:
        return _owner_of(scope, card_id)


def cards_of_member(caller: Caller, member_id: UUID) -> list[Row]:
    """Return the cards a member is bound to, the oldest binding first.

    :raises NotFoundError: there is no such member.
    """
    with db_scope.principal_scope(caller.role, caller.principal_id) as scope:
        members.get_member(scope, member_id)
        return [
            _card_row(each)
            for each in cards.own_cards(scope, member_id).order_by("created_at", "id")
        ]


def card_detail(caller: Caller, card_id: UUID) -> list[Row]:
    """Return a card as its owner sees it; to a member only one they are bound to.

    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    """
    with db_scope.principal_scope(caller.role, caller.principal_id) as scope:
        member_id = caller.principal_id or _owner_of(scope, card_id)
        binding = cards.own_cards(scope, member_id).filter(card_id=card_id).first()
    if binding is None:
        raise CardNotFoundError
    return [_card_row(binding)]


def _owner_of(scope: Scope, card_id: UUID) -> UUID:
    owner_id: UUID | None = (
        Card.objects.filter(id=card_id).values_list("owner_id", flat=True).first()
    )
    if owner_id is None:
        raise CardNotFoundError
    return owner_id


def _card_row(binding: Binding) -> Row:
    card = cards.to_own_card(binding)
    return {
        "id": card.card_id,
        "card_no": card.card_no,
        "card_type": card.card_type,
        "status": card.status,
        "balance": card.balance,
        "points": card.points,
        "level": card.level,
        "discount": Decimal(show_rate(card.discount_rate)),
        "expires_at": card.expires_at,
    }


# --- transactions --------------------------------------------------------------------------------


def transaction_of(principal: Caller, tx_no: str) -> Transaction:
    """Return a transaction by its number, within what the principal may see.

    :raises NotFoundError: there is none, or it is somebody else's.
    """
    with db_scope.principal_scope(principal.role, principal.principal_id) as scope:
        found = payments.transactions(scope).filter(tx_no=tx_no)
        if isinstance(principal, Till):
            found = found.filter(merchant_id=principal.merchant_id)
        elif isinstance(principal, MemberPrincipal):
            found = found.filter(_of_member(scope, principal.member_id))
        transaction = found.first()
    if transaction is None:
        raise NotFoundError("Transaction not found.")
    return transaction


def transaction_detail(caller: Caller, tx_no: str) -> Row:
    """Return all that is shown of a transaction; a shop's tag is not shown to members.

    :raises NotFoundError: there is none, or it is somebody else's.
    """
    found = transaction_of(caller, tx_no)
    row = {
        **_transaction_row(found),
        "failure_code": found.failure_code or None,
        "card_no": payments.mask_card_number(found.card_no),
        "member_id": found.member_id,
        "merchant_code": _merchant_code(caller, found.merchant_id),
        "terminal_id": found.terminal_id,
        "currency": found.currency,
        "amount": found.amount,
        "discount": Decimal(show_rate(found.discount_rate)),
        "discount_amount": found.discount_amount,
        "points": found.points,
        "tier": found.tier or None,
        "balance_after": found.balance_after,
        "payment_method": found.payment_method or None,
        "external_order_id": found.external_order_id or None,
        "original_tx_no": found.original.tx_no if found.original else None,
        "refunded_total": found.refunded_total,
        "credited_to": found.credited_to or None,
        "reason": found.reason or None,
    }
    if not isinstance(caller, MemberPrincipal):
        row["tag"] = found.tag
    return row


def _merchant_code(caller: Caller, merchant_id: UUID | None) -> str | None:
    """Return what everybody may know of a shop, also who does not see it."""
    if merchant_id is None:
        return None
    with db_scope.principal_scope(caller.role, caller.principal_id) as scope:
        return merchants.name_of(scope, merchant_id)[0]


def transactions_of_member(caller: Caller, member_id: UUID, window: Window) -> list[Row]:
    """Return what a member sees of the past, newest first.

    :raises NotFoundError: there is no such member.
    """
    with db_scope.principal_scope(caller.role, caller.principal_id) as scope:
        members.get_member(scope, member_id)
        found = Transaction.objects.filter(_of_member(scope, member_id))
        return _page(window.of(found, settings.MPS_TIME_ZONE), window)


def transactions_of_merchant(caller: Caller, merchant_id: UUID, window: Window) -> list[Row]:
    """Return what happened at a shop, newest first.

    :raises NotFoundError: there is no such shop.
    """
    with db_scope.principal_scope(caller.role, caller.principal_id):
        merchant = Merchant.objects.filter(id=merchant_id).first()
        if merchant is None:
            raise NotFoundError("Merchant not found.")
        found = Transaction.objects.filter(merchant_id=merchant_id)
        return _page(window.of(found, merchant.time_zone), window)


def _of_member(scope: Scope, member_id: UUID) -> Q:
    """Select what happened on the cards a member is bound to, and on those they left what they paid
    themselves. Whoever paid once has a payment code there.

    By the cards' ids, so that the index of each card serves.
    """
    bound = set(Binding.objects.filter(member_id=member_id).values_list("card_id", flat=True))
    held = set(PaymentCode.objects.filter(member_id=member_id).values_list("card_id", flat=True))
    of_member = Q(card_id__in=bound)
    if left := held - bound:
        of_member |= Q(card_id__in=left, member_id=member_id)
    return of_member


def _page(found: QuerySet[Transaction], window: Window) -> list[Row]:
    total = found.count()
    page = found.order_by("-id")[window.offset : window.offset + window.limit]
    return [{**_transaction_row(each), "total_count": total} for each in page]


def _transaction_row(transaction: Transaction) -> Row:
    return {
        "id": transaction.id,
        "tx_no": transaction.tx_no,
        "tx_type": transaction.type,
        "card_id": transaction.card_id,
        "merchant_id": transaction.merchant_id,
        "final_amount": transaction.final_amount,
        "status": transaction.status,
        "created_at": transaction.created_at.astimezone(UTC),
    }


# --- settlements ---------------------------------------------------------------------------------


def settlements_of_merchant(
    caller: Caller, merchant_id: UUID, *, limit: int = 50, offset: int = 0
) -> list[Row]:
    """Return what a shop was settled for, newest first.

    :raises NotFoundError: there is no such shop.
    """
    with db_scope.principal_scope(caller.role, caller.principal_id) as scope:
        settlements.get_merchant(scope, merchant_id=merchant_id)
        found = settlements.list_settlements(scope, merchant_id=merchant_id)[
            offset : offset + limit
        ]
        return [
            {
                "id": each.id,
                "period_start": each.period_start,
                "period_end": each.period_end,
                "mode": each.mode,
                "total_amount": each.net,
                "total_tx_count": each.tx_count,
                "status": each.status,
                "created_at": each.created_at,
            }
            for each in found
        ]
