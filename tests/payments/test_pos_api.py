"""The tills' API over HTTP requests."""

import json
from decimal import Decimal
from typing import Any

import pytest

from cards import vouchers
from tests import factories


@pytest.fixture
def pos(database: str, client: Any) -> Any:
    """A till that sends JSON with its key; `pos(method, path, body, **headers)`."""
    till, key = factories.make_till_and_key(fee_rate=Decimal("0.02"))

    def call(method: str, path: str, body: Any = None, *, idem: str | None = "new") -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        if idem == "new":
            idem = factories.new_key()
        if idem:
            headers["Idempotency-Key"] = idem
        kwargs = (
            {}
            if body is None
            else {
                "data": body if isinstance(body, (str, bytes)) else json.dumps(body),
                "content_type": "application/json",
            }
        )
        return getattr(client, method)(f"/api/v1/pos/{path}", headers=headers, **kwargs)

    call.till = till
    return call


def test_charge_and_query(pos: Any) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "1000.00", fixed_discount="0.95")
    code = factories.make_code(card, member)

    paid = pos(
        "post", "charges", {"code": code, "amount": "299.00", "external_order_id": "ORDER-1"}
    )

    assert paid.status_code == 201, paid.content
    body = paid.json()
    assert list(body) == [
        "tx_no",
        "status",
        "external_order_id",
        "amount",
        "discount_rate",
        "discount_amount",
        "final_amount",
        "currency",
        "points_earned",
        "tier",
        "payment_method",
        "card_no",
        "balance_after",
        "created_at",
    ]
    assert body["final_amount"] == "284.05"
    assert body["balance_after"] == "715.95"
    by_order = pos("get", "charges?external_order_id=ORDER-1").json()
    by_number = pos("get", f"charges/{body['tx_no']}").json()
    assert by_order == by_number
    assert {name: by_order[name] for name in body} == body
    assert by_order["refunds"] == []
    refund = pos("post", f"charges/{body['tx_no']}/refunds", {"amount": "50.00"})
    assert refund.status_code == 201, refund.content
    assert refund.json()["remaining"] == "234.05"
    assert pos("get", f"charges/{body['tx_no']}").json()["refunded_total"] == "50.00"
    reverse = pos("post", "orders/ORDER-1/reverse", {})
    assert reverse.json()["amount"] == "234.05"
    assert pos("get", "summary").json()["lines"][0]["count"] == 1
    listed = pos("get", "transactions?type=payment").json()
    assert [line["tx_no"] for line in listed["results"]] == [body["tx_no"]]
    validated = pos("post", "codes/validate", {"code": factories.make_code(card, member)})
    assert validated.json()["discount_rate"] == "0.95"
    topped_up = pos("post", "topups", {"card_no": card.number, "amount": 20})
    assert topped_up.status_code == 201
    undone = pos("post", f"topups/{topped_up.json()['tx_no']}/reverse", {})
    assert undone.json()["status"] == "cancelled"


def test_a_till_sees_what_a_voucher_takes_off(database: str, client: Any) -> None:
    member, _ = factories.make_member()
    _, key = factories.make_till_and_key()
    voucher = vouchers.issue_voucher_card(
        owner_id=member.id, kind="percent", value=Decimal(20), min_spend=Decimal(100)
    )

    answer = client.post(
        "/api/v1/pos/codes/validate",
        {"code": factories.make_code(voucher, member)},
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )

    found = answer.json()
    assert (found["card_type"], found["discount_rate"]) == ("VCH", "1.00")
    assert found["voucher"] == {"kind": "percent", "value": "20.00", "min_spend": "100.00"}
