"""Members see all that is kept about them, and have it forgotten; the money's trail stays."""

import json
from typing import Any

import pytest
from django.test import Client

from cards import sharing
from members import pins, profiles
from members import services as members
from members.errors import MemberSuspendedError
from tests import factories
from tests.factories import PASSWORD
from tests.snapshots import fetch, snapshot


def erase(member: Any, password: str = PASSWORD) -> Any:
    return factories.member_client(member).post(
        "/api/v1/me/erasure",
        data=json.dumps({"password": password}),
        content_type="application/json",
    )


def find_person(*words: str) -> list[str]:
    """Return the tables, but for the append-only log, that hold one of these words."""
    tables = fetch(
        "SELECT array_agg(oid::regclass::text) FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace AND relname NOT LIKE 'audit%%'"
        " AND NOT relispartition"
    )
    return [
        table
        for table in tables
        if fetch(
            f"SELECT EXISTS (SELECT FROM {table} t WHERE t::text ILIKE ANY (%s))",
            [[f"%{word}%" for word in words]],
        )
    ]


def test_a_member_gets_all_that_is_kept(database: str) -> None:
    member, standard = factories.make_member(name="Lin Mei", email="mei@shop.test")
    other, _ = factories.make_member(name="Somebody Else")
    profiles.bind_identity(member_id=member.id, provider="wechat", external_id="o-123")
    card = factories.make_prepaid(member, "100.00")
    till = factories.make_till()
    paid = factories.charge(till, factories.make_code(card, member), "10.00")

    answer = factories.member_client(member).get("/api/v1/me/export")

    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body["member"]["email"] == "mei@shop.test"
    assert [each["external_id"] for each in body["identities"]] == ["o-123"]
    assert {each["card_no"] for each in body["cards"]} == {standard.number, card.number}
    assert paid.body["tx_no"] in {each["tx_no"] for each in body["transactions"]}
    assert [each["points"] for each in body["points"]] == [10]
    assert len(body["sessions"]) == 1
    assert "LOGIN_SUCCEEDED" in {each["action"] for each in body["events"]}
    assert other.name not in answer.content.decode()
    assert Client().get("/api/v1/me/export").status_code == 401


def test_erasure_forgets_the_person_and_keeps_the_money(database: str) -> None:
    member, _ = factories.make_member(name="Mei Chen", phone="0987654320", email="mei@shop.test")
    profiles.update_profile(member_id=member.id, name="Lin Mei", phone="0987654321")
    profiles.bind_identity(member_id=member.id, provider="wechat", external_id="o-123")
    pins.set_pin(member_id=member.id, password=PASSWORD, pin="907314")
    card = factories.make_prepaid(member, "10.00", name="Lin family")
    till = factories.make_till()
    paid = factories.charge(till, factories.make_code(card, member), "10.00")
    client = factories.member_client(member)
    before = snapshot().value

    answer = erase(member)

    assert answer.status_code == 204, answer.content
    words = ("Mei Chen", "Lin Mei", "Lin family", "0987654320", "0987654321")
    words = (*words, "mei@shop.test", "o-123")
    assert find_person(*words) == []
    assert client.get("/api/v1/me").status_code == 401
    assert before != snapshot().value  # two cards were closed
    assert fetch("SELECT count(*) FROM cards_card WHERE status = 'closed'") == 2
    assert fetch("SELECT name FROM members_member WHERE id = %s", [member.id]) == "Erased member"
    assert fetch("SELECT count(*) FROM members_pin") == 0
    kept = "SELECT member_id FROM payments_transaction WHERE tx_no = %s"
    assert fetch(kept, [paid.body["tx_no"]]) == member.id
    for identifier in ("0987654321", "mei@shop.test", member.number):
        login = Client().post(
            "/api/v1/auth/login",
            data=json.dumps({"identifier": identifier, "password": PASSWORD}),
            content_type="application/json",
        )
        assert login.status_code == 401
    event = fetch("SELECT e::text FROM audit_event e WHERE action = 'MEMBER_ERASED'")
    assert not any(word in event for word in words)
    with pytest.raises(MemberSuspendedError):
        members.activate_member(member_id=member.id, reason="asked to")
    # Phone and e-mail are free for whoever has them next.
    factories.make_member(phone="0987654321", email="mei@shop.test")


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("money", 409, "CARD_NOT_EMPTY"),
        ("owner", 409, "CANNOT_REMOVE_LAST_OWNER"),
        ("password", 401, "INVALID_CREDENTIALS"),
    ],
)
def test_erasure_is_refused_and_nothing_changes(
    database: str, how: str, status: int, code: str
) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "5.00" if how == "money" else "0")
    if how == "owner":
        other, _ = factories.make_member()
        sharing.bind_member(card_id=card.id, member_id=other.id)
    people = "SELECT md5(string_agg(m::text || b::text, ';' ORDER BY b.id)) FROM members_member m"
    people += " JOIN cards_binding b ON b.member_id = m.id"
    before, value = fetch(people), snapshot().value

    answer = erase(member, "wrong-password-1" if how == "password" else PASSWORD)

    assert answer.status_code == status, answer.content
    assert answer.json()["code"] == code
    assert (fetch(people), snapshot().value) == (before, value)
    assert fetch("SELECT count(*) FROM audit_event WHERE action = 'MEMBER_ERASE_REFUSED'") == 1


def test_another_owner_inherits_the_card(database: str) -> None:
    member, _ = factories.make_member()
    other, _ = factories.make_member()
    card = factories.make_prepaid(member, "5.00")
    sharing.bind_member(card_id=card.id, member_id=other.id, role="owner")

    assert erase(member).status_code == 204

    assert fetch("SELECT owner_id FROM cards_card WHERE id = %s", [card.id]) == other.id
    bound = "SELECT array_agg(member_id) FROM cards_binding WHERE card_id = %s"
    assert fetch(bound, [card.id]) == [other.id]
    assert (
        factories.charge(factories.make_till(), factories.make_code(card, other), "5.00").status
        == 201
    )
