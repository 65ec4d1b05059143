"""Take members in, sign them in, change what they say of themselves, suspend and reactivate
them.
"""

import re
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from allauth.account.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.translation import gettext, override

from members import onetime, selectors
from members.errors import (
    ExternalIdAlreadyBoundError,
    InvalidCredentialsError,
    MemberSuspendedError,
)
from members.models import ExternalIdentity, Member, MemberToken
from mps.base.audit import services as audit
from mps.base.core import context, db_scope, errors, keys, spending_limits
from mps.base.core.database import DatabaseNow
from mps.base.core.text_validation import CONTROL, is_text

MAX_PASSWORD_LENGTH = 512
_PHONE = re.compile(r"\+?[0-9]{6,15}", re.ASCII)
_PROVIDER = re.compile(r"[a-z][a-z0-9_-]{0,29}", re.ASCII)


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


# --- registration --------------------------------------------------------------------------------


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
    """Check and normalise a registration and hash its password. Slow by purpose; outside any scope.

    :param password: empty: the member cannot sign in by password yet.
    :param provider: with `external_id`, an identity that is proved, or that the caller vouches for.
    :param vouched: whether the caller vouches for phone and e-mail; else the member has to prove
        them, where contacts are verified.
    :raises InvalidRequestError: naming each field that is not as it must be.
    """
    wrong: dict[str, list[str]] = {}
    name = _check_name(name, wrong)
    phone_or_none = _check_phone(phone, wrong)
    email_or_none = _check_email(email, wrong)
    if password:
        _check_password(password, wrong)
    if provider or external_id:
        _check_identity(provider, external_id, wrong)
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


def add_member(new: NewMember) -> Member:
    """Write a member and the Django user they sign in as. Inside a scope of the new member or the
    platform.

    :raises AlreadyExistsError: phone or e-mail belongs to somebody.
    :raises ExternalIdAlreadyBoundError: the external identity does.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT members_next_number()")
        number = cursor.fetchone()[0]
    _require_free(
        phone=new.phone, email=new.email, provider=new.provider, external_id=new.external_id
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
    """Send a new member codes to prove what they said is theirs. Outside any scope.

    Whoever gets no code asks for another one; the registration stands.
    """
    for contact in new.claimed:
        with suppress(errors.RateLimitedError, errors.UnavailableError):
            onetime.request_code("verify", destination=contact, member_id=new.id)


# --- signing in ----------------------------------------------------------------------------------


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
            "A second factor is due: sign in at /_allauth/app/v1/auth/login, or by a passkey."
        )
    token = issue_token(user_id=user_id)
    if token is None:
        raise InvalidCredentialsError
    return token


def check_credentials(*, identifier: str, password: str) -> User | None:
    """Return the user who signs in with these, if they are right. Outside any scope.

    Hashes exactly once, whoever is meant and whatever is wrong.
    """
    known = selectors.find_sign_in(identifier)
    # Nobody is looked up as somebody would be: that takes time, too.
    user = get_user_model().objects.filter(pk=known.user_id if known else 0).first()
    readable = not CONTROL.search(password) and len(password) <= MAX_PASSWORD_LENGTH
    if user is None or not readable:
        make_password(password if readable else "")
        return None
    return user if user.check_password(password) and user.is_active else None


def record_login_failure(*, identifier: str, error: type[errors.MpsError]) -> None:
    """Write down that somebody was not let in. Outside any scope."""
    audit.record(
        "LOGIN_FAILED",
        object_type="member",
        object_id=selectors.mask_identifier(identifier),
        details={"error": error.code},
    )


def record_passkey_change(*, user_id: int, action: str) -> None:
    """Write down that somebody changed how they get in. Outside any scope."""
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
    _check_password(password, wrong)
    if wrong:
        raise errors.InvalidRequestError(errors={field: wrong["password"]})


def encode_password(password: str, *, field: str = "password") -> str:
    """Return the hash of a new password. Slow by purpose; outside any scope.

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
    with db_scope.principal_scope("member_app", member_id):
        member = selectors.get_member(member_id)
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


# --- profile and identities ----------------------------------------------------------------------


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
            asked["name"] = _check_name(name, wrong)
        if phone is not None:
            asked["phone"] = _check_phone(phone, wrong)
        if email is not None:
            asked["email"] = _check_email(email, wrong)
        if wrong:
            raise errors.InvalidRequestError(errors=wrong)
        with db_scope.principal_scope("member_app", member_id):
            member = lock_active(member_id)
            before = {field: getattr(member, field) for field in asked}
            changes = {field: value for field, value in asked.items() if before[field] != value}
            claimed = [] if vouched else _take_claims(changes)
            if changes:
                _require_free(phone=changes.get("phone"), email=changes.get("email"))
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
            member = selectors.get_own_member(member_id)
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
        _check_identity(provider, external_id, wrong)
        if wrong:
            raise errors.InvalidRequestError(errors=wrong)
        with db_scope.principal_scope("platform_admin"):
            return write_identity(
                selectors.get_member(member_id), provider=provider, external_id=external_id
            )


