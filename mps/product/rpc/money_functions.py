"""Functions that move money and points."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from mps.base.core import fields
from mps.base.core.money import show_rate
from mps.product.rpc import registry, selectors
from mps.product.rpc.arguments import (
    Id,
    Word,
    text,
)
from mps.product.rpc.registry import Answer, Call, function
from payments import charge_decision, charges, points, refunds, topups


@function(
    "ST",
    merchant_code=fields.Text(max_length=32),
    qr_plain=fields.Text(max_length=64),
    raw_amount=fields.Money(),
    idempotency_key=registry.idempotency_key(),
    tag=fields.Tag(required=False),
    external_order_id=fields.OrderId(required=False),
    payment_method=fields.Choice(choices=[*charge_decision.METHODS], required=False),
    voucher_qr_plain=fields.Text(max_length=64, required=False),
    example={
        "merchant_code": "SHOP001",
        "qr_plain": registry.CODE,
        "raw_amount": 299.00,
        "idempotency_key": "order-20250929-001",
        "external_order_id": "WX20250929001",
    },
    returns=[
        {
            "tx_id": registry.TX,
            "tx_no": "PAY0000000123",
            "card_id": registry.CARD,
            "final_amount": 284.05,
            "discount": 0.95,
        }
    ],
)
def merchant_charge_by_qr(
    call: Call,
    *,
    merchant_code: str,
    qr_plain: str,
    raw_amount: Decimal,
    idempotency_key: str | None = None,
    external_order_id: str = "",
    voucher_qr_plain: str = "",
    **arguments: Any,
) -> Answer:
    """Charge the card of a scanned payment code."""
    till = call.till(merchant_code)
    answer = charges.charge_card(
        till=till,
        code=qr_plain,
        amount=raw_amount,
        idempotency_key=registry.key_or_new(idempotency_key),
        external_order_id=external_order_id,
        voucher_code=voucher_qr_plain,
        **arguments,
    )
    if answer.status != 201:
        # Refused, or waiting for its member: the same call again asks how it went.
        return answer
    payment = selectors.transaction_of(till, answer.body["tx_no"])
    row = {
        "tx_id": payment.id,
        "tx_no": payment.tx_no,
        "card_id": payment.card_id,
        "final_amount": payment.final_amount,
        "discount": Decimal(show_rate(payment.discount_rate)),
    }
    return registry.StoredRows([row], answer.replayed)


@function(
    "ST",
    merchant_code=fields.Text(max_length=32),
    original_tx_no=fields.Text(max_length=20),
    refund_amount=fields.Money(or_zero=True),
    tag=fields.Tag(required=False),
    idempotency_key=registry.idempotency_key(),
    example={"merchant_code": "SHOP001", "original_tx_no": "PAY0000000123", "refund_amount": 50.00},
    returns=[
        {"refund_tx_id": registry.TX, "refund_tx_no": "REF0000000045", "refunded_amount": 50.00}
    ],
)
def merchant_refund_tx(
    call: Call,
    *,
    merchant_code: str,
    original_tx_no: str,
    refund_amount: Decimal,
    idempotency_key: str | None = None,
    **arguments: Any,
) -> Answer:
    """Refund part or all of a payment."""
    till = call.till(merchant_code)
    answer = refunds.refund_payment(
        till=till,
        tx_no=original_tx_no,
        amount=refund_amount,
        idempotency_key=registry.key_or_new(idempotency_key),
        **arguments,
    )
    if answer.refused:
        return answer
    refund = selectors.transaction_of(till, answer.body["tx_no"])
    row = {
        "refund_tx_id": refund.id,
        "refund_tx_no": refund.tx_no,
        "refunded_amount": refund.final_amount,
    }
    return registry.StoredRows([row], answer.replayed)


@function(
    "S",
    card_id=Id(),
    amount=fields.Money(),
    payment_method=Word(required=False),
    tag=fields.Tag(required=False),
    idempotency_key=registry.idempotency_key(),
    external_order_id=fields.OrderId(required=False),
    example={
        "card_id": registry.CARD,
        "amount": 500.00,
        "payment_method": "wechat",
        "idempotency_key": "topup-20250929-001",
    },
    returns=[
        {"tx_id": registry.TX, "tx_no": "RCG0000000012", "card_id": registry.CARD, "amount": 500.00}
    ],
)
def user_recharge_card(
    call: Call,
    *,
    card_id: UUID,
    amount: Decimal,
    idempotency_key: str | None = None,
    external_order_id: str = "",
    **arguments: Any,
) -> Answer:
    """Top up a card on behalf of a trusted backend."""
    answer = topups.recharge_card(
        card_id=card_id,
        amount=amount,
        scope_id=call.service.service_key_id,
        idempotency_key=registry.key_or_new(idempotency_key),
        provider_order_id=external_order_id,
        **arguments,
    )
    if answer.refused:
        return answer
    recharge = selectors.transaction_of(call.caller, answer.body["tx_no"])
    row = {
        "tx_id": recharge.id,
        "tx_no": recharge.tx_no,
        "card_id": recharge.card_id,
        "amount": recharge.final_amount,
    }
    return registry.StoredRows([row], answer.replayed)


@function(
    "S",
    card_id=Id(),
    delta_points=fields.Whole(),
    reason=text(200),
    example={"card_id": registry.CARD, "delta_points": 100, "reason": "goodwill"},
    returns=True,
)
def update_points_and_level(
    call: Call, *, card_id: UUID, delta_points: int, reason: str = ""
) -> Answer:
    """Add or deduct points. The level changes immediately."""
    points.adjust_points(card_id=card_id, delta=delta_points, reason=reason)
    return True
