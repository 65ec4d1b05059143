"""One-time codes: in by phone, what is verified, and another password."""

import json
import logging
import re

import celery
import pytest
from django.core import mail
from django.db import connections

from members import messages, onetime, tasks
from tests import factories
from tests.concurrency.racing import run_together
from tests.members.helpers import (
    assert_problem,
    bearer,
    events,
    log_in,
    post,
    reload,
    suspend,
    token_of,
)
from tests.members.standin import stand_in
from tests.outbox import Outbox
from tests.snapshots import execute, fetch

CODE, CONFIRM = "/api/v1/auth/code", "/api/v1/auth/code/confirm"
RESET, RESET_CONFIRM = "/api/v1/auth/password/reset", "/api/v1/auth/password/reset/confirm"
VERIFY, VERIFY_CONFIRM = "/api/v1/me/verifications", "/api/v1/me/verifications/confirm"
MEMBERS = "/api/v1/members"
PHONE, NEW_PASSWORD = "0912000777", "another-long-password-2"
NOBODY = "0999888777"


@pytest.fixture(autouse=True)
def outbox(settings):
    """Where short messages land."""
    settings.MPS_SMS_BACKEND = Outbox.BACKEND
    Outbox.sent.clear()
    return Outbox.sent


@pytest.fixture
def strict(settings):
    """Contacts are verified."""
    settings.MPS_VERIFY_CONTACTS = True


def send_all() -> None:
    """Do the worker's work: every code that waits, each once."""
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT id FROM members_onetimecode ORDER BY created_at, id")
        waiting = [row[0] for row in cursor.fetchall()]
    for code_id in waiting:
        tasks.send_code(str(code_id))


def received(outbox, to) -> str:
    """Return the code that came last to a phone."""
    outbox.clear()
    send_all()
    return re.search(r"\b[0-9]{6}\b", [text for phone, text in outbox if phone == to][-1])[0]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


# --- signing in ----------------------------------------------------------------------------------


def test_a_code_signs_its_reader_in_once(client, outbox):
    member, _ = factories.make_member(phone=PHONE)

    asked = post(client, CODE, {"identifier": "0912-000 777"})
    code = received(outbox, PHONE)
    response = post(client, CONFIRM, {"identifier": PHONE, "code": code})

    assert (asked.status_code, asked.json()) == (202, {"expires_in_seconds": 600})
    assert response.status_code == 200, response.content
    me = client.get("/api/v1/me", headers=bearer(response.json()["token"])).json()
    assert (me["number"], me["phone_verified"]) == (member.number, True)
    again = post(client, CONFIRM, {"identifier": PHONE, "code": code})
    assert_problem(again, 401, "INVALID_CREDENTIALS")
    assert len(events("LOGIN_SUCCEEDED")) == len(events("LOGIN_FAILED")) == 1


def test_a_code_goes_to_an_email_address_as_well(client):
    member, _ = factories.make_member(email="mei@example.com")

    post(client, CODE, {"identifier": "Mei@Example.com"})
    send_all()
    code = re.search(r"\b[0-9]{6}\b", mail.outbox[-1].body)[0]
    response = post(client, CONFIRM, {"identifier": "mei@example.com", "code": code})

    assert mail.outbox[-1].to == ["mei@example.com"]
    assert response.status_code == 200
    assert member


def test_asking_tells_nobody_who_is_there(client, outbox):
    factories.make_member(phone=PHONE)
    known = post(client, CODE, {"identifier": PHONE})

    for identifier in (NOBODY, "nobody@example.com", "M00000001", "x"):
        unknown = post(client, CODE, {"identifier": identifier})
        assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
        refused = post(client, CONFIRM, {"identifier": identifier, "code": "000000"})
        assert_problem(refused, 401, "INVALID_CREDENTIALS")
    send_all()

    assert [to for to, _ in outbox] == [PHONE]
    assert mail.outbox == []


def test_an_unverified_phone_gets_no_code(client, outbox):
    made = post(client, MEMBERS, {"name": "Mei", "phone": PHONE, "password": factories.PASSWORD})
    assert made.status_code == 201
    # Nobody verifies phones here, so it signs in by password.
    assert log_in(client, PHONE, factories.PASSWORD).status_code == 200

    post(client, CODE, {"identifier": PHONE})
    post(client, RESET, {"identifier": PHONE})
    send_all()

    assert outbox == []


