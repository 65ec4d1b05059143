"""What a shop sees of its day, and of its transactions."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from mps.base.core import db_scope
from mps.base.core.days import show_time
from payments import refunds, representations, selectors, topups
from tests import factories
from tests.snapshots import fetch


def test_a_day_is_counted_by_type_and_method_in_the_shops_time_zone(database: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till(time_zone="Pacific/Kiritimati")  # fourteen hours ahead
    card = factories.make_prepaid(member, "100.00", fixed_discount="0.5")
    for order in ("O-1", "O-2"):
        code = factories.make_code(card, member)
        factories.charge(till, code, "10.00", external_order_id=order)
    factories.charge(till, factories.make_code(card, member), "1000.00")  # fails
    factories.charge(till, factories.make_code(standard, member), "7.00", payment_method="cash")
    refunds.reverse_order(till=till, external_order_id="O-1")
    topups.top_up_at_till(
        till=till, card_no=card.number, amount=Decimal("3.00"), idempotency_key="T"
    )
    factories.charge(factories.make_till(), factories.make_code(card, member), "1.00")
    now = fetch("SELECT now()")
    today = now.astimezone(ZoneInfo(till.time_zone)).date()

    def lines(day: Any) -> list[dict[str, Any]]:
        with db_scope.principal_scope("merchant_api", till.merchant_id) as scope:
            found = representations.summary(day, selectors.summarise_day(scope, till, day))
        assert (found["date"], found["currency"]) == (day.isoformat(), "TWD")
        return found["lines"]

    assert lines(today) == [
        line("payment", "balance", 2, "20.00", "10.00"),
        line("payment", "cash", 1, "7.00", "7.00"),
        line("recharge", "cash", 1, "3.00", "3.00"),
        line("refund", "balance", 1, "5.00", "5.00"),
    ]
    assert lines(today - timedelta(days=1)) == lines(today + timedelta(days=1)) == []

    with db_scope.principal_scope("merchant_api", till.merchant_id) as scope:
        found = selectors.shop_transactions(scope, till)
        assert found.count() == 6
        assert selectors.shop_transactions(scope, till, day=today).count() == 6
        assert selectors.shop_transactions(scope, till, kind="payment").count() == 4
        assert selectors.shop_transactions(scope, till, status="failed").count() == 1
        shown = [representations.shop_line(each) for each in found.order_by("id")]
    assert [each["failure_code"] for each in shown] == [
        None,
        None,
        "INSUFFICIENT_BALANCE",
        None,
        None,
        None,
    ]
    assert shown[4]["original_tx_no"] == shown[0]["tx_no"]


def line(kind: str, method: str, count: int, amount: str, final: str) -> dict[str, Any]:
    return {
        "type": kind,
        "payment_method": method,
        "count": count,
        "amount": amount,
        "final_amount": final,
    }


def test_an_order_shows_its_payment_rather_than_its_failures(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "5.00")

    def find() -> Any:
        with db_scope.principal_scope("merchant_api", till.merchant_id) as scope:
            payment = selectors.find_by_order(scope, till, "O-1")
            return payment and representations.charge_detail(
                payment, selectors.refunds_of(scope, payment)
            )

    def charge() -> Any:
        code = factories.make_code(card, member)
        return factories.charge(till, code, "10.00", external_order_id="O-1")

    assert find() is None
    charge()
    assert find()["failure_code"] == "INSUFFICIENT_BALANCE"
    factories.top_up(card, "5.00")
    paid = charge()
    assert find()["tx_no"] == paid.body["tx_no"]
    assert find()["failure_code"] is None
    refunds.refund_payment(
        till=till, tx_no=paid.body["tx_no"], amount=Decimal("4.00"), idempotency_key="R"
    )
    assert (find()["refunded_total"], len(find()["refunds"])) == ("4.00", 1)


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (datetime(2025, 9, 29, 4, tzinfo=UTC), "2025-09-29T04:00:00.000000Z"),
        (
            datetime(2025, 9, 29, 0, 30, 0, 5, tzinfo=ZoneInfo("Asia/Taipei")),
            "2025-09-28T16:30:00.000005Z",
        ),
    ],
)
def test_times_are_shown_in_utc(moment: datetime, shown: str) -> None:
    assert show_time(moment) == shown
