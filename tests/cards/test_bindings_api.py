"""Sharing a card over HTTP: who is on it, joining by password, leaving, removing."""

import bcrypt
import pytest

from cards import card_status, sharing
from cards.models import Binding, Card
from members.models import Member
from mps.base.core.db_scope import principal_scope
from tests import factories
from tests.cards.helpers import as_owner, events, post

PASSWORD = "our family 7"


def share(**fields: object) -> tuple[Member, Card, str]:
    owner, _ = factories.make_member(name="Owner")
    card = factories.make_prepaid(owner, "100.00", **{"binding_password": PASSWORD, **fields})
    return owner, card, f"/api/v1/me/cards/{card.number}/bindings"


def bound(member: Member, role: str, **limits: str) -> dict[str, str | None]:
    """Return how a member's part in a card is shown."""
    return {
        "member_no": member.number,
        "name": member.name,
        "role": role,
        "limit_per_payment": None,
        "limit_per_day": None,
        **limits,
    }


def roles(card: Card) -> list[str]:
    with principal_scope("platform_admin"):
        return list(
            Binding.objects.filter(card=card).order_by("created_at").values_list("role", flat=True)
        )


def test_a_member_joins_by_password_and_pays(database: str) -> None:
    owner, card, url = share()
    other, _ = factories.make_member(name="Other")
    client = factories.member_client(other)

    for _ in range(2):
        answer = post(client, url, {"password": PASSWORD})
        assert (answer.status_code, answer.json()) == (
            201,
            {"card_no": card.number, **bound(other, "member")},
        )

    assert client.get(url).json() == {
        "results": [
            bound(owner, "owner"),
            bound(other, "member"),
        ],
        "next": None,
        "previous": None,
    }
    code = post(client, f"/api/v1/me/cards/{card.number}/code").json()["code"]
    assert factories.charge(factories.make_till(), code, "10.00").status == 201
    assert len(events("CARD_JOINED")) == 1