def test_a_new_code_ends_the_one_before(client, outbox):
    factories.make_member(phone=PHONE)
    post(client, CODE, {"identifier": PHONE})
    first = received(outbox, PHONE)
    post(client, CODE, {"identifier": PHONE})
    second = received(outbox, PHONE)

    if first != second:
        refused = post(client, CONFIRM, {"identifier": PHONE, "code": first})
        assert_problem(refused, 401, "INVALID_CREDENTIALS")
    assert post(client, CONFIRM, {"identifier": PHONE, "code": second}).status_code == 200


def test_a_code_runs_out(client, outbox):
    factories.make_member(phone=PHONE)
    post(client, CODE, {"identifier": PHONE})
    code = received(outbox, PHONE)
    execute("UPDATE members_onetimecode SET expires_at = now()")

    refused = post(client, CONFIRM, {"identifier": PHONE, "code": code})

    assert_problem(refused, 401, "INVALID_CREDENTIALS")


def test_a_code_for_one_thing_is_none_for_another(client, outbox):
    member, _ = factories.make_member(phone=PHONE)
    post(client, CODE, {"identifier": PHONE})
    code = received(outbox, PHONE)
    body = {"identifier": PHONE, "code": code, "password": NEW_PASSWORD}

    assert_problem(post(client, RESET_CONFIRM, body), 401, "INVALID_CREDENTIALS")
    verify = {"contact": PHONE, "code": code}
    refused = post(client, VERIFY_CONFIRM, verify, **bearer(token_of(member)))
    assert_problem(refused, 401, "INVALID_CREDENTIALS")
    assert events("PASSWORD_CHANGED") == []


def test_six_digits_are_guessed_five_times(client, outbox):
    member, _ = factories.make_member(phone=PHONE)
    post(client, CODE, {"identifier": PHONE})
    code = received(outbox, PHONE)
    for _ in range(5):
        refused = post(client, CONFIRM, {"identifier": PHONE, "code": wrong(code)})
        assert_problem(refused, 401, "INVALID_CREDENTIALS")

    refused = post(client, CONFIRM, {"identifier": PHONE, "code": code})

    assert_problem(refused, 429, "RATE_LIMITED")
    assert 590 <= int(refused["Retry-After"]) <= 600
    assert events("LOGIN_SUCCEEDED") == []
    # Other limits or not, the code itself is dead.
    assert fetch("SELECT tries FROM members_onetimecode") == onetime.TRIES
    assert member


def test_a_code_used_twice_at_once_works_once(client, outbox):
    factories.make_member(phone=PHONE)
    post(client, CODE, {"identifier": PHONE})
    code = received(outbox, PHONE)

    def use():
        return post(client, CONFIRM, {"identifier": PHONE, "code": code}).status_code

    statuses = run_together([use] * 4)

    assert sorted(statuses) == [200, 401, 401, 401]
    assert len(events("LOGIN_SUCCEEDED")) == 1


def test_messages_are_limited(client, outbox):
    factories.make_member(phone=PHONE)
    for identifier in (PHONE, NOBODY):
        for _ in range(3):
            assert post(client, CODE, {"identifier": identifier}).status_code == 202
        assert_problem(post(client, CODE, {"identifier": identifier}), 429, "RATE_LIMITED")
    send_all()

    # Only the newest of the three still lives.
    assert len(outbox) == 1


# --- what is verified ----------------------------------------------------------------------------


def test_registration_tells_nobody_whose_phone_it_is(client, strict, outbox):
    owner, _ = factories.make_member(phone=PHONE, email="mei@example.com")
    new = {"name": "Eve", "password": factories.PASSWORD}

    taken = post(client, MEMBERS, {**new, "phone": PHONE, "email": "mei@example.com"})
    free = post(client, MEMBERS, {**new, "phone": NOBODY, "email": "eve@example.com"})

    assert taken.status_code == free.status_code == 201
    bodies = [
        {**each.json(), "number": "", "card": {**each.json()["card"], "card_no": ""}}
        for each in (taken, free)
    ]
    assert bodies[0] == bodies[1]
    assert (bodies[0]["phone"], bodies[0]["email"]) == (None, None)
    assert reload(owner).phone == PHONE
    # Whoever reads there is told.
    code = received(outbox, PHONE)
    token = log_in(client, taken.json()["number"], factories.PASSWORD).json()["token"]
    refused = post(client, VERIFY_CONFIRM, {"contact": PHONE, "code": code}, **bearer(token))
    assert_problem(refused, 409, "ALREADY_EXISTS")
    assert reload(owner).phone == PHONE


