"""Register members, sign them in, suspend and reactivate them."""

import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from allauth.account.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models.functions import Now
from django.http import HttpRequest

from members import field_checks, onetime, selectors
from members.errors import (
    InvalidCredentialsError,
    MemberSuspendedError,
)
from members.models import ExternalIdentity, Member, MemberToken
from mps.base.audit import limits
from mps.base.audit import services as audit
from mps.base.core import context, db_scope, errors, keys
from mps.base.core.database import DatabaseNow
from mps.base.core.db_scope import Scope
from mps.base.core.text_validation import CONTROL


@dataclass(frozen=True, slots=True)
class NewMember:
    """A registration, checked and normalised, its password hashed: what `add_member` writes."""

    id: UUID
    name: str
    phone: str | None
    email: str | None
    password: str
    provider: str
    external_id: str
    # Whether whoever registers them vouches for phone and e-mail.
    vouched: bool
    # What the member says is theirs and has yet to prove: it signs nobody in until then.
    claimed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token just made. Its text is shown once and stored nowhere."""

    id: UUID
    token: str
    expires_at: datetime


def check_registration(
    *,
    name: str,
    phone: str = "",
    email: str = "",
    password: str = "",
    provider: str = "",
    external_id: str = "",
    vouched: bool = True,
) -> NewMember:
    """Check and normalise a registration and hash its password. Slow by purpose.

    :param password: empty: the member cannot sign in by password yet.
    :param provider: with `external_id`, an identity that is proved, or that the caller vouches for.
    :param vouched: whether the caller vouches for phone and e-mail; else the member has to prove
        them, where contacts are verified.
    :raises InvalidRequestError: naming each field that is not as it must be.
    """
    wrong: dict[str, list[str]] = {}
    name = field_checks.check_name(name, wrong)
    phone_or_none = field_checks.check_phone(phone, wrong)
    email_or_none = field_checks.check_email(email, wrong)
    if password:
        field_checks.check_password(password, wrong)
    if provider or external_id:
        field_checks.check_identity(provider, external_id, wrong)
    if wrong:
        raise errors.InvalidRequestError(errors=wrong)
    claimed: tuple[str, ...] = ()
    if settings.MPS_VERIFY_CONTACTS and not vouched:
        # Whether it is somebody's already is told to nobody but whoever reads there.
        claimed = tuple(contact for contact in (phone_or_none, email_or_none) if contact)
        phone_or_none = email_or_none = None
    return NewMember(
        id=uuid.uuid4(),
        name=name,
        phone=phone_or_none,
        email=email_or_none,
        password=make_password(password or None),
        provider=provider,
        external_id=external_id,
        vouched=vouched,
        claimed=claimed,
    )


def add_member(scope: Scope, new: NewMember) -> Member:
    """Write a member and the Django user they sign in as.

    :param scope: the new member's or the platform's.
    :raises AlreadyExistsError: phone or e-mail belongs to somebody.
    :raises ExternalIdAlreadyBoundError: the external identity does.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT members_next_number()")
        number = cursor.fetchone()[0]
    field_checks.require_free(
        scope, phone=new.phone, email=new.email, provider=new.provider, external_id=new.external_id
    )
    user = get_user_model().objects.create(username=new.id.hex, password=new.password)
    member = Member.objects.create(
        id=new.id,
        number=number,
        user=user,
        name=new.name,
        phone=new.phone,
        email=new.email,
        phone_verified_at=DatabaseNow() if new.phone and new.vouched else None,
        email_verified_at=DatabaseNow() if new.email and new.vouched else None,
    )
    if new.provider:
        ExternalIdentity.objects.create(
            member=member, provider=new.provider, external_id=new.external_id
        )
    return member


def send_first_codes(new: NewMember) -> None:
    """Send a new member codes to prove what they said is theirs.

    Whoever gets no code asks for another one; the registration stands.
    """
    for contact in new.claimed:
        with suppress(errors.RateLimitedError, errors.UnavailableError):
            onetime.request_code("verify", destination=contact, member_id=new.id)


