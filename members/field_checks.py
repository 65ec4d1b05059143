"""Validate a member's name, phone, e-mail, password and identity."""

import re

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import connection
from django.utils.translation import gettext, override

from members import selectors
from members.errors import (
    ExternalIdAlreadyBoundError,
)
from mps.base.core import errors
from mps.base.core.db_scope import Scope
from mps.base.core.text_validation import CONTROL, is_text

MAX_PASSWORD_LENGTH = 512

_PHONE = re.compile(r"\+?[0-9]{6,15}", re.ASCII)

_PROVIDER = re.compile(r"[a-z][a-z0-9_-]{0,29}", re.ASCII)


def check_contact(text: str) -> tuple[str | None, str | None]:
    """Return a phone, or an e-mail address, as it is stored.

    :raises InvalidRequestError: it is neither.
    """
    wrong: dict[str, list[str]] = {}
    phone = email = None
    if "@" in text:
        email = check_email(text, wrong)
    else:
        phone = check_phone(text, wrong)
    if wrong or not (phone or email):
        raise errors.InvalidRequestError(
            errors={"contact": ["Must be a phone number or an e-mail address."]}
        )
    return phone, email


def is_email(text: str) -> bool:
    """Return whether `text` is an e-mail address."""
    try:
        validate_email(text)
    except ValidationError:
        return False
    return len(text) <= 254


def require_free(
    scope: Scope, *, phone: str | None, email: str | None, provider: str = "", external_id: str = ""
) -> None:
    """Refuse what belongs to a member already.

    A member sees no other member's row: the database answers with a name only.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT members_taken(p_phone => %s, p_email => %s, p_provider => %s,"
            " p_external_id => %s)",
            [phone or "", email or "", provider, external_id],
        )
        taken = cursor.fetchone()[0]
    if taken == "external_id":
        raise ExternalIdAlreadyBoundError
    if taken:
        raise errors.AlreadyExistsError(errors={taken: ["Already used by a member."]})


def check_name(name: str, wrong: dict[str, list[str]]) -> str:
    """Return a name as it is kept; what is wrong is added to `wrong`."""
    name = name.strip()
    if not is_text(name, at_most=80):
        wrong["name"] = ["Must be 1 to 80 characters, without control characters."]
    return name


def check_phone(phone: str, wrong: dict[str, list[str]]) -> str | None:
    """Return a phone as it is kept, None for none; what is wrong is added to `wrong`."""
    phone = selectors.PHONE_NOISE.sub("", phone)
    if phone and not _PHONE.fullmatch(phone):
        wrong["phone"] = ["Must be 6 to 15 digits, with or without a leading +."]
    return phone or None


def check_email(email: str, wrong: dict[str, list[str]]) -> str | None:
    """Return an e-mail as it is kept, None for none; what is wrong is added to `wrong`."""
    email = email.strip().lower()
    if email and not is_email(email):
        wrong["email"] = ["Not a valid e-mail address."]
    return email or None


def check_password(password: str, wrong: dict[str, list[str]]) -> None:
    """Hold a new password against the rules; what is wrong is added to `wrong`."""
    if len(password) > MAX_PASSWORD_LENGTH or CONTROL.search(password):
        wrong["password"] = [
            gettext("Must be at most %(count)s characters, without control characters.")
            % {"count": MAX_PASSWORD_LENGTH}
        ]
        return
    try:
        with override("en"):
            validate_password(password)
    except ValidationError as error:
        wrong["password"] = error.messages


def check_identity(provider: str, external_id: str, wrong: dict[str, list[str]]) -> None:
    """Hold an external identity against its form; what is wrong is added to `wrong`."""
    if not _PROVIDER.fullmatch(provider):
        wrong["provider"] = ["Must be at most 30 characters: lower-case letters, digits, _ and -."]
    if not is_text(external_id, at_most=128):
        wrong["external_id"] = ["Must be 1 to 128 characters, without control characters."]
