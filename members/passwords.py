"""Ask for a member's password again before a sensitive action."""

from uuid import UUID

from django.contrib.auth import get_user_model

from members import rate_limits
from members.errors import InvalidCredentialsError
from mps.base.core import throttle


def require_password(*, member_id: UUID, password: str) -> None:
    """Let only somebody go on who knows the member's password. Slow by purpose.

    :raises InvalidCredentialsError: it is wrong.
    :raises RateLimitedError: it was wrong too often, here or at sign-in.
    """
    guesses = rate_limits.password(f"member:{member_id}")
    throttle.count_guesses(guesses)
    user = get_user_model().objects.get(username=member_id.hex)
    if not user.check_password(password):
        raise InvalidCredentialsError("The password is incorrect.")
    throttle.give_guesses_back(guesses)
