"""Roles on a shared card: each cell of the table, then the rules below it."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.hashers import check_password
from django.db.models import QuerySet
from django.test import Client

from cards import card_status, sharing
from cards.models import Binding, Card
from members import services as members
from members.models import Member
from mps.base.core.db_scope import principal_scope
from tests import factories
from tests.cards.helpers import events, post
from tests.concurrency.racing import run_together
from tests.snapshots import execute

OLD_PASSWORD, NEW_PASSWORD = "our family 7", "our family 8"
TABLE = {
    # may:     pay, top up, see, manage, set the password
    "owner": (True, True, True, True, True),
    "admin": (True, True, True, True, False),
    "member": (True, False, True, False, False),
    "viewer": (False, False, True, False, False),
}


@dataclass
class Family:
    """A card with 100.00 and somebody in each role on it, and somebody who is not."""

    card: Card
    people: dict[str, Member]
    clients: dict[str, Client] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"/api/v1/me/cards/{self.card.number}"

    def client(self, role: str) -> Client:
        if role not in self.clients:
            self.clients[role] = factories.member_client(self.people[role])
        return self.clients[role]

    def invite(self, who: str, whom: str, **body: Any) -> Any:
        return post(
            self.client(who),
            f"{self.url}/bindings",
            {"member_no": self.people[whom].number, **body},
        )

    def change(self, who: str, whom: str, **body: Any) -> Any:
        return send(
            self.client(who), "patch", f"{self.url}/bindings/{self.people[whom].number}", body
        )

    def remove(self, who: str, whom: str) -> Any:
        return self.client(who).delete(f"{self.url}/bindings/{self.people[whom].number}")

    def set_password(self, who: str) -> Any:
        return send(
            self.client(who), "put", f"{self.url}/binding-password", {"password": NEW_PASSWORD}
        )

    def bindings(self) -> dict[str, tuple[Any, ...]]:
        """Return role and limits of who is bound, by who they were at first."""
        names = {person.id: name for name, person in self.people.items()}
        with principal_scope("platform_admin"):
            return {
                names[each.member_id]: (each.role, each.limit_per_payment, each.limit_per_day)
                for each in Binding.objects.filter(card=self.card)
            }

    def roles(self) -> dict[str, str]:
        return {name: held[0] for name, held in self.bindings().items()}

    def fresh(self) -> Card:
        with principal_scope("platform_admin"):
            return Card.objects.select_related("owner").get(id=self.card.id)


def send(client: Client, method: str, url: str, body: object) -> Any:
    return getattr(client, method)(url, json.dumps(body), content_type="application/json")


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def family(database: str) -> Family:
    people = {name: factories.make_member()[0] for name in (*TABLE, "outsider")}
    card = factories.make_prepaid(people["owner"], "100.00", binding_password=OLD_PASSWORD)
    for role in ("admin", "member", "viewer"):
        sharing.bind_member(card_id=card.id, member_id=people[role].id, role=role)
    return Family(card, people)


# --- the table -----------------------------------------------------------------------------------


def may_pay(family: Family, role: str) -> bool:
    """Pay by an own code at a till."""
    client = family.client(role)
    made = post(client, f"{family.url}/code")
    if made.status_code != 201:
        assert refusal(made) == (403, "PERMISSION_DENIED")
        assert refusal(client.get(f"{family.url}/code")) == (404, "NOT_FOUND")
        return False
    _, key = factories.make_till_and_key()
    paid = post(
        Client(headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "1"}),
        "/api/v1/pos/charges",
        {"code": made.json()["code"], "amount": "10.00"},
    )
    assert (paid.status_code, paid.json()["balance_after"]) == (201, "90.00")
    (row,) = client.get("/api/v1/me/transactions?type=payment").json()["results"]
    assert row["tx_no"] == paid.json()["tx_no"]
    return True


def may_top_up(family: Family, role: str) -> bool:
    """Ask a provider to take money for the card."""
    asked = family.client(role).post(
        f"{family.url}/topups",
        json.dumps({"amount": "10.00", "provider": "sandbox"}),
        content_type="application/json",
        headers={"Idempotency-Key": "1"},
    )
    if asked.status_code != 201:
        assert refusal(asked) == (403, "PERMISSION_DENIED")
    return bool(asked.status_code == 201)


def may_see(family: Family, role: str) -> bool:
    """See what is on the card and what has been."""
    client = family.client(role)
    shown = client.get(family.url).json()
    (row,) = client.get(f"/api/v1/me/transactions?card_no={family.card.number}").json()["results"]
    return (shown["balance"], shown["role"]) == ("100.00", role) and row["amount"] == "100.00"


def may_manage(family: Family, role: str) -> bool:
    """Invite somebody and remove them."""
    before = family.bindings()
    invited = family.invite(role, "outsider", role="member")
    if invited.status_code == 201:
        assert family.roles() == {**{each: each for each in TABLE}, "outsider": "member"}
        assert family.remove(role, "outsider").status_code == 204
    else:
        assert refusal(invited) == (403, "PERMISSION_DENIED")
        for whom in set(TABLE) - {role}:
            assert refusal(family.remove(role, whom)) == (403, "PERMISSION_DENIED")
            assert refusal(family.change(role, whom, role="viewer")) == (403, "PERMISSION_DENIED")
    assert family.bindings() == before
    return bool(invited.status_code == 201)


def may_set_the_password(family: Family, role: str) -> bool:
    """Set the password by which others join."""
    answer = family.set_password(role)
    may = answer.status_code == 204
    if not may:
        assert refusal(answer) == (403, "PERMISSION_DENIED")
        removed = family.client(role).delete(f"{family.url}/binding-password")
        assert refusal(removed) == (403, "PERMISSION_DENIED")
    valid = NEW_PASSWORD if may else OLD_PASSWORD
    assert check_password(valid, family.fresh().binding_password)
    return may


RIGHTS: dict[str, Callable[[Family, str], bool]] = {
    "pay": may_pay,
    "top up": may_top_up,
    "see balance and history": may_see,
    "invite and remove": may_manage,
    "set the password": may_set_the_password,
}


@pytest.mark.parametrize(
    ("role", "right", "may"),
    [
        pytest.param(role, right, may, id=f"{role}-{'may' if may else 'may not'}-{right}")
        for role, cells in TABLE.items()
        for right, may in zip(RIGHTS, cells, strict=True)
    ],
)
def test_the_role_table(family: Family, role: str, right: str, may: bool) -> None:
    assert RIGHTS[right](family, role) is may


# --- inviting ------------------------------------------------------------------------------------


def test_an_invitation_is_shown_logged_and_safe_to_repeat(family: Family) -> None:
    for _ in range(2):
        answer = family.invite("admin", "outsider", role="viewer", limit_per_day="20.00")
        assert (answer.status_code, answer.json()) == (
            201,
            {
                "card_no": family.card.number,
                "member_no": family.people["outsider"].number,
                "name": family.people["outsider"].name,
                "role": "viewer",
                "limit_per_payment": None,
                "limit_per_day": "20.00",
            },
        )

    (event,) = events("CARD_MEMBER_INVITED")
    assert (event.actor, event.object_id) == (family.people["admin"].number, family.card.number)
    assert event.context == {
        "member": str(family.people["outsider"].id),
        "role": "viewer",
        "limit_per_payment": None,
        "limit_per_day": "20.00",
    }
    for other in ({"role": "member", "limit_per_day": "20.00"}, {"role": "viewer"}):
        again = family.invite("admin", "outsider", **other)
        assert refusal(again) == (409, "ALREADY_EXISTS")
    assert family.bindings()["outsider"] == ("viewer", None, Decimal("20.00"))


def test_who_is_invited_without_a_role_is_a_member(family: Family) -> None:
    assert family.invite("owner", "outsider").json()["role"] == "member"


def test_only_an_owner_makes_an_owner(family: Family) -> None:
    before = family.bindings()

    for answer in (
        family.invite("admin", "outsider", role="owner"),
        family.change("admin", "member", role="owner"),
        family.change("admin", "admin", role="owner"),
    ):
        assert refusal(answer) == (403, "PERMISSION_DENIED")

    assert family.bindings() == before
    assert family.invite("owner", "outsider", role="owner").status_code == 201
    assert family.change("owner", "member", role="owner").status_code == 200
    roles = family.roles()
    assert (roles["outsider"], roles["member"]) == ("owner", "owner")


def test_whom_and_where_nobody_is_invited(family: Family) -> None:
    before = family.bindings()
    owner, client = family.people["owner"], family.client("owner")
    outsider = family.people["outsider"].number
    with principal_scope("platform_admin"):
        standard = Card.objects.get(owner=owner, card_type="STD")

    for url, member_no, expected in (
        (family.url, "M99999999", (404, "NOT_FOUND")),
        (family.url, "nobody", (404, "NOT_FOUND")),
        (f"/api/v1/me/cards/{standard.number}", outsider, (409, "CARD_TYPE_NOT_SHAREABLE")),
        ("/api/v1/me/cards/PPD99999999", outsider, (404, "CARD_NOT_FOUND")),
    ):
        answer = post(client, f"{url}/bindings", {"member_no": member_no, "role": "member"})
        assert refusal(answer) == expected
    card_status.freeze_card(card_id=family.card.id, reason="x")
    assert refusal(family.invite("owner", "outsider")) == (409, "CARD_NOT_ACTIVE")

    assert family.bindings() == before
    assert len(events("CARD_INVITE_REFUSED")) == 5


def test_what_is_neither_a_password_nor_an_invitation_is_refused(family: Family) -> None:
    number = family.people["outsider"].number
    before = family.bindings()

    for body in (
        {"role": "member"},
        {"member_no": number, "password": OLD_PASSWORD},
        {"member_no": number, "role": "king"},
        {"member_no": number, "role": None},
        {"member_no": None},
        {"member_no": number, "limit_per_day": "1.001"},
        {"member_no": number, "limit_per_payment": "NaN"},
        {"member_no": number, "limit_per_payment": -1},
        {"member_no": number, "limit_per_payment": "9999999999999"},
    ):
        answer = post(family.client("owner"), f"{family.url}/bindings", body)
        assert answer.status_code == 400, (body, answer.content)

    assert family.bindings() == before


# --- changing ------------------------------------------------------------------------------------


def test_limits_hold_from_the_next_payment_on_until_null_takes_them_away(family: Family) -> None:
    till, member = factories.make_till(), family.people["member"]

    def pay() -> Any:
        return factories.charge(till, factories.make_code(family.card, member), "10.00")

    assert pay().status == 201
    changed = family.change("admin", "member", limit_per_payment="9.99", limit_per_day="50.00")

    assert changed.status_code == 200
    assert (changed.json()["limit_per_payment"], changed.json()["role"]) == ("9.99", "member")
    assert (pay().status, pay().body["code"]) == (402, "LIMIT_EXCEEDED")
    assert family.change("admin", "member", limit_per_payment=None).status_code == 200
    assert family.bindings()["member"] == ("member", None, Decimal("50.00"))
    assert pay().status == 201
    first, second = (event.context for event in events("BINDING_CHANGED"))
    no_limits = {"role": "member", "limit_per_payment": None, "limit_per_day": None}
    with_limits = {**no_limits, "limit_per_payment": "9.99", "limit_per_day": "50.00"}
    assert (first["before"], first["after"]) == (no_limits, with_limits)
    assert second["before"] == with_limits
    assert second["after"] == {**with_limits, "limit_per_payment": None}


def test_changing_nothing_leaves_no_event(family: Family) -> None:
    for body in ({}, {"role": "member"}, {"limit_per_day": None}):
        answer = family.change("owner", "member", **body)
        assert (answer.status_code, answer.json()["role"]) == (200, "member")
    assert events("BINDING_CHANGED") == []


def test_who_becomes_a_viewer_loses_their_code(family: Family) -> None:
    till, member = factories.make_till(), family.people["member"]
    code = factories.make_code(family.card, member)

    assert family.change("owner", "member", role="viewer").json()["role"] == "viewer"

    with pytest.raises(Exception, match="expired or is not valid"):
        factories.charge(till, code, "10.00")
    assert family.client("member").get(family.url).json()["balance"] == "100.00"


def test_an_admin_touches_no_owner(family: Family) -> None:
    sharing.bind_member(
        card_id=family.card.id, member_id=family.people["outsider"].id, role="owner"
    )
    before = family.bindings()

    for answer in (
        family.remove("admin", "owner"),
        family.change("admin", "owner", role="member"),
        family.change("admin", "owner", limit_per_day="1.00"),
    ):
        assert refusal(answer) == (403, "PERMISSION_DENIED")

    assert family.bindings() == before
    assert len(events("BINDING_CHANGE_REFUSED")) == 2


def test_an_admin_does_not_lift_their_own_limits(family: Family) -> None:
    assert family.change("owner", "admin", limit_per_day="5.00").status_code == 200

    lifted = family.change("admin", "admin", limit_per_day=None)

    assert refusal(lifted) == (403, "PERMISSION_DENIED")
    assert family.bindings()["admin"] == ("admin", None, Decimal("5.00"))
    assert family.change("admin", "admin", role="viewer").status_code == 200


def test_nobody_raises_themself(family: Family) -> None:
    before = family.bindings()

    for who in ("member", "viewer"):
        for body in ({"role": "admin"}, {"limit_per_day": None}, {}):
            assert refusal(family.change(who, who, **body)) == (403, "PERMISSION_DENIED")

    assert family.bindings() == before


def test_a_change_refuses_what_is_not_as_documented(family: Family) -> None:
    before = family.bindings()

    for body in (
        {"role": "king"},
        {"role": None},
        {"role": 1},
        {"limit_per_day": "1e3"},
        {"limit_per_day": True},
        {"limit_per_day": "-1.00"},
        {"limit_per_payment": "0.001"},
        [],
    ):
        answer = send(
            family.client("owner"),
            "patch",
            f"{family.url}/bindings/{family.people['member'].number}",
            body,
        )
        assert answer.status_code == 400, body
    assert refusal(family.change("owner", "outsider", role="admin")) == (404, "NOT_FOUND")

    assert family.bindings() == before


# --- owners --------------------------------------------------------------------------------------


def test_the_last_owner_neither_goes_nor_becomes_less(family: Family) -> None:
    before = family.bindings()

    for who in ("owner", "admin"):
        assert refusal(family.remove(who, "owner")) == (409, "CANNOT_REMOVE_LAST_OWNER")
        changed = family.change(who, "owner", role="admin")
        assert refusal(changed) == (409, "CANNOT_REMOVE_LAST_OWNER")

    assert family.bindings() == before


@pytest.mark.parametrize("way", ["leaves", "becomes less"])
def test_a_card_passes_to_another_owner_when_the_one_it_was_issued_to(
    family: Family, way: str
) -> None:
    family.change("owner", "member", role="owner")
    family.invite("owner", "outsider", role="owner")

    if way == "leaves":
        assert family.remove("owner", "owner").status_code == 204
        (event,) = events("CARD_UNBOUND")
    else:
        assert family.change("owner", "owner", role="viewer").status_code == 200
        event = events("BINDING_CHANGED")[-1]

    # then it is in the name of who is on it longest, and what becomes of the old owner is nothing
    # to it
    heir = family.people["member"]
    assert family.fresh().owner == heir
    assert event.context["owner"] == heir.number
    members.suspend_member(member_id=family.people["owner"].id)
    paid = factories.charge(factories.make_till(), factories.make_code(family.card, heir), "10.00")
    assert paid.status == 201


def test_an_owner_whose_name_the_card_does_not_bear_leaves_it_as_it_is(family: Family) -> None:
    family.invite("owner", "outsider", role="owner")

    assert family.remove("outsider", "outsider").status_code == 204

    assert family.fresh().owner == family.people["owner"]
    assert "owner" not in events("CARD_UNBOUND")[0].context


def leave_together(family: Family) -> list[Any]:
    family.invite("owner", "outsider", role="owner")
    leaving = [family.people["owner"].id, family.people["outsider"].id]
    return run_together(
        [
            lambda member_id=member_id: sharing.unbind_member(
                card_id=family.card.id, member_id=member_id, by_member_id=member_id
            )
            for member_id in leaving
        ]
    )


def test_of_two_owners_who_leave_at_once_one_stays(family: Family) -> None:
    outcomes = leave_together(family)

    assert [each.code for each in outcomes if each] == ["CANNOT_REMOVE_LAST_OWNER"]
    owners = [name for name, role in family.roles().items() if role == "owner"]
    assert len(owners) == 1
    assert family.fresh().owner == family.people[owners[0]]


def test_control_without_the_lock_both_owners_leave(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self)
    require_may_become = sharing._Sharing.require_may_become

    both = threading.Barrier(2)

    def check_slowly(self: Any, role: str) -> None:
        require_may_become(self, role)
        both.wait(30)

    monkeypatch.setattr(sharing._Sharing, "require_may_become", check_slowly)
    # The database's own guard would stop one of them now and then.
    execute("ALTER TABLE cards_card DISABLE TRIGGER cards_card_guard")

    leave_together(family)

    assert "owner" not in family.roles().values()


# --- the password --------------------------------------------------------------------------------


def test_who_joined_by_the_old_password_stays_and_nobody_else_joins_by_it(family: Family) -> None:
    client = family.client("outsider")
    joined = post(client, f"{family.url}/bindings", {"password": OLD_PASSWORD})
    assert joined.json()["role"] == "member"

    assert family.set_password("owner").status_code == 204

    assert family.roles()["outsider"] == "member"
    late = factories.member_client(factories.make_member()[0])
    answer = post(late, f"{family.url}/bindings", {"password": OLD_PASSWORD})
    assert refusal(answer) == (403, "INVALID_BINDING_PASSWORD")
    joined = post(late, f"{family.url}/bindings", {"password": NEW_PASSWORD})
    assert (joined.status_code, joined.json()["role"]) == (201, "member")
    (event,) = events("BINDING_PASSWORD_SET")
    assert (event.actor, event.context) == (family.people["owner"].number, {})


def test_without_a_password_nobody_joins_uninvited(family: Family) -> None:
    client = family.client("owner")

    for _ in range(2):
        assert client.delete(f"{family.url}/binding-password").status_code == 204

    for password in (OLD_PASSWORD, " "):
        answer = post(family.client("outsider"), f"{family.url}/bindings", {"password": password})
        assert refusal(answer) == (403, "INVALID_BINDING_PASSWORD")
    assert "outsider" not in family.roles()
    assert family.invite("owner", "outsider").status_code == 201


def test_a_password_is_a_text(family: Family) -> None:
    before = family.fresh().binding_password

    for body in (
        {},
        {"password": ""},
        {"password": None},
        {"password": 7},
        {"password": "x" * 129},
    ):
        answer = send(family.client("owner"), "put", f"{family.url}/binding-password", body)
        assert refusal(answer) == (400, "INVALID_REQUEST")

    assert family.fresh().binding_password == before


# --- everybody -----------------------------------------------------------------------------------


def test_a_card_of_others_looks_like_one_that_does_not_exist(family: Family) -> None:
    before = family.bindings()
    client, whom = family.client("outsider"), family.people["member"].number

    answers = []
    for number in (family.card.number, "PPD99999999"):
        url = f"/api/v1/me/cards/{number}"
        answers.append(
            [
                (answer.status_code, answer.json()["code"], answer.json()["detail"])
                for answer in (
                    client.get(f"{url}/bindings"),
                    post(client, f"{url}/bindings", {"member_no": whom}),
                    send(client, "patch", f"{url}/bindings/{whom}", {"role": "viewer"}),
                    client.delete(f"{url}/bindings/{whom}"),
                    send(client, "put", f"{url}/binding-password", {"password": NEW_PASSWORD}),
                    client.delete(f"{url}/binding-password"),
                )
            ]
        )

    assert answers[0] == answers[1]
    assert {each[:2] for each in answers[0]} == {(404, "CARD_NOT_FOUND")}
    assert family.bindings() == before


def test_a_suspended_member_looks_and_changes_nothing(family: Family) -> None:
    before = family.bindings(), family.fresh().binding_password
    for who in ("owner", "outsider"):
        members.suspend_member(member_id=family.people[who].id)

    for answer in (
        family.invite("owner", "outsider"),
        family.change("owner", "member", role="viewer"),
        family.remove("owner", "member"),
        family.set_password("owner"),
        post(family.client("outsider"), f"{family.url}/bindings", {"password": OLD_PASSWORD}),
    ):
        assert refusal(answer) == (403, "MEMBER_SUSPENDED")

    assert family.client("owner").get(f"{family.url}/bindings").status_code == 200
    assert (family.bindings(), family.fresh().binding_password) == before
