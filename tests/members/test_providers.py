"""Who somebody is elsewhere, proved by the provider's own token."""

import json

import pytest
from django.db import connections

from tests import factories
from tests.members.helpers import (
    assert_problem,
    bearer,
    events,
    find_member_by_identity,
    post,
    suspend,
    token_of,
)
from tests.members.standin import stand_in

LOGIN = "/api/v1/auth/provider"
PASSWORD = "/api/v1/me/password"
IDENTITIES = "/api/v1/me/identities"
MEMBERS = "/api/v1/members"
CHANNEL, APP, SECRET = "1650000001", "wx0123456789", "the-app-secret-canary"
LINE = {"provider": "line", "access_token": "line-token-canary"}
LINE_ID = {"provider": "line", "id_token": "line-id-token-canary"}
WECHAT = {"provider": "wechat", "login_code": "mini-code-canary"}
WECHAT_WEB = {"provider": "wechat", "code": "web-code-canary"}


@pytest.fixture
def providers(client, settings):
    """Both providers, as they answer to good tokens."""
    with stand_in() as world:
        settings.SOCIALACCOUNT_PROVIDERS = {
            "line": {"APPS": [{"client_id": CHANNEL, "secret": SECRET}], "URL": world.url},
            "weixin": {"APPS": [{"client_id": APP, "secret": SECRET}], "URL": world.url},
        }

        def verify(fields, headers):
            if fields.get("access_token") == LINE["access_token"]:
                return 200, {"scope": "profile", "client_id": CHANNEL, "expires_in": 2000}
            return 400, {"error": "invalid_request", "error_description": "access token expired"}

        def verify_id(fields, headers):
            if fields == {"id_token": LINE_ID["id_token"], "client_id": CHANNEL}:
                return 200, {"iss": "https://access.line.me", "sub": "U123", "aud": CHANNEL}
            return 400, {"error": "invalid_request", "error_description": "Invalid IdToken."}

        def profile(fields, headers):
            if headers.get("authorization") == f"Bearer {LINE['access_token']}":
                return 200, {"userId": "U123", "displayName": "Mei"}
            return 401, {"message": "invalid token"}

        def wechat(name, code):
            def exchange(fields, headers):
                good = (fields["appid"], fields["secret"], fields.get(name)) == (APP, SECRET, code)
                if good and fields["grant_type"] == "authorization_code":
                    return 200, {"openid": "oABC", "session_key": "session-key-canary"}
                return 200, {"errcode": 40029, "errmsg": "invalid code"}

            return exchange

        world.answer("GET", "/oauth2/v2.1/verify", verify)
        world.answer("POST", "/oauth2/v2.1/verify", verify_id)
        world.answer("GET", "/v2/profile", profile)
        world.answer("GET", "/sns/jscode2session", wechat("js_code", WECHAT["login_code"]))
        world.answer("GET", "/sns/oauth2/access_token", wechat("code", WECHAT_WEB["code"]))
        yield world


def nobody_has(provider, external_id):
    return find_member_by_identity(provider=provider, external_id=external_id) is None


@pytest.mark.parametrize("proof", [LINE, LINE_ID, WECHAT, WECHAT_WEB], ids=str)
def test_a_provider_signs_its_member_in(client, providers, proof):
    external_id = {"line": "U123", "wechat": "oABC"}[proof["provider"]]
    member, _ = factories.make_member(provider=proof["provider"], external_id=external_id)
    factories.make_member(provider=proof["provider"], external_id="another")

    response = post(client, LOGIN, proof)

    assert response.status_code == 200, response.content
    assert response["Cache-Control"] == "no-store"
    me = client.get("/api/v1/me", headers=bearer(response.json()["token"]))
    assert me.json()["number"] == member.number
    assert [event[:3] for event in events("LOGIN_SUCCEEDED")] == [
        ("LOGIN_SUCCEEDED", member.number, member.number)
    ]


@pytest.mark.parametrize("proof", [LINE, LINE_ID, WECHAT, WECHAT_WEB], ids=str)
def test_a_proved_identity_is_bound(client, providers, proof):
    member, _ = factories.make_member()
    token = token_of(member)

    response = post(client, IDENTITIES, proof, **bearer(token))

    assert response.status_code == 201, response.content
    body = response.json()
    listed = client.get(IDENTITIES, headers=bearer(token)).json()["results"]
    assert listed == [body]
    found = find_member_by_identity(provider=proof["provider"], external_id=body["external_id"])
    assert found == member
    assert post(client, LOGIN, proof).status_code == 200
    [(_, actor, number, context)] = events("IDENTITY_BOUND")
    assert (actor, number) == (member.number, member.number)
    assert json.loads(context) == {"provider": proof["provider"]}


