"""Request an action, and approve or reject another person's request.

The request is bound to its payload: whoever decides sends the hash of what they saw, and exactly
that is carried out, once.

Rules: docs/rules.md#four-eyes.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import BooleanField, ExpressionWrapper, Q
from django.utils.translation import gettext as _

from mps.base.approvals.models import Approval
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors, problems
from mps.base.core.database import DatabaseNow
from mps.base.core.db_scope import Scope

State = Approval.State
_MAX_RESULT = 1000
_EXPIRE_BATCH = 500
_IS_LATE = ExpressionWrapper(Q(expires_at__lte=DatabaseNow()), output_field=BooleanField())


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of carrying out an approved act.

    :param refused: a service refused; nothing moved where it did.
    """

    text: str
    refused: bool = False


def hash_payload(payload: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a payload in its one canonical form."""
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def request_approval(
    *, act: str, subject: str, payload: Mapping[str, Any], reason: str, maker: User
) -> Approval:
    """Ask for an act; it happens when somebody else agrees in time.

    :param act: `app.model:act`, as the console names it.
    :param payload: JSON: all that is needed to carry it out.
    """
    with db_scope.principal_scope("platform_admin"):
        approval = Approval.objects.create(
            act=act,
            subject=subject[:200],
            payload=payload,
            payload_hash=hash_payload(payload),
            reason=reason[:200],
            maker=maker,
            expires_at=DatabaseNow() + timedelta(seconds=settings.MPS_APPROVAL_TTL_SECONDS),
        )
        approval.refresh_from_db()
        _record("APPROVAL_REQUESTED", approval)
    return approval


def approve(
    *,
    approval_id: UUID,
    payload_hash: str,
    checker: User,
    execute: Callable[[Approval], Outcome],
) -> Outcome:
    """Agree to what another asked for, and have it carried out.

    At most once: the decision commits first. If the process dies in between, it stays `approved`,
    for somebody to look at; the log says whether the service got to it.

    :param payload_hash: of what the checker saw.
    :param execute: calls the act's service, outside any scope.
    :raises PermissionDeniedError: the checker asked for it, or may not do it.
    :raises InvalidRequestError: it is decided or expired, or is not what the checker saw.
    """
    with (
        audit.refusals("APPROVAL_REFUSED", object_type="approval", object_id=approval_id),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        approval = _take(scope, approval_id)
        if approval.maker_id == checker.pk:
            raise errors.PermissionDeniedError(_("Someone else must approve this."))
        if not (checker.is_staff and checker.has_perm(_permission(approval))):
            raise errors.PermissionDeniedError
        if payload_hash != approval.payload_hash or approval.payload_hash != hash_payload(
            approval.payload
        ):
            raise errors.InvalidRequestError(
                _("The request has changed since you opened it. Review it again.")
            )
        _decide(scope, approval, State.APPROVED, checker)
        _record("APPROVAL_APPROVED", approval)
    return _carry_out(approval, execute)


def reject(*, approval_id: UUID, reason: str, checker: User) -> None:
    """Refuse what another asked for, or withdraw what one asked for oneself.

    :raises PermissionDeniedError: the checker might not do it either.
    :raises InvalidRequestError: it is decided or expired.
    """
    with (
        audit.refusals("APPROVAL_REJECT_REFUSED", object_type="approval", object_id=approval_id),
        db_scope.principal_scope("platform_admin") as scope,
    ):
        approval = _take(scope, approval_id)
        if not (checker.is_staff and checker.has_perm(_permission(approval))):
            raise errors.PermissionDeniedError
        _decide(scope, approval, State.REJECTED, checker)
        _record("APPROVAL_REJECTED", approval, reason=reason)


def expire_approvals() -> int:
    """Close what nobody decided on in time; return how many. Safe to repeat and to interrupt."""
    closed = 0
    while batch := _expire_batch():
        closed += batch
    return closed


# --- inside ---------------------------------------------------------------------------------------


def _take(scope: Scope, approval_id: UUID) -> Approval:
    """Lock a request that can still be decided on; the database's clock says whether."""
    approval = (
        Approval.objects.select_for_update(of=("self",))
        .select_related("maker")
        .annotate(is_late=_IS_LATE)
        .filter(id=approval_id)
        .first()
    )
    if approval is None:
        raise errors.NotFoundError
    if approval.state != State.REQUESTED:
        raise errors.InvalidRequestError(_("This request has already been decided."))
    if approval.is_late:
        raise errors.InvalidRequestError(_("This request has expired. Submit it again."))
    return approval


def _decide(scope: Scope, approval: Approval, state: str, checker: User | None) -> None:
    approval.state, approval.checker = state, checker
    approval.decided_at = DatabaseNow()
    approval.save(update_fields=["state", "checker", "decided_at"])


def _carry_out(approval: Approval, execute: Callable[[Approval], Outcome]) -> Outcome:
    try:
        outcome = execute(approval)
    except Exception as exception:
        error = problems.as_mps_error(exception)
        _finish(approval, Outcome(error.detail if error else type(exception).__name__, True))
        raise
    _finish(approval, outcome)
    return outcome


def _finish(approval: Approval, outcome: Outcome) -> None:
    with db_scope.principal_scope("platform_admin"):
        approval.state = State.FAILED if outcome.refused else State.DONE
        approval.result = outcome.text[:_MAX_RESULT]
        approval.save(update_fields=["state", "result"])


def _expire_batch() -> int:
    with db_scope.principal_scope("platform_admin") as scope:
        late = list(
            Approval.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("maker")
            .filter(state=State.REQUESTED, expires_at__lte=DatabaseNow())
            .order_by("expires_at")[:_EXPIRE_BATCH]
        )
        for approval in late:
            _decide(scope, approval, State.EXPIRED, None)
            _record("APPROVAL_EXPIRED", approval)
    return len(late)


def _permission(approval: Approval) -> str:
    """Return the right that whoever agrees must have: the one the act itself needs."""
    app, _dot, model = str(approval.payload["model"]).partition(".")
    return f"{app}.change_{model}"


def _record(action: str, approval: Approval, **more: str) -> None:
    audit.record(
        action,
        object_type="approval",
        object_id=approval.id,
        details={
            "act": approval.act,
            "subject": approval.subject,
            "maker": approval.maker.get_username(),
            "payload_hash": approval.payload_hash,
            "reason": approval.reason,
            **more,
        },
    )
