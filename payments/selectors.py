"""Read the facts of a charge in one statement, transactions and histories."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum

from merchants.selectors import Till
from mps.base.core.database import DatabaseNow, as_array
from mps.base.core.db_scope import Scope
from payments.models import Consent, Order, Transaction

MASKED_DIGITS = 4


@dataclass(frozen=True, slots=True)
class StoredFacts:
    """What this app knows of a charge:

    The time, the merchant, and what is stored for key and order.
    """

    read_at: datetime
    merchant_active: bool
    merchant_fee_rate: Decimal
    merchant_limit_per_payment: Decimal | None
    merchant_limit_per_day: Decimal | None
    merchant_version: str
    points_issue_id: UUID
    stored_hash: bytes | None
    stored_status: int | None
    stored_body: str | None
    order_tx_id: UUID | None
    order_amount: Decimal | None
    order_reversed: bool | None
    order_waits: str | None


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a code leads to, and everything the price depends on; see `cards_read_code()`."""

    code_id: UUID
    code_live: bool
    code_expires_at: datetime
    card_id: UUID
    card_no: str
    card_type: str
    card_status: str
    card_expired: bool
    fixed_discount: Decimal | None
    money_account_id: UUID | None
    points_account_id: UUID | None
    points: Decimal | None
    member_id: UUID
    member_active: bool
    owner_id: UUID
    owner_active: bool
    binding_id: UUID | None
    role: str | None
    tier: str | None
    tier_rate: Decimal | None
    tier_from: Decimal | None
    tier_below: Decimal | None
    corporate_rate: Decimal | None
    limit_per_payment: Decimal | None
    card_limit_per_day: Decimal | None
    binding_limit_per_day: Decimal | None
    member_limit_per_day: Decimal | None
    voucher_kind: str | None
    voucher_value: Decimal | None
    voucher_min_spend: Decimal | None
    voucher_merchants: list[UUID] | None
    voucher_used: bool
    version: str


@dataclass(frozen=True, slots=True)
class ChargeFacts:
    """All a charge reads, as of one statement."""

    stored: StoredFacts
    card: CardFacts | None
    voucher: CardFacts | None


def _columns(alias: str, facts: type) -> str:
    return ", ".join(f"{alias}.{field.name}" for field in fields(facts))


_STORED_WIDTH = len(fields(StoredFacts))
_CARD_WIDTH = len(fields(CardFacts))
_READ_CHARGE = (
    f"SELECT {_columns('s', StoredFacts)}, {_columns('c', CardFacts)}"
    " FROM payments_read_charge(%s, %s, %s) s"
    " LEFT JOIN cards_read_code(%s::bytea[]) c ON true"
)
_READ_CHARGE_WITH_VOUCHER = (
    f"SELECT {_columns('s', StoredFacts)}, {_columns('c', CardFacts)}, {_columns('v', CardFacts)}"
    " FROM payments_read_charge(%s, %s, %s) s"
    " LEFT JOIN cards_read_code(%s::bytea[]) c ON true"
    " LEFT JOIN cards_read_code(%s::bytea[]) v ON true"
)
_READ_CODE = f"SELECT {_columns('c', CardFacts)} FROM cards_read_code(%s::bytea[]) c"


def read_charge(
    scope: Scope,
    *,
    merchant_id: UUID,
    key: str,
    order: str,
    hashes: list[bytes],
    voucher_hashes: list[bytes],
) -> ChargeFacts:
    """Read everything a charge depends on, in one statement and without a lock."""
    with connection.cursor() as cursor:
        if voucher_hashes:
            cursor.execute(
                _READ_CHARGE_WITH_VOUCHER,
                [merchant_id, key, order, as_array(hashes), as_array(voucher_hashes)],
            )
        else:
            cursor.execute(_READ_CHARGE, [merchant_id, key, order, as_array(hashes)])
        row = cursor.fetchone()
    card = row[_STORED_WIDTH : _STORED_WIDTH + _CARD_WIDTH]
    voucher = row[_STORED_WIDTH + _CARD_WIDTH :]
    return ChargeFacts(
        StoredFacts(*row[:_STORED_WIDTH]),
        CardFacts(*card) if card[0] is not None else None,
        CardFacts(*voucher) if voucher and voucher[0] is not None else None,
    )


def read_code(scope: Scope, hashes: list[bytes]) -> CardFacts | None:
    """Read what a code leads to; None for a code nobody has."""
    with connection.cursor() as cursor:
        cursor.execute(_READ_CODE, [as_array(hashes)])
        row = cursor.fetchone()
    return CardFacts(*row) if row else None


def mask_card_number(number: str) -> str:
    """Return a card number as others see it: type and last four digits."""
    return f"{number[:3]}****{number[-MASKED_DIGITS:]}"


