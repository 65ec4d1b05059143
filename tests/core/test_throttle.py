"""Guesses are counted one by one, wherever they are counted."""

import secrets
import time

import pytest
import redis
from django.core.cache import caches

from mps.base.core import errors, throttle
from mps.base.core.db_scope import principal_scope
from mps.base.core.errors import RateLimitedError
from mps.base.core.throttle import Guess, count_guess, give_back
from tests.concurrency.racing import run_together
from tests.snapshots import execute, fetch

NO_REDIS = "redis://127.0.0.1:1/0"


@pytest.fixture(params=["redis", "database"])
def store(request, database, settings, monkeypatch):
    """Where guesses are counted: each test counts for itself."""
    monkeypatch.setattr(throttle._Away, "until", 0.0)
    settings.CACHES = {
        "default": {
            **settings.CACHES["default"],
            "KEY_PREFIX": secrets.token_hex(8),
            **({"LOCATION": NO_REDIS} if request.param == "database" else {}),
        }
    }
    return request.param


def refused(kind="k", subject="s", limit=3, window_seconds=60):
    with pytest.raises(RateLimitedError) as caught:
        count_guess(kind, subject, limit, window_seconds)
    return caught.value.retry_after_seconds


def test_a_limit_is_used_up_and_says_how_long(store):
    for _ in range(3):
        count_guess("k", "s", 3, 60)

    assert 58 <= refused() <= 60
    count_guess("k", "other", 3, 60)
    count_guess("other", "s", 3, 60)


def test_what_was_right_is_given_back(store):
    for _ in range(20):
        count_guess("k", "s", 3, 60)
        give_back("k", "s", 60)
    for _ in range(3):
        count_guess("k", "s", 3, 60)

    assert refused()
    give_back("k", "s", 60)
    count_guess("k", "s", 3, 60)
    assert refused()


def test_giving_back_nothing_gains_nothing(store):
    give_back("k", "s", 60)
    count_guess("k", "s", 1, 60)

    assert refused(limit=1)


def test_a_guess_is_forgotten_when_the_window_has_passed(store):
    count_guess("k", "s", 1, 3)
    wait = refused(limit=1, window_seconds=3)
    time.sleep(3.1)

    assert 1 <= wait <= 3
    count_guess("k", "s", 1, 3)


def test_several_limits_count_together_or_not_at_all(store):
    both = [Guess("account", "a", 1, 300), Guess("address", "b", 3, 60)]
    throttle.count_guesses(both)
    for _ in range(5):
        with pytest.raises(RateLimitedError) as caught:
            throttle.count_guesses(both)
        assert 298 <= caught.value.retry_after_seconds <= 300
    # The refused ones took nothing from the other limit.
    for _ in range(2):
        throttle.count_guesses([Guess("address", "b", 3, 60)])
    assert refused("address", "b")

    throttle.give_guesses_back(both)
    throttle.count_guesses(both)


def test_many_at_once_pass_no_more_than_the_limit(store):
    results = run_together([lambda: count_guess("k", "s", 5, 60)] * 100)

    assert results.count(None) == 5
    assert all(isinstance(each, RateLimitedError) for each in results if each is not None)


def test_counting_by_reading_and_writing_lets_more_pass(database, settings):
    """The control: what a framework's limit does, which reads a history and writes it back."""
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "KEY_PREFIX": secrets.token_hex(8)}
    }

    def count_unsafely():
        cache = caches["default"]
        history = cache.get("history", [])
        if len(history) >= 5:
            raise errors.RateLimitedError
        time.sleep(0.001)
        cache.set("history", [*history, time.time()])

    results = run_together([count_unsafely] * 100)

    assert results.count(None) > 5


def test_neither_store_learns_the_subject(store):
    count_guess("login", "0912345678", 5, 60)

    if store == "database":
        kept = fetch("SELECT string_agg(g::text, '') FROM core_guess g")
    else:
        client = throttle._client()
        kept = "".join(
            key.decode() + str(client.zrange(key, 0, -1))
            for key in client.keys(f"*{caches['default'].make_key('')}*")
        )
    assert "guess:60:" in kept
    assert "0912345678" not in kept
    assert "login" not in kept


def test_inside_a_scope_nothing_is_counted(store):
    with principal_scope("platform_admin"):
        for act in (lambda: count_guess("k", "s", 1, 60), lambda: give_back("k", "s", 60)):
            with pytest.raises(RuntimeError, match="outside any scope"):
                act()
    count_guess("k", "s", 1, 60)


def test_redis_going_away_is_noticed_once(database, settings, monkeypatch, caplog):
    monkeypatch.setattr(throttle._Away, "until", 0.0)
    asked = []

    def client():
        asked.append(1)
        raise redis.ConnectionError

    monkeypatch.setattr(throttle, "_client", client)
    for _ in range(3):
        count_guess("k", "s", 3, 60)

    assert refused()
    assert len(asked) == 1
    assert caplog.text.count("Redis is away") == 1


def test_the_database_forgets_what_is_over(database, settings, monkeypatch):
    monkeypatch.setattr(throttle._Away, "until", time.monotonic() + 60)
    for number in range(25):
        count_guess("k", number, 3, 60)
    execute("UPDATE core_guess SET forget_at = now() - interval '1 second'")

    for _ in range(3):
        count_guess("k", "s", 9, 60)

    assert fetch("SELECT count(*) FROM core_guess") == 1


def test_nobody_reads_or_writes_what_is_counted(database):
    for role in ("mps_web", "merchant_api", "member_app", "platform_admin", "mps_report"):
        assert not fetch(
            "SELECT has_table_privilege(%s, 'core_guess', 'SELECT, INSERT, UPDATE, DELETE')", [role]
        )
