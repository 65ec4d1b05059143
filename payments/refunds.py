"""Refund payments, or reverse an order whose result the till does not know.

Lock order: the shop's fact, then key, order and transaction row, and the card's fact after them:
whoever changes a card holds none of these.

Rules: docs/rules.md#refund.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection

from cards import holding, pricing, vouchers
from cards.models import Card
from merchants import services as merchants
from merchants.errors import MerchantSuspendedError
from merchants.selectors import Till, get_till
from merchants.webhooks import outbox
from mps.base.audit import services as audit
from mps.base.core import problems
from mps.base.core.db_scope import Scope
from mps.base.core.errors import (
    InvalidAmountError,
    MpsError,
)
from mps.base.core.money import show_money
from mps.base.ledger import services as ledger
from payments import (
    charge_decision,
    idempotency,
    pending_consents,
    races,
    representations,
    selectors,
    transactions,
)
from payments.errors import (
    OnlyCompletedPaymentRefundableError,
    OrderReversedError,
    OriginalTxNotFoundError,
    RefundExceedsRemainingError,
)
from payments.idempotency import Answer
from payments.models import Order, Transaction

# For how long a till may not know whether it was paid.
_UNCERTAIN = timedelta(days=1)

_ONE_POINT = Decimal(1)

_CENT = Decimal("0.01")


def refund_payment(
    *,
    till: Till,
    tx_no: str,
    amount: Decimal,
    idempotency_key: str,
    reason: str = "",
    tag: dict[str, Any] | None = None,
) -> Answer:
    """Give back part or all of a payment of this shop.

    Concurrent refunds wait for each other on the payment. Points and fee go back by cumulative
    allocation: many partial refunds give what one full refund would.

    :param amount: above zero; 0.00 only for a payment of 0.00, whose points and voucher go back.
    :raises InvalidAmountError: 0.00 of a payment that was more.
    :raises MerchantSuspendedError: the shop gives no refunds.
    :raises OriginalTxNotFoundError: there is no such payment of this shop.
    :raises IdempotencyKeyReusedError: the key was used for another request.
    """
    key = idempotency.require_key(idempotency_key)
    about = {"merchant": till.merchant_code, "amount": show_money(amount)}
    request_hash = idempotency.hash_request(
        "refund",
        tx_no=tx_no,
        amount=show_money(amount),
        reason=reason,
        tag=idempotency.plain(tag or {}),
    )

    def refund(scope: Scope) -> Answer:
        merchants.hold_active(scope, till)
        idempotency.lock_key(scope, till.merchant_id, key)
        answered = idempotency.find_answer(scope, till.merchant_id, key, request_hash)
        if answered is not None:
            return answered
        payment = _lock_payment(scope, till, tx_no=tx_no)
        if not amount and payment.final_amount:
            raise InvalidAmountError
        now = transactions.stamp(scope, "refund")
        try:
            _require_refundable(payment, amount)
        except MpsError as refusal:
            # The original was recognised: the refusal is the stored outcome of this key, and
            # commits.
            answer = Answer(refusal.status, problems.problem(refusal))
            audit.record(
                "REFUND_FAILED",
                object_type="transaction",
                object_id=tx_no,
                details={**about, "error": refusal.code},
            )
        else:
            done = _give_back(
                scope,
                payment,
                amount,
                now=now,
                till=till,
                reason=reason,
                tag=idempotency.plain(tag or {}),
            )
            answer = Answer(201, representations.refund_answer(done, payment))
        idempotency.store_answer(scope, till.merchant_id, key, request_hash, answer, at=now.at)
        return answer

    with audit.refusals("REFUND_FAILED", object_type="transaction", object_id=tx_no, details=about):
        return races.retry_races(till, refund)


def refund_for_shop(
    *, merchant_id: UUID | None, tx_no: str, amount: Decimal, idempotency_key: str, reason: str
) -> Answer:
    """Give back part or all of a payment in its shop's name; for the platform's staff.

    :raises OriginalTxNotFoundError: it is no shop's. And as of `refund_payment`.
    """
    if merchant_id is None:
        with audit.refusals("REFUND_FAILED", object_type="transaction", object_id=tx_no):
            raise OriginalTxNotFoundError
    return refund_payment(
        till=get_till(merchant_id=merchant_id),
        tx_no=tx_no,
        amount=amount,
        idempotency_key=idempotency_key,
        reason=reason,
    )


def reverse_order(*, till: Till, external_order_id: str) -> dict[str, Any]:
    """Undo a charge whose outcome the till does not know. Succeeds whatever happened; safe to
    repeat.

    Paid: refunded in full and `cancelled`. Not seen yet, or failed: closed, so that a late charge
    is refused. Waiting for its member: closed, and the member is asked no longer.
    Also for a suspended shop: what is uncertain must be put right. What was paid more than a day
    ago is no longer uncertain.

    :raises MerchantSuspendedError: the shop is suspended, and the payment older than a day.
    """

    def reverse(scope: Scope) -> dict[str, Any]:
        is_active = merchants.hold_status(scope, till)
        waiting = selectors.find_waiting(scope, till, external_order_id)
        if waiting is not None:
            # The key before the order, like a charge.
            idempotency.lock_key(scope, till.merchant_id, waiting.key)
        idempotency.lock_order(scope, till.merchant_id, external_order_id)
        if selectors.find_waiting(scope, till, external_order_id) != waiting:
            raise races.RaceLostError
        if waiting is not None:
            pending_consents.close_approval(scope, waiting, OrderReversedError())
        order = selectors.find_order(scope, till, external_order_id)
        if order is not None and order.reversed_at is not None:
            return representations.reversal_document(scope, order)
        now = transactions.stamp(scope, "refund")
        refund = None
        if order is None:
            order = Order.objects.create(
                merchant_id=till.merchant_id,
                external_order_id=external_order_id,
                reversed_at=now.at,
            )
        else:
            refund = _undo_payment(scope, order, now=now, till=till, is_active=is_active)
        audit.record(
            "ORDER_REVERSED",
            object_type="order",
            object_id=external_order_id,
            details={
                "merchant": till.merchant_code,
                "refund": refund.tx_no if refund else "",
                "amount": show_money(refund.final_amount) if refund else "",
            },
        )
        return representations.reversal_document(scope, order)

    with audit.refusals("REVERSE_FAILED", object_type="order", object_id=external_order_id):
        return races.retry_races(till, reverse)


def _undo_payment(
    scope: Scope, order: Order, *, now: transactions.Stamp, till: Till, is_active: bool
) -> Transaction | None:
    """Give back what is left of a locked order's payment, and close the order; return the refund.

    :raises MerchantSuspendedError: the shop is suspended, and the payment older than a day.
    """
    payment = _lock_payment(scope, till, id=order.tx_id)
    remaining = payment.final_amount - payment.refunded_total
    refund = None
    if payment.status == Transaction.Status.COMPLETED:
        if not is_active and now.at - payment.created_at > _UNCERTAIN:
            raise MerchantSuspendedError
        refund = _give_back(
            scope,
            payment,
            remaining,
            now=now,
            till=till,
            reason="reversed",
            tag={},
            status=Transaction.Status.CANCELLED,
        )
    else:
        # Refunded in full before: nothing is left to give, only the order is closed.
        Transaction.objects.filter(id=payment.id).update(status=Transaction.Status.CANCELLED)
    order.reversed_at = now.at
    order.refund_tx_id = refund.id if refund else None
    Order.objects.filter(
        merchant_id=till.merchant_id, external_order_id=order.external_order_id
    ).update(reversed_at=order.reversed_at, refund_tx_id=order.refund_tx_id)
    return refund


def _lock_payment(scope: Scope, till: Till, **which: Any) -> Transaction:
    """Lock one of the shop's transactions; refunds of one payment wait for each other here."""
    payment = (
        Transaction.objects.select_for_update(of=("self",))
        .filter(merchant_id=till.merchant_id, **which)
        .first()
    )
    if payment is None:
        raise OriginalTxNotFoundError
    payment.card = holding.hold_card(scope, card_id=payment.card_id)
    return payment


