"""What a till reads of its shop's settlements."""

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from settlements import services
from tests import factories
from tests.settlements import helpers

pytestmark = pytest.mark.urls("tests.settlements.urls")


@pytest.fixture
def shop(database: str) -> tuple[Any, str]:
    """A till and its key."""
    return factories.make_till_and_key(fee_rate=Decimal("0.02"))


def get(key: str, path: str = "") -> Any:
    return Client().get(
        f"/api/v1/pos/settlements{path}", headers={"Authorization": f"Bearer {key}"}
    )


def make_settlements(till: Any, number: int) -> list[Any]:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "1000.00", fixed_discount="1")
    end = helpers.soon()
    made = []
    for n in range(number):
        helpers.pay(till, card, member, "100.00")
        made.append(helpers.settle(till, end=end + timedelta(minutes=n)))
    return made


def test_a_settlement_as_the_shop_sees_it(shop: tuple[Any, str]) -> None:
    till, key = shop
    [settlement] = make_settlements(till, 1)
    services.approve_settlement(settlement_id=settlement.id)
    services.mark_paid(settlement_id=settlement.id, payout_reference="BANK-1")

    body = get(key, f"/{settlement.id}").json()

    assert {name: body[name] for name in ("id", "mode", "gross", "refunds", "fee", "net")} == {
        "id": str(settlement.id),
        "mode": "t_plus_1",
        "gross": "100.00",
        "refunds": "0.00",
        "fee": "2.00",
        "net": "98.00",
    }
    assert (body["status"], body["tx_count"], body["payout_reference"]) == ("paid", 1, "BANK-1")
    assert body["period_start"] == "2020-01-01T00:00:00.000000Z"
    assert body["paid_at"].endswith("Z")


def test_settlements_come_newest_first_by_pages(shop: tuple[Any, str]) -> None:
    till, key = shop
    made = make_settlements(till, 3)

    first = get(key, "?limit=2").json()
    second = get(key, "?" + first["next"].split("?")[1]).json()

    listed = [each["id"] for each in first["results"] + second["results"]]
    assert listed == [str(each.id) for each in reversed(made)]
    assert second["next"] is None


def test_another_shops_settlement_is_not_found(shop: tuple[Any, str]) -> None:
    till, _key = shop
    [settlement] = make_settlements(till, 1)
    _other, stranger = factories.make_till_and_key()

    for path in (
        f"/{settlement.id}",
        f"/{settlement.id}/statement.csv",
        f"/{settlement.id}/statement.xlsx",
        f"/{uuid.uuid4()}",
        "/not-an-id",
    ):
        response = get(stranger, path)
        assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND"), path
    assert get(stranger).json()["results"] == []


def test_it_takes_a_key_and_known_parameters(shop: tuple[Any, str]) -> None:
    _till, key = shop

    assert Client().get("/api/v1/pos/settlements").status_code == 401
    assert get("mps.tnobody.x").status_code == 401
    assert get(key, "?status=paid").status_code == 400
    assert get(key, "?limit=0").status_code == 400
    assert get(key, "?cursor=x").status_code == 400
    assert get(key).json() == {"results": [], "next": None, "previous": None}


def test_reports_name_the_settlement(shop: tuple[Any, str]) -> None:
    till, _key = shop
    [settlement] = make_settlements(till, 1)

    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT type, settlement_id FROM report.transactions ORDER BY created_at")
        assert cursor.fetchall() == [("recharge", None), ("payment", settlement.id)]
        cursor.execute("SELECT * FROM report.settlements")
        names = [column.name for column in cursor.description]
        assert names == [
            *("settlement_id", "merchant_code", "mode", "period_start", "period_end", "gross"),
            *("refunds", "cash_topups", "fee", "carried_in", "net", "tx_count", "status"),
        ]
        [row] = cursor.fetchall()
    assert row[:2] == (settlement.id, till.merchant_code)
    assert row[5:] == (100, 0, 0, 2, 0, 98, 1, "pending")


def test_the_operations_are_described(database: str) -> None:
    schema = Client().get("/api/schema/", headers={"Accept": "application/json"}).json()

    for path in ("", "/{settlement_id}", "/{settlement_id}/statement.csv"):
        operation = schema["paths"][f"/api/v1/pos/settlements{path}"]["get"]
        assert operation["security"]
        content = next(iter(operation["responses"]["200"]["content"].values()))
        assert content["examples"]
