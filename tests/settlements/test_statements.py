"""Statements: every line, totals equal to the ledger, and no formula in them."""

import csv
import io
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from django.db import connections
from django.test import Client

from mps.base.core import spreadsheets
from mps.base.core.db_scope import principal_scope
from settlements import selectors, services, statements
from tests import factories
from tests.settlements import helpers
from tests.snapshots import execute

pytestmark = pytest.mark.urls("tests.settlements.urls")


def make_day() -> tuple[Any, str, Any]:
    """Let a shop have a mixed day; return its till, its key and the settlement."""
    member, standard = factories.make_member()
    till, key = factories.make_till_and_key(fee_rate=Decimal("0.025"), name="=1+1")
    card = factories.make_prepaid(member, "9000.00", fixed_discount="0.95")
    paid = helpers.pay(till, card, member, "299.00", external_order_id="-1.2")
    helpers.refund(till, paid, "50.00")
    helpers.pay(till, card, member, "12.34")
    helpers.pay(till, standard, member, "70.00", payment_method="cash")
    helpers.take_cash(till, card, "20.00")
    return till, key, helpers.settle(till)


def download(key: str, settlement: Any, ending: str, **headers: str) -> Any:
    return Client().get(
        f"/api/v1/pos/settlements/{settlement.id}/statement.{ending}",
        headers={"Authorization": f"Bearer {key}", **headers},
    )


def read(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def test_csv_has_every_line_and_the_ledgers_totals(database: str) -> None:
    till, key, settlement = make_day()

    response = download(key, settlement, "csv")

    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv"
    assert f"settlement-{till.merchant_code}-" in response["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(read(response).decode("utf-8-sig"), newline="")))
    lines, (total, carried, net) = rows[:-3], rows[-3:]
    assert [row["type"] for row in lines] == ["payment", "refund", "payment", "payment", "recharge"]
    for column in ("payments", "refunds", "cash_topups", "fee", "net"):
        assert sum(Decimal(row[column]) for row in lines) == Decimal(total[column])
    assert [total[name] for name in ("payments", "refunds", "cash_topups", "fee")] == [
        str(getattr(settlement, name)) for name in ("gross", "refunds", "cash_topups", "fee")
    ]
    assert (carried["tx_no"], carried["net"]) == ("CARRIED_IN", "0.00")
    assert (net["tx_no"], net["net"]) == ("NET", str(settlement.net))
    # What the ledger says, once the fee is taken.
    services.approve_settlement(settlement_id=settlement.id)
    assert Decimal(net["net"]) == helpers.owed(till)
    assert lines[0]["external_order_id"] == "'-1.2"
    assert lines[0]["card_no"].count("*") == 4
    assert lines[1]["original_tx_no"] == lines[0]["tx_no"]
    assert lines[3]["amount"] == "70.00"
    assert lines[3]["net"] == "0.00"
    assert lines[0]["created_at"].endswith("+08:00")


def test_xlsx_has_numbers_the_ledgers_totals_and_no_formula(database: str) -> None:
    _till, key, settlement = make_day()

    response = download(key, settlement, "xlsx")

    assert response["Content-Type"] == statements.XLSX
    book = openpyxl.load_workbook(io.BytesIO(read(response)))
    summary = {row[0].value: row[1] for row in book["Statement"].iter_rows()}
    assert Decimal(str(summary["net"].value)) == settlement.net
    assert (summary["name"].value, summary["name"].data_type) == ("=1+1", "s")
    assert summary["transactions"].value == 5
    rows = list(book["Transactions"].iter_rows(values_only=True))
    assert rows[0] == statements.COLUMNS
    lines, (total, carried, net) = rows[1:-3], rows[-3:]
    for place in range(8, 13):
        assert money(sum(row[place] for row in lines)) == money(total[place])
    assert money(total[8]) == settlement.gross
    assert money(carried[12]) == 0
    assert money(net[12]) == settlement.net
    assert book["Transactions"]["I2"].number_format == "0.00"
    assert lines[0][3] == "-1.2"
    assert all(cell.data_type != "f" for row in book["Transactions"].iter_rows() for cell in row)


def money(value: Any) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.01"))


def test_a_statement_shows_what_was_carried_in(database: str) -> None:
    member, _ = factories.make_member()
    till, key = factories.make_till_and_key()
    card = factories.make_prepaid(member, fixed_discount="1")
    helpers.take_cash(till, card, "100.00")
    helpers.settle(till)
    helpers.pay(till, card, member, "60.00")
    settlement = helpers.settle(till)

    rows = read(download(key, settlement, "csv")).decode("utf-8-sig").splitlines()

    assert rows[-3:] == [
        "TOTAL,,,,,,,,60.00,0.00,0.00,0.00,60.00",
        "CARRIED_IN,,,,,,,,,,,,-100.00",
        "NET,,,,,,,,,,,,-40.00",
    ]


def test_a_long_statement_fills_several_sheets(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _till, key, settlement = make_day()
    monkeypatch.setattr(statements, "MAX_SHEET_ROWS", 2)

    book = openpyxl.load_workbook(io.BytesIO(read(download(key, settlement, "xlsx"))))

    assert book.sheetnames == ["Statement", "Transactions", "Transactions 2", "Transactions 3"]
    assert book["Transactions 3"].max_row == 1 + 1 + 3


def test_a_statement_that_does_not_add_up_is_none(database: str) -> None:
    _till, _key, settlement = make_day()
    settlement.net += 1

    with pytest.raises(AssertionError):
        statements.write_csv(settlement, [], io.BytesIO())


def test_one_that_failed_has_no_statement(database: str) -> None:
    _till, key, settlement = make_day()
    services.fail_settlement(settlement_id=settlement.id, reason="wrong")

    response = download(key, settlement, "csv", Accept="text/csv")

    assert response.status_code == 409
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["code"] == "SETTLEMENT_STATE_CONFLICT"


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\t=1", "|x", "%x", "\r=1"])
def test_text_never_begins_a_formula(text: str) -> None:
    assert spreadsheets.as_text(text) == f"'{text}"
    assert spreadsheets.as_text("WX-1=2") == "WX-1=2"


def test_both_forms_can_be_asked_for_by_accept(database: str) -> None:
    _till, key, settlement = make_day()

    assert download(key, settlement, "csv", Accept="text/csv").status_code == 200
    assert download(key, settlement, "xlsx", Accept=statements.XLSX).status_code == 200
    assert download(key, settlement, "csv", Accept="image/png").status_code == 406


def test_a_statement_reads_no_other_settlements_lines(unchecked_database: str) -> None:
    # given a settlement among the lines of very many others, as time left them
    others = (
        "INSERT INTO settlements_line SELECT uuidv7(make_interval(secs => n + %s)),"
        " core_uuid_floor(now() + make_interval(secs => n / 1000 * 1000 + %s)), 1, 0, 0, 0"
        " FROM generate_series(1, 30000) n"
    )
    execute(others, [-90_000, -90_000])
    _till, _key, settlement = make_day()
    execute(others, [90_000, 90_000])
    execute("VACUUM ANALYZE settlements_line")

    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM settlements_line"
            " WHERE settlement_id = %s ORDER BY tx_id",
            [settlement.id],
        )
        plan = str(cursor.fetchone()[0])

    assert "settlements_line_settlement" in plan
    with principal_scope("platform_admin") as scope:
        assert len(list(selectors.statement_lines(scope, settlement))) == settlement.tx_count