def test_a_member_of_a_provider_sets_a_first_password(client, providers):
    member, _ = factories.make_member(provider="wechat", external_id="oABC", password="")
    token = token_of(member)
    new = {"new_password": "battery staple 8"}
    someone, _ = factories.make_member()

    wrong = [
        post(client, PASSWORD, {**new, "identity": proof}, **bearer(token_of(whose)))
        for whose, proof in ((member, {**WECHAT, "login_code": "another"}), (someone, WECHAT))
    ]
    wrong += [
        post(client, PASSWORD, {**new, **how}, **bearer(token))
        for how in ({}, {"identity": WECHAT, "current_password": "x"}, {"current_password": "x"})
    ]
    done = post(client, PASSWORD, {**new, "identity": WECHAT}, **bearer(token))

    codes = [(each.status_code, each.json()["code"]) for each in wrong]
    assert codes[:2] == [(401, "INVALID_CREDENTIALS")] * 2
    assert codes[2:] == [(400, "INVALID_REQUEST")] * 2 + [(401, "INVALID_CREDENTIALS")]
    assert done.status_code == 204, done.content
    # Which a PIN takes, and leaving.
    pin = client.put(
        "/api/v1/me/pin",
        {"password": new["new_password"], "pin": "1234"},
        content_type="application/json",
        headers=bearer(token),
    )
    assert pin.status_code == 204, pin.content


def test_an_identity_of_somebody_else_is_not_bound(client, providers):
    owner, _ = factories.make_member(provider="line", external_id="U123")
    member, _ = factories.make_member()

    refused = post(client, IDENTITIES, LINE, **bearer(token_of(member)))

    assert_problem(refused, 409, "EXTERNAL_ID_ALREADY_BOUND")
    assert find_member_by_identity(provider="line", external_id="U123") == owner
    assert len(events("IDENTITY_BIND_REFUSED")) == 1


def test_one_identity_a_provider(client, providers):
    member, _ = factories.make_member(provider="line", external_id="U-first")

    refused = post(client, IDENTITIES, LINE, **bearer(token_of(member)))

    assert_problem(refused, 409, "EXTERNAL_ID_ALREADY_BOUND")
    assert nobody_has("line", "U123")


def test_a_suspended_member_binds_nothing(client, providers):
    member, _ = factories.make_member()
    token = token_of(member)
    suspend(member)

    assert_problem(post(client, IDENTITIES, LINE, **bearer(token)), 403, "MEMBER_SUSPENDED")
    assert nobody_has("line", "U123")


def test_registration_takes_an_identity_by_its_token_only(client, providers):
    new = {"name": "Mei", "password": factories.PASSWORD}

    made = post(client, MEMBERS, {**new, "identity": LINE})
    forged = post(client, MEMBERS, {**new, "identity": {**LINE, "access_token": "forged"}})
    asserted = post(
        client,
        MEMBERS,
        {**new, "provider": "line", "external_id": "U999", "identity": {"provider": "line"}},
    )
    again = post(client, MEMBERS, {**new, "identity": LINE})

    assert made.status_code == 201, made.content
    found = find_member_by_identity(provider="line", external_id="U123")
    assert found.number == made.json()["number"]
    assert_problem(forged, 401, "INVALID_CREDENTIALS")
    assert_problem(asserted, 400, "INVALID_REQUEST")
    assert_problem(again, 409, "EXTERNAL_ID_ALREADY_BOUND")
    assert nobody_has("line", "U999")
    assert len(events("MEMBER_REGISTERED")) == 1
    assert len(events("REGISTRATION_REFUSED")) == 3


def test_an_identity_that_is_merely_said_is_none(client, providers):
    plain = {"name": "Mei", "password": factories.PASSWORD}

    response = post(client, MEMBERS, {**plain, "provider": "line", "external_id": "U123"})

    assert response.status_code == 201
    assert nobody_has("line", "U123")


FORGED = [
    {**LINE, "access_token": "another"},
    {**LINE_ID, "id_token": "another"},
    {**WECHAT, "login_code": "another"},
    {**WECHAT_WEB, "code": "another"},
    {**WECHAT, "login_code": "a&b=c%00/../"},
]


def test_what_the_provider_does_not_confirm_is_refused(client, providers):
    factories.make_member(provider="line", external_id="U123")
    member, _ = factories.make_member()
    token = token_of(member)

    for proof in FORGED:
        assert_problem(post(client, LOGIN, proof), 401, "INVALID_CREDENTIALS")
        bound = post(client, IDENTITIES, proof, **bearer(token))
        assert_problem(bound, 401, "INVALID_CREDENTIALS")
    assert client.get(IDENTITIES, headers=bearer(token)).json()["results"] == []
    assert len(events("LOGIN_FAILED")) == len(FORGED)
    assert len(events("IDENTITY_BIND_REFUSED")) == len(FORGED)


def test_a_token_given_to_another_channel_proves_nothing(client, providers):
    factories.make_member(provider="line", external_id="U123")
    providers.answer(
        "GET", "/oauth2/v2.1/verify", (200, {"client_id": "9999999999", "expires_in": 2000})
    )
    providers.answer("POST", "/oauth2/v2.1/verify", (200, {"sub": "U123", "aud": "9999999999"}))

    assert_problem(post(client, LOGIN, LINE), 401, "INVALID_CREDENTIALS")
    assert_problem(post(client, LOGIN, LINE_ID), 401, "INVALID_CREDENTIALS")
    # It is not even asked who the token's owner is.
    assert not [path for path, *_ in providers.asked if path == "GET /v2/profile"]
    assert events("LOGIN_SUCCEEDED") == []


