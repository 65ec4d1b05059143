"""The whole job over HTTP, as somebody does it who has read the API guide and nothing else."""

import json
from typing import Any

from django.test import Client

from cards import card_status
from members.models import Member
from mps.base.core import db_scope
from tests import factories


class Caller:
    """A program that speaks JSON with its key or token."""

    def __init__(self, key: str = "") -> None:
        self.client = Client(headers={"Authorization": f"Bearer {key}"} if key else {})

    def __call__(self, method: str, path: str, body: Any = None, *, key: str = "") -> Any:
        """Send a request; return the parsed answer of a success."""
        response = self.raw(method, path, body, key=key)
        assert response.status_code < 300, (response.status_code, response.content)
        return response.json() if response.content else None

    def raw(self, method: str, path: str, body: Any = None, *, key: str = "") -> Any:
        return self.client.generic(
            method,
            path if path.startswith("http") else f"/api/v1{path}",
            b"" if body is None else json.dumps(body).encode(),
            content_type="application/json",
            headers={"Idempotency-Key": key} if key else {},
        )


def register_and_sign_in(name: str, phone: str) -> tuple[Caller, dict[str, Any]]:
    """Become a member; return an app that is signed in, and who they are."""
    anyone = Caller()
    password = f"a horse of {name} 7"
    registered = anyone("POST", "/members", {"name": name, "phone": phone, "password": password})
    signed_in = anyone("POST", "/auth/login", {"identifier": phone, "password": password})
    return Caller(signed_in["token"]), registered


def issue_prepaid(member_no: str, balance: str, **fields: Any) -> Any:
    """What staff does for a member."""
    with db_scope.principal_scope("platform_admin"):
        owner = Member.objects.get(number=member_no)
    return factories.make_prepaid(owner, balance, **fields)


def test_a_member_pays_with_a_prepaid_card_and_gets_some_of_it_back(database: str) -> None:
    # given a member with 1000.00 on a card that takes 5 % off, and a shop
    me, registered = register_and_sign_in("Mei", "0912345678")
    card = issue_prepaid(registered["number"], "1000.00", fixed_discount="0.95")
    shop = Caller(factories.make_till_and_key()[1])
    mine = me("GET", "/me/cards")["results"]
    assert [each["card_type"] for each in mine] == ["STD", "PPD"]
    assert mine[1]["card_no"] == card.number
    assert mine[1]["balance"] == "1000.00"

    # when they show a code and the till scans it with 299.00
    shown = me("POST", f"/me/cards/{card.number}/code", {})
    picture = me.raw("GET", f"/me/cards/{card.number}/code.svg")
    assert picture.status_code == 200
    assert picture["Content-Type"].startswith("image/svg+xml")
    assert b"<svg" in picture.content
    looked = shop("POST", "/pos/codes/validate", {"code": shown["code"]})
    assert looked["discount_rate"] == "0.95"
    order = {"code": shown["code"], "amount": "299.00", "external_order_id": "TODAY-1"}
    paid = shop("POST", "/pos/charges", order, key="till-1-0001")

    # then it is what the worked example says
    assert paid["final_amount"] == "284.05"
    assert paid["discount_amount"] == "14.95"
    assert paid["balance_after"] == "715.95"
    assert paid["points_earned"] == 299
    assert paid["currency"] == "TWD"
    assert card.number not in json.dumps(paid)

    # and a retry gets the same answer, whatever became of the code and the card
    card_status.freeze_card(card_id=card.id)
    again = shop.raw("POST", "/pos/charges", order, key="till-1-0001")
    assert again.status_code == 201
    assert again["Idempotent-Replayed"] == "true"
    assert again.json() == paid
    card_status.unfreeze_card(card_id=card.id)
    gone = me.raw("GET", f"/me/cards/{card.number}/code")
    assert gone.status_code in {404, 409}

    # and the refund gives back money and its share of points: floor(299 * 50 / 284.05) = 52
    refund = shop(
        "POST", f"/pos/charges/{paid['tx_no']}/refunds", {"amount": "50.00"}, key="till-1-0002"
    )
    assert refund["points_reversed"] == 52
    assert refund["remaining"] == "234.05"
    now = me("GET", f"/me/cards/{card.number}")
    assert (now["balance"], now["points"], now["tier"]) == ("765.95", 247, "ordinary")

    # and both sides read the same history
    ours = me("GET", "/me/transactions")["results"]
    theirs = shop("GET", "/pos/transactions")["results"]
    numbers = [refund["tx_no"], paid["tx_no"]]
    assert [each["tx_no"] for each in theirs] == numbers
    assert [each["tx_no"] for each in ours if each["type"] != "recharge"] == numbers
    assert [each["type"] for each in ours] == ["refund", "payment", "recharge"]
    assert [each["points"] for each in me("GET", "/me/points")["results"]] == [-52, 299]
    detail = shop("GET", "/pos/charges?external_order_id=TODAY-1")
    assert detail["refunded_total"] == "50.00"
    assert [each["tx_no"] for each in detail["refunds"]] == [refund["tx_no"]]
    lines = {each["type"]: each for each in shop("GET", "/pos/summary")["lines"]}
    assert lines["payment"]["final_amount"] == "284.05"
    assert lines["refund"]["final_amount"] == "50.00"


