"""Members, shops and cards for tests, made by the services as everybody makes them."""

import itertools
import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.test import Client

from cards import issuing, payment_codes
from cards.models import Card
from members import services as members
from members.models import Member
from merchants import selectors as merchant_selectors
from merchants import services as merchants
from merchants.selectors import Till
from mps.base.core.keys import parse_key
from mps.product.accounts import services as accounts
from payments import charges, topups
from payments.idempotency import Answer

_numbers = itertools.count(1)
PASSWORD = "a-long-password-1"


def new_key() -> str:
    """Return an idempotency key nobody used."""
    return uuid.uuid4().hex


def make_member(**fields: Any) -> tuple[Member, Card]:
    """Register a member who signs in with PASSWORD; return them with their standard card."""
    number = next(_numbers)
    return accounts.register_member(
        **{"name": f"Member {number}", "phone": f"0912{number:06d}", "password": PASSWORD, **fields}
    )


def make_till(**fields: Any) -> Till:
    """Open a shop with a till that may top up."""
    return make_till_and_key(**fields)[0]


def make_till_and_key(
    *, can_top_up: bool = True, can_manage_webhooks: bool = False, **fields: Any
) -> tuple[Till, str]:
    """Open a shop with a till; return the till with its key."""
    number = next(_numbers)
    merchant = merchants.create_merchant(
        **{"code": f"SHOP{number:03d}", "name": f"Shop {number}", **fields}
    )
    return add_till(merchant.id, can_top_up=can_top_up, can_manage_webhooks=can_manage_webhooks)


def add_till(
    merchant_id: uuid.UUID, *, can_top_up: bool = True, can_manage_webhooks: bool = False
) -> tuple[Till, str]:
    """Open another till of a shop."""
    _terminal, key = merchants.create_terminal(
        merchant_id=merchant_id,
        name="Till",
        can_top_up=can_top_up,
        can_manage_webhooks=can_manage_webhooks,
    )
    presented = parse_key(key)
    assert presented is not None
    till = merchant_selectors.find_till_by_key(presented)
    assert till is not None
    return till, key


def make_prepaid(owner: Member, balance: str = "0", **fields: Any) -> Card:
    """Issue a prepaid card with this balance."""
    return _make_shared("PPD", owner, balance, fields)


def make_corporate(owner: Member, balance: str = "0", **fields: Any) -> Card:
    """Issue a corporate card with this balance."""
    return _make_shared("COR", owner, balance, fields)


def top_up(card: Card, amount: str) -> Answer:
    """Put money on a card as a trusted backend does."""
    return topups.recharge_card(
        card_id=card.id, amount=Decimal(amount), scope_id=uuid.uuid4(), idempotency_key=new_key()
    )


def make_code(card: Card, member: Member, ttl_seconds: int | None = None) -> str:
    """Return a fresh payment code."""
    return payment_codes.issue_code(
        card_id=card.id, member_id=member.id, ttl_seconds=ttl_seconds
    ).code


def charge(till: Till, code: str, amount: str, **fields: Any) -> Answer:
    """Charge a code."""
    return charges.charge_card(
        till=till,
        code=code,
        amount=Decimal(amount),
        **{"idempotency_key": new_key(), **fields},
    )


def _make_shared(card_type: str, owner: Member, balance: str, fields: dict[str, Any]) -> Card:
    if isinstance(fields.get("fixed_discount"), str):
        fields["fixed_discount"] = Decimal(fields["fixed_discount"])
    card = issuing.issue_shared_card(card_type=card_type, owner_id=owner.id, **fields)
    if Decimal(balance):
        top_up(card, balance)
    return card


def member_client(member: Member) -> Client:
    """Return an HTTP client that is signed in as this member."""
    token = members.issue_token(user_id=member.user_id)
    assert token is not None
    return Client(headers={"Authorization": f"Bearer {token.token}"})


def member_token(member: Member) -> str:
    """Sign a member in; return their token."""
    token = members.issue_token(user_id=member.user_id)
    assert token is not None
    return token.token


def find_till(till: Till) -> Till:
    """Return a till as it would be authenticated now."""
    fresh = merchant_selectors.get_till_of_merchant(till.merchant_code)
    return replace(fresh, terminal_id=till.terminal_id, can_top_up=till.can_top_up)