def transactions(scope: Scope) -> QuerySet[Transaction]:
    """Return the transactions the scope may see, with merchant and original at hand."""
    return Transaction.objects.select_related("merchant", "original")


def find_payment(scope: Scope, till: Till, tx_no: str) -> Transaction | None:
    """Return a payment of this shop by its number."""
    return (
        transactions(scope)
        .filter(merchant_id=till.merchant_id, tx_no=tx_no, type=Transaction.Type.PAYMENT)
        .first()
    )


def find_by_order(
    scope: Scope, till: Till, external_order_id: str
) -> Transaction | Consent | Order | None:
    """Return what became of an order of this shop:

    The payment that did not fail, else its reversal, else the one that waits for its member, else
    the latest that failed.
    """
    attempts = transactions(scope).filter(
        merchant_id=till.merchant_id,
        external_order_id=external_order_id,
        type=Transaction.Type.PAYMENT,
    )
    return (
        attempts.exclude(status=Transaction.Status.FAILED).order_by("-id").first()
        or find_order(scope, till, external_order_id)
        or find_waiting(scope, till, external_order_id)
        or attempts.order_by("-id").first()
    )


def find_order(scope: Scope, till: Till, external_order_id: str) -> Order | None:
    """Return what is known of an order of this shop."""
    return Order.objects.filter(
        merchant_id=till.merchant_id, external_order_id=external_order_id
    ).first()


def find_waiting(
    scope: Scope, till: Till, external_order_id: str, *, key: str = ""
) -> Consent | None:
    """Return the payment of this shop that waits for its member, by its order or its key."""
    return Consent.objects.filter(
        Q(external_order_id=external_order_id) & ~Q(external_order_id="") | Q(key=key),
        merchant_id=till.merchant_id,
        state=Consent.State.AWAITING,
    ).first()


def awaiting_approvals(scope: Scope, member_id: UUID) -> QuerySet[Consent]:
    """Return the payments that wait for a member's word, oldest first."""
    return Consent.objects.filter(
        member_id=member_id, state=Consent.State.AWAITING, expires_at__gt=DatabaseNow()
    ).order_by("created_at")


def refunds_of(scope: Scope, payment: Transaction) -> QuerySet[Transaction]:
    """Return a payment's refunds, oldest first."""
    return Transaction.objects.filter(
        original_id=payment.id, type=Transaction.Type.REFUND
    ).order_by("id")


def shop_transactions(
    scope: Scope, till: Till, *, day: date | None = None, kind: str = "", status: str = ""
) -> QuerySet[Transaction]:
    """Return a shop's transactions; of one of its days, one type, one status if asked for."""
    found = transactions(scope).filter(merchant_id=till.merchant_id)
    if day is not None:
        found = _on_day(found, till, day)
    if kind:
        found = found.filter(type=kind)
    if status:
        found = found.filter(status=status)
    return found


def summarise_day(scope: Scope, till: Till, day: date) -> Iterable[Mapping[str, Any]]:
    """Return counts and sums of a shop's day, of what took effect, by type and payment method."""
    took_effect = [
        Transaction.Status.COMPLETED,
        Transaction.Status.REFUNDED,
        Transaction.Status.CANCELLED,
    ]
    day_of_shop = _on_day(Transaction.objects.filter(merchant_id=till.merchant_id), till, day)
    return (
        day_of_shop.filter(status__in=took_effect)
        .values("type", "payment_method")
        .annotate(count=Count("id"), amount=Sum("amount"), final_amount=Sum("final_amount"))
        .order_by("type", "payment_method")
    )


def _on_day(found: QuerySet[Transaction], till: Till, day: date) -> QuerySet[Transaction]:
    zone = ZoneInfo(till.time_zone)
    start = datetime.combine(day, time.min, zone)
    end = datetime.combine(day + timedelta(days=1), time.min, zone)
    return created_between(found, start, end)


def created_between(
    found: QuerySet[Transaction], start: datetime | None, end: datetime | None
) -> QuerySet[Transaction]:
    """Narrow to a span of time `[start, end)`, open where it is None; by the time-ordered id first,
    so that an index serves and months outside are not looked at.

    The id is made a little after `created_at`, which is the start of the database transaction.
    """
    if start is not None:
        found = found.filter(id__gte=_uuid_floor(start), created_at__gte=start)
    if end is not None:
        found = found.filter(id__lt=_uuid_floor(end, plus=timedelta(hours=1)), created_at__lt=end)
    return found


def _uuid_floor(moment: datetime, *, plus: timedelta = timedelta()) -> UUID:
    # Any moment may be asked for: `plus` is added where no calendar ends.
    milliseconds = int((moment.timestamp() + plus.total_seconds()) * 1000)
    return UUID(int=max(milliseconds, 0) << 80)
