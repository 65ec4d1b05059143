"""Functions that freeze or suspend cards, members and shops, and reactivate them."""

from typing import Any

from cards import card_status
from members import services as members
from merchants import services as merchants
from mps.product.rpc import registry
from mps.product.rpc.arguments import (
    Id,
    text,
)
from mps.product.rpc.registry import Answer, Call, function


@function("S", card_id=Id(), reason=text(200), example={"card_id": registry.CARD}, returns=True)
def freeze_card(call: Call, **arguments: Any) -> Answer:
    """Freeze a card so that it cannot pay."""
    card_status.freeze_card(**arguments)
    return True


@function("S", card_id=Id(), reason=text(200), example={"card_id": registry.CARD}, returns=True)
def unfreeze_card(call: Call, **arguments: Any) -> Answer:
    """Unfreeze a card so that it can pay again."""
    card_status.unfreeze_card(**arguments)
    return True


@function(
    "S", member_id=Id(), reason=text(200), example={"member_id": registry.MEMBER}, returns=True
)
def admin_suspend_member(call: Call, **arguments: Any) -> Answer:
    """Suspend a member: their cards cannot pay or get payment codes."""
    members.suspend_member(**arguments)
    return True


@function(
    "S", member_id=Id(), reason=text(200), example={"member_id": registry.MEMBER}, returns=True
)
def admin_activate_member(call: Call, **arguments: Any) -> Answer:
    """Reactivate a suspended member."""
    members.activate_member(**arguments)
    return True


@function(
    "S",
    merchant_id=Id(),
    reason=text(200),
    example={"merchant_id": registry.MERCHANT},
    returns=True,
)
def admin_suspend_merchant(call: Call, **arguments: Any) -> Answer:
    """Suspend a shop: it cannot take payments, top-ups or refunds."""
    merchants.suspend_merchant(**arguments)
    return True


@function(
    "S",
    merchant_id=Id(),
    reason=text(200),
    example={"merchant_id": registry.MERCHANT},
    returns=True,
)
def admin_activate_merchant(call: Call, **arguments: Any) -> Answer:
    """Reactivate a suspended shop."""
    merchants.activate_merchant(**arguments)
    return True
