"""Take members in, change what they say of themselves, suspend and reactivate them."""

import re
import uuid
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection

from members.errors import ExternalIdAlreadyBoundError
from members.models import ExternalIdentity, Member
from mps.audit import services as audit
from mps.core import errors, principals

_PHONE = re.compile(r"\+?[0-9]{6,15}", re.ASCII)
_PHONE_NOISE = re.compile(r"[ ().-]")
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


def check_registration(
    *,
    name: str,
    phone: str = "",
    email: str = "",
    password: str = "",
    provider: str = "",
    external_id: str = "",
) -> NewMember:
    """Check and normalise a registration and hash its password. Slow by purpose; outside any scope.

    :param password: empty: the member cannot sign in by password yet.
    :param provider: with `external_id`, an identity the caller vouches for.
    :raises InvalidRequestError: naming each field that is not as it must be.
    """
    wrong: dict[str, list[str]] = {}
    if not 1 <= len(name.strip()) <= 80:
        wrong["name"] = ["1 to 80 characters."]
    phone = _PHONE_NOISE.sub("", phone)
    if phone and not _PHONE.fullmatch(phone):
        wrong["phone"] = ["6 to 15 digits, with or without a leading +."]
    email = email.strip().lower()
    if email and not is_email(email):
        wrong["email"] = ["Not an e-mail address."]
    if bool(provider) != bool(external_id):
        wrong["external_id"] = ["Provider and external id go together."]
    if provider and not _PROVIDER.fullmatch(provider):
        wrong["provider"] = ["Lower-case letters, digits, _ and -, at most 30."]
    if len(external_id) > 128:
        wrong["external_id"] = ["At most 128 characters."]
    if wrong:
        raise errors.InvalidRequestError(errors=wrong)
    return NewMember(
        id=uuid.uuid4(),
        name=name.strip(),
        phone=phone or None,
        email=email or None,
        password=make_password(password or None),
        provider=provider,
        external_id=external_id,
    )


def add_member(new: NewMember) -> Member:
    """Write a member and the Django user they sign in as. Inside a scope of the new member or the
    platform.

    :raises AlreadyExistsError: phone or e-mail belongs to somebody.
    :raises ExternalIdAlreadyBoundError: the external identity does.
    """
    with connection.cursor() as cursor:
        # Whoever registers sees no other member's row; unique constraints are asked by name
        # instead.
        cursor.execute("SELECT members_next_number()")
        number = cursor.fetchone()[0]
        cursor.execute(
            "SELECT members_taken(%s, %s, %s, %s)",
            [new.phone or "", new.email or "", new.provider, new.external_id],
        )
        taken = cursor.fetchone()[0]
    if taken == "external_id":
        raise ExternalIdAlreadyBoundError
    if taken:
        raise errors.AlreadyExistsError(errors={taken: ["Belongs to a member already."]})
    user = get_user_model().objects.create(username=new.id.hex, password=new.password)
    member = Member.objects.create(
        id=new.id, number=number, user=user, name=new.name, phone=new.phone, email=new.email
    )
    if new.provider:
        ExternalIdentity.objects.create(
            member=member, provider=new.provider, external_id=new.external_id
        )
    return member


def suspend_member(*, member_id: UUID, reason: str = "") -> None:
    """Stop a member: their cards neither pay nor get codes. Safe to repeat.

    :raises NotFoundError: there is no such member.
    """
    _set_status(member_id, Member.Status.SUSPENDED, "MEMBER_SUSPENDED", reason)


def activate_member(*, member_id: UUID, reason: str = "") -> None:
    """Let a suspended member act again. Safe to repeat.

    :raises NotFoundError: there is no such member.
    """
    _set_status(member_id, Member.Status.ACTIVE, "MEMBER_ACTIVATED", reason)


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
        principals.principal_scope("platform_admin"),
    ):
        member = Member.objects.select_for_update().filter(id=member_id).first()
        if member is None:
            raise errors.NotFoundError("There is no such member.")
        before = member.status
        Member.objects.filter(id=member_id).update(status=status, status_reason=reason[:200])
        audit.record(
            action,
            object_type="member",
            object_id=member.number,
            details={"before": before, "after": status, "reason": reason},
        )
