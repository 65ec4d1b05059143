"""Staff see settlements, approve them, pay them out or give them up."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.test import Client

from merchants.models import Merchant
from settlements.models import Settlement
from tests import factories
from tests.console.conftest import boss, console, staff_client  # noqa: F401 -- fixtures
from tests.console.helpers import act, events, list_url, page_url, texts
from tests.settlements import helpers


@pytest.fixture
def shop(database: str) -> SimpleNamespace:
    """A shop that is settled, with the next payment waiting."""
    member, _ = factories.make_member()
    till = factories.make_till(fee_rate=Decimal("0.02"))
    card = factories.make_prepaid(member, "1000.00", fixed_discount="1")
    helpers.pay(till, card, member, "100.00")
    settlement = helpers.settle(till)
    helpers.pay(till, card, member, "50.00")
    return SimpleNamespace(till=till, settlement=settlement, merchant=settlement.merchant)


def test_list_and_page_answer(console: Client, shop: SimpleNamespace) -> None:  # noqa: F811
    assert shop.till.merchant_code in console.get(list_url(Settlement)).content.decode()
    found = console.get(list_url(Settlement), {"q": shop.till.merchant_code})
    assert "98.00" in found.content.decode()
    page = console.get(page_url(shop.settlement)).content.decode()
    assert "statement.csv" in page
    assert console.get(page_url(shop.merchant)).status_code == 200


def test_a_debt_is_shown_where_it_went(console: Client, database: str) -> None:  # noqa: F811
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, fixed_discount="1")
    helpers.take_cash(till, card, "100.00")
    debt = helpers.settle(till)
    helpers.pay(till, card, member, "30.00")
    heir = helpers.settle(till)

    assert page_url(debt) in console.get(page_url(heir)).content.decode()
    assert page_url(heir) in console.get(page_url(debt)).content.decode()


def test_approve_and_pay_out(console: Client, shop: SimpleNamespace) -> None:  # noqa: F811
    act(console, Settlement, "approve", shop.settlement)
    assert helpers.fresh(shop.settlement).approved_by == "boss"
    act(console, Settlement, "mark-paid", shop.settlement, payout_reference="BANK-9")

    done = helpers.fresh(shop.settlement)
    assert (done.status, done.payout_reference) == ("paid", "BANK-9")
    assert console.get(page_url(shop.settlement)).status_code == 200
    assert [event.actor for event in events("SETTLEMENT_PAID")] == ["boss"]


def test_give_up_and_settle_again(console: Client, shop: SimpleNamespace) -> None:  # noqa: F811
    act(console, Settlement, "fail", shop.settlement, reason="wrong account")
    assert helpers.fresh(shop.settlement).status == "failed"
    page = console.get(page_url(shop.settlement)).content.decode()
    assert "statement.csv" not in page
    day = datetime.now(UTC).date()

    answered = act(
        console,
        Merchant,
        "settle",
        shop.merchant,
        mode="t_plus_1",
        first_day=str(day - timedelta(days=1)),
        last_day=str(day + timedelta(days=1)),
    )

    assert "147.00" in texts(answered)[0]
    assert helpers.count("settlements_settlement") == 2


def test_a_refusal_is_said(console: Client, shop: SimpleNamespace) -> None:  # noqa: F811
    before = helpers.state()

    response = act(console, Settlement, "mark-paid", shop.settlement)

    assert response.status_code == 409
    assert helpers.state() == before


def test_statements_are_for_those_who_may_see_them(
    console: Client,  # noqa: F811
    shop: SimpleNamespace,
) -> None:
    url = f"/admin/settlements/settlement/{shop.settlement.id}/statement."

    response = console.get(url + "csv")

    assert b"PAY" in b"".join(response.streaming_content)
    assert console.get(url + "xlsx").status_code == 200
    assert console.get(url + "pdf").status_code == 403
    assert staff_client("members.view_member").get(url + "csv").status_code == 403