def test_an_unverified_phone_is_no_way_in(client, strict, outbox):
    made = post(
        client, MEMBERS, {"name": "Mei", "phone": PHONE, "password": factories.PASSWORD}
    ).json()
    assert_problem(log_in(client, PHONE, factories.PASSWORD), 401, "INVALID_CREDENTIALS")
    token = log_in(client, made["number"], factories.PASSWORD).json()["token"]

    code = received(outbox, PHONE)
    proved = post(client, VERIFY_CONFIRM, {"contact": PHONE, "code": code}, **bearer(token))

    assert proved.status_code == 200, proved.content
    assert (proved.json()["phone"], proved.json()["phone_verified"]) == (PHONE, True)
    assert log_in(client, PHONE, factories.PASSWORD).status_code == 200
    assert [event[2] for event in events("CONTACT_VERIFIED")] == [made["number"]]


def test_a_changed_phone_waits_until_it_is_verified(client, strict, outbox):
    member, _ = factories.make_member(phone=PHONE)
    token = token_of(member)

    changed = client.patch(
        "/api/v1/me",
        {"phone": NOBODY, "name": "Another"},
        content_type="application/json",
        headers=bearer(token),
    )

    assert (changed.json()["phone"], changed.json()["name"]) == (PHONE, "Another")
    code = received(outbox, NOBODY)
    post(client, VERIFY_CONFIRM, {"contact": NOBODY, "code": code}, **bearer(token))
    assert reload(member).phone == NOBODY
    assert_problem(log_in(client, PHONE, factories.PASSWORD), 401, "INVALID_CREDENTIALS")


def test_whoever_proves_a_phone_takes_it_from_who_only_claimed_it(client, outbox):
    made = post(client, MEMBERS, {"name": "Eve", "phone": PHONE, "password": factories.PASSWORD})
    owner, _ = factories.make_member(phone="")
    token = token_of(owner)

    post(client, VERIFY, {"contact": PHONE}, **bearer(token))
    code = received(outbox, PHONE)
    proved = post(client, VERIFY_CONFIRM, {"contact": PHONE, "code": code}, **bearer(token))

    assert proved.json()["phone"] == PHONE
    assert log_in(client, PHONE, factories.PASSWORD).json()["token"].startswith("mps.m")
    assert reload(owner).phone_verified_at is not None
    assert [event[2] for event in events("CONTACT_LOST")] == [made.json()["number"]]


def test_a_code_asked_for_by_another_proves_nothing(client, outbox):
    member, _ = factories.make_member(phone="")
    other, _ = factories.make_member(phone="")
    post(client, VERIFY, {"contact": PHONE}, **bearer(token_of(member)))
    code = received(outbox, PHONE)
    body = {"contact": PHONE, "code": code}

    refused = post(client, VERIFY_CONFIRM, body, **bearer(token_of(other)))

    assert_problem(refused, 401, "INVALID_CREDENTIALS")
    assert reload(other).phone is None
    assert post(client, VERIFY_CONFIRM, body, **bearer(token_of(member))).status_code == 200


def test_a_suspended_member_verifies_nothing(client, outbox):
    member, _ = factories.make_member(phone="")
    token = token_of(member)
    suspend(member)

    refused = post(client, VERIFY, {"contact": PHONE}, **bearer(token))

    assert_problem(refused, 403, "MEMBER_SUSPENDED")
    assert len(events("VERIFICATION_REFUSED")) == 1


# --- another password ----------------------------------------------------------------------------


def test_a_forgotten_password_is_set_anew(client, outbox):
    member, _ = factories.make_member(phone=PHONE)
    elsewhere = token_of(member)

    asked = post(client, RESET, {"identifier": PHONE})
    code = received(outbox, PHONE)
    body = {"identifier": PHONE, "code": code, "password": "short"}
    assert_problem(post(client, RESET_CONFIRM, body), 400, "INVALID_REQUEST")
    done = post(client, RESET_CONFIRM, {**body, "password": NEW_PASSWORD})

    assert (asked.status_code, done.status_code) == (202, 204)
    assert log_in(client, PHONE, factories.PASSWORD).status_code == 401
    assert log_in(client, PHONE, NEW_PASSWORD).status_code == 200
    assert client.get("/api/v1/me", headers=bearer(elsewhere)).status_code == 401
    [(_, actor, number, context)] = events("PASSWORD_CHANGED")
    assert (actor, number, json.loads(context)) == (
        member.number,
        member.number,
        {"tokens_ended": 1},
    )


