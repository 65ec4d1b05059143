"""No statement of a charge may cost more because there are more codes, cards or past payments."""

import json
import os
import re
from typing import Any

import psycopg
import pytest
from django.db import connections

from benchmarks import world
from cards.models import Card
from members.models import Member
from merchants.selectors import Till
from mps.base.core.db_scope import principal_scope
from tests import factories
from tests.conftest import url_for

CODES = 100_000
PAST = 100_000
# Small by nature, whatever the system's size: the tiers, and the platform's own accounts.
SMALL = {"cards_tier"}


@pytest.fixture
def filled(database: str) -> Any:
    """A clone with many codes and payments; yields a connection, a till and the world."""
    till = factories.make_till()
    url = url_for(os.environ["MPS_TEST_SUPERUSER_URL"], database)
    with psycopg.connect(url, autocommit=True) as connection:
        # Half the time of loading goes into checking references row by row; the invariants are
        # checked afterwards, over all of it.
        connection.execute("SET session_replication_role = replica")
        world.load_merchants(connection, 1000)
        loaded = world.load_cards(connection, CODES)
        world.load_vouchers(connection, loaded)
        world.load_past(connection, PAST, merchant_id=till.merchant_id, world=loaded)
        # So that reading all of them would show; disabled, they are told nothing.
        connection.execute(
            "INSERT INTO merchants_webhookendpoint (merchant_id, url, secret_key_id, enabled,"
            " disabled_reason) SELECT id, 'https://example.com/' || n, 'none', false, 'a test'"
            " FROM merchants_merchant, generate_series(1, 2) n"
        )
        connection.execute(
            "INSERT INTO payments_consent (merchant_id, key, request_hash, card_id, card_no,"
            " member_id, external_order_id, payment_method, currency, amount, final_amount, tag,"
            " created_at, expires_at) SELECT %s, 'K' || n, ''::bytea, c.id, c.number, c.owner_id,"
            " 'W' || n, 'balance', 'TWD', 1, 1, '{}', now(), now() + interval '1 hour'"
            " FROM (SELECT *, row_number() OVER () AS n FROM cards_card LIMIT 2000) c",
            [till.merchant_id],
        )
        connection.execute("ANALYZE")
        yield connection, till, loaded


def plans_of(work: Any) -> list[dict[str, Any]]:
    """Run `work` with auto_explain and return every plan the server logged, nested ones too."""
    notices: list[str] = []
    wrapper = connections["default"]
    wrapper.ensure_connection()
    wrapper.connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    work()
    return [json.loads(text.split("plan:", 1)[1])["Plan"] for text in notices if "plan:" in text]


def scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the nodes of a plan that read a table."""
    found = [plan] if "Relation Name" in plan else []
    for child in plan.get("Plans", []):
        found += scans(child)
    return found


def log_plans(superuser: psycopg.Connection, database: str) -> None:
    """Have the server send each statement's plan to the client, nested ones too, with what it
    read."""
    for name, value in {
        "session_preload_libraries": "auto_explain",
        "auto_explain.log_min_duration": "0",
        "auto_explain.log_nested_statements": "on",
        "auto_explain.log_analyze": "on",
        "auto_explain.log_format": "json",
        "auto_explain.log_level": "notice",
    }.items():
        superuser.execute(f"ALTER DATABASE \"{database}\" SET {name} = '{value}'")
    connections["default"].close()


def read_everything() -> None:
    """Do what no charge may do."""
    with (
        principal_scope("platform_admin"),
        connections["default"].cursor() as cursor,
    ):
        cursor.execute("SELECT count(*) FROM cards_paymentcode WHERE nonce = %s", [b"x"])


def test_every_query_of_a_charge_uses_an_index(
    filled: Any, database: str, superuser: psycopg.Connection
) -> None:
    connection, till, loaded = filled
    log_plans(superuser, database)
    control = [scan for plan in plans_of(read_everything) for scan in scans(plan)]
    assert any("Seq Scan" in scan["Node Type"] for scan in control)
    for code in loaded.codes[:3]:  # statements are planned by then
        factories.charge(till, code, "10.00", external_order_id=factories.new_key())

    plans = plans_of(
        lambda: factories.charge(till, loaded.codes[50_000], "10.00", external_order_id="ORDER-1")
    )

    # What is pruned while running is planned, but never read.
    read = [scan for plan in plans for scan in scans(plan) if scan["Actual Loops"]]
    tables = {re.sub(r"_y\d{4}m\d{2}$", "", scan["Relation Name"]) for scan in read}
    assert {"cards_paymentcode", "cards_card", "ledger_account", "payments_idempotency"} <= tables
    sequential = {scan["Relation Name"] for scan in read if scan["Node Type"] == "Seq Scan"}
    assert sequential <= SMALL
    for scan in read:
        assert scan.get("Rows Removed by Filter", 0) <= 10, scan
        assert scan["Actual Rows"] <= 10, scan
    assert_pages_cost_the_same(connection, till)


def test_a_plan_made_when_there_was_nothing_is_as_good_later(
    database: str, superuser: psycopg.Connection
) -> None:
    """Plans are kept as long as their connection; nobody analyses a table in its first minute."""
    till = factories.make_till()
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    url = url_for(os.environ["MPS_TEST_SUPERUSER_URL"], database)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    log_plans(superuser, database)

    plans = plans_of(lambda: pay_with_a_new_code(till, card, member))

    read = [scan for plan in plans for scan in scans(plan) if scan["Actual Loops"]]
    by_index = {scan["Relation Name"] for scan in read if scan["Node Type"] == "Index Scan"}
    assert {"payments_idempotency", "payments_order", "cards_paymentcode"} <= by_index
    assert [scan["Relation Name"] for scan in read if scan["Node Type"] == "Seq Scan"] == []


def pay_with_a_new_code(till: Till, card: Card, member: Member) -> None:
    """Do what makes up nearly all of a day: show a code, take it."""
    code = factories.make_code(card, member)
    assert factories.charge(till, code, "1.00", external_order_id=factories.new_key()).status == 201


def assert_pages_cost_the_same(connection: psycopg.Connection, till: Till) -> None:
    """Compare the blocks read for a history's first page and its 1,800th."""

    deep = connection.execute(
        "SELECT id FROM payments_transaction WHERE merchant_id = %s ORDER BY id DESC"
        " OFFSET 90000 LIMIT 1",
        [till.merchant_id],
    ).fetchone()[0]

    def cost(condition: str, parameters: list[Any]) -> float:
        plan = connection.execute(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM payments_transaction"
            f" WHERE merchant_id = %s {condition} ORDER BY id DESC LIMIT 50",
            [till.merchant_id, *parameters],
        ).fetchone()[0][0]["Plan"]
        return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]

    first = cost("", [])
    later = cost("AND id < %s", [deep])

    assert later <= first * 1.5 + 10
