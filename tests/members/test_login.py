"""Signing in and out by password."""

import json
import threading
from datetime import datetime, timedelta

import bcrypt
import pytest
from django.db import connections

from mps.base.core.keys import parse_key
from tests import factories
from tests.members.helpers import (
    LOGIN,
    assert_problem,
    bearer,
    count_events,
    events,
    log_in,
    post,
    suspend,
    token_of,
)

LOGINS = ("LOGIN_SUCCEEDED", "LOGIN_FAILED")


@pytest.mark.parametrize("field", ["phone", "email", "number"])
def test_each_identifier_signs_in(client, field):
    member, _ = factories.make_member(phone="0912000111", email="Mei@Example.com")

    response = log_in(client, getattr(member, field), factories.PASSWORD)

    assert response.status_code == 200
    body = response.json()
    assert set(body) == {"token", "expires_at"}
    assert response["Cache-Control"] == "no-store"
    expires_at = datetime.fromisoformat(body["expires_at"])
    lifetime = expires_at - datetime.now(expires_at.tzinfo)
    assert timedelta(hours=23, minutes=59) < lifetime <= timedelta(hours=24, seconds=5)
    me = client.get("/api/v1/me", headers=bearer(body["token"]))
    assert me.json()["number"] == member.number
    presented = parse_key(body["token"])
    assert events(*LOGINS) == [
        (
            "LOGIN_SUCCEEDED",
            member.number,
            member.number,
            json.dumps({"token": str(presented.id)}),
        )
    ]


@pytest.mark.parametrize(
    "typed", ["  0912-000 111 ", "MEI@EXAMPLE.COM", " m00000001 ", "(0912) 000.111"]
)
def test_identifier_is_read_as_people_type_it(client, typed):
    factories.make_member(phone="0912000111", email="mei@example.com")

    assert log_in(client, typed, factories.PASSWORD).status_code == 200


def test_wrong_password_and_unknown_identifier_look_alike(client):
    member, _ = factories.make_member(phone="0912345678")

    wrong = log_in(client, member.phone, "not-the-password")
    unknown = log_in(client, "0999999999", "not-the-password")

    first = assert_problem(wrong, 401, "INVALID_CREDENTIALS")
    second = assert_problem(unknown, 401, "INVALID_CREDENTIALS")
    for document in (first, second):
        del document["request_id"]
    assert first == second
    assert wrong["WWW-Authenticate"] == unknown["WWW-Authenticate"] == "Bearer"
    assert [(action, actor, who) for action, actor, who, _ in events(*LOGINS)] == [
        ("LOGIN_FAILED", "", "09…78"),
        ("LOGIN_FAILED", "", "09…99"),
    ]


@pytest.mark.parametrize("who", ["right", "wrong", "unknown", "without", "inactive"])
def test_each_attempt_hashes_once(client, monkeypatch, who):
    member, _ = factories.make_member(password="" if who == "without" else factories.PASSWORD)
    if who == "inactive":
        with connections["default"].cursor() as cursor:
            cursor.execute("UPDATE auth_user SET is_active = false WHERE id = %s", [member.user_id])
    real, hashed = bcrypt.hashpw, []
    monkeypatch.setattr(
        bcrypt, "hashpw", lambda secret, salt: (hashed.append(salt[:7]), real(secret, salt))[1]
    )

    response = log_in(
        client,
        "0900000000" if who == "unknown" else member.phone,
        "not-the-password" if who == "wrong" else factories.PASSWORD,
    )

    assert response.status_code == (200 if who == "right" else 401)
    assert hashed == [b"$2b$04$"]


def test_long_password_counts_in_full(client):
    password = "long enough " * 16 + "12345678"
    assert len(password) == 200
    member, _ = factories.make_member(password=password)

    assert log_in(client, member.phone, password).status_code == 200
    assert log_in(client, member.phone, password[:-1] + "9").status_code == 401


def test_password_is_taken_as_it_is(client):
    member, _ = factories.make_member(password="  spaces around  ")

    assert log_in(client, member.phone, "spaces around").status_code == 401
    assert log_in(client, member.phone, "  spaces around  ").status_code == 200


def test_suspended_member_signs_in_and_looks(client):
    member, _ = factories.make_member()
    suspend(member)

    response = log_in(client, member.phone, factories.PASSWORD)

    assert response.status_code == 200
    me = client.get("/api/v1/me", headers=bearer(response.json()["token"]))
    assert me.json()["status"] == "suspended"


