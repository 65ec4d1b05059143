"""Guessing does not pay, and asking tells nothing."""

import statistics
import time

import bcrypt
import pytest

from members import rate_limits
from mps.base.core import throttle
from mps.base.core.hashers import MpsBCryptSHA256PasswordHasher
from tests import factories
from tests.concurrency.racing import run_together
from tests.members.helpers import assert_problem, events, log_in, post
from tests.outbox import Outbox

MEMBERS = "/api/v1/members"
SAMPLES = 300


@pytest.fixture
def hashed(monkeypatch):
    """What was hashed."""
    real, seen = bcrypt.hashpw, []
    monkeypatch.setattr(
        bcrypt, "hashpw", lambda secret, salt: (seen.append(1), real(secret, salt))[1]
    )
    return seen


@pytest.mark.parametrize("store", ["redis", "database"])
def test_of_200_wrong_passwords_at_once_five_are_looked_at(client, hashed, monkeypatch, store):
    member, _ = factories.make_member()
    if store == "database":
        monkeypatch.setattr(throttle._Away, "until", time.monotonic() + 600)
    hashed.clear()

    statuses = run_together(
        [lambda: log_in(client, member.phone, "not-the-password").status_code] * 200
    )

    assert (statuses.count(401), statuses.count(429)) == (5, 195)
    assert len(hashed) == 5
    assert len(events("LOGIN_FAILED")) == 200


def test_the_control_without_counting_looks_at_all(client, hashed, monkeypatch):
    member, _ = factories.make_member()
    monkeypatch.setattr(throttle, "count_guesses", lambda guesses: None)
    hashed.clear()

    run_together([lambda: log_in(client, member.phone, "not-the-password").status_code] * 20)

    assert len(hashed) == 20


def test_registrations_are_counted_before_anything_is_hashed(client, hashed):
    factories.make_member(phone="0912000555")
    taken = {"name": "Eve", "phone": "0912000555", "password": factories.PASSWORD}
    for _ in range(3):
        new = {"name": "Mei", "password": factories.PASSWORD}
        assert post(client, MEMBERS, new).status_code == 201
    hashed.clear()

    statuses = run_together([lambda: post(client, MEMBERS, taken).status_code] * 60)

    assert (statuses.count(409), statuses.count(429)) == (30, 30)
    assert len(hashed) == 30
    refused = post(client, MEMBERS, {"name": "Mei", "password": factories.PASSWORD})
    assert_problem(refused, 429, "RATE_LIMITED")
    assert refused["Retry-After"]
    assert len(events("MEMBER_REGISTERED")) == 4


@pytest.fixture
def unlimited(monkeypatch):
    """Sampling is no guessing here."""
    for name in ("password", "one_time_code", "message", "registration"):
        monkeypatch.setattr(rate_limits, name, lambda *_: [])
    monkeypatch.setattr(throttle, "count_guesses", lambda guesses: None)
    monkeypatch.setattr(throttle, "give_guesses_back", lambda guesses: None)


def medians(*asks):
    """Return each one's median time, sampled in turns."""
    times = [[] for _ in asks]
    for ask in asks:
        for _ in range(10):
            ask()
    for _ in range(SAMPLES):
        for ask, taken in zip(asks, times, strict=True):
            began = time.perf_counter()
            ask()
            taken.append(time.perf_counter() - began)
    return [statistics.median(taken) for taken in times]


@pytest.mark.long
def test_known_and_unknown_accounts_take_the_same_time(client, unlimited, monkeypatch, settings):
    settings.MPS_SMS_BACKEND = Outbox.BACKEND
    settings.MPS_VERIFY_CONTACTS = True
    # A cost between the tests' and production's: the hash must not hide all the rest.
    monkeypatch.setattr(MpsBCryptSHA256PasswordHasher, "rounds", 6)
    member, _ = factories.make_member(phone="0912000555")
    nobody = "0999888777"
    new = {"name": "Eve", "password": factories.PASSWORD}
    doors = {
        "login": lambda who: log_in(client, who, "not-the-password"),
        "code": lambda who: post(client, "/api/v1/auth/code", {"identifier": who}),
        "confirm": lambda who: post(
            client, "/api/v1/auth/code/confirm", {"identifier": who, "code": "000000"}
        ),
        "reset": lambda who: post(client, "/api/v1/auth/password/reset", {"identifier": who}),
        "register": lambda who: post(client, MEMBERS, {**new, "phone": who}),
    }

    ratios = {}
    for name, door in doors.items():
        known, unknown = medians(lambda: door(member.phone), lambda: door(nobody))  # noqa: B023
        ratios[name] = round(known / unknown, 3)
    print("known / unknown:", ratios)  # noqa: T201

    assert all(0.9 <= ratio <= 1.1 for ratio in ratios.values()), ratios
    assert Outbox.sent == []