def write_identity(member: Member, *, provider: str, external_id: str) -> ExternalIdentity:
    """Write an identity that is proved or vouched for. Inside a scope of the member's or platform.

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
        db_scope.principal_scope("member_app", member_id),
    ):
        member = lock_active(member_id)
        if not ExternalIdentity.objects.filter(member_id=member_id, provider=provider).delete()[0]:
            raise errors.NotFoundError("There is no identity of this provider.")
        audit.record(
            "IDENTITY_UNBOUND",
            object_type="member",
            object_id=member.number,
            details={"provider": provider},
        )


# --- status --------------------------------------------------------------------------------------


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
    audit.require_reason(reason)
    new = {"limit_per_payment": limit_per_payment, "limit_per_day": limit_per_day}
    spending_limits.require_limits(**new)
    with (
        audit.refusals("MEMBER_LIMITS_REFUSED", object_type="member", object_id=member_id),
        db_scope.principal_scope("platform_admin"),
    ):
        member = Member.objects.select_for_update().filter(id=member_id).first()
        if member is None:
            raise errors.NotFoundError("There is no such member.")
        audit.record(
            "MEMBER_LIMITS_SET",
            object_type="member",
            object_id=member.number,
            details={**spending_limits.write_limits(member, **new), "reason": reason},
        )


def check_contact(text: str) -> tuple[str | None, str | None]:
    """Return a phone, or an e-mail address, as it is stored.

    :raises InvalidRequestError: it is neither.
    """
    wrong: dict[str, list[str]] = {}
    phone = email = None
    if "@" in text:
        email = _check_email(text, wrong)
    else:
        phone = _check_phone(text, wrong)
    if wrong or not (phone or email):
        raise errors.InvalidRequestError(errors={"contact": ["A phone or an e-mail address."]})
    return phone, email


def is_email(text: str) -> bool:
    """Return whether `text` is an e-mail address."""
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 254


def _set_status(member_id: UUID, status: str, action: str, reason: str) -> None:
    with (
        audit.refusals(f"{action}_REFUSED", object_type="member", object_id=member_id),
        db_scope.principal_scope("platform_admin"),
    ):
        member = Member.objects.select_for_update().filter(id=member_id).first()
        if member is None:
            raise errors.NotFoundError("There is no such member.")
        if member.erased_at is not None:
            raise MemberSuspendedError("The member was erased, at their own wish, for ever.")
        before = member.status
        Member.objects.filter(id=member_id).update(status=status, status_reason=reason[:200])
        audit.record(
            action,
            object_type="member",
            object_id=member.number,
            details={"before": before, "after": status, "reason": reason},
        )


def lock_active(member_id: UUID) -> Member:
    """Lock a member who may act, and return them. Inside a scope of theirs or the platform.

    :raises NotFoundError: there is no such member.
    :raises MemberSuspendedError: the member is suspended.
    """
    member = Member.objects.select_for_update().filter(id=member_id).first()
    if member is None:
        raise errors.NotFoundError("There is no such member.")
    if member.status != Member.Status.ACTIVE:
        raise MemberSuspendedError
    return member


def _require_free(
    *, phone: str | None, email: str | None, provider: str = "", external_id: str = ""
) -> None:
    """Refuse what belongs to a member already.

    A member sees no other member's row: the database answers with a name only.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT members_taken(%s, %s, %s, %s)",
            [phone or "", email or "", provider, external_id],
        )
        taken = cursor.fetchone()[0]
    if taken == "external_id":
        raise ExternalIdAlreadyBoundError
    if taken:
        raise errors.AlreadyExistsError(errors={taken: ["Belongs to a member already."]})


def _check_name(name: str, wrong: dict[str, list[str]]) -> str:
    name = name.strip()
    if not is_text(name, at_most=80):
        wrong["name"] = ["1 to 80 characters, no control characters."]
    return name


def _check_phone(phone: str, wrong: dict[str, list[str]]) -> str | None:
    phone = selectors.PHONE_NOISE.sub("", phone)
    if phone and not _PHONE.fullmatch(phone):
        wrong["phone"] = ["6 to 15 digits, with or without a leading +."]
    return phone or None


def _check_email(email: str, wrong: dict[str, list[str]]) -> str | None:
    email = email.strip().lower()
    if email and not is_email(email):
        wrong["email"] = ["Not an e-mail address."]
    return email or None


def _check_password(password: str, wrong: dict[str, list[str]]) -> None:
    if len(password) > MAX_PASSWORD_LENGTH or CONTROL.search(password):
        wrong["password"] = [
            gettext("At most %(count)s characters, no control characters.")
            % {"count": MAX_PASSWORD_LENGTH}
        ]
        return
    try:
        with override("en"):
            validate_password(password)
    except ValidationError as error:
        wrong["password"] = error.messages


def _check_identity(provider: str, external_id: str, wrong: dict[str, list[str]]) -> None:
    if not _PROVIDER.fullmatch(provider):
        wrong["provider"] = ["Lower-case letters, digits, _ and -, at most 30."]
    if not is_text(external_id, at_most=128):
        wrong["external_id"] = ["1 to 128 characters, no control characters."]


def _mask(field: str, value: str | None) -> str | None:
    """Return what the audit log keeps of it: the log outlives whoever asks to be erased."""
    if not value:
        return value
    return f"{value[:1]}…" if field == "name" else selectors.mask_identifier(value)
