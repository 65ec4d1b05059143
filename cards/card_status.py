"""Change a card's status: freeze, lock, report lost, suspend, activate, close.

Rules: docs/rules.md#cards.
"""

from uuid import UUID

from cards import holding, payment_codes
from cards.errors import (
    CardNotActiveError,
    CardNotEmptyError,
    CardNotFoundError,
)
from cards.models import Card
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors
from mps.base.ledger import services as ledger

STOPPABLE = {Card.Status.ACTIVE, Card.Status.FROZEN, Card.Status.LOST, Card.Status.SUSPENDED}


def freeze_card(*, card_id: UUID, reason: str = "") -> None:
    """Stop an active card from paying. Safe to repeat.

    :raises CardNotFoundError: there is no such card.
    :raises CardNotActiveError: the card is lost, expired, suspended or closed.
    """
    _change_status(
        card_id,
        Card.Status.FROZEN,
        "CARD_FROZEN",
        reason,
        allowed={Card.Status.ACTIVE, Card.Status.FROZEN},
    )


def close_card(*, card_id: UUID, reason: str = "") -> None:
    """Close a card for ever; only an empty one closes. Safe to repeat.

    :raises CardNotFoundError: there is no such card.
    :raises CardNotEmptyError: there is money on it.
    """
    with (
        audit.refusals("CARD_CLOSED_REFUSED", object_type="card", object_id=card_id),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        card = Card.objects.select_for_update().filter(id=card_id).first()
        if card is None:
            raise CardNotFoundError
        if card.status == Card.Status.CLOSED:
            return
        # The change waits for whoever rests on the card as it was; only then its balance stands.
        Card.objects.filter(id=card_id).update(
            status=Card.Status.CLOSED, status_reason=reason[:200], locked_by_member=False
        )
        if card.money_account_id is not None:
            balances = ledger.lock_balances(scope, [card.money_account_id])
            if balances[card.money_account_id]:
                raise CardNotEmptyError
        payment_codes.end_codes(scope, card_id)
        audit.record(
            "CARD_CLOSED",
            object_type="card",
            object_id=card.number,
            details={"before": card.status, "reason": reason},
        )


def unfreeze_card(*, card_id: UUID, reason: str = "") -> None:
    """Let a frozen card pay again. Safe to repeat.

    :raises CardNotFoundError: there is no such card.
    :raises CardNotActiveError: the card is lost, expired, suspended or closed; unfreezing does not
        help these.
    """
    _change_status(
        card_id,
        Card.Status.ACTIVE,
        "CARD_UNFROZEN",
        reason,
        allowed={Card.Status.ACTIVE, Card.Status.FROZEN},
    )


def mark_card_lost(*, card_id: UUID, reason: str) -> None:
    """Stop a card that was lost or stolen; its codes die. Only staff activate it again. Safe to
    repeat.

    :raises CardNotFoundError: there is no such card.
    :raises CardNotActiveError: the card is expired or closed.
    :raises InvalidRequestError: there is no reason.
    """
    _stop_card(card_id, Card.Status.LOST, "CARD_MARKED_LOST", reason)


def suspend_card(*, card_id: UUID, reason: str) -> None:
    """Stop a card until staff activate it again; its codes die. Safe to repeat.

    :raises CardNotFoundError: there is no such card.
    :raises CardNotActiveError: the card is expired or closed.
    :raises InvalidRequestError: there is no reason.
    """
    _stop_card(card_id, Card.Status.SUSPENDED, "CARD_SUSPENDED", reason)


def activate_card(*, card_id: UUID, reason: str) -> None:
    """Let a card that is lost or suspended pay again. Safe to repeat.

    :raises CardNotFoundError: there is no such card.
    :raises CardNotActiveError: the card is frozen, which unfreezing ends, or expired or closed.
    :raises InvalidRequestError: there is no reason.
    """
    audit.require_reason(reason)
    _change_status(
        card_id,
        Card.Status.ACTIVE,
        "CARD_ACTIVATED",
        reason,
        allowed={Card.Status.ACTIVE, Card.Status.LOST, Card.Status.SUSPENDED},
    )


def lock_card(*, card_id: UUID | None = None, card_no: str = "", member_id: UUID) -> None:
    """Let a member lock a card of theirs at once, e.g. a lost phone. Safe to repeat.

    :param card_id: the card, or `card_no`: its number.
    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    :raises PermissionDeniedError: the member neither owns nor administers it.
    :raises CardNotActiveError: the card is neither active nor locked by a member.
    """
    _member_lock(card_id, card_no, member_id, lock=True)


def unlock_card(*, card_id: UUID | None = None, card_no: str = "", member_id: UUID) -> None:
    """Let a member unlock what a member locked. Safe to repeat on an active card.

    :param card_id: the card, or `card_no`: its number.
    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    :raises PermissionDeniedError: the member neither owns nor administers it, or staff froze it.
    :raises CardNotActiveError: the card is neither frozen nor active.
    :raises MemberSuspendedError: the member is suspended, who may lock but not unlock.
    """
    _member_lock(card_id, card_no, member_id, lock=False)


def _stop_card(card_id: UUID, status: str, action: str, reason: str) -> None:
    audit.require_reason(reason)
    _change_status(
        card_id,
        status,
        action,
        reason,
        allowed=STOPPABLE,
        end_codes=True,
    )


def _change_status(
    card_id: UUID,
    status: str,
    action: str,
    reason: str,
    *,
    allowed: set[Card.Status],
    end_codes: bool = False,
) -> None:
    with (
        audit.refusals(f"{action}_REFUSED", object_type="card", object_id=card_id),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        card = Card.objects.select_for_update().filter(id=card_id).first()
        if card is None:
            raise CardNotFoundError
        if card.status not in allowed:
            raise CardNotActiveError
        Card.objects.filter(id=card_id).update(
            status=status, status_reason=reason[:200], locked_by_member=False
        )
        if end_codes:
            payment_codes.end_codes(scope, card_id)
        audit.record(
            action,
            object_type="card",
            object_id=card.number,
            details={"before": card.status, "after": status, "reason": reason},
        )


def _member_lock(card_id: UUID | None, card_no: str, member_id: UUID, *, lock: bool) -> None:
    which = holding.which_card(card_id, card_no)
    action = "CARD_LOCKED" if lock else "CARD_UNLOCKED"
    with (
        audit.refusals(f"{action}_REFUSED", object_type="card", object_id=card_no or card_id),
        db_scope.principal_scope("member_app", member_id) as scope,
    ):
        binding = holding.require_bound(scope, which, member_id)
        if not binding.rights.may_manage:
            raise errors.PermissionDeniedError
        if not lock:
            holding.require_active(binding.member)
        card = Card.objects.select_for_update().get(id=binding.card_id)
        if card.status not in {Card.Status.ACTIVE, Card.Status.FROZEN}:
            raise CardNotActiveError
        if card.status == Card.Status.FROZEN and not card.locked_by_member:
            raise errors.PermissionDeniedError("Staff froze this card; ask them to unfreeze it.")
        Card.objects.filter(id=card.id).update(
            status=Card.Status.FROZEN if lock else Card.Status.ACTIVE, locked_by_member=lock
        )
        audit.record(
            action,
            object_type="card",
            object_id=card.number,
            details={"before": card.status, "member": str(member_id)},
        )
