"""Settling a shop, and what it was settled for."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests import factories
from tests.rpc.conftest import Reply, Rpc, row, scalar, token_of
from tests.settlements import helpers


@pytest.fixture
def shop(rpc: Rpc, service_key: str) -> Any:
    """A shop that has taken 100.00 at 2 %."""

    class Shop:
        till, till_key = factories.make_till_and_key(fee_rate=Decimal("0.02"))
        member, _ = factories.make_member()
        card = factories.make_prepaid(member, "1000.00", fixed_discount="1")
        tomorrow = (datetime.now(UTC) + timedelta(days=2)).date()

        def pay(self, amount: str) -> None:
            helpers.pay(self.till, self.card, self.member, amount)

        def settle(self, **arguments: Any) -> Reply:
            return rpc(
                service_key,
                "generate_settlement",
                **{
                    "merchant_id": str(self.till.merchant_id),
                    "mode": "t_plus_1",
                    "period_start": "2025-09-29",
                    "period_end": str(self.tomorrow),
                    **arguments,
                },
            )

        def settled(self, key: str = service_key, **page: int) -> Reply:
            merchant_id = str(self.till.merchant_id)
            return rpc(key, "list_settlements", merchant_id=merchant_id, **page)

    made = Shop()
    made.pay("100.00")
    return made


def test_generate_settlement(shop: Any) -> None:
    settlement_id = scalar(shop.settle())

    assert scalar(shop.settle()) == settlement_id
    settled = row(shop.settled())
    assert settled["id"] == settlement_id
    # 100.00 less 2 %.
    assert settled["total_amount"] == Decimal("98.00")
    assert settled["total_tx_count"] == 1
    # Dates are the shop's own midnights.
    assert settled["period_start"] == "2025-09-28T16:00:00+00:00"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"mode": "weekly"}, (400, "INVALID_REQUEST")),
        ({"period_end": "2025-09-29"}, (400, "INVALID_REQUEST")),
        ({"period_end": "2025-13-01"}, (400, "INVALID_REQUEST")),
        ({"period_start": "1999-12-31"}, (400, "INVALID_REQUEST")),
        ({"period_end": "2101-01-01T00:00:00Z"}, (400, "INVALID_REQUEST")),
        ({"merchant_id": str(uuid.uuid4())}, (404, "NOT_FOUND")),
        ({"period_end": "2025-09-30"}, (409, "NO_TRANSACTIONS_IN_PERIOD")),
    ],
)
def test_generate_settlement_refuses(
    shop: Any, arguments: dict[str, str], error: tuple[int, str]
) -> None:
    before = helpers.state()

    assert shop.settle(**arguments).error == error

    assert helpers.state() == before


def test_list_settlements(rpc: Rpc, shop: Any) -> None:
    first = scalar(shop.settle())
    shop.pay("50.00")
    second = scalar(shop.settle(mode="monthly"))

    listed = scalar(shop.settled(shop.till_key))

    assert [each["id"] for each in listed] == [second, first]
    assert list(listed[0]) == [
        "id",
        "period_start",
        "period_end",
        "mode",
        "total_amount",
        "total_tx_count",
        "status",
        "created_at",
    ]
    assert [each["mode"] for each in listed] == ["monthly", "t_plus_1"]
    assert {each["status"] for each in listed} == {"pending"}
    assert row(shop.settled(limit=1, offset=1))["id"] == first
    assert shop.settled(limit=0).error == (400, "INVALID_REQUEST")


def test_list_settlements_is_ones_own(rpc: Rpc, service_key: str, shop: Any) -> None:
    scalar(shop.settle())
    other, other_key = factories.make_till_and_key()

    assert shop.settled(other_key).error == (403, "PERMISSION_DENIED")
    assert shop.settled(token_of(shop.member)).error == (403, "PERMISSION_DENIED")
    own = rpc(other_key, "list_settlements", merchant_id=str(other.merchant_id))
    assert scalar(own) == []
    unknown = rpc(service_key, "list_settlements", merchant_id=str(uuid.uuid4()))
    assert unknown.error == (404, "NOT_FOUND")
