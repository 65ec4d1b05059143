"""Where a member is signed in, and their own password."""

import json
import uuid

import pytest

from mps.base.core.keys import parse_key
from tests import factories
from tests.members.helpers import assert_problem, bearer, events, log_in, post, token_of

SESSIONS, PASSWORD = "/api/v1/me/sessions", "/api/v1/me/password"
NEW_PASSWORD = "another-long-password-2"


def test_sessions_are_listed_and_ended(client):
    member, _ = factories.make_member()
    stranger, _ = factories.make_member()
    theirs = token_of(stranger)
    old = token_of(member)
    token = log_in(client, member.phone, factories.PASSWORD).json()["token"]

    listed = client.get(SESSIONS, headers=bearer(token)).json()["results"]
    ended = client.delete(f"{SESSIONS}/{parse_key(old).id}", headers=bearer(token))

    assert [each["id"] for each in listed] == [str(parse_key(each).id) for each in (token, old)]
    assert [each["current"] for each in listed] == [True, False]
    assert [each["address"] for each in listed] == ["127.0.0.1", ""]
    assert ended.status_code == 204
    assert client.get("/api/v1/me", headers=bearer(old)).status_code == 401
    again = client.delete(f"{SESSIONS}/{parse_key(old).id}", headers=bearer(token))
    assert_problem(again, 404, "NOT_FOUND")
    foreign = client.delete(f"{SESSIONS}/{parse_key(theirs).id}", headers=bearer(token))
    unknown = client.delete(f"{SESSIONS}/{uuid.uuid4()}", headers=bearer(token))
    assert assert_problem(foreign, 404, "NOT_FOUND")["detail"] == unknown.json()["detail"]
    assert client.get("/api/v1/me", headers=bearer(theirs)).status_code == 200
    assert [event[2] for event in events("SESSION_ENDED")] == [member.number]
    assert len(events("SESSION_END_REFUSED")) == 3


def test_ones_own_session_may_be_ended_too(client):
    member, _ = factories.make_member()
    token = token_of(member)

    assert (
        client.delete(f"{SESSIONS}/{parse_key(token).id}", headers=bearer(token)).status_code == 204
    )
    assert client.get(SESSIONS, headers=bearer(token)).status_code == 401


def test_a_changed_password_ends_all_other_tokens(client):
    member, _ = factories.make_member()
    elsewhere, token = token_of(member), token_of(member)
    body = {"current_password": factories.PASSWORD, "new_password": NEW_PASSWORD}

    changed = post(client, PASSWORD, body, **bearer(token))

    assert changed.status_code == 204
    assert client.get("/api/v1/me", headers=bearer(elsewhere)).status_code == 401
    assert client.get("/api/v1/me", headers=bearer(token)).status_code == 200
    assert log_in(client, member.phone, factories.PASSWORD).status_code == 401
    assert log_in(client, member.phone, NEW_PASSWORD).status_code == 200
    [(_, actor, number, context)] = events("PASSWORD_CHANGED")
    assert (actor, number) == (member.number, member.number)
    assert json.loads(context) == {"tokens_ended": 1}


@pytest.mark.parametrize(
    ("current", "new", "status", "code"),
    [
        ("not-the-password", NEW_PASSWORD, 401, "INVALID_CREDENTIALS"),
        (factories.PASSWORD, "short", 400, "INVALID_REQUEST"),
        (factories.PASSWORD, "password123", 400, "INVALID_REQUEST"),
    ],
)
def test_a_refused_change_changes_nothing(client, current, new, status, code):
    member, _ = factories.make_member()
    elsewhere, token = token_of(member), token_of(member)

    refused = post(
        client, PASSWORD, {"current_password": current, "new_password": new}, **bearer(token)
    )

    assert_problem(refused, status, code)
    assert client.get("/api/v1/me", headers=bearer(elsewhere)).status_code == 200
    assert log_in(client, member.phone, factories.PASSWORD).status_code == 200
    assert events("PASSWORD_CHANGED") == []
    assert len(events("PASSWORD_CHANGE_REFUSED")) == 1


def test_the_present_password_is_guessed_as_often_as_at_sign_in(client):
    member, _ = factories.make_member()
    token = token_of(member)
    for _ in range(5):
        body = {"current_password": "not-the-password", "new_password": NEW_PASSWORD}
        assert_problem(post(client, PASSWORD, body, **bearer(token)), 401, "INVALID_CREDENTIALS")

    body = {"current_password": factories.PASSWORD, "new_password": NEW_PASSWORD}
    assert_problem(post(client, PASSWORD, body, **bearer(token)), 429, "RATE_LIMITED")
    assert_problem(log_in(client, member.phone, factories.PASSWORD), 429, "RATE_LIMITED")
