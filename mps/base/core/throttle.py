"""Count guesses: of passwords, codes, PINs, registrations. The one place where that is done.

    throttle.count_guess("binding_password", card.id, limit=5, window_seconds=300)
    ...hash, compare...
    throttle.give_back("binding_password", card.id, window_seconds=300)  # it was right

Count before anything is hashed or looked up, outside any scope, so that no rollback forgets it;
give back what proved right, so that only wrong guesses stay counted. (Payment codes are the
exception: of them only those count that nobody ever had, see `payments/code_rate_limit.py`.)
Whoever is not to be limited (service keys) is not counted: that is the caller's business.

The window slides: of `limit` guesses each is forgotten `window_seconds` after it was made, and the
refusal says when the first of them will be. Counting is atomic, however many ask at once: a script
in Redis, or, while Redis is away, a function of the database. What a process learns of Redis being
away it remembers for a few seconds, so that an outage does not slow every request down.

A subject may be anything that names whom the guesses are against or whom they come from. It is kept
as a keyed hash: neither Redis nor the database learns phone numbers or addresses.
"""

import hashlib
import hmac
import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings
from django.core.cache import caches
from django.db import connection

from mps.base.core import errors

_logger = logging.getLogger(__name__)
_NO_REDIS = (redis.RedisError, OSError)
_REDIS_AWAY_SECONDS = 5.0

# KEYS: one sorted set a guess, of the times it was made at. ARGV: a name for this attempt, then
# limit and window in milliseconds of each. Returns the milliseconds to wait; 0: all are counted.
_COUNT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wait = 0
for n, key in ipairs(KEYS) do
    local limit, window = tonumber(ARGV[2 * n]), tonumber(ARGV[2 * n + 1])
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
    local counted = redis.call('ZCARD', key)
    if counted >= limit then
        local oldest = redis.call('ZRANGE', key, counted - limit, counted - limit, 'WITHSCORES')
        wait = math.max(wait, tonumber(oldest[2]) + window - now, 1)
    end
end
if wait > 0 then
    return wait
end
for n, key in ipairs(KEYS) do
    redis.call('ZADD', key, now, ARGV[1])
    redis.call('PEXPIRE', key, ARGV[2 * n + 1])
end
return 0
"""


@dataclass(frozen=True, slots=True)
class Guess:
    """One limit an attempt counts against.

    :param kind: what is guessed and by what it is counted, such as `login:account`.
    :param subject: whose, such as a member's id, or where from, such as an address.
    :param limit: how many may be wrong within the window; at least 1.
    """

    kind: str
    subject: object
    limit: int
    window_seconds: int

    @property
    def key(self) -> str:
        """What it is counted under."""
        name = f"{self.kind}\0{self.subject}".encode("utf-8", "surrogatepass")
        digest = hmac.new(settings.SECRET_KEY.encode(), name, hashlib.sha256).hexdigest()
        return f"guess:{self.window_seconds}:{digest}"


class _Away:
    """What this process knows of Redis being away."""

    until = 0.0


def count_guess(kind: str, subject: object, limit: int, window_seconds: int) -> None:
    """Count one guess against one limit, before anything is hashed.

    :raises RateLimitedError: the limit is used up; says how long to wait. Nothing was counted.
    """
    count_guesses([Guess(kind, subject, limit, window_seconds)])


def give_back(kind: str, subject: object, window_seconds: int) -> None:
    """Take back what `count_guess` counted last: the guess was right."""
    give_guesses_back([Guess(kind, subject, 1, window_seconds)])


def count_guesses(guesses: Sequence[Guess]) -> None:
    """Count one attempt against several limits: all of them, or none if one is used up.

    :raises RateLimitedError: a limit is used up; says how long to wait. Nothing was counted.
    """
    _refuse_scope()
    keys = sorted(guesses, key=lambda guess: guess.key)
    milliseconds = _with_redis(lambda client: _count_in_redis(client, keys))
    if milliseconds is None:
        milliseconds = _count_in_database(keys)
    if milliseconds:
        raise errors.RateLimitedError(retry_after_seconds=-(-milliseconds // 1000))


def give_guesses_back(guesses: Sequence[Guess]) -> None:
    """Take back what `count_guesses` counted last."""
    _refuse_scope()

    def take_back(client: Any) -> int:
        pipeline = client.pipeline(transaction=False)
        for guess in guesses:
            pipeline.zpopmax(_redis_key(guess))
        pipeline.execute()
        return 0

    if _with_redis(take_back) is None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT core_give_guesses_back(%s::text[])",
                [sorted(guess.key for guess in guesses)],
            )


# --- inside ---------------------------------------------------------------------------------------


def _count_in_redis(client: Any, guesses: Sequence[Guess]) -> int:
    arguments: list[str | int] = [uuid.uuid4().hex]
    for guess in guesses:
        arguments += [guess.limit, guess.window_seconds * 1000]
    keys = [_redis_key(guess) for guess in guesses]
    return int(client.register_script(_COUNT)(keys=keys, args=arguments))


def _count_in_database(guesses: Sequence[Guess]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT core_count_guesses(%s::text[], %s::integer[], %s::integer[])",
            [
                [guess.key for guess in guesses],
                [guess.limit for guess in guesses],
                [guess.window_seconds for guess in guesses],
            ],
        )
        return int(cursor.fetchone()[0])


def _with_redis(work: Any) -> int | None:
    """Return what `work` does with a Redis client; None while Redis is away."""
    if time.monotonic() < _Away.until:
        return None
    try:
        answer: int = work(_client())
    except _NO_REDIS as exception:
        _Away.until = time.monotonic() + _REDIS_AWAY_SECONDS
        _logger.warning("Redis is away, the database counts guesses: %s", type(exception).__name__)
        return None
    return answer


def _client() -> Any:
    """Return the client of the cache: its pool, its time limits."""
    cache: Any = caches["default"]
    return cache._cache.get_client(write=True)


def _redis_key(guess: Guess) -> str:
    return str(caches["default"].make_key(guess.key))


def _refuse_scope() -> None:
    """Hold callers to the rule: in a scope a refusal that rolls back would forget the guess."""
    if connection.in_atomic_block:
        raise RuntimeError("Guesses are counted outside any scope.")
