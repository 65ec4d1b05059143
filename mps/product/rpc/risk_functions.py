"""Functions that stop cards, members and shops, and let them go on."""

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
    """Stop a card from paying."""
    card_status.freeze_card(**arguments)
    return True


@function("S", card_id=Id(), reason=text(200), example={"card_id": registry.CARD}, returns=True)
def unfreeze_card(call: Call, **arguments: Any) -> Answer:
    """Let a frozen card pay again."""
    card_status.unfreeze_card(**arguments)
    return True


@function(
    "S", member_id=Id(), reason=text(200), example={"member_id": registry.MEMBER}, returns=True
)
def admin_suspend_member(call: Call, **arguments: Any) -> Answer:
    """Stop a member: their cards neither pay nor get codes."""
    members.suspend_member(**arguments)
    return True


@function(
    "S", member_id=Id(), reason=text(200), example={"member_id": registry.MEMBER}, returns=True
)
def admin_activate_member(call: Call, **arguments: Any) -> Answer:
    """Let a suspended member act again."""
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
    """Stop a shop from taking payments, top-ups and refunds."""
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
    """Let a suspended shop work again."""
    merchants.activate_merchant(**arguments)
    return True
