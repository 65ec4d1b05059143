"""Payments above the threshold: the member's decision, or expiry without one.

Rules: docs/rules.md#payments-a-member-approves.
"""

import logging
from dataclasses import replace
from uuid import UUID

from django.db.models import QuerySet

from cards import payment_codes
from cards.errors import CodeExpiredOrInvalidError
from members import pins
from merchants import selectors as merchants
from merchants.selectors import Till
from mps.base.audit import services as audit
from mps.base.core import db_scope, problems
from mps.base.core.database import DatabaseNow
from mps.base.core.db_scope import Scope
from mps.base.core.errors import MpsError, NotFoundError, UnavailableError
from payments import charges, pending_consents
from payments.errors import ApprovalDeclinedError, ApprovalExpiredError
from payments.idempotency import Answer
from payments.models import Consent

logger = logging.getLogger(__name__)

_CODE_SECONDS = 60
_BATCH = 500


def approve_payment(*, member_id: UUID, approval_id: UUID, pin: str) -> Answer:
    """Let a payment go ahead, on the payer's PIN; the till's key is answered with the outcome.

    :raises NotFoundError: no such payment waits for this member.
    :raises PermissionDeniedError: the member has set no PIN.
    :raises InvalidCredentialsError: it is wrong.
    :raises RateLimitedError: it was wrong too often.
    :raises UnavailableError: nothing was decided; ask again.
    """
    with audit.refusals("APPROVAL_REFUSED", object_type="member", object_id=member_id):
        approval = _get(member_id, approval_id)
        pins.require_pin(member_id=member_id, pin=pin)
    till = _till_of(approval)
    try:
        # The code the till scanned is burnt: the payment takes the usual way by a new one.
        code = _new_code(approval.card_id, approval.member_id)
        voucher_code = ""
        if approval.voucher_card_id and approval.voucher_member_id:
            voucher_code = _new_code(approval.voucher_card_id, approval.voucher_member_id)
        return charges.charge_approved(
            till=till, approval=approval, code=code, voucher_code=voucher_code
        )
    except UnavailableError:
        raise
    except CodeExpiredOrInvalidError as error:
        # A second approval at the same moment made a newer code: that one decides.
        raise UnavailableError from error
    except MpsError as refusal:
        _close(approval, till, refusal)
        raise


def decline_payment(*, member_id: UUID, approval_id: UUID) -> None:
    """Refuse a payment that waits for its member; the till is told.

    :raises NotFoundError: no such payment waits for this member.
    """
    with audit.refusals("APPROVAL_REFUSED", object_type="member", object_id=member_id):
        approval = _get(member_id, approval_id)
    _close(approval, _till_of(approval), ApprovalDeclinedError())


def close_expired(*, dry_run: bool = False) -> int:
    """Close the payments whose members kept silent; return how many. Safe to run twice at once.

    One that cannot be closed now is left to the next run, and holds up no other.
    """
    if dry_run:
        with db_scope.principal_scope("platform_admin") as scope:
            return _due(scope).count()
    closed = 0
    after = UUID(int=0)
    while True:
        with db_scope.principal_scope("platform_admin") as scope:
            due = list(_due(scope).filter(id__gt=after).order_by("id")[:_BATCH])
        for each in due:
            try:
                closed += _close(each, _till_of(each), ApprovalExpiredError())
            except Exception as exception:
                known = problems.as_mps_error(exception)
                logger.error(
                    "a payment that waits was not closed",
                    extra={"approval": str(each.id), "code": known.code if known else ""},
                    exc_info=None if known else exception,
                )
        if len(due) < _BATCH:
            return closed
        after = due[-1].id


def _due(scope: Scope) -> QuerySet[Consent]:
    return Consent.objects.filter(state=Consent.State.AWAITING, expires_at__lte=DatabaseNow())


def _get(member_id: UUID, approval_id: UUID) -> Consent:
    with db_scope.principal_scope("member_app", member_id):
        approval = Consent.objects.filter(
            id=approval_id,
            member_id=member_id,
            state=Consent.State.AWAITING,
            expires_at__gt=DatabaseNow(),
        ).first()
    if approval is None:
        raise NotFoundError("No such payment is waiting for your approval.")
    return approval


def _till_of(approval: Consent) -> Till:
    till = merchants.get_till(merchant_id=approval.merchant_id)
    return replace(till, terminal_id=approval.terminal_id)


def _new_code(card_id: UUID, member_id: UUID) -> str:
    shown = payment_codes.issue_code(
        card_id=card_id, member_id=member_id, ttl_seconds=_CODE_SECONDS
    )
    return shown.code


def _close(approval: Consent, till: Till, refusal: MpsError) -> bool:
    with db_scope.principal_scope("merchant_api", till.merchant_id) as scope:
        return pending_consents.close_approval(scope, approval, refusal)
