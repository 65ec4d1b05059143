"""What members may ask of what is kept about them: to see it, and to have it forgotten."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import connection

from members import rate_limits
from members.errors import InvalidCredentialsError
from mps.base.core import throttle

MOST_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """Something the audit log holds about a member, as they see it."""

    happened_at: datetime
    action: str
    address: str


def own_events() -> list[OwnEvent]:
    """Return what the audit log holds about the member of the scope, newest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT happened_at, action, address FROM members_own_events(%s)", [MOST_EVENTS]
        )
        return [OwnEvent(*row) for row in cursor.fetchall()]


def require_password(*, member_id: UUID, password: str) -> None:
    """Let only somebody go on who knows the member's password. Slow by purpose; outside any scope.

    :raises InvalidCredentialsError: it is wrong.
    :raises RateLimitedError: it was wrong too often, here or at sign-in.
    """
    guesses = rate_limits.password(f"member:{member_id}")
    throttle.count_guesses(guesses)
    user = get_user_model().objects.get(username=member_id.hex)
    if not user.check_password(password):
        raise InvalidCredentialsError("The password is wrong.")
    throttle.give_guesses_back(guesses)


def forget_person() -> None:
    """Forget who the member of the scope is, and all they sign in with. Their number stays."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT members_erase()")