def sign_in(*, request: HttpRequest, identifier: str, password: str) -> IssuedToken:
    """Sign a member in by password, within allauth's limits, and give them a token.

    Suspended members too: they may look.

    :param identifier: phone, e-mail or member number.
    :raises InvalidCredentialsError: identifier or password is wrong.
    :raises RateLimitedError: too many failures of this account or this address.
    """
    try:
        user = get_adapter(request).authenticate(request, username=identifier, password=password)
    except ValidationError as error:
        wait = (error.params or {})["retry_after_seconds"]
        raise errors.RateLimitedError(retry_after_seconds=wait) from None
    if user is None:
        raise InvalidCredentialsError
    return let_in(user_id=user.pk)


def let_in(*, user_id: int) -> IssuedToken:
    """Give a member whose first factor was right a token.

    :raises InvalidCredentialsError: it is no member.
    :raises NotAuthenticatedError: a second factor is due, which this door does not take.
    """
    factors = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]
    if is_mfa_enabled(get_user_model().objects.get(pk=user_id), factors):
        raise errors.NotAuthenticatedError(
            "A second factor is required. Sign in at /_allauth/app/v1/auth/login, or "
            "with a passkey."
        )
    token = issue_token(user_id=user_id)
    if token is None:
        raise InvalidCredentialsError
    return token


def check_credentials(*, identifier: str, password: str) -> User | None:
    """Return the user who signs in with these, if they are right.

    Hashes exactly once, whoever is meant and whatever is wrong.
    """
    known = selectors.find_sign_in(identifier)
    # Nobody is looked up as somebody would be: that takes time, too.
    user = get_user_model().objects.filter(pk=known.user_id if known else 0).first()
    readable = not CONTROL.search(password) and len(password) <= field_checks.MAX_PASSWORD_LENGTH
    if user is None or not readable:
        make_password(password if readable else "")
        return None
    return user if user.check_password(password) and user.is_active else None


def record_login_failure(*, identifier: str, error: type[errors.MpsError]) -> None:
    """Write down that somebody was not let in."""
    audit.record(
        "LOGIN_FAILED",
        object_type="member",
        object_id=selectors.mask_identifier(identifier),
        details={"error": error.code},
    )


def record_passkey_change(*, user_id: int, action: str) -> None:
    """Write down that somebody changed how they get in."""
    member = selectors.find_sign_in_of_user(user_id)
    if member is not None:
        context.set_actor("member", member.member_number)
        audit.record(action, object_type="member", object_id=member.member_number)


def issue_token(*, user_id: int) -> IssuedToken | None:
    """Give the member a Django user is a token for `MPS_MEMBER_TOKEN_TTL_SECONDS`; None for staff.

    The caller has authenticated them in full.
    """
    member = selectors.find_sign_in_of_user(user_id)
    if member is None:
        return None
    context.set_actor("member", member.member_number)
    token_id = uuid.uuid4()
    text, secret_hash = keys.make_key("m", token_id)
    with db_scope.principal_scope("member_app", member.member_id):
        with connection.cursor() as cursor:
            cursor.execute("SELECT now()")
            now: datetime = cursor.fetchone()[0]
        token = MemberToken.objects.create(
            id=token_id,
            member_id=member.member_id,
            secret_hash=secret_hash,
            expires_at=now + timedelta(seconds=settings.MPS_MEMBER_TOKEN_TTL_SECONDS),
            address=context.current().address,
        )
        audit.record(
            "LOGIN_SUCCEEDED",
            object_type="member",
            object_id=member.member_number,
            details={"token": str(token_id)},
        )
    return IssuedToken(token_id, text, token.expires_at)


def revoke_token(*, user_id: int, token_id: UUID) -> None:
    """End one of a member's tokens at once. Safe to repeat; only the first time is recorded."""
    member = selectors.find_sign_in_of_user(user_id)
    if member is None:
        return
    context.set_actor("member", member.member_number)
    with db_scope.principal_scope("member_app", member.member_id):
        if MemberToken.objects.filter(
            id=token_id, member_id=member.member_id, revoked_at=None
        ).update(revoked_at=Now()):
            audit.record(
                "LOGGED_OUT",
                object_type="member",
                object_id=member.member_number,
                details={"token": str(token_id)},
            )


def set_password(*, member_id: UUID, password: str) -> None:
    """Give a member another password. Every token they have ends, every session too.

    :raises InvalidRequestError: the password is too short, too long or too common.
    :raises NotFoundError: there is no such member.
    """
    with audit.refusals("PASSWORD_CHANGE_REFUSED", object_type="member", object_id=member_id):
        write_password(member_id=member_id, encoded=encode_password(password))


