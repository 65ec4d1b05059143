"""Look up members by token, identifier or external identity."""

import re
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from members.models import ExternalIdentity, Member, MemberToken, Pin
from mps.base.core import db_scope
from mps.base.core.db_scope import Scope
from mps.base.core.errors import NotFoundError
from mps.base.core.keys import PresentedKey
from mps.base.core.text_validation import CONTROL

PHONE_NOISE = re.compile(r"[ ().-]")
_NUMBER = re.compile(r"m[0-9]{8,11}", re.ASCII | re.IGNORECASE)
MAX_IDENTIFIER_LENGTH = 254


@dataclass(frozen=True, slots=True)
class MemberPrincipal:
    """A member, and the token they act with: what a member's request is authenticated as."""

    token_id: UUID
    member_id: UUID
    member_number: str
    status: str
    user_id: int

    role: db_scope.Role = "member_app"
    is_authenticated: bool = True

    @property
    def principal_id(self) -> UUID:
        """Whose rows they see: their own."""
        return self.member_id


@dataclass(frozen=True, slots=True)
class SignIn:
    """A member, and the Django user they sign in as."""

    member_id: UUID
    member_number: str
    user_id: int


def find_member_by_token(key: PresentedKey) -> MemberPrincipal | None:
    """Return the member who holds this token, if it may be used now.

    One statement.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT token_id, member_id, member_number, member_status, user_id"
            " FROM members_authenticate_token(%s, %s)",
            [key.id, key.secret_hash],
        )
        row = cursor.fetchone()
    return MemberPrincipal(*row) if row else None


def find_sign_in(identifier: str) -> SignIn | None:
    """Return whom a phone, e-mail or member number signs in.

    Where contacts are verified, a phone or e-mail that is not signs in nobody.
    """
    return _sign_in(
        "members_find_sign_in", normalise_identifier(identifier), settings.MPS_VERIFY_CONTACTS
    )


def find_by_proved_contact(destination: str) -> SignIn | None:
    """Return the member who proved to read at a phone or an e-mail address.

    :param destination: normalised; a member number is none.
    """
    if _NUMBER.fullmatch(destination):
        destination = ""
    return _sign_in("members_find_sign_in", destination, True)


def find_sign_in_by_identity(provider: str, external_id: str) -> SignIn | None:
    """Return whom an external identity signs in, once it is proved."""
    return _sign_in("members_find_by_identity", provider, external_id)


def token_lives(token_id: UUID) -> bool:
    """Return whether a token may act now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT members_token_lives(%s)", [token_id])
        return bool(cursor.fetchone()[0])


def sessions_of(scope: Scope, member_id: UUID) -> QuerySet[MemberToken]:
    """Return a member's living tokens, newest first."""
    return MemberToken.objects.filter(
        member_id=member_id, revoked_at=None, expires_at__gt=Now()
    ).order_by("-created_at", "-id")


def find_sign_in_of_user(user_id: int) -> SignIn | None:
    """Return the member a Django user is, if they are one."""
    return _sign_in("members_find_by_user", user_id)


def account_key(identifier: str) -> str:
    """Return what guesses against an account are counted by, by whichever name it was called."""
    member = find_sign_in(identifier)
    if member is not None:
        return f"member:{member.member_id}"
    return f"unknown:{normalise_identifier(identifier)}"


def account_key_of_user(user_id: int) -> str:
    """Return what guesses against a Django user's account are counted by."""
    member = find_sign_in_of_user(user_id)
    return f"member:{member.member_id}" if member else f"user:{user_id}"


def normalise_identifier(text: str) -> str:
    """Return an identifier as it is stored; empty if it cannot be one."""
    text = text.strip()
    if len(text) > MAX_IDENTIFIER_LENGTH or CONTROL.search(text):
        return ""
    if "@" in text:
        return text.lower()
    if _NUMBER.fullmatch(text):
        return text.upper()
    return PHONE_NOISE.sub("", text)


def mask_identifier(text: str) -> str:
    """Return enough of an identifier to tell which was meant, too little to use it.

    Somebody may have typed the password into the wrong field: what is short is hidden whole.
    """
    text = normalise_identifier(text)
    local, at, domain = text.rpartition("@")
    if at:
        return f"{local[:1]}…@{domain}"[:80]
    return f"{text[:2]}…{text[-2:]}" if len(text) > 6 else "…"


def get_member(scope: Scope, member_id: UUID) -> Member:
    """Return a member.

    :raises NotFoundError: there is no such member.
    """
    member = Member.objects.filter(id=member_id).first()
    if member is None:
        raise NotFoundError("Member not found.")
    return member


def get_own_member(scope: Scope, member_id: UUID) -> Member:
    """Return a member as they see themselves, with `pin_set`.

    :raises NotFoundError: there is no such member.
    """
    own = Member.objects.annotate(pin_set=Exists(Pin.objects.filter(member_id=OuterRef("id"))))
    member = own.filter(id=member_id).first()
    if member is None:
        raise NotFoundError("Member not found.")
    return member


def identities_of(scope: Scope, member_id: UUID) -> QuerySet[ExternalIdentity]:
    """Return who a member is elsewhere, by provider."""
    return ExternalIdentity.objects.filter(member_id=member_id).order_by("provider")


def _sign_in(function: str, *arguments: str | int | bool) -> SignIn | None:
    places = ", ".join(["%s"] * len(arguments))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT member_id, member_number, user_id FROM {function}({places})", arguments
        )
        row = cursor.fetchone()
    return SignIn(*row) if row else None