def test_nothing_secret_is_kept(client, caplog):
    member, _ = factories.make_member()
    token = log_in(client, member.phone, factories.PASSWORD).json()["token"]
    log_in(client, member.phone, "wrong-password-9")

    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT string_agg(e::text, '') FROM report.audit_events e")
        kept = cursor.fetchone()[0]
        cursor.execute("SELECT string_agg(t::text, '') FROM members_membertoken t")
        kept += cursor.fetchone()[0]
    secret = token.rpartition(".")[2]
    for hidden in (secret, factories.PASSWORD, "wrong-password-9", member.phone):
        assert hidden not in kept
        assert hidden not in caplog.text


# --- limits --------------------------------------------------------------------------------------


def test_sixth_failure_of_an_account_waits(client):
    member, _ = factories.make_member(email="mei@example.com")
    # The account is counted, whichever of its names was typed.
    for identifier in (member.phone, member.email, member.number, member.phone, member.email):
        assert log_in(client, identifier, "not-the-password").status_code == 401

    refused = log_in(client, member.number, factories.PASSWORD)

    assert_problem(refused, 429, "RATE_LIMITED")
    assert 290 <= int(refused["Retry-After"]) <= 301
    assert [json.loads(context)["error"] for *_, context in events("LOGIN_FAILED")] == [
        *["INVALID_CREDENTIALS"] * 5,
        "RATE_LIMITED",
    ]
    assert events("LOGIN_SUCCEEDED") == []


def test_unknown_account_waits_likewise(client):
    identifier = f"nobody-{factories.new_key()}@example.com"
    for _ in range(5):
        assert log_in(client, identifier, "not-the-password").status_code == 401

    assert_problem(log_in(client, identifier, "not-the-password"), 429, "RATE_LIMITED")


def test_limit_of_one_account_leaves_others_alone(client):
    member, _ = factories.make_member()
    other, _ = factories.make_member()
    for _ in range(6):
        log_in(client, member.phone, "not-the-password")

    assert log_in(client, other.phone, factories.PASSWORD).status_code == 200


def test_address_waits_after_thirty_failures_on_any_account(client):
    for _ in range(30):
        name = f"{factories.new_key()}@example.com"
        assert log_in(client, name, "not-the-password").status_code == 401

    refused = log_in(client, f"{factories.new_key()}@example.com", "not-the-password")

    assert_problem(refused, 429, "RATE_LIMITED")
    assert 1 <= int(refused["Retry-After"]) <= 61


def test_forwarding_header_of_a_stranger_changes_no_address(client):
    member, _ = factories.make_member()
    for n in range(30):
        post(
            client,
            LOGIN,
            {"identifier": f"{factories.new_key()}@example.com", "password": "x"},
            **{"X-Forwarded-For": f"203.0.113.{n}"},
        )

    refused = log_in(client, member.phone, factories.PASSWORD)

    assert_problem(refused, 429, "RATE_LIMITED")


def test_success_gives_the_attempt_back(client):
    member, _ = factories.make_member()

    for _ in range(32):
        assert log_in(client, member.phone, factories.PASSWORD).status_code == 200

    assert len(events("LOGIN_SUCCEEDED")) == 32


def test_concurrent_guesses_are_counted_one_by_one(client):
    member, _ = factories.make_member()
    statuses: list[int] = []

    def guess() -> None:
        try:
            statuses.append(log_in(client, member.phone, "not-the-password").status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=guess) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses.count(401) <= 5
    assert statuses.count(401) + statuses.count(429) == 12
    assert len(events("LOGIN_FAILED")) == 12


def test_without_redis_members_still_sign_in(client, settings):
    member, _ = factories.make_member()
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    }

    assert log_in(client, member.phone, factories.PASSWORD).status_code == 200
    assert_problem(log_in(client, member.phone, "wrong-one"), 401, "INVALID_CREDENTIALS")
    assert [event[0] for event in events(*LOGINS)] == ["LOGIN_SUCCEEDED", "LOGIN_FAILED"]


