"""Functions about members, shops and their tills."""

from typing import Any

from members import field_checks
from merchants import services as merchants
from merchants.models import Merchant
from mps.base.core import fields
from mps.product.accounts import services as accounts
from mps.product.rpc import registry
from mps.product.rpc.arguments import (
    FeeRate,
    text,
)
from mps.product.rpc.registry import Answer, Call, function


@function(
    "S",
    name=fields.Text(max_length=80),
    phone=text(32),
    email=text(254),
    password=fields.Secret(max_length=field_checks.MAX_PASSWORD_LENGTH, required=False),
    binding_user_org=text(30),
    binding_org_id=text(128),
    example={
        "name": "Ming",
        "phone": "0988123456",
        "binding_user_org": "wechat",
        "binding_org_id": "wx_openid_abc123",
    },
    returns=registry.MEMBER,
)
def create_member_profile(
    call: Call,
    *,
    name: str,
    phone: str = "",
    email: str = "",
    password: str = "",
    binding_user_org: str = "",
    binding_org_id: str = "",
) -> Answer:
    """Register a member with their standard card and return the member's id."""
    member, _card = accounts.register_member(
        name=name,
        phone=phone,
        email=email,
        password=password,
        provider=binding_user_org,
        external_id=binding_org_id,
    )
    return member.id


@function(
    "S",
    code=fields.Text(max_length=32),
    name=fields.Text(max_length=80),
    contact=text(200),
    settlement_mode=fields.Choice(choices=Merchant.SettlementMode.values, required=False),
    fee_rate=FeeRate(required=False),
    example={"code": "SHOP001", "name": "Corner Shop", "fee_rate": 0.02},
    returns=registry.MERCHANT,
)
def create_merchant(call: Call, **arguments: Any) -> Answer:
    """Create a shop and return its id."""
    return merchants.create_merchant(**arguments).id


@function(
    "S",
    merchant_code=fields.Text(max_length=32),
    name=fields.Text(max_length=80),
    can_top_up=fields.Flag(required=False),
    can_manage_webhooks=fields.Flag(required=False),
    example={"merchant_code": "SHOP001", "name": "Till 2", "can_manage_webhooks": True},
    returns=[{"terminal_id": registry.MERCHANT, "key": "mps.t….…"}],
)
def create_terminal(call: Call, *, merchant_code: str, name: str, **rights: bool) -> Answer:
    """Create a terminal of a shop with only the given permissions. Its key is shown only once."""
    terminal, key = merchants.create_terminal(
        merchant_id=call.till(merchant_code).merchant_id, name=name, **rights
    )
    return [{"terminal_id": terminal.id, "key": key}]
