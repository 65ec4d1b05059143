"""Passkeys, by django-allauth's endpoints for programs."""

import json

import pytest

from tests import factories
from tests.members.helpers import assert_problem, bearer, events, log_in, post
from tests.passkey import Passkey

BASE = "/_allauth/app/v1"
LOGIN = f"{BASE}/auth/login"
PASSKEYS = f"{BASE}/account/authenticators/webauthn"
PASSKEY_LOGIN = f"{BASE}/auth/webauthn/login"
PASSKEY_STEP = f"{BASE}/auth/webauthn/authenticate"
RECOVERY = f"{BASE}/account/authenticators/recovery-codes"
FACTOR = f"{BASE}/auth/2fa/authenticate"


def session_of(response):
    return {"X-Session-Token": response.json()["meta"]["session_token"]}


def sign_in(client, member):
    return post(client, LOGIN, {"username": member.number, "password": factories.PASSWORD})


def prove_again(client, session):
    """Give the password once more, as allauth wants before ways in are changed."""
    again = post(client, f"{BASE}/auth/reauthenticate", {"password": factories.PASSWORD}, **session)
    assert again.status_code == 200, again.content
    return session


def add_passkey(client, member):
    """Sign in and add a passkey; return it with the session."""
    session = session_of(sign_in(client, member))
    assert client.get(PASSKEYS, headers=session).status_code == 401
    prove_again(client, session)
    asked = client.get(f"{PASSKEYS}?passwordless", headers=session)
    assert asked.status_code == 200, asked.content
    passkey = Passkey()
    credential = passkey.make(asked.json()["data"]["creation_options"])
    added = post(client, PASSKEYS, {"name": "Phone", "credential": credential}, **session)
    assert added.status_code == 200, added.content
    return passkey, session


def use_passkey(client, passkey):
    asked = client.get(PASSKEY_LOGIN)
    credential = passkey.use(asked.json()["data"]["request_options"])
    return post(client, PASSKEY_LOGIN, {"credential": credential}, **session_of(asked))


def test_a_passkey_is_added_and_signs_in(client):
    member, _ = factories.make_member()
    passkey, _session = add_passkey(client, member)

    response = use_passkey(client, passkey)

    assert response.status_code == 200, response.content
    token = response.json()["meta"]["access_token"]
    assert client.get("/api/v1/me", headers=bearer(token)).json()["number"] == member.number
    assert [event[:3] for event in events("PASSKEY_ADDED")] == [
        ("PASSKEY_ADDED", member.number, member.number)
    ]
    assert len(events("LOGIN_SUCCEEDED")) == 2


def test_another_passkey_signs_nobody_in(client):
    member, _ = factories.make_member()
    passkey, _session = add_passkey(client, member)
    forged = Passkey()
    forged.id, forged.user_handle = passkey.id, passkey.user_handle
    elsewhere = Passkey(origin="https://evil.example")
    elsewhere.key, elsewhere.id, elsewhere.user_handle = (
        passkey.key,
        passkey.id,
        passkey.user_handle,
    )

    assert use_passkey(client, forged).status_code == 400
    assert use_passkey(client, elsewhere).status_code == 400
    assert len(events("LOGIN_SUCCEEDED")) == 1


def test_with_a_passkey_a_password_alone_gives_no_token(client):
    member, _ = factories.make_member()
    passkey, _session = add_passkey(client, member)

    assert_problem(log_in(client, member.number, factories.PASSWORD), 401, "NOT_AUTHENTICATED")
    half = sign_in(client, member)
    assert half.status_code == 401
    assert "access_token" not in half.json()["meta"]
    session = session_of(half)
    asked = client.get(PASSKEY_STEP, headers=session)
    credential = passkey.use(asked.json()["data"]["request_options"])
    whole = post(client, PASSKEY_STEP, {"credential": credential}, **session)

    assert whole.status_code == 200, whole.content
    assert whole.json()["meta"]["access_token"].startswith("mps.m")


