"""Passkeys of people who work here: adding, signing in, removing, and what is refused."""

import json
import re
import time
import uuid
from typing import Any

import pytest
import redis
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from mps.base.staff import services, sessions
from tests.console.conftest import PASSWORD, enter
from tests.console.helpers import events
from tests.passkey import Passkey
from tests.staff.test_sign_in import (
    LOGIN,
    SECOND,
    enrol,
    give_password,
    is_in,
    new_client,
    totp,
)

PASSKEYS = reverse("admin:passkeys")
MEMBERS_DOOR = "/_allauth/app/v1/auth/webauthn/login"


def options_of(page: Any) -> dict[str, Any]:
    """What a page asks a passkey for."""
    found = re.search(
        r'<script id="passkey-options" type="application/json">(.*?)</script>',
        page.content.decode(),
    )
    assert found
    options: dict[str, Any] = json.loads(found.group(1))
    return options


def send(client: Client, url: str, credential: Any, **fields: str) -> Any:
    return client.post(url, {"credential": json.dumps(credential), **fields})


def add(client: Client, name: str = "Phone") -> Passkey:
    """Add a passkey, as somebody whose second factor is fresh."""
    passkey = Passkey()
    asked = options_of(client.get(PASSKEYS))
    answer = send(client, PASSKEYS, passkey.make(asked), name=name)
    assert answer.status_code == 302
    return passkey


def use(client: Client, passkey: Passkey) -> Any:
    return send(client, SECOND, passkey.use(options_of(client.get(SECOND))))


def passkeys() -> int:
    return Authenticator.objects.filter(type=Authenticator.Type.WEBAUTHN).count()


def make_boss() -> User:
    """A superuser by a name nobody had: limits outlive a test."""
    return User.objects.create_superuser(f"boss-{uuid.uuid4().hex[:8]}", password=PASSWORD)


@pytest.fixture
def boss(database: str) -> User:
    return make_boss()


@pytest.fixture
def keyed(boss: User) -> tuple[Client, Passkey]:
    """The superuser, signed in, with a passkey."""
    client = new_client()
    enrol(client, boss.username)
    return client, add(client)


def half_in(user: User) -> Client:
    """A browser where the password was right."""
    client = new_client()
    give_password(client, user.username)
    return client


def test_a_passkey_is_added_listed_and_signs_in(keyed, boss) -> None:
    page = keyed[0].get(PASSKEYS).content.decode()
    assert "Phone" in page
    assert "never used" in page
    [added] = events("PASSKEY_ADDED")
    assert (added.actor, added.object_type, added.object_id) == (boss.username, "user", added.actor)
    assert added.context == {"name": "Phone"}
    client = half_in(boss)
    asked = options_of(client.get(SECOND))["publicKey"]
    before = len(events())

    answer = use(client, keyed[1])

    assert asked["userVerification"] == "required"
    assert answer["Location"] == reverse("admin:index")
    assert is_in(client)
    assert [(each.action, each.context) for each in events()][before:] == [
        ("STAFF_SIGNED_IN", {"factor": "webauthn"})
    ]
    assert "last used" in client.get(PASSKEYS).content.decode()


def test_a_passkey_alone_signs_in_and_is_not_removed(keyed, boss) -> None:
    _client, passkey = keyed
    Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN).delete()
    [only] = Authenticator.objects.all()
    client = half_in(boss)

    assert "totp-secret" not in client.get(SECOND).content.decode()
    use(client, passkey)
    assert is_in(client)
    answer = client.post(reverse("admin:passkey_remove", args=[only.pk]), follow=True)

    assert "only second factor" in answer.content.decode()
    assert passkeys() == 1
    assert len(events("PASSKEY_REMOVE_REFUSED")) == 1
    assert not events("PASSKEY_REMOVED")


