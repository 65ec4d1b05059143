"""The reports over days: for trusted backends, and for staff."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.utils import timezone

from cards import payment_codes
from mps.base.core.errors import MpsError
from payments import charges, topups
from tests import factories
from tests.console.conftest import enter, staff_client
from tests.rpc.conftest import token_of
from tests.servers import TEMPLATE
from tests.settlements import helpers
from tests.settlements.past import Past, Purse, Shop, owner
from tests.snapshots import execute

PATHS = ("daily", "code-usage", "failure-reasons")


@pytest.fixture
def shop(database: str) -> Any:
    """A shop with two payments, a refund, a cash top-up and one undone, and three failures."""

    class Shop:
        till, till_key = factories.make_till_and_key()
        member, standard = factories.make_member()
        card = factories.make_prepaid(member, "100.00", fixed_discount="1")

        def fail(self, code: str, amount: str = "1000.00") -> str:
            answer = charges.charge_card(
                till=self.till,
                code=code,
                amount=Decimal(amount),
                idempotency_key=factories.new_key(),
            )
            assert answer.refused
            return str(answer.body["code"])

    made = Shop()
    paid = helpers.pay(made.till, made.card, made.member, "40.00")
    helpers.refund(made.till, paid, "10.00")
    helpers.pay(made.till, made.standard, made.member, "7.00", payment_method="cash")
    helpers.take_cash(made.till, made.card, "20.00")
    undone = helpers.take_cash(made.till, made.card, "30.00")
    topups.reverse_top_up(till=made.till, tx_no=undone)
    for _ in range(2):
        assert made.fail(factories.make_code(made.card, made.member)) == "INSUFFICIENT_BALANCE"
    return made


def get(key: str, report: str, **query: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return Client().get(f"/api/v1/reports/{report}", query, headers=headers)


def lines(key: str, report: str, **query: Any) -> list[dict[str, Any]]:
    response = get(key, report, **query)
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["lines"]
    return found


def test_daily_by_shop_and_method(shop: Any, service_key: str) -> None:
    today = str(timezone.localdate())

    balance, cash, own = sorted(
        lines(service_key, "daily"),
        key=lambda line: (line["merchant_code"] is None, line["payment_method"]),
    )

    assert balance == {
        "day": today,
        "merchant_code": shop.till.merchant_code,
        "payment_method": "balance",
        "payments": 1,
        "paid": "40.00",
        "refunds": 1,
        "refunded": "10.00",
        "topups": 0,
        "topped_up": "0.00",
    }
    # The top-up that was taken back is none.
    assert (cash["payments"], cash["paid"]) == (1, "7.00")
    assert (cash["topups"], cash["topped_up"]) == (1, "20.00")
    # What a backend credited is no shop's.
    assert (own["merchant_code"], own["topups"], own["topped_up"]) == (None, 1, "100.00")


def test_daily_is_of_the_days_asked_for(shop: Any, service_key: str, database: str) -> None:
    # given a payment in cash yesterday
    today, a_day = timezone.localdate(), timedelta(days=1)
    member, card = factories.make_member()
    past = Past(helpers.fetch("SELECT id FROM ledger_account WHERE kind = 'points_issue'"))
    yesterday = timezone.now() - a_day
    past.pay(
        Shop(shop.till, Decimal(0)), Purse(card, member), Decimal("5.00"), yesterday, method="cash"
    )
    with owner(database) as connection:
        connection.execute("SET mps.clock_shift = '-1 day'")
        past.write(connection)

    def days(**query: Any) -> set[str]:
        return {line["day"] for line in lines(service_key, "daily", **query)}

    assert days() == {str(today), str(today - a_day)}
    assert days(**{"from": str(today - a_day), "to": str(today - a_day)}) == {str(today - a_day)}
    assert days(**{"from": str(today)}) == {str(today)}
    assert days(to="2020-01-31") == set()


def test_code_usage_adds_up(shop: Any, service_key: str) -> None:
    # given the fixture's four used ones: of two payments, and of two that failed
    codes = [factories.make_code(shop.card, shop.member) for _ in range(2)]
    assert codes[0] != codes[1]
    payment_codes.revoke_code(card_id=shop.card.id, member_id=shop.member.id)
    factories.make_code(shop.card, shop.member)
    execute("UPDATE cards_paymentcode SET expires_at = now() WHERE ended_at IS NULL")
    other, card = factories.make_member()
    factories.make_code(card, other)

    [line] = lines(service_key, "code-usage")

    assert line == {
        "day": str(timezone.localdate()),
        "issued": 8,
        "used": 4,
        "expired": 1,
        "revoked": 1,
        "replaced": 1,
        "live": 1,
    }


def test_failure_reasons_with_their_shares(shop: Any, service_key: str) -> None:
    code = factories.make_code(shop.card, shop.member)
    assert not factories.charge(shop.till, code, "1.00").refused
    with pytest.raises(MpsError):
        shop.fail(code)

    assert lines(service_key, "failure-reasons") == [
        {
            "failure_code": "INSUFFICIENT_BALANCE",
            "count": 2,
            "share_of_failures": "0.6667",
            "share_of_attempts": "0.3333",
        },
        # A used code leaves no transaction, and is a failure all the same.
        {
            "failure_code": "QR_EXPIRED_OR_INVALID",
            "count": 1,
            "share_of_failures": "0.3333",
            "share_of_attempts": "0.1667",
        },
    ]


@pytest.mark.parametrize("report", PATHS)
def test_reports_are_for_backends(shop: Any, service_key: str, report: str) -> None:
    for key in ("", shop.till_key, token_of(shop.member), "mps.s" + "0" * 32 + "." + "A" * 43):
        assert get(key, report).status_code == 401
    assert get(service_key, report).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"to": "2025-02-30"},
        {"from": "2025-09-30", "to": "2025-09-29"},
        {"from": "2025-01-01", "to": "2025-09-29"},
        {"from": "1999-12-31", "to": "2000-01-01"},
        {"day": "2025-09-29"},
    ],
)
def test_other_days_are_refused(service_key: str, query: dict[str, str]) -> None:
    response = get(service_key, "daily", **query)

    assert (response.status_code, response.json()["code"]) == (400, "INVALID_REQUEST")


# --- the console ----------------------------------------------------------------------------------


@pytest.fixture
def console(database: str) -> Client:
    client = Client()
    enter(client, User.objects.create_superuser("boss", password="a-long-password-1"))
    return client


@pytest.mark.parametrize("report", PATHS)
def test_staff_see_a_report_and_take_it_along(shop: Any, console: Client, report: str) -> None:
    page = console.get(f"/admin/reports/{report}")
    file = console.get(f"/admin/reports/{report}.csv")

    assert page.status_code == file.status_code == 200
    text = page.content.decode()
    assert f"{report}.csv?from=" in text
    first = {
        "daily": shop.till.merchant_code,
        "code-usage": str(timezone.localdate()),
        "failure-reasons": "INSUFFICIENT_BALANCE",
    }[report]
    assert first in text
    rows = file.content.decode().splitlines()
    assert rows[0].startswith({"failure-reasons": "failure_code,"}.get(report, "day,"))
    assert first in file.content.decode()
    # People read words, programs the codes.
    if report == "daily":
        assert "Card balance" in text
        assert ",balance," in file.content.decode()
    if report == "failure-reasons":
        assert "Insufficient balance. (INSUFFICIENT_BALANCE)" in text
    assert f"{report}-" in file["Content-Disposition"]


def test_a_page_says_what_is_wrong_with_the_days(console: Client) -> None:
    page = console.get("/admin/reports/daily?from=2025-01-01&to=2025-09-29")

    assert page.status_code == 200
    assert "at most 92 days" in page.content.decode()
    assert console.get("/admin/reports/daily.csv?from=x").status_code == 400


def test_reports_are_for_staff_who_may_see_what_they_are_about(database: str) -> None:
    clerk = staff_client("payments.view_transaction")

    assert clerk.get("/admin/reports/daily").status_code == 200
    assert clerk.get("/admin/reports/failure-reasons").status_code == 200
    assert clerk.get("/admin/reports/code-usage").status_code == 403
    assert Client().get("/admin/reports/daily").status_code == 302
    assert clerk.get("/admin/reports/other").status_code == 404


def test_reports_are_read_on_the_replica(
    shop: Any, service_key: str, database: str, superuser: psycopg.Connection
) -> None:
    """A copy that lags far behind: what is read there is nothing yet."""
    copy = f"{database}_copy"
    superuser.execute(f'CREATE DATABASE "{copy}" TEMPLATE {TEMPLATE} STRATEGY file_copy')
    superuser.execute(f'GRANT CONNECT ON DATABASE "{copy}" TO mps_web')
    assert all(lines(service_key, report) for report in PATHS)
    connections.databases["replica"] = {**connections.databases["default"], "NAME": copy}
    try:
        assert [lines(service_key, report) for report in PATHS] == [[], [], []]
        with connections["replica"].cursor() as cursor:
            cursor.execute("SELECT current_setting('role')")
            assert cursor.fetchone() == ("none",)
    finally:
        connections["replica"].close()
        del connections["replica"], connections.databases["replica"]
        superuser.execute(f'DROP DATABASE "{copy}" WITH (FORCE)')
