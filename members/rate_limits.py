"""Rate limits for guesses, per account and per address."""

from mps.base.core import context
from mps.base.core.throttle import Guess

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
Guesses = list[Guess]


def password(account: str) -> Guesses:
    """Return what an attempt at an account's password counts against."""
    return [
        Guess("password:account", account, 5, 5 * _MINUTE),
        Guess("password:address", _address(), 30, _MINUTE),
    ]


def one_time_code(account: str) -> Guesses:
    """Return what an attempt at a one-time code counts against: six digits are few."""
    return [
        Guess("code:account", account, 5, 10 * _MINUTE),
        Guess("code:account", account, 20, _DAY),
        Guess("code:address", _address(), 30, _MINUTE),
    ]


def message(destination: str) -> Guesses:
    """Return what a message with a code counts against: each costs money and patience."""
    return [
        Guess("message:to", destination, 3, 10 * _MINUTE),
        Guess("message:to", destination, 10, _DAY),
        Guess("message:from", _address(), 60, 10 * _MINUTE),
    ]


def second_factor(user_id: int) -> Guesses:
    """Return what an attempt at a recovery code counts against."""
    return [
        Guess("factor:account", user_id, 5, 5 * _MINUTE),
        Guess("factor:address", _address(), 30, _MINUTE),
    ]


def provider_token() -> Guesses:
    """Return what an attempt to sign in by a provider's token counts against."""
    return [Guess("provider:address", _address(), 30, _MINUTE)]


def registration() -> Guesses:
    """Return what an attempt to register counts against."""
    return [Guess("registration:address", _address(), 30, _MINUTE)]


def _address() -> str:
    return context.current().address or "unknown"