def test_a_code_still_opens_and_who_has_no_passkey_is_not_asked_for_one(keyed, boss) -> None:
    other = make_boss()
    secret, _codes = enrol(new_client(), other.username)

    client = half_in(other)
    page = client.get(SECOND).content.decode()
    client.post(SECOND, {"code": totp(secret, 1)})

    assert "passkey" not in page
    assert is_in(client)


def test_what_is_not_the_passkey_asked_for_is_refused(keyed, boss) -> None:
    _client, passkey = keyed
    other = make_boss()
    enrolled = new_client()
    enrol(enrolled, other.username)
    theirs = add(enrolled)
    forged, elsewhere, unverified = Passkey(), Passkey("https://evil.example"), Passkey()
    for each in (forged, elsewhere, unverified):
        each.id, each.user_handle = passkey.id, passkey.user_handle
    elsewhere.key = unverified.key = passkey.key
    unverified.verifies = False
    before = len(events())
    client = half_in(boss)

    answers = [use(client, each) for each in (theirs, forged, elsewhere, unverified)]

    assert [each.status_code for each in answers] == [200] * 4
    assert "was not accepted" in answers[0].content.decode()
    assert not is_in(client)
    assert [(each.action, each.object_id, each.context) for each in events()][before:] == [
        ("STAFF_SIGN_IN_REFUSED", boss.username, {"error": "INVALID_CREDENTIALS"})
    ] * 4


def test_an_answer_opens_once(keyed, boss) -> None:
    _client, passkey = keyed
    first = half_in(boss)
    twin = new_client()
    said = passkey.use(options_of(first.get(SECOND)))
    twin.cookies = first.cookies.copy()
    state = dict(first.session.items())
    send(first, SECOND, said)
    assert is_in(first)

    # The session as it was, brought back: the challenge in it was answered.
    again = half_in(boss)
    session = again.session
    session.update(state)
    session.save()

    assert send(twin, SECOND, said).status_code == 302
    assert send(again, SECOND, said).status_code == 200
    assert send(half_in(boss), SECOND, said).status_code == 200
    assert not any(map(is_in, (twin, again)))


def test_a_wrong_answer_uses_the_challenge_up(keyed, boss) -> None:
    _client, passkey = keyed
    client = half_in(boss)
    asked = options_of(client.get(SECOND))

    send(client, SECOND, Passkey().use(asked))
    late = send(client, SECOND, passkey.use(asked))

    assert late.status_code == 200
    assert not is_in(client)


def test_guessing_by_passkey_is_limited_and_right_ones_are_not_counted(keyed, boss) -> None:
    _client, passkey = keyed
    for _ in range(4):
        assert use(half_in(boss), passkey).status_code == 302
    answers = []
    for _ in range(3):
        client = half_in(boss)
        answers += [send(client, SECOND, {}).status_code for _ in range(2)]

    ready = half_in(boss)
    right = use(ready, passkey)
    code = ready.post(SECOND, {"code": "000000"})

    assert answers == [200] * 5 + [429]
    assert (right.status_code, code.status_code) == (429, 429)
    assert not is_in(ready)
    assert events()[-1].context == {"error": "RATE_LIMITED"}


def test_odd_credentials_are_refusals(keyed, boss) -> None:
    client, passkey = keyed
    good = passkey.use(options_of(half_in(boss).get(SECOND)))
    made = Passkey().make(options_of(client.get(PASSKEYS)))
    raw = ["", "{", "7", "[[" * 9000, "9" * 5000, "[1]", '"\\ud800"', "x" * 40_000]
    before = events()

    for part, url, asking in ((good, SECOND, half_in(boss)), (made, PASSKEYS, client)):
        asking.get(url)  # each answer asks anew
        odd = [
            json.dumps({**part, "response": {**part["response"], field: value}})
            for field in part["response"]
            for value in ("!!", None, "oWNmbXQ")
        ]
        for number, credential in enumerate([*raw, *odd]):
            if number % 5 == 0:
                # Another name for the limit, which has a test of its own.
                User.objects.filter(pk=boss.pk).update(username=f"boss-{uuid.uuid4().hex[:8]}")
            answer = asking.post(url, {"credential": credential, "name": "x"})
            assert answer.status_code == 200, (url, credential[:200])
            assert "was not accepted" in answer.content.decode()

    assert passkeys() == 1
    assert {each.action for each in events()[len(before) :]} == {
        "STAFF_SIGN_IN_REFUSED",
        "PASSKEY_ADD_REFUSED",
    }


