"""Change a member's profile; bind and remove external identities."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from members import field_checks, onetime, selectors, services
from members.errors import (
    ExternalIdAlreadyBoundError,
)
from members.models import ExternalIdentity, Member
from mps.base.audit import services as audit
from mps.base.core import db_scope, errors
from mps.base.core.database import DatabaseNow
from mps.base.core.db_scope import Scope


def update_profile(
    *,
    member_id: UUID,
    name: str | None = None,
    phone: str | None = None,
    email: str | None = None,
    vouched: bool = False,
) -> Member:
    """Change what a member says of themselves; what is None stays. Repeating it changes nothing.

    Where contacts are verified, a new phone or e-mail is sent a code, and is theirs once they have
    typed it.

    :param phone: empty: none any more; `email` likewise.
    :param vouched: whether the caller vouches for phone and e-mail.
    :raises RateLimitedError: too many codes were sent there, or for this address.
    :raises InvalidRequestError: naming each field that is not as it must be.
    :raises AlreadyExistsError: phone or e-mail belongs to somebody else.
    :raises MemberSuspendedError: the member is suspended.
    """
    with audit.refusals("PROFILE_CHANGE_REFUSED", object_type="member", object_id=member_id):
        wrong: dict[str, list[str]] = {}
        asked: dict[str, str | None] = {}
        if name is not None:
            asked["name"] = field_checks.check_name(name, wrong)
        if phone is not None:
            asked["phone"] = field_checks.check_phone(phone, wrong)
        if email is not None:
            asked["email"] = field_checks.check_email(email, wrong)
        if wrong:
            raise errors.InvalidRequestError(errors=wrong)
        with db_scope.principal_scope("member_app", member_id) as scope:
            member = services.lock_active(scope, member_id)
            before = {field: getattr(member, field) for field in asked}
            changes = {field: value for field, value in asked.items() if before[field] != value}
            claimed = [] if vouched else _take_claims(changes)
            if changes:
                field_checks.require_free(
                    scope, phone=changes.get("phone"), email=changes.get("email")
                )
                Member.objects.filter(id=member_id).update(**changes, **_proofs(changes, vouched))
                audit.record(
                    "PROFILE_CHANGED",
                    object_type="member",
                    object_id=member.number,
                    details={
                        "before": {field: _mask(field, before[field]) for field in changes},
                        "after": {field: _mask(field, value) for field, value in changes.items()},
                    },
                )
            member = selectors.get_own_member(scope, member_id)
        for contact in claimed:
            onetime.request_code("verify", destination=contact, member_id=member_id)
        return member


def vouch_profile(*, member_id: UUID, name: str, phone: str, email: str) -> Member:
    """Change what is known of a member, for staff or a trusted backend, who vouch for it.

    :raises InvalidRequestError: naming each field that is not as it must be.
    :raises AlreadyExistsError: phone or e-mail belongs to somebody else.
    :raises MemberSuspendedError: the member is suspended.
    """
    return update_profile(member_id=member_id, name=name, phone=phone, email=email, vouched=True)


def _take_claims(changes: dict[str, str | None]) -> list[str]:
    """Take what has to be proved first out of the changes, and return it."""
    if not settings.MPS_VERIFY_CONTACTS:
        return []
    claims = [field for field in ("phone", "email") if changes.get(field)]
    return [str(changes.pop(field)) for field in claims]


def _proofs(changes: dict[str, str | None], vouched: bool) -> dict[str, Any]:
    """Return what is known from now on of what was changed: whether it is proved."""
    return {
        f"{field}_verified_at": DatabaseNow() if vouched and changes[field] else None
        for field in ("phone", "email")
        if field in changes
    }


def bind_identity(*, member_id: UUID, provider: str, external_id: str) -> ExternalIdentity:
    """Write down who a member is at a provider; whoever calls has proved it or vouches for it.

    :raises InvalidRequestError: provider or external id is not as it must be.
    :raises NotFoundError: there is no such member.
    :raises ExternalIdAlreadyBoundError: the identity belongs to a member, or this member has one of
        this provider.
    """
    with audit.refusals(
        "IDENTITY_BIND_REFUSED",
        object_type="member",
        object_id=member_id,
        details={"provider": provider[:30]},
    ):
        wrong: dict[str, list[str]] = {}
        field_checks.check_identity(provider, external_id, wrong)
        if wrong:
            raise errors.InvalidRequestError(errors=wrong)
        with db_scope.principal_scope("platform_admin") as scope:
            return write_identity(
                scope,
                selectors.get_member(scope, member_id),
                provider=provider,
                external_id=external_id,
            )


def write_identity(
    scope: Scope, member: Member, *, provider: str, external_id: str
) -> ExternalIdentity:
    """Write an identity that is proved or vouched for.

    :raises ExternalIdAlreadyBoundError: it belongs to a member, or this one has one there.
    """
    try:
        # The constraints decide: two at once cannot both be let in.
        with transaction.atomic():
            identity = ExternalIdentity.objects.create(
                member=member, provider=provider, external_id=external_id
            )
    except IntegrityError:
        raise ExternalIdAlreadyBoundError from None
    audit.record(
        "IDENTITY_BOUND",
        object_type="member",
        object_id=member.number,
        details={"provider": provider},
    )
    return identity


def unbind_identity(*, member_id: UUID, provider: str) -> None:
    """Forget who a member is at a provider, at their own wish.

    :raises NotFoundError: they have no identity there.
    :raises MemberSuspendedError: the member is suspended.
    """
    with (
        audit.refusals(
            "IDENTITY_UNBIND_REFUSED",
            object_type="member",
            object_id=member_id,
            details={"provider": provider[:30]},
        ),
        db_scope.principal_scope("member_app", member_id) as scope,
    ):
        member = services.lock_active(scope, member_id)
        if not ExternalIdentity.objects.filter(member_id=member_id, provider=provider).delete()[0]:
            raise errors.NotFoundError("No identity of this provider was found.")
        audit.record(
            "IDENTITY_UNBOUND",
            object_type="member",
            object_id=member.number,
            details={"provider": provider},
        )


def _mask(field: str, value: str | None) -> str | None:
    """Return what the audit log keeps of it: the log outlives whoever asks to be erased."""
    if not value:
        return value
    return f"{value[:1]}…" if field == "name" else selectors.mask_identifier(value)
