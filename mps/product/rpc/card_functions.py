"""Functions about cards: issue, show and share them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from rest_framework import serializers

from cards import (
    binding_passwords,
    issuing,
    sharing,
    vouchers,
)
from cards.models import Binding, CardType, Voucher
from members.selectors import MemberPrincipal
from mps.base.core import fields
from mps.product.rpc import registry, selectors
from mps.product.rpc.arguments import (
    Id,
    Moment,
    MoneyOrNothing,
    text,
)
from mps.product.rpc.registry import Answer, Call, function


def _new_binding_password(**kwargs: Any) -> fields.Secret:
    return fields.Secret(
        min_length=binding_passwords.MIN_BINDING_PASSWORD, max_length=128, **kwargs
    )


_SHARED_CARD = {
    "owner_member_id": Id(),
    "name": text(80),
    "fixed_discount": fields.Rate(required=False),
    "binding_password": _new_binding_password(required=False),
}


@function(
    "S",
    **_SHARED_CARD,
    example={"owner_member_id": registry.MEMBER, "name": "Family", "fixed_discount": 0.95},
    returns=registry.CARD,
)
def create_prepaid_card(call: Call, *, owner_member_id: UUID, **arguments: Any) -> Answer:
    """Issue a prepaid card and return its id."""
    card = issuing.issue_shared_card(
        card_type=CardType.PREPAID, owner_id=owner_member_id, **arguments
    )
    return card.id


@function(
    "S",
    **_SHARED_CARD,
    example={"owner_member_id": registry.MEMBER, "name": "Company", "fixed_discount": 0.9},
    returns=registry.CARD,
)
def create_corporate_card(call: Call, *, owner_member_id: UUID, **arguments: Any) -> Answer:
    """Issue a corporate card to the responsible member and return its id."""
    card = issuing.issue_shared_card(
        card_type=CardType.CORPORATE, owner_id=owner_member_id, **arguments
    )
    return card.id


@function(
    "S",
    member_id=Id(),
    kind=fields.Choice(choices=Voucher.Kind.values),
    value=fields.Money(),
    min_spend=MoneyOrNothing(required=False),
    expires_at=Moment(required=False),
    merchant_codes=serializers.ListField(
        child=fields.Text(max_length=32), max_length=100, required=False
    ),
    example={
        "member_id": registry.MEMBER,
        "kind": "percent",
        "value": 20,
        "min_spend": 100.00,
        "expires_at": "2099-12-31",
    },
    returns=registry.CARD,
)
def create_voucher_card(
    call: Call,
    *,
    member_id: UUID,
    expires_at: date | datetime | None = None,
    merchant_codes: Sequence[str] = (),
    **arguments: Any,
) -> Answer:
    """Issue a single-use voucher and return its card's id. A plain date is its last valid day."""
    card = vouchers.issue_voucher_card(
        owner_id=member_id,
        expires_at=selectors.end_of(expires_at) if expires_at else None,
        merchant_ids=selectors.ids_of_merchants(list(merchant_codes)),
        **arguments,
    )
    return card.id


@function(
    "SM",
    card_id=Id(),
    password=_new_binding_password(),
    example={"card_id": registry.CARD, "password": "open sesame"},
    returns=True,
)
def set_card_binding_password(call: Call, *, card_id: UUID, password: str) -> Answer:
    """Set the password for joining a shared card. A member must own the card."""
    binding_passwords.set_binding_password(
        card_id=card_id, password=password, by_member_id=call.caller.principal_id
    )
    return True


_CARD_EXAMPLE = {
    "id": registry.CARD,
    "card_no": "PPD00000001",
    "card_type": "PPD",
    "status": "active",
    "balance": 715.95,
    "points": 299,
    "level": 0,
    "discount": 0.95,
    "expires_at": None,
}


@function("SM", member_id=Id(), example={"member_id": registry.MEMBER}, returns=[_CARD_EXAMPLE])
def get_member_cards(call: Call, *, member_id: UUID) -> Answer:
    """List the cards a member can use."""
    return selectors.cards_of_member(call.caller, call.member(member_id))


@function("SM", card_id=Id(), example={"card_id": registry.CARD}, returns=[_CARD_EXAMPLE])
def get_card_detail(call: Call, *, card_id: UUID) -> Answer:
    """Show one card."""
    return selectors.card_detail(call.caller, card_id)


@function(
    "SM",
    card_id=Id(),
    member_id=Id(),
    role=fields.Choice(choices=Binding.Role.values, required=False),
    binding_password=fields.Secret(max_length=128, required=False),
    example={
        "card_id": registry.CARD,
        "member_id": registry.MEMBER,
        "binding_password": "open sesame",
    },
    returns=True,
)
def bind_member_to_card(
    call: Call,
    *,
    card_id: UUID,
    member_id: UUID,
    role: str = Binding.Role.MEMBER,
    binding_password: str | None = None,
) -> Answer:
    """Bind a member to a shared card.

    Members join with its password, as `member`; its owner or an admin can bind anybody.
    """
    caller = call.caller
    if not isinstance(caller, MemberPrincipal):
        sharing.bind_member(
            card_id=card_id, member_id=member_id, role=role, binding_password=binding_password
        )
    elif caller.member_id != member_id:
        sharing.invite_member(
            card_id=card_id, member_id=member_id, role=role, by_member_id=caller.member_id
        )
    elif role == Binding.Role.MEMBER:
        sharing.join_card(
            card_id=card_id, member_id=member_id, binding_password=binding_password or ""
        )
    else:
        call.refuse()
    return True


@function(
    "SM",
    card_id=Id(),
    member_id=Id(),
    example={"card_id": registry.CARD, "member_id": registry.MEMBER},
    returns=True,
)
def unbind_member_from_card(call: Call, *, card_id: UUID, member_id: UUID) -> Answer:
    """Remove a member from a shared card, as that member or as its owner or admin."""
    sharing.unbind_member(
        card_id=card_id, member_id=member_id, by_member_id=call.caller.principal_id
    )
    return True