def test_changing_ways_in_wants_the_second_factor_shown_a_moment_ago(boss) -> None:
    client = new_client()
    secret, _codes = enrol(client, boss.username)
    add(client)
    [passkey] = Authenticator.objects.filter(type=Authenticator.Type.WEBAUTHN)
    remove = reverse("admin:passkey_remove", args=[passkey.pk])
    made = Passkey().make(options_of(client.get(PASSKEYS)))

    with time_machine.travel(time.time() + sessions.FRESH_SECONDS + 5, tick=True):
        assert "passkey-options" not in client.get(PASSKEYS).content.decode()
        assert send(client, PASSKEYS, made, name="x")["Location"] == SECOND
        assert client.post(remove)["Location"] == SECOND
        assert passkeys() == 1
        wrong = client.post(SECOND, {"code": "000000"})
        assert wrong.status_code == 200
        assert client.post(remove)["Location"] == SECOND
        back = client.post(SECOND, {"code": totp(secret)})
        assert back["Location"] == remove
        assert client.get(remove).status_code == 200
        assert client.post(remove)["Location"] == PASSKEYS

    assert passkeys() == 0
    assert [each.context for each in events("SECOND_FACTOR_SHOWN")] == [{"factor": "totp"}]
    assert len(events("STAFF_SIGN_IN_REFUSED")) == 1
    assert len(events("PASSKEY_REMOVED")) == len(events("STAFF_SIGNED_IN")) == 1


def test_showing_the_second_factor_again_makes_no_session_longer(boss, settings) -> None:
    client = new_client()
    secret, _codes = enrol(client, boss.username)
    now = time.time()
    settings.MPS_STAFF_IDLE_SECONDS = settings.MPS_STAFF_SESSION_SECONDS

    with time_machine.travel(now + settings.MPS_STAFF_SESSION_SECONDS - 60, tick=True):
        assert client.post(PASSKEYS)["Location"] == SECOND
        assert client.post(SECOND, {"code": totp(secret)})["Location"] == PASSKEYS
        assert is_in(client)
        client.post(PASSKEYS, {})
    with time_machine.travel(now + settings.MPS_STAFF_SESSION_SECONDS + 60, tick=True):
        assert not is_in(client)
        assert client.get(SECOND)["Location"] == LOGIN


def test_a_session_of_a_password_only_adds_none(boss, settings) -> None:
    settings.MPS_STAFF_TOTP = False
    client = new_client()
    give_password(client, boss.username)

    assert client.post(PASSKEYS)["Location"] == SECOND
    assert "totp-secret" in client.get(SECOND).content.decode()
    assert passkeys() == 0


def test_a_removed_passkey_opens_nothing(keyed, boss) -> None:
    client, passkey = keyed
    other = add(client, "Laptop")
    first = Authenticator.objects.filter(type=Authenticator.Type.WEBAUTHN).earliest("id")
    remove = reverse("admin:passkey_remove", args=[first.pk])

    asked = client.get(remove)
    assert ("Phone" in asked.content.decode(), passkeys()) == (True, 2)
    client.post(remove)

    refused, right = half_in(boss), half_in(boss)
    use(refused, passkey)
    use(right, other)
    assert (is_in(refused), is_in(right)) == (False, True)
    assert [each.context for each in events("PASSKEY_REMOVED")] == [{"name": "Phone"}]