def test_a_standard_card_turns_silver_and_the_next_payment_is_cheaper(database: str) -> None:
    me, registered = register_and_sign_in("Chen", "0912345679")
    shop = Caller(factories.make_till_and_key()[1])
    standard = registered["card"]["card_no"]

    def pay(amount: str) -> Any:
        code = me("POST", f"/me/cards/{standard}/code", {})["code"]
        body = {"code": code, "amount": amount, "payment_method": "cash"}
        return shop("POST", "/pos/charges", body, key=factories.new_key())

    assert pay("999.00")["tier"] == "ordinary"
    silver = pay("1.00")
    assert (silver["discount_rate"], silver["tier"]) == ("1.00", "silver")
    cheaper = pay("100.00")
    assert (cheaper["discount_rate"], cheaper["final_amount"]) == ("0.95", "95.00")
    assert "balance_after" not in cheaper
    card = me("GET", f"/me/cards/{standard}")
    assert (card["points"], card["tier"], card["level"]) == (1100, "silver", 1)


def test_a_family_shares_a_card_and_each_pays_with_their_own_code(database: str) -> None:
    owner, registered = register_and_sign_in("Lin", "0912345680")
    child, child_registered = register_and_sign_in("Bo", "0912345681")
    shop = Caller(factories.make_till_and_key()[1])
    card = issue_prepaid(registered["number"], "100.00", binding_password="our family 7")
    path = f"/me/cards/{card.number}"

    refused = child.raw("POST", f"{path}/bindings", {"password": "not ours 7"})
    assert (refused.status_code, refused.json()["code"]) == (403, "INVALID_BINDING_PASSWORD")
    assert child("POST", f"{path}/bindings", {"password": "our family 7"})["role"] == "member"
    codes = [each("POST", f"{path}/code", {})["code"] for each in (owner, child)]
    for code in codes:
        shop("POST", "/pos/charges", {"code": code, "amount": "40.00"}, key=factories.new_key())

    third = child("POST", f"{path}/code", {})["code"]
    declined = shop.raw(
        "POST", "/pos/charges", {"code": third, "amount": "40.00"}, key=factories.new_key()
    )
    assert (declined.status_code, declined.json()["code"]) == (402, "INSUFFICIENT_BALANCE")
    assert owner("GET", path)["balance"] == "20.00"
    owner("DELETE", f"{path}/bindings/{child_registered['number']}")
    assert child.raw("POST", f"{path}/code", {}).status_code == 404
    assert child.raw("GET", path).status_code == 404


def test_a_till_that_lost_its_answer_asks_or_reverses(database: str) -> None:
    me, registered = register_and_sign_in("Wu", "0912345682")
    card = issue_prepaid(registered["number"], "100.00")
    shop = Caller(factories.make_till_and_key()[1])
    code = me("POST", f"/me/cards/{card.number}/code", {})["code"]
    body = {"code": code, "amount": "30.00", "external_order_id": "LOST-1"}
    paid = shop("POST", "/pos/charges", body, key="lost-1")

    assert shop("GET", "/pos/charges?external_order_id=LOST-1")["tx_no"] == paid["tx_no"]
    assert shop.raw("GET", "/pos/charges?external_order_id=LOST-2").status_code == 404
    undone = shop("POST", "/pos/orders/LOST-1/reverse", {})
    assert undone["amount"] == "30.00"
    assert shop("POST", "/pos/orders/LOST-1/reverse", {}) == undone
    assert shop("POST", "/pos/orders/LOST-2/reverse", {})["status"] == "cancelled"
    late = {**body, "code": me("POST", f"/me/cards/{card.number}/code", {})["code"]}
    late["external_order_id"] = "LOST-2"
    refused = shop.raw("POST", "/pos/charges", late, key="lost-2")

    assert (refused.status_code, refused.json()["code"]) == (409, "ORDER_REVERSED")
    assert me("GET", f"/me/cards/{card.number}")["balance"] == "100.00"


def test_what_is_lost_or_left_behind_opens_nothing(database: str) -> None:
    me, registered = register_and_sign_in("Xu", "0912345683")
    stranger, _ = register_and_sign_in("Yi", "0912345684")
    card = issue_prepaid(registered["number"], "100.00")
    shop = Caller(factories.make_till_and_key()[1])
    path = f"/me/cards/{card.number}"
    code = me("POST", f"{path}/code", {})["code"]

    assert me("POST", f"{path}/lock", {})["status"] == "frozen"
    body = {"code": code, "amount": "1.00"}
    locked = shop.raw("POST", "/pos/charges", body, key="k1")
    assert (locked.status_code, locked.json()["code"]) == (409, "CARD_NOT_ACTIVE")
    assert me("POST", f"{path}/unlock", {})["status"] == "active"
    for method, where in (("GET", path), ("POST", f"{path}/code"), ("POST", f"{path}/lock")):
        assert stranger.raw(method, where, {} if method == "POST" else None).status_code == 404
    me("POST", "/auth/logout")
    assert me.raw("GET", path).status_code == 401