def test_a_token_that_no_header_carries_is_refused(client, providers):
    token = {"provider": "line", "access_token": "line-token-\u4ee4"}

    assert_problem(post(client, LOGIN, token), 401, "INVALID_CREDENTIALS")
    assert providers.asked == []


def test_an_identity_of_nobody_signs_nobody_in(client, providers):
    assert_problem(post(client, LOGIN, LINE), 401, "INVALID_CREDENTIALS")


TROUBLE = [
    (500, {}),
    (502, b"<html>"),
    (429, {}),
    (302, {}),
    (200, b"not json"),
    (200, []),
    (200, {}),
    (200, {"openid": 7, "client_id": CHANNEL, "aud": CHANNEL, "sub": None}),
    (200, {"errcode": -1, "errmsg": "system error", "client_id": CHANNEL, "aud": CHANNEL}),
    (200, {"errcode": 45011, "client_id": CHANNEL, "aud": CHANNEL, "sub": ""}),
]


def test_a_provider_in_trouble_is_no_defect_of_ours(client, providers):
    places = [place for place in providers.answers if place != ("GET", "/oauth2/v2.1/verify")]
    for answer in TROUBLE:
        for place in places:
            providers.answer(*place, answer)
        for proof in (LINE, LINE_ID, WECHAT, WECHAT_WEB):
            response = post(client, LOGIN, proof)
            # A plain `{}` names no channel of ours: LINE's id token is not confirmed.
            if answer == (200, {}) and proof is LINE_ID:
                assert_problem(response, 401, "INVALID_CREDENTIALS")
                continue
            assert_problem(response, 503, "UNAVAILABLE")
            assert response["Retry-After"]
    assert events("LOGIN_SUCCEEDED") == []


def test_a_provider_that_is_not_there(client, providers, settings):
    settings.SOCIALACCOUNT_PROVIDERS = {
        name: {**configured, "URL": "http://127.0.0.1:1"}
        for name, configured in settings.SOCIALACCOUNT_PROVIDERS.items()
    }

    for proof in (LINE, LINE_ID, WECHAT, WECHAT_WEB):
        assert_problem(post(client, LOGIN, proof), 503, "UNAVAILABLE")


BAD = [
    {},
    {"provider": "line"},
    {"provider": "weixin", "code": "x"},
    {"provider": "google", "access_token": "x"},
    {"provider": "line", "code": "x"},
    {"provider": "wechat", "access_token": "x"},
    {"provider": "line", "access_token": "x", "id_token": "y"},
    {"provider": "line", "access_token": ""},
    {"provider": "line", "access_token": None},
    {"provider": "line", "access_token": {"a": 1}},
    {"provider": "line", "access_token": "a\x00b"},
    {"provider": "line", "access_token": "x" * 4097},
    {"provider": ["line"], "access_token": "x"},
    {"provider": "line", "external_id": "U123"},
]


def test_bad_bodies_are_refused(client, providers):
    member, _ = factories.make_member()
    token = token_of(member)

    for body in BAD:
        assert_problem(post(client, LOGIN, body), 400, "INVALID_REQUEST")
        assert_problem(post(client, IDENTITIES, body, **bearer(token)), 400, "INVALID_REQUEST")
    assert providers.asked == []


def test_a_provider_that_is_not_configured_is_not_offered(client, settings):
    settings.SOCIALACCOUNT_PROVIDERS = {}

    problem = assert_problem(post(client, LOGIN, LINE), 400, "INVALID_REQUEST")

    assert problem["errors"] == {"provider": ["Not available here."]}


def test_guesses_of_tokens_are_counted_before_the_provider_is_asked(client, providers):
    member, _ = factories.make_member(provider="line", external_id="U123")
    for _ in range(35):
        assert post(client, LOGIN, LINE).status_code == 200
    for _ in range(30):
        post(client, LOGIN, {**LINE, "access_token": "another"})
    asked = len(providers.asked)

    refused = post(client, LOGIN, LINE)

    assert_problem(refused, 429, "RATE_LIMITED")
    assert len(providers.asked) == asked
    assert member


def test_nothing_secret_is_kept(client, providers, caplog):
    member, _ = factories.make_member()
    for proof in (LINE, LINE_ID, WECHAT, WECHAT_WEB):
        post(client, LOGIN, proof)
        post(client, IDENTITIES, proof, **bearer(token_of(member)))
    providers.answer("GET", "/sns/jscode2session", (500, {}))
    post(client, LOGIN, WECHAT)

    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT string_agg(e::text, '') FROM report.audit_events e")
        kept = cursor.fetchone()[0] + caplog.text
    for secret in (SECRET, "canary"):
        assert secret not in kept