def test_passkeys_of_others_are_nobodys_business(keyed, boss) -> None:
    _client, passkey = keyed
    [theirs] = Authenticator.objects.filter(type=Authenticator.Type.WEBAUTHN)
    other = make_boss()
    client = new_client()
    enrol(client, other.username)
    remove = reverse("admin:passkey_remove", args=[theirs.pk])

    page = client.get(PASSKEYS).content.decode()
    answers = [client.get(remove), client.post(remove)]
    again = send(client, PASSKEYS, passkey.make(options_of(client.get(PASSKEYS))), name="x")

    assert "Phone" not in page
    assert [each.status_code for each in answers] == [404, 404]
    assert "already been added" in again.content.decode()
    assert passkeys() == 1
    assert [(each.action, each.context) for each in events()][-2:] == [
        ("PASSKEY_REMOVE_REFUSED", {"error": "NOT_FOUND"}),
        ("PASSKEY_ADD_REFUSED", {"error": "ALREADY_EXISTS"}),
    ]


def test_one_has_ten_at_most_and_each_says_its_name(keyed, boss, monkeypatch) -> None:
    client, _passkey = keyed
    monkeypatch.setattr(services, "MAX_PASSKEYS", 2)
    add(client, "<b>Key</b>")

    page = client.get(PASSKEYS).content.decode()
    refused = send(client, PASSKEYS, Passkey().make(options_of(client.get(PASSKEYS))), name="x")
    too_long = send(
        client, PASSKEYS, Passkey().make(options_of(client.get(PASSKEYS))), name="x" * 61
    )

    assert "&lt;b&gt;Key" in page
    assert "maximum number of passkeys" in refused.content.decode()
    assert (too_long.status_code, passkeys()) == (200, 2)
    assert len(events("PASSKEY_ADD_REFUSED")) == 2


def test_only_the_signed_in_see_the_pages_and_forms_carry_a_token(keyed, boss) -> None:
    _client, passkey = keyed
    half = half_in(boss)
    strict = Client(enforce_csrf_checks=True)
    enter(strict, boss)

    assert half.get(PASSKEYS)["Location"].startswith(LOGIN)
    assert new_client().post(PASSKEYS)["Location"].startswith(LOGIN)
    assert strict.post(PASSKEYS).status_code == 403
    bare = Client(enforce_csrf_checks=True)
    bare.cookies = half.cookies.copy()
    said = passkey.use(options_of(half.get(SECOND)))
    assert send(bare, SECOND, said).status_code == 403
    assert not is_in(half)


def test_without_redis_a_passkey_opens_nothing(keyed, boss, monkeypatch) -> None:
    _client, passkey = keyed
    client = half_in(boss)
    said = passkey.use(options_of(client.get(SECOND)))

    def away(*_args: Any, **_kwargs: Any) -> None:
        raise redis.ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(type(cache._connections["default"]), "add", away)
        answer = send(client, SECOND, said)

    assert answer.status_code == 503
    assert not is_in(client)
    assert events()[-1].context == {"error": "UNAVAILABLE"}


def test_staff_do_not_enter_by_the_members_door(keyed, boss) -> None:
    _client, passkey = keyed
    asked = Client().get(MEMBERS_DOOR).json()
    session = {"X-Session-Token": asked["meta"]["session_token"]}
    credential = passkey.use(asked["data"]["request_options"])

    answer = Client().post(
        MEMBERS_DOOR,
        json.dumps({"credential": credential}),
        content_type="application/json",
        headers=session,
    )

    assert answer.status_code == 400, answer.content
    after = Client().get("/_allauth/app/v1/auth/session", headers=session)
    assert after.status_code == 401


def test_an_operator_takes_passkeys_away_too(keyed, boss) -> None:
    client, passkey = keyed

    call_command("reset_second_factor", boss.username)

    assert passkeys() == 0
    assert not is_in(client)
    assert [each.context for each in events("SECOND_FACTOR_RESET")] == [{"factors": 3}]
    fresh = half_in(boss)
    assert "totp-secret" in fresh.get(SECOND).content.decode()
    assert send(
        fresh, SECOND, passkey.use({"publicKey": {"rpId": "testserver", "challenge": "eA"}})
    )
    assert not is_in(fresh)
