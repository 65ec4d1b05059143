"""Find cards and members, and lock them against changes until the scope ends."""

from datetime import datetime
from uuid import UUID

from django.db import connection

from cards import selectors
from cards.errors import (
    CardNotFoundError,
)
from cards.models import Binding, Card
from members.errors import MemberSuspendedError
from members.models import Member
from mps.base.core import errors
from mps.base.core.db_scope import Scope


def hold_card(scope: Scope, *, card_id: UUID | None = None, card_no: str = "") -> Card:
    """Return a card that stays as it is until the scope ends; nobody closes it meanwhile.

    :param scope: the platform's or a shop's, which sees of a card what moving its money takes.
    :param card_id: the card, or `card_no`: its number.
    :raises CardNotFoundError: there is no such card.
    """
    scope.require_open()
    held = Card.objects.raw(
        "SELECT id, number, card_type, status, expires_at, owner_id, money_account_id,"
        " points_account_id FROM cards_hold(%s, %s)",
        [card_id, card_no],
    )
    for card in held:
        return card
    raise CardNotFoundError


def hold_member(scope: Scope, **which: UUID | str) -> Member:
    """Return an active member, who stays so until the scope ends. Before the card is locked.

    :param scope: the platform's.
    :raises NotFoundError: there is no such member.
    :raises MemberSuspendedError: the member is suspended, or was erased.
    """
    scope.require_open()
    member = Member.objects.select_for_update(no_key=True).filter(**which).first()
    if member is None:
        raise errors.NotFoundError("Member not found.")
    return require_active(member)


def require_active(member: Member) -> Member:
    """Let a member who is suspended look, and change nothing about sharing."""
    if member.status != Member.Status.ACTIVE:
        raise MemberSuspendedError
    return member


def require_usable(scope: Scope, card: Card) -> Card:
    """Return a card that may act now, by the database's clock.

    :raises CardExpiredError, CardNotActiveError: it may not.
    """
    refusal = card.refusal(is_past=_is_past(scope, card.expires_at))
    if refusal is not None:
        raise refusal
    return card


def _is_past(scope: Scope, moment: datetime | None) -> bool:
    """Return whether a moment is over by the database's clock."""
    if moment is None:
        return False
    scope.require_open()
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s <= core_now()", [moment])
        return bool(cursor.fetchone()[0])


def which_card(card_id: UUID | None, card_no: str) -> dict[str, UUID | str]:
    """Return how to find a card: by its id, else by its number.

    :raises CardNotFoundError: the number has not the form of one.
    """
    if card_id is not None:
        return {"id": card_id}
    return {"number": selectors.require_number(card_no)}


def require_bound(scope: Scope, which: dict[str, UUID | str], member_id: UUID) -> Binding:
    """Return what binds a member to a card."""
    card = {f"card__{name}": value for name, value in which.items()}
    binding = (
        Binding.objects.select_related("card", "member").filter(member_id=member_id, **card).first()
    )
    if binding is None:
        raise CardNotFoundError
    return binding
