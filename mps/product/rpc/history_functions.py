"""Functions about settlements and past transactions."""

from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

from merchants.models import Merchant
from mps.base.core import fields
from mps.product.rpc import registry, selectors
from mps.product.rpc.arguments import (
    Id,
    Moment,
    Page,
)
from mps.product.rpc.registry import Answer, Call, function
from mps.product.rpc.selectors import Window
from settlements import services as settlements

_SETTLEMENT = "0199a0c4-2d11-7f3a-9b60-5c8e7d6f1a2b"


@function(
    "S",
    merchant_id=Id(),
    mode=fields.Choice(choices=Merchant.SettlementMode.values),
    period_start=Moment(),
    period_end=Moment(),
    example={
        "merchant_id": registry.MERCHANT,
        "mode": "t_plus_1",
        "period_start": "2025-09-29",
        "period_end": "2025-09-30",
    },
    returns=_SETTLEMENT,
)
def generate_settlement(call: Call, **arguments: Any) -> Answer:
    """Settle a shop up to the end of a period `[start, end)`; a repeat returns the same."""
    return settlements.generate_settlement(**arguments).id


@function(
    "ST",
    merchant_id=Id(),
    limit=Page(min_value=1, max_value=registry.MAX_ROWS),
    offset=Page(min_value=0),
    example={"merchant_id": registry.MERCHANT, "limit": 20},
    returns=[
        {
            "id": _SETTLEMENT,
            "period_start": "2025-09-28T16:00:00+00:00",
            "period_end": "2025-09-29T16:00:00+00:00",
            "mode": "t_plus_1",
            "total_amount": 2234.69,
            "total_tx_count": 14,
            "status": "pending",
            "created_at": "2025-09-29T16:10:00.000000+00:00",
        }
    ],
)
def list_settlements(call: Call, *, merchant_id: UUID, **page: int) -> Answer:
    """List a shop's settlements, newest first. `total_amount` is the net amount."""
    return selectors.settlements_of_merchant(call.caller, call.merchant(merchant_id), **page)


_WINDOW = {
    "limit": Page(min_value=1, max_value=registry.MAX_ROWS),
    "offset": Page(min_value=0),
    "start_date": Moment(required=False),
    "end_date": Moment(required=False),
}

_LINE_EXAMPLE = {
    "id": registry.TX,
    "tx_no": "PAY0000000123",
    "tx_type": "payment",
    "card_id": registry.CARD,
    "merchant_id": registry.MERCHANT,
    "final_amount": 284.05,
    "status": "completed",
    "created_at": registry.TIME,
}


@function(
    "SM",
    member_id=Id(),
    **_WINDOW,
    example={"member_id": registry.MEMBER, "limit": 20, "start_date": "2025-09-01"},
    returns=[{**_LINE_EXAMPLE, "total_count": 1}],
)
def get_member_transactions(
    call: Call, *, member_id: UUID, **window: int | date | datetime
) -> Answer:
    """List the transactions of a member's cards, newest first."""
    return selectors.transactions_of_member(
        call.caller, call.member(member_id), Window(**cast(Any, window))
    )


@function(
    "ST",
    merchant_id=Id(),
    **_WINDOW,
    example={"merchant_id": registry.MERCHANT, "limit": 20, "start_date": "2025-09-01"},
    returns=[{**_LINE_EXAMPLE, "total_count": 1}],
)
def get_merchant_transactions(
    call: Call, *, merchant_id: UUID, **window: int | date | datetime
) -> Answer:
    """List the transactions of a shop, newest first."""
    return selectors.transactions_of_merchant(
        call.caller, call.merchant(merchant_id), Window(**cast(Any, window))
    )


@function(
    "STM",
    tx_no=fields.Text(max_length=20),
    example={"tx_no": "PAY0000000123"},
    returns=[
        {
            **_LINE_EXAMPLE,
            "failure_code": None,
            "card_no": "PPD****0001",
            "member_id": registry.MEMBER,
            "merchant_code": "SHOP001",
            "terminal_id": registry.MERCHANT,
            "currency": "TWD",
            "amount": 299.00,
            "discount": 0.95,
            "discount_amount": 14.95,
            "points": 299,
            "tier": "ordinary",
            "balance_after": 715.95,
            "payment_method": "balance",
            "external_order_id": "WX20250929001",
            "original_tx_no": None,
            "refunded_total": 0.00,
            "credited_to": None,
            "reason": None,
            "tag": {},
        }
    ],
    # A shop's tag is not shown to members.
    sometimes=["tag"],
)
def get_transaction_detail(call: Call, *, tx_no: str) -> Answer:
    """Show one transaction."""
    return [selectors.transaction_detail(call.caller, tx_no)]
