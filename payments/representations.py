"""How transactions are written down for those who asked:

The bodies of answers, built in one place.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings

from cards import pricing
from merchants import selectors as merchants
from mps.base.core import problems
from mps.base.core.days import show_time
from mps.base.core.db_scope import Scope
from mps.base.core.money import show_money, show_rate
from payments.charge_decision import BALANCE, ChargeRequest
from payments.errors import AwaitingMemberError, OrderReversedError
from payments.models import Consent, Order, Transaction
from payments.selectors import mask_card_number

# The order in which a charge's fields are shown, first time and replayed alike.
CHARGE_FIELDS = (
    "tx_no",
    "status",
    "external_order_id",
    "amount",
    "discount_rate",
    "discount_amount",
    "final_amount",
    "currency",
    "points_earned",
    "tier",
    "payment_method",
    "card_no",
    "balance_after",
    "created_at",
)


def charge_answer(
    request: ChargeRequest,
    *,
    price: pricing.Price,
    points: int,
    card_no: str,
    currency: str,
    at: datetime,
) -> dict[str, Any]:
    """Return the answer to a charge, but for what only the write knows:

    Number, tier and balance.
    """
    return {
        "status": Transaction.Status.COMPLETED.value,
        "external_order_id": request.external_order_id or None,
        "amount": show_money(price.amount),
        "discount_rate": show_rate(price.discount_rate),
        "discount_amount": show_money(price.discount_amount),
        "final_amount": show_money(price.final_amount),
        "currency": currency,
        "points_earned": points,
        "payment_method": request.payment_method,
        "card_no": mask_card_number(card_no),
        "created_at": show_time(at),
    }


def awaiting_answer(
    request: ChargeRequest, *, price: pricing.Price, expires_at: datetime
) -> dict[str, Any]:
    """Return what a till is told while the member is asked."""
    return {
        "code": AwaitingMemberError.code,
        "status": Transaction.Status.PENDING.value,
        "title": problems.problem(AwaitingMemberError())["title"],
        "detail": "The member has been asked.",
        "external_order_id": request.external_order_id or None,
        "amount": show_money(price.amount),
        "final_amount": show_money(price.final_amount),
        "currency": settings.MPS_CURRENCY,
        "expires_at": show_time(expires_at),
    }


def is_over(waiting: Mapping[str, Any], now: datetime) -> bool:
    """Return whether the time of an `awaiting_answer` is up."""
    return datetime.fromisoformat(waiting["expires_at"]) <= now


def approval_document(scope: Scope, approval: Consent) -> dict[str, Any]:
    """Return a payment that waits as its member is asked about it."""
    merchant_code, merchant_name = merchants.name_of(scope, approval.merchant_id)
    return {
        "id": str(approval.id),
        "merchant_code": merchant_code,
        "merchant_name": merchant_name,
        "card_no": approval.card_no,
        "amount": show_money(approval.amount),
        "final_amount": show_money(approval.final_amount),
        "currency": approval.currency,
        "payment_method": approval.payment_method,
        "external_order_id": approval.external_order_id or None,
        "expires_at": show_time(approval.expires_at),
    }


def charge_document(payment: Transaction) -> dict[str, Any]:
    """Return a payment as it was answered, from its row."""
    document = {
        "tx_no": payment.tx_no,
        "status": payment.status,
        "external_order_id": payment.external_order_id or None,
        "amount": show_money(payment.amount),
        "discount_rate": show_rate(payment.discount_rate),
        "discount_amount": show_money(payment.discount_amount),
        "final_amount": show_money(payment.final_amount),
        "currency": payment.currency,
        "points_earned": payment.points,
        "tier": payment.tier or None,
        "payment_method": payment.payment_method,
        "card_no": mask_card_number(payment.card_no),
        "created_at": show_time(payment.created_at),
    }
    if payment.payment_method == BALANCE and payment.balance_after is not None:
        document["balance_after"] = show_money(payment.balance_after)
    return in_order(document)


def in_order(body: dict[str, Any]) -> dict[str, Any]:
    """Return an answer's fields in their order;

    A stored body comes back from the database in another.
    """
    if "tx_no" not in body or "points_earned" not in body:
        return body
    return {name: body[name] for name in CHARGE_FIELDS if name in body}


def charge_detail(payment: Transaction, refunds: Iterable[Transaction]) -> dict[str, Any]:
    """Return a payment with what became of it."""
    return {
        **charge_document(payment),
        "failure_code": payment.failure_code or None,
        "refunded_total": show_money(payment.refunded_total),
        "refunds": [
            {
                "tx_no": refund.tx_no,
                "amount": show_money(refund.final_amount),
                "points_reversed": -refund.points,
                "credited_to": refund.credited_to or None,
                "reason": refund.reason,
                "created_at": show_time(refund.created_at),
            }
            for refund in refunds
        ],
    }


def unpaid_order(known: Consent | Order) -> dict[str, Any]:
    """Return an order without a payment, in a payment's fields:

    It waits for its member, or was reversed before anything came.
    """
    waiting = isinstance(known, Consent)
    document: dict[str, Any] = dict.fromkeys(CHARGE_FIELDS) | {
        "status": Transaction.Status.PENDING.value
        if waiting
        else Transaction.Status.CANCELLED.value,
        "external_order_id": known.external_order_id,
        "currency": settings.MPS_CURRENCY,
        "points_earned": 0,
        "failure_code": None if waiting else OrderReversedError.code,
        "refunded_total": show_money(Decimal("0.00")),
        "refunds": [],
    }
    del document["balance_after"]
    if isinstance(known, Consent):
        return document | {
            "amount": show_money(known.amount),
            "discount_amount": show_money(known.amount - known.final_amount),
            "final_amount": show_money(known.final_amount),
            "payment_method": known.payment_method,
            "card_no": mask_card_number(known.card_no),
            "created_at": show_time(known.created_at),
            "expires_at": show_time(known.expires_at),
        }
    assert known.reversed_at is not None
    return document | {"created_at": show_time(known.reversed_at)}


def refund_answer(refund: Transaction, payment: Transaction) -> dict[str, Any]:
    """Return the answer to a refund; `payment` has its new totals."""
    return {
        "tx_no": refund.tx_no,
        "original_tx_no": payment.tx_no,
        "status": refund.status,
        "amount": show_money(refund.final_amount),
        "points_reversed": -refund.points,
        "refunded_total": show_money(payment.refunded_total),
        "remaining": show_money(payment.final_amount - payment.refunded_total),
        "credited_to": refund.credited_to or None,
    }


def reversal_document(scope: Scope, order: Order) -> dict[str, Any]:
    """Return what reversing an order did; the same however often it is asked."""
    document: dict[str, Any] = {"external_order_id": order.external_order_id, "status": "cancelled"}
    numbers = dict(
        Transaction.objects.filter(
            id__in=[tx_id for tx_id in (order.tx_id, order.refund_tx_id) if tx_id]
        ).values_list("id", "tx_no")
    )
    if order.tx_id:
        document["tx_no"] = numbers[order.tx_id]
    if order.refund_tx_id:
        refund = Transaction.objects.get(id=order.refund_tx_id)
        document["refund_tx_no"] = refund.tx_no
        document["amount"] = show_money(refund.final_amount)
    return document


def recharge_answer(recharge: Transaction) -> dict[str, Any]:
    """Return the answer to a top-up."""
    return {
        "tx_no": recharge.tx_no,
        "status": recharge.status,
        "amount": show_money(recharge.final_amount),
        "card_no": mask_card_number(recharge.card_no),
    }


def shop_line(transaction: Transaction) -> dict[str, Any]:
    """Return a transaction as a line of the shop's list. Its original must be at hand."""
    return {
        "tx_no": transaction.tx_no,
        "type": transaction.type,
        "status": transaction.status,
        "failure_code": transaction.failure_code or None,
        "external_order_id": transaction.external_order_id or None,
        "original_tx_no": transaction.original.tx_no if transaction.original else None,
        "card_no": mask_card_number(transaction.card_no),
        "amount": show_money(transaction.amount),
        "final_amount": show_money(transaction.final_amount),
        "currency": transaction.currency,
        "points": transaction.points,
        "payment_method": transaction.payment_method or None,
        "terminal_id": str(transaction.terminal_id) if transaction.terminal_id else None,
        "created_at": show_time(transaction.created_at),
    }


def summary(day: date, lines: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a shop's day in figures."""
    return {
        "date": day.isoformat(),
        "currency": settings.MPS_CURRENCY,
        "lines": [
            {
                **line,
                "amount": show_money(line["amount"]),
                "final_amount": show_money(line["final_amount"]),
            }
            for line in lines
        ],
    }