def test_recovery_codes_are_guessed_five_times(client):
    member, _ = factories.make_member()
    _passkey, session = add_passkey(client, member)
    made = client.get(RECOVERY, headers=session).json()["data"]["unused_codes"]
    half = session_of(sign_in(client, member))
    for _ in range(5):
        assert post(client, FACTOR, {"code": "wrong"}, **half).status_code == 400

    assert_problem(post(client, FACTOR, {"code": made[0]}, **half), 429, "RATE_LIMITED")


def test_a_recovery_code_stands_in_for_a_passkey(client):
    member, _ = factories.make_member()
    _passkey, session = add_passkey(client, member)
    made = client.get(RECOVERY, headers=session).json()["data"]["unused_codes"]
    half = session_of(sign_in(client, member))

    whole = post(client, FACTOR, {"code": made[0]}, **half)

    assert whole.json()["meta"]["access_token"].startswith("mps.m")


def test_a_passkey_is_taken_away(client):
    member, _ = factories.make_member()
    passkey, session = add_passkey(client, member)
    listed = client.get(f"{BASE}/account/authenticators", headers=session).json()["data"]
    [key_id] = [each["id"] for each in listed if each["type"] == "webauthn"]

    gone = client.delete(
        PASSKEYS,
        json.dumps({"authenticators": [key_id]}),
        content_type="application/json",
        headers=session,
    )

    assert gone.status_code == 200, gone.content
    assert use_passkey(client, passkey).status_code == 400
    assert log_in(client, member.number, factories.PASSWORD).status_code == 200
    assert len(events("PASSKEY_REMOVED")) == 1


def test_passkeys_of_others_are_nobodys_business(client):
    member, _ = factories.make_member()
    other, _ = factories.make_member()
    passkey, session = add_passkey(client, member)
    listed = client.get(f"{BASE}/account/authenticators", headers=session).json()["data"]
    theirs = session_of(sign_in(client, other))

    refused = client.delete(
        PASSKEYS,
        json.dumps({"authenticators": [each["id"] for each in listed if "id" in each]}),
        content_type="application/json",
        headers=theirs,
    )

    assert refused.status_code == 400
    assert use_passkey(client, passkey).status_code == 200
    assert client.get(PASSKEYS).status_code == 401


BAD = [
    None,
    7,
    "x",
    [],
    {},
    {"id": 1},
    {"id": "x", "rawId": "x", "type": "public-key", "response": []},
    {"id": "x", "rawId": "x", "type": "public-key", "response": {"userHandle": 7}},
    {"id": "x", "rawId": "x", "type": "public-key", "response": {"userHandle": "é"}},
    {"id": "eA", "rawId": "eA", "type": "x", "response": {"userHandle": "MQ"}},
]


def test_odd_credentials_are_no_defects(client):
    member, _ = factories.make_member()
    passkey, session = add_passkey(client, member)
    good = passkey.use(client.get(PASSKEY_LOGIN).json()["data"]["request_options"])
    broken = [
        {**good, "response": {**good["response"], field: value}}
        for field in good["response"]
        for value in ("", "!!", 7, None, [], "AAAA")
    ]
    made = passkey.make(client.get(PASSKEYS, headers=session).json()["data"]["creation_options"])
    broken_makes = [
        {**made, "response": {**made["response"], field: value}}
        for field in made["response"]
        for value in ("", "!!", 7, None, [], "oWNmbXQ")
    ]

    for credential in [*BAD, *broken, {**good, "id": "AAAA", "rawId": "AAAA"}]:
        asked = client.get(PASSKEY_LOGIN)
        answer = post(client, PASSKEY_LOGIN, {"credential": credential}, **session_of(asked))
        assert answer.status_code == 400, (credential, answer.content)
    for credential in [*BAD, *broken_makes]:
        client.get(PASSKEYS, headers=session)
        answer = post(client, PASSKEYS, {"name": "x", "credential": credential}, **session)
        assert answer.status_code == 400, (credential, answer.content)
    assert len(events("LOGIN_SUCCEEDED")) == 1
    assert len(events("PASSKEY_ADDED")) == 1


@pytest.mark.parametrize("path", ["auth/2fa/reauthenticate", "account/authenticators/totp"])
def test_what_is_not_ours_is_not_offered(client, path):
    assert post(client, f"{BASE}/{path}").status_code == 404
