"""Create and revoke members' payment codes.

Rules: docs/rules.md#payment-codes.
"""

from uuid import UUID

from django.conf import settings
from django.db import connection

from cards import codes, holding, selectors
from cards.models import Binding, Card, PaymentCode
from members.errors import MemberSuspendedError
from members.models import Member
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors
from mps.base.core.database import DatabaseNow
from mps.base.core.db_scope import Scope

MIN_TTL_SECONDS = 60

MAX_TTL_SECONDS = 24 * 3600


def issue_code(
    *,
    card_id: UUID | None = None,
    card_no: str = "",
    member_id: UUID,
    ttl_seconds: int | None = None,
) -> codes.ShownCode:
    """Make the member a new code for the card; the one before is dead at once.

    :param card_id: the card, or `card_no`: its number.
    :param ttl_seconds: 60 to 86,400; default `MPS_CODE_TTL_SECONDS` (900).
    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    :raises PermissionDeniedError: the member may look at the card, but not pay with it.
    :raises MemberSuspendedError: the member or the card's owner is suspended.
    :raises CardNotActiveError, CardExpiredError: the card cannot pay.
    :raises InvalidRequestError: `ttl_seconds` is out of bounds.
    """
    ttl_seconds = settings.MPS_CODE_TTL_SECONDS if ttl_seconds is None else ttl_seconds
    if not MIN_TTL_SECONDS <= ttl_seconds <= MAX_TTL_SECONDS:
        raise errors.InvalidRequestError(
            errors={"ttl_seconds": [f"Must be from {MIN_TTL_SECONDS} to {MAX_TTL_SECONDS}."]}
        )
    which = holding.which_card(card_id, card_no)
    with (
        audit.refusals("CODE_REFUSED", object_type="card", object_id=card_no or card_id),
        db_scope.principal_scope("member_app", member_id) as scope,
    ):
        card = _require_payable(scope, holding.require_bound(scope, which, member_id))
        key = codes.current_keys()[0]
        nonce = codes.new_nonce()
        code = codes.derive_code(key, nonce)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT issued_at, expires_at FROM cards_issue_codes("
                "p_cards => %s::uuid[], p_members => %s::uuid[], p_nonces => %s::bytea[],"
                " p_key_id => %s, p_hashes => %s::bytea[], p_ttl_seconds => %s)",
                [
                    [card.id],
                    [member_id],
                    [nonce],
                    key.id,
                    [codes.hash_code(key, code)],
                    ttl_seconds,
                ],
            )
            issued_at, expires_at = cursor.fetchone()
        audit.record(
            "CODE_ISSUED",
            object_type="card",
            object_id=card.number,
            details={"member": str(member_id), "ttl_seconds": ttl_seconds},
        )
    return codes.ShownCode(code, issued_at, expires_at)


def revoke_code(*, card_id: UUID | None = None, card_no: str = "", member_id: UUID) -> None:
    """Kill the member's live code for the card at once. Safe to repeat.

    :param card_id: the card, or `card_no`: its number.
    :raises CardNotFoundError: there is no such card, or the member has no part in it.
    """
    which = holding.which_card(card_id, card_no)
    with (
        audit.refusals("CODE_REVOKE_REFUSED", object_type="card", object_id=card_no or card_id),
        db_scope.principal_scope("member_app", member_id) as scope,
    ):
        card = holding.require_bound(scope, which, member_id).card
        end_codes(scope, card.id, member_id)
        audit.record(
            "CODE_REVOKED",
            object_type="card",
            object_id=card.number,
            details={"member": str(member_id)},
        )


def end_codes(scope: Scope, card_id: UUID, member_id: UUID | None = None) -> None:
    """Kill the live codes for a card, or one member's. After the facts: codes are locked last."""
    live = PaymentCode.objects.filter(card_id=card_id, ended_at=None)
    if member_id is not None:
        live = live.filter(member_id=member_id)
    live.update(ended_at=DatabaseNow(), outcome="revoked")


def _require_payable(scope: Scope, binding: Binding) -> Card:
    """Return the card if its member could pay with it now."""
    card = binding.card
    if binding.member.status == Member.Status.SUSPENDED or not selectors.owner_is_active(
        scope, card.id
    ):
        raise MemberSuspendedError
    if not binding.rights.may_pay:
        raise errors.PermissionDeniedError
    return holding.require_usable(scope, card)
