"""Signing in through django-allauth's own endpoints for programs."""

import json

import bcrypt
import pytest
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import connections
from django.test import RequestFactory

from members.allauth_adapter import MemberTokenStrategy
from tests import factories
from tests.members.helpers import (
    assert_problem,
    bearer,
    count_events,
    events,
    log_in,
    post,
    suspend,
    token_of,
)

LOGIN = "/_allauth/app/v1/auth/login"
SESSION = "/_allauth/app/v1/auth/session"
REAUTHENTICATE = "/_allauth/app/v1/auth/reauthenticate"
CHANGE_PASSWORD = "/_allauth/app/v1/account/password/change"
NEW_PASSWORD = "another-long-password-2"


def allauth_log_in(client, identifier, password=factories.PASSWORD):
    return post(client, LOGIN, {"username": identifier, "password": password})


def session_header(response):
    return {"X-Session-Token": response.json()["meta"]["session_token"]}


@pytest.mark.parametrize("field", ["phone", "email", "number"])
def test_sign_in_look_and_sign_out(client, field):
    member, _ = factories.make_member(email="mei@example.com")

    response = allauth_log_in(client, getattr(member, field))

    assert response.status_code == 200, response.content
    body = response.json()
    assert body["meta"]["is_authenticated"] is True
    assert body["meta"]["expires_in"] == 86400
    assert body["data"]["user"] == {
        "id": member.user_id,
        "display": member.number,
        "has_usable_password": True,
    }
    assert not response.cookies
    token = body["meta"]["access_token"]
    assert client.get("/api/v1/me", headers=bearer(token)).json()["number"] == member.number
    session = session_header(response)
    again = client.get(SESSION, headers=session)
    assert again.status_code == 200
    assert "access_token" not in again.json()["meta"]
    assert [event[:3] for event in events("LOGIN_SUCCEEDED", "LOGIN_FAILED")] == [
        ("LOGIN_SUCCEEDED", member.number, member.number)
    ]

    assert client.delete(SESSION, headers=session).status_code == 401
    assert client.get(SESSION, headers=session).status_code == 410
    assert_problem(client.get("/api/v1/me", headers=bearer(token)), 401, "NOT_AUTHENTICATED")
    assert [event[:3] for event in events("LOGGED_OUT")] == [
        ("LOGGED_OUT", member.number, member.number)
    ]


def test_session_ends_with_the_token_handed_out_with_it(client):
    member, _ = factories.make_member()
    response = allauth_log_in(client, member.phone)
    post(client, "/api/v1/auth/logout", **bearer(response.json()["meta"]["access_token"]))

    assert client.get(SESSION, headers=session_header(response)).status_code == 410
    assert client.delete(SESSION, headers=session_header(response)).status_code == 410
    assert len(events("LOGGED_OUT")) == 1


def test_wrong_password_and_unknown_identifier_look_alike(client, monkeypatch):
    member, _ = factories.make_member()
    real, hashed = bcrypt.hashpw, []
    monkeypatch.setattr(
        bcrypt, "hashpw", lambda secret, salt: (hashed.append(1), real(secret, salt))[1]
    )

    wrong = allauth_log_in(client, member.phone, "not-the-password")
    assert len(hashed) == 1
    unknown = allauth_log_in(client, "0999999999", "not-the-password")

    assert wrong.status_code == unknown.status_code == 400
    assert wrong.json() == unknown.json()
    assert wrong.json()["errors"][0]["code"] == "username_password_mismatch"
    assert len(hashed) == 2
    assert len(events("LOGIN_FAILED")) == 2


def test_both_doors_share_one_limit(client):
    member, _ = factories.make_member()
    for _ in range(3):
        allauth_log_in(client, member.phone, "not-the-password")
    for _ in range(2):
        log_in(client, member.number, "not-the-password")

    refused = allauth_log_in(client, member.number)

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["code"] == "too_many_login_attempts"
    assert_problem(log_in(client, member.phone, factories.PASSWORD), 429, "RATE_LIMITED")
    assert json.loads(events("LOGIN_FAILED")[-1][3]) == {"error": "RATE_LIMITED"}
    assert events("LOGIN_SUCCEEDED") == []


