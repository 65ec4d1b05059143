"""Members' PINs, which approve payments above the threshold."""

import re
from uuid import UUID

from django.contrib.auth.hashers import check_password, make_password

from members import passwords
from members.errors import InvalidCredentialsError
from members.models import Pin
from mps.base.audit import services as audit
from mps.base.core import db_scope, throttle
from mps.base.core.database import DatabaseNow
from mps.base.core.errors import InvalidRequestError, PermissionDeniedError

_FORM = re.compile(r"[0-9]{4,8}", re.ASCII)
_GUESSES = 5
_WINDOW_SECONDS = 900


def set_pin(*, member_id: UUID, password: str, pin: str) -> None:
    """Set a member's PIN, or another one; the account's password says it is them.

    :raises InvalidRequestError: the PIN is not four to eight digits.
    :raises InvalidCredentialsError: the password is wrong.
    :raises RateLimitedError: it was wrong too often, here or at sign-in.
    """
    if not _FORM.fullmatch(pin):
        raise InvalidRequestError(errors={"pin": ["Must be four to eight digits."]})
    with audit.refusals("PIN_CHANGE_REFUSED", object_type="member", object_id=member_id):
        passwords.require_password(member_id=member_id, password=password)
        with db_scope.principal_scope("member_app", member_id):
            Pin.objects.update_or_create(
                member_id=member_id,
                defaults={"pin_hash": make_password(pin), "set_at": DatabaseNow()},
            )
            audit.record("PIN_CHANGED", object_type="member", object_id=member_id)


def require_pin(*, member_id: UUID, pin: str) -> None:
    """Check a member's PIN. Guesses are counted before anything is hashed.

    :raises PermissionDeniedError: the member has set none.
    :raises InvalidCredentialsError: it is wrong.
    :raises RateLimitedError: it was wrong too often.
    """
    throttle.count_guess("pin", member_id, _GUESSES, _WINDOW_SECONDS)
    with db_scope.principal_scope("member_app", member_id):
        known = Pin.objects.filter(member_id=member_id).first()
    if known is None:
        throttle.give_back("pin", member_id, _WINDOW_SECONDS)
        raise PermissionDeniedError("Set a PIN first.")
    if not check_password(pin, known.pin_hash):
        raise InvalidCredentialsError("The PIN is incorrect.")
    throttle.give_back("pin", member_id, _WINDOW_SECONDS)