def test_a_reset_tells_nobody_who_is_there(client, outbox):
    factories.make_member(phone=PHONE)

    known = post(client, RESET, {"identifier": PHONE})
    unknown = post(client, RESET, {"identifier": NOBODY})
    body = {"code": "000000", "password": NEW_PASSWORD}
    refused = [
        post(client, RESET_CONFIRM, {**body, "identifier": each}) for each in (PHONE, NOBODY)
    ]

    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    documents = [assert_problem(each, 401, "INVALID_CREDENTIALS") for each in refused]
    for document in documents:
        del document["request_id"]
    assert documents[0] == documents[1]
    assert events("PASSWORD_CHANGED") == []


def test_bad_bodies_are_refused(client):
    bodies = [{}, {"identifier": ""}, {"identifier": 7}, {"identifier": "a\x00"}]
    for body in [*bodies, {"identifier": "x" * 255}]:
        for path in (CODE, RESET):
            assert_problem(post(client, path, body), 400, "INVALID_REQUEST")
    for code in ("", "x" * 13, None, 123456, "１２３４５６\x00"):
        refused = post(client, CONFIRM, {"identifier": PHONE, "code": code})
        assert_problem(refused, 400, "INVALID_REQUEST")


def test_odd_codes_are_wrong_codes(client):
    factories.make_member(phone=PHONE)
    post(client, CODE, {"identifier": PHONE})

    for code in ("１２３４５６", "abc", "-00001", "\ud7ff"):
        refused = post(client, CONFIRM, {"identifier": PHONE, "code": code})
        assert_problem(refused, 401, "INVALID_CREDENTIALS")


# --- messages ------------------------------------------------------------------------------------


def test_the_database_alone_gives_no_code_away(client, outbox, settings):
    factories.make_member(phone=PHONE)
    post(client, CODE, {"identifier": PHONE})
    code = received(outbox, PHONE)

    kept = fetch("SELECT string_agg(c::text, '') FROM members_onetimecode c")
    settings.SECRET_KEY = "another-key-0123456789-0123456789-0123456789-0123456789"
    other = received(outbox, PHONE)

    assert code not in re.findall(r"(?<![0-9a-f-])[0-9]{6}(?![0-9a-f-])", kept)
    assert code != other


def test_a_gateway_is_asked_over_http(client, settings):
    factories.make_member(phone=PHONE)
    with stand_in() as gateway:
        settings.MPS_SMS_BACKEND = "http"
        settings.MPS_SMS_URL, settings.MPS_SMS_KEY = f"{gateway.url}/send", "gateway-key"
        gateway.answer("POST", "/send", (200, {}))
        post(client, CODE, {"identifier": PHONE})
        send_all()
        [(path, fields, headers)] = gateway.asked
        gateway.answer("POST", "/send", (503, {}))
        with pytest.raises(messages.NotSentError):
            messages.send(to=PHONE, subject="", text="x")
        settings.MPS_SMS_URL = "http://127.0.0.1:1/send"
        with pytest.raises(messages.NotSentError):
            messages.send(to=PHONE, subject="", text="x")

    assert (path, fields["to"]) == ("POST /send", PHONE)
    assert re.search(r"\b[0-9]{6}\b", fields["text"])
    assert headers["authorization"] == "Bearer gateway-key"


@pytest.mark.parametrize("demo", [False, True])
def test_the_console_shows_a_code_to_developers_only(client, settings, caplog, demo):
    settings.MPS_SMS_BACKEND = "console"
    settings.MPS_DEMO = demo
    with caplog.at_level(logging.INFO):
        messages.send(to=PHONE, subject="", text="123456 is your code.")

    assert "SMS to 09…77: " in caplog.text
    assert ("123456" in caplog.text) is demo
    assert PHONE not in caplog.text


def test_without_a_backend_nothing_is_sent(client, settings):
    settings.MPS_SMS_BACKEND = ""
    with pytest.raises(messages.NotSentError):
        messages.send(to=PHONE, subject="", text="x")


def test_without_the_workers_queue_asking_is_refused_to_everybody(client, monkeypatch):
    factories.make_member(phone=PHONE)

    def away(*args, **kwargs):
        raise OSError

    monkeypatch.setattr(celery.current_app, "send_task", away)

    for identifier in (PHONE, NOBODY):
        assert_problem(post(client, CODE, {"identifier": identifier}), 503, "UNAVAILABLE")


def test_a_backend_of_ones_own(client, settings):
    settings.MPS_SMS_BACKEND = Outbox.BACKEND

    messages.send(to=PHONE, subject="", text="x")

    assert Outbox.sent == [(PHONE, "x")]