def check_new_password(password: str, *, field: str = "password") -> None:
    """Check a password somebody wants from now on.

    :raises InvalidRequestError: it is too short, too long or too common.
    """
    wrong: dict[str, list[str]] = {}
    field_checks.check_password(password, wrong)
    if wrong:
        raise errors.InvalidRequestError(errors={field: wrong["password"]})


def encode_password(password: str, *, field: str = "password") -> str:
    """Return the hash of a new password. Slow by purpose.

    :raises InvalidRequestError: it is too short, too long or too common.
    """
    check_new_password(password, field=field)
    return make_password(password)


def write_password(
    *, member_id: UUID, encoded: str, keep_token: UUID | None = None, acting: bool = False
) -> None:
    """Write a member's new password; their tokens end, but for one, and every session does.

    :param keep_token: of the session that asked.
    :param acting: they have proved who they are on the way.
    :raises NotFoundError: there is no such member.
    """
    with db_scope.principal_scope("member_app", member_id) as scope:
        member = selectors.get_member(scope, member_id)
        if acting:
            context.set_actor("member", member.number)
        get_user_model().objects.filter(pk=member.user_id).update(password=encoded)
        living = MemberToken.objects.filter(member_id=member_id, revoked_at=None)
        if keep_token is not None:
            living = living.exclude(id=keep_token)
        ended = living.update(revoked_at=Now())
        audit.record(
            "PASSWORD_CHANGED",
            object_type="member",
            object_id=member.number,
            details={"tokens_ended": ended},
        )


def suspend_member(*, member_id: UUID, reason: str = "") -> None:
    """Stop a member: their cards neither pay nor get codes. Safe to repeat.

    :raises NotFoundError: there is no such member.
    """
    _set_status(member_id, Member.Status.SUSPENDED, "MEMBER_SUSPENDED", reason)


def activate_member(*, member_id: UUID, reason: str = "") -> None:
    """Let a suspended member act again. Safe to repeat.

    :raises NotFoundError: there is no such member.
    :raises MemberSuspendedError: the member was erased, which is for ever.
    """
    _set_status(member_id, Member.Status.ACTIVE, "MEMBER_ACTIVATED", reason)


def set_limits(
    *,
    member_id: UUID,
    limit_per_payment: Decimal | None,
    limit_per_day: Decimal | None,
    reason: str,
) -> None:
    """Limit what a member may pay, with whatever card; None: no limit.

    :raises NotFoundError: there is no such member.
    :raises InvalidRequestError: a limit is not as it must be, or there is no reason.
    """
    limits.set_limits(
        Member.objects.select_for_update().filter(id=member_id),
        limit_per_payment=limit_per_payment,
        limit_per_day=limit_per_day,
        reason=reason,
        action="MEMBER_LIMITS_SET",
        asked=limits.Subject("member", member_id),
        missing=errors.NotFoundError("Member not found."),
        subject=lambda member: limits.Subject("member", member.number),
    )


def _set_status(member_id: UUID, status: str, action: str, reason: str) -> None:
    with (
        audit.refusals(f"{action}_REFUSED", object_type="member", object_id=member_id),
        db_scope.principal_scope("platform_admin"),
    ):
        member = Member.objects.select_for_update().filter(id=member_id).first()
        if member is None:
            raise errors.NotFoundError("Member not found.")
        if member.erased_at is not None:
            raise MemberSuspendedError("The member was permanently erased at their own request.")
        before = member.status
        Member.objects.filter(id=member_id).update(status=status, status_reason=reason[:200])
        audit.record(
            action,
            object_type="member",
            object_id=member.number,
            details={"before": before, "after": status, "reason": reason},
        )


def lock_active(scope: Scope, member_id: UUID) -> Member:
    """Lock a member who may act, and return them.

    :raises NotFoundError: there is no such member.
    :raises MemberSuspendedError: the member is suspended.
    """
    scope.require_open()
    member = Member.objects.select_for_update().filter(id=member_id).first()
    if member is None:
        raise errors.NotFoundError("Member not found.")
    if member.status != Member.Status.ACTIVE:
        raise MemberSuspendedError
    return member
