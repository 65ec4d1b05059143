"""Registration over HTTP."""

import json

from django.db import connections
from django.test import Client

from cards.models import Card
from members.models import Member
from mps.base.core.db_scope import principal_scope
from tests import factories
from tests.cards.helpers import CARD_FIELDS, events, post

URL = "/api/v1/members"
NEW = {"name": "林小美", "phone": "0912-345 678", "password": factories.PASSWORD}


def test_registration_makes_a_member_with_a_standard_card(database: str) -> None:
    answer = post(Client(), URL, NEW)

    assert answer.status_code == 201
    body = answer.json()
    card_no = body["card"]["card_no"]
    assert body == {
        "number": body["number"],
        "name": "林小美",
        "phone": "0912345678",
        "email": None,
        "card": {
            "card_no": card_no,
            "card_type": "STD",
            "name": "",
            "status": "active",
            "role": "owner",
            "balance": None,
            "points": 0,
            "tier": "ordinary",
            "level": 0,
            "next_tier": "silver",
            "next_tier_points": 1000,
            "discount_rate": "1.00",
            "expires_at": None,
            "voucher": None,
        },
    }
    assert list(body["card"]) == CARD_FIELDS
    assert body["number"].startswith("M") and card_no.startswith("STD")
    with principal_scope("platform_admin"):
        assert Card.objects.get(number=card_no).owner.number == body["number"]
    (event,) = events("MEMBER_REGISTERED")
    assert (event.object_id, event.actor_type) == (body["number"], "anonymous")
    assert factories.PASSWORD not in json.dumps(event.context)


def test_a_name_and_a_password_are_enough(database: str) -> None:
    assert post(Client(), URL, {"name": "A", "password": factories.PASSWORD}).status_code == 201
    assert post(Client(), URL, {"name": "A", "password": factories.PASSWORD}).status_code == 201


def test_a_phone_or_email_belongs_to_one_member(database: str) -> None:
    first = {"name": "A", "password": factories.PASSWORD}
    both = {"phone": "0912345678", "email": "Mei@Example.com"}
    assert post(Client(), URL, {**first, **both}).status_code == 201

    for field, value in both.items():
        answer = post(Client(), URL, {**first, field: f" {value} "})

        assert answer.status_code == 409
        assert answer.json()["code"] == "ALREADY_EXISTS"
        assert list(answer.json()["errors"]) == [field]
    with principal_scope("platform_admin"):
        assert (Member.objects.count(), Card.objects.count()) == (1, 1)
    assert [event.context["error"] for event in events("REGISTRATION_REFUSED")] == [
        "ALREADY_EXISTS",
        "ALREADY_EXISTS",
    ]


REFUSED = [
    {"name": "A"},
    {"password": factories.PASSWORD},
    {**NEW, "name": ""},
    {**NEW, "name": "   "},
    {**NEW, "name": "x" * 81},
    {**NEW, "name": 7},
    {**NEW, "name": True},
    {**NEW, "name": ["A"]},
    {**NEW, "name": "A\x00B"},
    {**NEW, "name": "A\ud800B"},
    {**NEW, "name": "A\x1bB"},
    {**NEW, "phone": "12"},
    {**NEW, "phone": "０９１２３４５６７８"},
    {**NEW, "phone": 912345678},
    {**NEW, "email": "nobody"},
    {**NEW, "email": "a@b.example\x00"},
    {**NEW, "password": ""},
    {**NEW, "password": "short"},
    {**NEW, "password": "password"},
    {**NEW, "password": "p\x00" + factories.PASSWORD},
    {**NEW, "password": ["a-long-password-1"]},
    {**NEW, "password": "x" * 2000},
    "[]",
    "[" * 10_000,
    '{"name": "A", "name": "B", "password": "a-long-password-1"}',
    '{"name": "A", "password": ',
    b"\xff\xfe",
]


def test_registration_refuses_what_is_not_as_documented(database: str) -> None:
    for body in REFUSED:
        answer = post(Client(), URL, body)

        assert answer.status_code == 400, (body, answer.content)
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"] == "INVALID_REQUEST"
        assert factories.PASSWORD not in answer.content.decode()
    assert post(Client(), URL, "[" * 100_000).status_code == 413
    with principal_scope("platform_admin"):
        assert (Member.objects.count(), Card.objects.count()) == (0, 0)


def test_registration_takes_no_query_parameters_and_json_only(database: str) -> None:
    assert post(Client(), f"{URL}?role=owner", NEW).status_code == 400
    assert Client().post(URL, NEW).status_code == 415
    assert Client().get(URL).status_code == 405
    with principal_scope("platform_admin"):
        assert Member.objects.count() == 0


def test_nobody_registers_with_an_external_identity_on_their_own_word(database: str) -> None:
    answer = post(Client(), URL, {**NEW, "provider": "wechat", "external_id": "openid-1"})

    assert answer.status_code == 201
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM members_externalidentity")
        assert cursor.fetchone() == (0,)
