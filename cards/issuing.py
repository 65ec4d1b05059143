"""Issue cards: a standard card per member, and shared cards."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connection

from cards import binding_passwords, holding
from cards.errors import (
    CardTypeNotShareableError,
)
from cards.models import SHAREABLE_TYPES, Binding, Card, CardType
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors
from mps.base.core.database import DatabaseNow
from mps.base.core.db_scope import Scope
from mps.base.ledger import services as ledger


def issue_standard_card(scope: Scope, *, owner_id: UUID) -> Card:
    """Issue the card that comes with a membership."""
    return write_card(scope, CardType.STANDARD, owner_id)


def issue_shared_card(
    *,
    card_type: str,
    owner_id: UUID,
    name: str = "",
    fixed_discount: Decimal | None = None,
    binding_password: str = "",
    expires_at: datetime | None = None,
) -> Card:
    """Issue a prepaid or corporate card to its owner.

    :param fixed_discount: factor above 0 and up to 1; 0.95 makes 100.00 cost 95.00. None: by tier
        (prepaid) or none.
    :param binding_password: with which other members may join; empty: by invitation only.
    :raises CardTypeNotShareableError: another type.
    :raises NotFoundError: there is no such member.
    :raises MemberSuspendedError: the member is suspended, or was erased.
    :raises InvalidRequestError: a value is not as described.
    """
    if card_type not in SHAREABLE_TYPES:
        raise CardTypeNotShareableError
    wrong: dict[str, list[str]] = {}
    if fixed_discount is not None and not (
        fixed_discount.is_finite()
        and 0 < fixed_discount <= 1
        and fixed_discount == round(fixed_discount, 4)
    ):
        wrong["fixed_discount"] = [
            "Must be above 0 and at most 1, with at most four decimal places."
        ]
    if len(name) > 80:
        wrong["name"] = ["Must be at most 80 characters."]
    if wrong:
        raise errors.InvalidRequestError(errors=wrong)
    if binding_password:
        binding_passwords.require_long_enough(binding_password, "binding_password")
    password = make_password(binding_password) if binding_password else ""
    with (
        audit.refusals("CARD_ISSUE_REFUSED", object_type="member", object_id=owner_id),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        holding.hold_member(scope, id=owner_id)
        card = write_card(
            scope,
            card_type,
            owner_id,
            name=name,
            fixed_discount=fixed_discount,
            binding_password=password,
            expires_at=expires_at,
        )
        audit.record(
            "CARD_ISSUED",
            object_type="card",
            object_id=card.number,
            details={
                "type": card_type,
                "owner": str(owner_id),
                "fixed_discount": str(fixed_discount or ""),
            },
        )
    return card


def write_card(
    scope: Scope,
    card_type: str,
    owner_id: UUID,
    *,
    name: str = "",
    fixed_discount: Decimal | None = None,
    binding_password: str = "",
    expires_at: datetime | None = None,
) -> Card:
    """Write a card with its accounts and its owner's binding.

    :raises InvalidRequestError: its time would be over already.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT cards_next_number(%s)", [card_type])
        number = cursor.fetchone()[0]
    card = Card.objects.create(
        number=number,
        card_type=card_type,
        owner_id=owner_id,
        name=name,
        fixed_discount=fixed_discount,
        binding_password=binding_password,
        expires_at=expires_at,
        money_account_id=(
            ledger.open_account(scope, kind="card_money", unit=settings.MPS_CURRENCY)
            if CardType(card_type).holds_money
            else None
        ),
        points_account_id=(
            ledger.open_account(scope, kind="card_points", unit="PTS")
            if CardType(card_type).earns_points
            else None
        ),
    )
    if expires_at and Card.objects.filter(id=card.id, expires_at__lte=DatabaseNow()).exists():
        raise errors.InvalidRequestError(errors={"expires_at": ["Must be in the future."]})
    Binding.objects.create(card=card, member_id=owner_id, role=Binding.Role.OWNER)
    return card