def _require_refundable(payment: Transaction, amount: Decimal) -> None:
    if payment.type != Transaction.Type.PAYMENT or payment.status != Transaction.Status.COMPLETED:
        raise OnlyCompletedPaymentRefundableError
    if amount > payment.final_amount - payment.refunded_total:
        raise RefundExceedsRemainingError


def _give_back(
    scope: Scope,
    payment: Transaction,
    amount: Decimal,
    *,
    now: transactions.Stamp,
    till: Till,
    reason: str,
    tag: dict[str, Any],
    status: str = Transaction.Status.REFUNDED,
) -> Transaction:
    """Write a refund of a locked payment: money and points back, the payment's totals forward.

    :param status: what the payment becomes when all of it is given back.
    """
    # Daily limits before accounts, as a charge locks them.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT payments_give_room(%s, %s, %s)", [payment.id, amount, settings.MPS_TIME_ZONE]
        )
    share = _plan_refund(scope, payment, amount, till)
    refund = transactions.write_transaction(
        scope,
        now,
        Transaction.Type.REFUND,
        card=payment.card,
        member_id=payment.member_id,
        amount=amount,
        till=till,
        points=-share.points,
        fee=share.fee,
        payment_method=payment.payment_method,
        original_id=payment.id,
        credited_to=share.credited_to,
        reason=reason,
        tag=tag,
    )
    if share.moves:
        ledger.post(scope, kind="refund", reference=refund.id, moves=share.moves)
    payment.refunded_total += amount
    payment.refunded_points += share.points + share.points_forgiven
    payment.refunded_fee += share.fee
    if payment.refunded_total == payment.final_amount:
        payment.status = status
        if payment.voucher_card_id is not None:
            vouchers.give_voucher_back(scope, card_id=payment.voucher_card_id, tx_id=payment.id)
    payment.save(update_fields=["status", "refunded_total", "refunded_points", "refunded_fee"])
    audit.record(
        "REFUND_COMPLETED",
        object_type="transaction",
        object_id=refund.tx_no,
        details={
            "original": payment.tx_no,
            "amount": show_money(amount),
            "points": -share.points,
            "points_forgiven": share.points_forgiven,
            "credited_to": share.credited_to,
            "reason": reason,
        },
    )
    _tell_shop(scope, till, refund, payment)
    return refund