def test_suspended_member_signs_in(client):
    member, _ = factories.make_member()
    suspend(member)

    assert allauth_log_in(client, member.phone).status_code == 200


def test_staff_have_no_way_in_here_and_members_none_to_the_console(client):
    get_user_model().objects.create_superuser("boss", password=factories.PASSWORD)
    member, _ = factories.make_member()

    assert allauth_log_in(client, "boss").status_code == 400
    assert log_in(client, "boss", factories.PASSWORD).status_code == 401
    assert authenticate(username="boss", password=factories.PASSWORD) is not None
    assert authenticate(username=member.phone, password=factories.PASSWORD) is None


def test_session_of_staff_is_no_member(client):
    boss = get_user_model().objects.create_superuser("boss", password=factories.PASSWORD)
    client.force_login(boss, backend="django.contrib.auth.backends.ModelBackend")
    header = {"X-Session-Token": client.session.session_key}

    assert "access_token" not in client.get(SESSION, headers=header).json()["meta"]
    change = {"current_password": factories.PASSWORD, "new_password": NEW_PASSWORD}
    assert_problem(post(client, CHANGE_PASSWORD, change, **header), 403, "PERMISSION_DENIED")
    assert (
        post(client, REAUTHENTICATE, {"password": factories.PASSWORD}, **header).status_code == 400
    )
    boss.refresh_from_db()
    assert boss.check_password(factories.PASSWORD)
    assert client.delete(SESSION, headers=header).status_code == 401


def test_reauthenticate(client):
    member, _ = factories.make_member()
    session = session_header(allauth_log_in(client, member.phone))

    wrong = post(client, REAUTHENTICATE, {"password": "not-the-password"}, **session)
    right = post(client, REAUTHENTICATE, {"password": factories.PASSWORD}, **session)

    assert wrong.status_code == 400
    assert right.status_code == 200
    assert len(events("LOGIN_FAILED")) == 1


def test_changed_password_ends_every_token(client):
    member, _ = factories.make_member()
    elsewhere = token_of(member)
    response = allauth_log_in(client, member.phone)
    session = session_header(response)
    change = {"current_password": factories.PASSWORD, "new_password": NEW_PASSWORD}

    changed = post(client, CHANGE_PASSWORD, change, **session)

    assert changed.status_code == 200, changed.content
    for token in (elsewhere, response.json()["meta"]["access_token"]):
        assert_problem(client.get("/api/v1/me", headers=bearer(token)), 401, "NOT_AUTHENTICATED")
    # The session that asked goes on, under a new key.
    assert client.get(SESSION, headers=session).status_code == 410
    assert client.get(SESSION, headers=session_header(changed)).status_code == 200
    assert log_in(client, member.phone, factories.PASSWORD).status_code == 401
    assert log_in(client, member.phone, NEW_PASSWORD).status_code == 200
    [(_, _, number, context)] = events("PASSWORD_CHANGED")
    assert (number, json.loads(context)) == (member.number, {"tokens_ended": 2})


@pytest.mark.parametrize("new", ["short", "password123", "x" * 513, "tab\tin-the-password"])
def test_bad_new_password_changes_nothing(client, new):
    member, _ = factories.make_member()
    session = session_header(allauth_log_in(client, member.phone))
    change = {"current_password": factories.PASSWORD, "new_password": new}

    assert post(client, CHANGE_PASSWORD, change, **session).status_code == 400
    assert log_in(client, member.phone, factories.PASSWORD).status_code == 200
    assert events("PASSWORD_CHANGED") == []