def test_nobody_learns_by_joining_which_cards_exist(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, card, url = share()
    _, closed_to_all, no_password = share(binding_password="")
    other, _ = factories.make_member()
    client = factories.member_client(other)
    evaluations = []
    hashpw = bcrypt.hashpw
    monkeypatch.setattr(bcrypt, "hashpw", lambda *given: evaluations.append(1) or hashpw(*given))

    answers = []
    for place, password in (
        (url, "wrong"),
        (no_password, "wrong"),
        (no_password, ""),
        ("/api/v1/me/cards/PPD99999999/bindings", "wrong"),
        ("/api/v1/me/cards/COR99999999/bindings", PASSWORD),
    ):
        evaluations.clear()
        answer = post(client, place, {"password": password or " "})
        body = answer.json()
        answers.append((answer.status_code, body["code"], body["detail"], len(evaluations)))

    assert set(answers) == {(403, "INVALID_BINDING_PASSWORD", answers[0][2], 1)}
    assert (roles(card), roles(closed_to_all)) == (["owner"], ["owner"])
    refused = events("CARD_JOIN_REFUSED")
    assert [event.context["error"] for event in refused] == ["INVALID_BINDING_PASSWORD"] * 5
    assert {event.actor for event in refused} == {other.number}


def test_a_type_that_is_not_shared_is_named_whether_or_not_the_card_exists(database: str) -> None:
    _, standard = factories.make_member()
    other, _ = factories.make_member()
    client = factories.member_client(other)

    for number in (standard.number, "STD99999999", "VCH99999999"):
        answer = post(client, f"/api/v1/me/cards/{number}/bindings", {"password": PASSWORD})
        assert (answer.status_code, answer.json()["code"]) == (409, "CARD_TYPE_NOT_SHAREABLE")
    assert roles(standard) == ["owner"]


def test_only_an_active_card_is_joined(database: str) -> None:
    _, card, url = share()
    other, _ = factories.make_member()
    card_status.freeze_card(card_id=card.id)

    answer = post(factories.member_client(other), url, {"password": PASSWORD})

    assert (answer.status_code, answer.json()["code"]) == (409, "CARD_NOT_ACTIVE")
    assert roles(card) == ["owner"]


def test_joining_refuses_what_is_not_as_documented(database: str) -> None:
    _, card, url = share()
    other, _ = factories.make_member()
    client = factories.member_client(other)

    for body in (
        {},
        {"password": ""},
        {"password": None},
        {"password": 7},
        {"password": [PASSWORD]},
        {"password": f"{PASSWORD}\x00"},
        {"password": "\udc80"},
        {"password": "x" * 129},
        '{"password": "our family 7", "password": "our family 7"}',
        "[]",
        b"\xff",
    ):
        answer = post(client, url, body)
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST"), body
    assert post(client, f"{url}?role=owner", {"password": PASSWORD}).status_code == 400
    assert post(client, f"{url}?limit=1", {"password": PASSWORD}).status_code == 400
    # Nobody makes themself an owner: other fields mean nothing.
    assert post(client, url, {"password": PASSWORD, "role": "owner"}).json()["role"] == "member"
    assert roles(card) == ["owner", "member"]


def test_every_role_sees_who_is_on_the_card(database: str) -> None:
    _, card, url = share()
    for role in ("admin", "member", "viewer"):
        other, _ = factories.make_member()
        sharing.bind_member(card_id=card.id, member_id=other.id, role=role)

        seen = factories.member_client(other).get(url).json()["results"]
        assert seen[-1]["role"] == role
        assert seen[-1] == bound(other, role)


def test_a_member_leaves_and_their_code_dies(database: str) -> None:
    _, card, url = share()
    other, _ = factories.make_member()
    sharing.bind_member(card_id=card.id, member_id=other.id)
    client = factories.member_client(other)
    code = factories.make_code(card, other)

    answer = client.delete(f"{url}/{other.number}")

    assert (answer.status_code, answer.content) == (204, b"")
    assert roles(card) == ["owner"]
    assert client.get(url).json()["code"] == "CARD_NOT_FOUND"
    assert client.delete(f"{url}/{other.number}").json()["code"] == "CARD_NOT_FOUND"
    with pytest.raises(Exception, match="expired or is not valid"):
        factories.charge(factories.make_till(), code, "10.00")
    (event,) = events("CARD_UNBOUND")
    assert event.context == {"member": other.number, "role": "member"}


def test_owner_and_admin_remove_others_a_member_does_not(database: str) -> None:
    owner, card, url = share()
    people = {}
    for role in ("admin", "member", "viewer"):
        people[role], _ = factories.make_member()
        sharing.bind_member(card_id=card.id, member_id=people[role].id, role=role)

    for role in ("member", "viewer"):
        client = factories.member_client(people[role])
        for whom in (owner, people["admin"]):
            answer = client.delete(f"{url}/{whom.number}")
            assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")
    assert roles(card) == ["owner", "admin", "member", "viewer"]

    admin = factories.member_client(people["admin"])
    assert admin.delete(f"{url}/{people['viewer'].number}").status_code == 204
    assert admin.delete(f"{url}/{people['viewer'].number}").json()["code"] == "NOT_FOUND"
    mine = factories.member_client(owner)
    assert mine.delete(f"{url}/{people['admin'].number}").status_code == 204
    assert roles(card) == ["owner", "member"]
    assert len(events("CARD_UNBIND_REFUSED")) == 5


def test_the_last_owner_stays(database: str) -> None:
    owner, card, url = share()
    admin, _ = factories.make_member()
    sharing.bind_member(card_id=card.id, member_id=admin.id, role="admin")

    for who in (owner, admin):
        answer = factories.member_client(who).delete(f"{url}/{owner.number}")
        assert (answer.status_code, answer.json()["code"]) == (409, "CANNOT_REMOVE_LAST_OWNER")
    assert roles(card) == ["owner", "admin"]


def test_a_member_number_that_is_none_is_not_found(database: str) -> None:
    owner, card, url = share()
    client = factories.member_client(owner)

    for number in ("M99999999", "m00000001", "%00", "x" * 300, "%ED%A0%80", "M１２３４５６７８"):
        answer = client.delete(f"{url}/{number}")
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND"), number
    assert roles(card) == ["owner"]


def test_bindings_come_in_pages(database: str) -> None:
    owner, card, url = share()
    for _ in range(4):
        other, _ = factories.make_member()
        sharing.bind_member(card_id=card.id, member_id=other.id)
    # All at the same time: the order must still be total.
    as_owner("UPDATE cards_binding SET created_at = '2025-09-29 04:00:00.123456+00'")
    client = factories.member_client(owner)

    seen, place = [], f"{url}?limit=2"
    while place:
        page = client.get(place).json()
        seen += [row["member_no"] for row in page["results"]]
        place = page["next"]

    assert len(seen) == len(set(seen)) == 5