def _tell_shop(scope: Scope, till: Till, refund: Transaction, payment: Transaction) -> None:
    outbox.emit_event(
        scope,
        merchant_id=till.merchant_id,
        event_type="refund.completed",
        data={
            **representations.refund_answer(refund, payment),
            "external_order_id": payment.external_order_id or None,
            "payment_status": payment.status,
        },
    )


class _RefundShare(NamedTuple):
    """What one refund gives back: points taken and forgiven, fee, and the entries that do it."""

    points: int
    points_forgiven: int
    fee: Decimal
    credited_to: str
    moves: dict[UUID, Decimal]


def _plan_refund(scope: Scope, payment: Transaction, amount: Decimal, till: Till) -> _RefundShare:
    """Work out what a refund of a locked payment gives back. Locks the card's accounts."""
    card = payment.card
    total = payment.refunded_total + amount
    due = Decimal(0)
    if settings.MPS_REFUND_POINTS == "reverse":
        given = Decimal(payment.refunded_points)
        due = _share(payment, total, Decimal(payment.points), given, _ONE_POINT)
    moves: dict[UUID, Decimal] = {}
    credited_to = ""
    if payment.payment_method == charge_decision.BALANCE and amount:
        closed = card.status == Card.Status.CLOSED
        credited_to = "unclaimed" if closed else "card"
        receiver = (
            ledger.platform_account(scope, kind="unclaimed", unit=payment.currency)
            if closed
            else transactions.money_account(card)
        )
        moves = {receiver: amount, till.account_id: -amount}
    taken = Decimal(0)
    if due and card.points_account_id:
        # Points that were spent meanwhile are forgiven, and the log says how many.
        balances = ledger.lock_balances(scope, [*moves, card.points_account_id])
        taken = min(due, balances[card.points_account_id])
    if taken and card.points_account_id:
        moves[card.points_account_id] = -taken
        moves[ledger.platform_account(scope, kind="points_issue", unit="PTS")] = taken
    return _RefundShare(
        points=int(taken),
        points_forgiven=int(due - taken),
        fee=_share(payment, total, payment.fee, payment.refunded_fee, _CENT),
        credited_to=credited_to,
        moves=moves,
    )


def _share(
    payment: Transaction, total: Decimal, whole: Decimal, given_before: Decimal, unit: Decimal
) -> Decimal:
    return pricing.share_of_refund(
        total=whole,
        refunded_after=total,
        paid=payment.final_amount,
        given_before=given_before,
        unit=unit,
    )