def test_without_redis_nothing_breaks(client, settings):
    member, _ = factories.make_member()
    session = session_header(allauth_log_in(client, member.phone))
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    }

    assert allauth_log_in(client, member.phone).status_code == 200
    for _ in range(4):
        assert allauth_log_in(client, member.phone, "not-the-password").status_code == 400
    change = {"current_password": factories.PASSWORD, "new_password": NEW_PASSWORD}
    assert post(client, CHANGE_PASSWORD, change, **session).status_code == 200
    assert allauth_log_in(client, member.phone, "not-the-password").status_code == 400
    refused = allauth_log_in(client, member.phone, NEW_PASSWORD)
    assert refused.json()["errors"][0]["code"] == "too_many_login_attempts"


def test_guesses_of_the_present_password_are_counted(client):
    member, _ = factories.make_member()
    session = session_header(allauth_log_in(client, member.phone))
    wrong = {"current_password": "not-the-password", "new_password": NEW_PASSWORD}
    for _ in range(5):
        assert post(client, CHANGE_PASSWORD, wrong, **session).status_code == 400

    right = {"current_password": factories.PASSWORD, "new_password": NEW_PASSWORD}
    assert_problem(post(client, CHANGE_PASSWORD, right, **session), 429, "RATE_LIMITED")
    assert_problem(log_in(client, member.phone, factories.PASSWORD), 429, "RATE_LIMITED")
    assert events("PASSWORD_CHANGED") == []


def test_nobody_and_staff_get_no_member_token(database):
    request = RequestFactory().get("/")
    for user in (AnonymousUser(), get_user_model().objects.create_superuser("boss")):
        request.user = user
        assert MemberTokenStrategy().create_access_token_payload(request) is None
    assert events("LOGIN_SUCCEEDED") == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "0912345678"},
        {"email": "mei@example.com", "password": "x"},
        {"username": None, "password": None},
        {"username": "a\x00", "password": "x"},
        {"username": "\ud800", "password": "x"},
        {"username": "0912345678", "password": "\ud800"},
    ],
)
def test_bad_body_is_refused_and_leaves_nothing(client, body):
    before = count_events()

    response = client.post(LOGIN, json.dumps(body), content_type="application/json")

    assert response.status_code == 400
    assert count_events() == before


@pytest.mark.parametrize(
    "body",
    [
        {"username": "a" * 300, "password": "x"},
        {"username": "a\nb", "password": "x"},
        {"username": {"a": 1}, "password": ["x"]},
        {"username": 0.5, "password": True},
        {"username": "0912345678", "password": "p" * 5000},
        {"username": "0912345678", "password": "a\tb"},
    ],
)
def test_odd_credentials_are_wrong_credentials(client, body):
    factories.make_member(phone="0912345678")

    response = post(client, LOGIN, body)

    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "username_password_mismatch"


@pytest.mark.parametrize("token", ["x", "\x00" * 32, "é" * 32, "a" * 32, "A" * 5000])
def test_unknown_session_is_gone(client, token):
    assert client.get(SESSION, headers={"X-Session-Token": token}).status_code == 410


@pytest.mark.parametrize(
    "path",
    ["auth/signup", "account/email", "account/phone", "auth/password/request", "tokens/refresh"],
)
def test_what_is_not_ours_is_not_offered(client, path):
    assert post(client, f"/_allauth/app/v1/{path}").status_code == 404


def test_config_names_the_one_field(client):
    account = client.get("/_allauth/app/v1/config").json()["data"]["account"]

    assert account["login_methods"] == ["username"]
    assert account["is_open_for_signup"] is False


def test_password_of_another_cost_is_hashed_anew(client):
    member, _ = factories.make_member()
    encoded = f"bcrypt_sha256${_other_cost(factories.PASSWORD)}"
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "UPDATE auth_user SET password = %s WHERE id = %s", [encoded, member.user_id]
        )

    assert log_in(client, member.phone, factories.PASSWORD).status_code == 200
    user = get_user_model().objects.get(pk=member.user_id)
    assert user.password.startswith("bcrypt_sha256$$2b$04$")


def _other_cost(password):
    import binascii
    import hashlib

    digest = binascii.hexlify(hashlib.sha256(password.encode()).digest())
    return bcrypt.hashpw(digest, bcrypt.gensalt(5)).decode()