def test_redis_going_away_during_an_attempt_stops_nobody(client, settings, monkeypatch):
    member, _ = factories.make_member()
    real = bcrypt.hashpw

    def go_away(secret, salt):
        settings.CACHES = {
            "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
        }
        return real(secret, salt)

    monkeypatch.setattr(bcrypt, "hashpw", go_away)

    assert log_in(client, member.phone, factories.PASSWORD).status_code == 200


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"identifier": "0912345678"},
        {"password": "a-long-password-1"},
        {"identifier": "", "password": "a-long-password-1"},
        {"identifier": "0912345678", "password": ""},
        {"identifier": 912345678, "password": "a-long-password-1"},
        {"identifier": ["0912345678"], "password": "a-long-password-1"},
        {"identifier": {"$ne": ""}, "password": "a-long-password-1"},
        {"identifier": None, "password": None},
        {"identifier": "0912\x00345678", "password": "a-long-password-1"},
        {"identifier": "0912345678", "password": "a-long\x00password-1"},
        {"identifier": "\ud800", "password": "a-long-password-1"},
        {"identifier": "0912345678", "password": "\udfff-password"},
        {"identifier": "0912345678", "password": True},
        {"identifier": "a" * 255, "password": "a-long-password-1"},
        {"identifier": "0912345678", "password": "p" * 513},
    ],
)
def test_bad_body_is_refused_and_leaves_nothing(client, body):
    factories.make_member(phone="0912345678")
    before = count_events()

    response = client.post(LOGIN, json.dumps(body), content_type="application/json")

    assert_problem(response, 400, "INVALID_REQUEST")
    assert count_events() == before


@pytest.mark.parametrize(
    ("raw", "content_type", "status", "code"),
    [
        (b"not json", "application/json", 400, "INVALID_REQUEST"),
        (b"\xff\xfe", "application/json", 400, "INVALID_REQUEST"),
        (b"[]", "application/json", 400, "INVALID_REQUEST"),
        (b'{"identifier":"a","identifier":"b"}', "application/json", 400, "INVALID_REQUEST"),
        (b"[" * 100_000, "application/json", 413, "PAYLOAD_TOO_LARGE"),
        (b"[" * 30_000, "application/json", 400, "INVALID_REQUEST"),
        (b" " * 10_000_000, "application/json", 413, "PAYLOAD_TOO_LARGE"),
        (b"identifier=a", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
@pytest.mark.parametrize("path", [LOGIN, "/_allauth/app/v1/auth/login"])
def test_hostile_bytes_are_refused_at_both_doors(client, path, raw, content_type, status, code):
    assert_problem(client.post(path, raw, content_type=content_type), status, code)


def test_query_parameters_are_refused(client):
    assert_problem(post(client, f"{LOGIN}?next=/"), 400, "INVALID_REQUEST")


def test_login_answers_post_only(client):
    assert_problem(client.get(LOGIN), 405, "METHOD_NOT_ALLOWED")


# --- tokens --------------------------------------------------------------------------------------


def test_logout_ends_this_token_only(client):
    member, _ = factories.make_member()
    first, second = token_of(member), token_of(member)

    response = post(client, "/api/v1/auth/logout", **bearer(first))

    assert response.status_code == 204
    assert response.content == b""
    assert_problem(client.get("/api/v1/me", headers=bearer(first)), 401, "NOT_AUTHENTICATED")
    assert client.get("/api/v1/me", headers=bearer(second)).status_code == 200
    again = post(client, "/api/v1/auth/logout", **bearer(first))
    assert_problem(again, 401, "NOT_AUTHENTICATED")
    assert [event[:3] for event in events("LOGGED_OUT")] == [
        ("LOGGED_OUT", member.number, member.number)
    ]


def test_expired_token_is_refused(client):
    member, _ = factories.make_member()
    token = token_of(member)
    with connections["owner"].cursor() as cursor:
        cursor.execute("UPDATE members_membertoken SET expires_at = now()")

    assert_problem(client.get("/api/v1/me", headers=bearer(token)), 401, "NOT_AUTHENTICATED")


def test_other_keys_are_no_member_tokens(client):
    member, _ = factories.make_member()
    token = token_of(member)
    _till, till_key = factories.make_till_and_key()
    presented = parse_key(token)
    for header in (
        f"Bearer {till_key}",
        f"Bearer {token}x",
        f"Bearer {token[:-1]}{'A' if token[-1] != 'A' else 'B'}",
        f"Bearer {token.replace('mps.m', 'mps.t')}",
        f"Bearer mps.m{presented.id.hex}.",
        f"Basic {token}",
        token,
        "Bearer",
        "Bearer \x00",
        "Bearer \u00e9",
    ):
        response = client.get("/api/v1/me", headers={"Authorization": header})
        assert_problem(response, 401, "NOT_AUTHENTICATED")
        assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/api/v1/me"),
        ("patch", "/api/v1/me"),
        ("get", "/api/v1/me/identities"),
        ("delete", "/api/v1/me/identities/wechat"),
        ("post", "/api/v1/auth/logout"),
    ],
)
def test_every_endpoint_wants_a_token(client, method, path):
    response = getattr(client, method)(path)

    assert_problem(response, 401, "NOT_AUTHENTICATED")
