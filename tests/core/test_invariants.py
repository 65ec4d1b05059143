"""The check that everything adds up finds what does not."""

from decimal import Decimal
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command

from mps.base.core import invariants
from payments import points, refunds
from tests import factories
from tests.snapshots import execute, fetch

CARD_MONEY = "(SELECT id FROM ledger_account WHERE kind = 'card_money')"
PAYMENT = "(SELECT id FROM payments_transaction WHERE type = 'payment' AND status = 'completed')"

# What a superuser past all triggers and constraints did, and what is found for it.
CORRUPTIONS = {
    "postings sum to zero per unit": [
        "UPDATE ledger_entry SET amount = amount + 1 WHERE balance_after IS NULL"
    ],
    "a balance is the sum of its entries": [
        f"UPDATE ledger_account SET balance = balance + 0.01 WHERE id = {CARD_MONEY}",
        f"DELETE FROM ledger_entry WHERE account_id = {CARD_MONEY}",
    ],
    "no balance is negative": [
        "ALTER TABLE ledger_account DROP CONSTRAINT ledger_account_balance_not_negative;"
        f" UPDATE ledger_account SET balance = -1 WHERE id = {CARD_MONEY}"
    ],
    "each balance after is the one before plus the amount": [
        f"UPDATE ledger_entry SET balance_after = balance_after + 1 WHERE account_id = {CARD_MONEY}"
        f" AND id = (SELECT id FROM ledger_entry WHERE account_id = {CARD_MONEY}"
        " ORDER BY id DESC LIMIT 1)"
    ],
    "every entry is on a known account, of a known posting": [
        "DELETE FROM ledger_posting",
        "DELETE FROM ledger_account WHERE kind = 'merchant'",
    ],
    "every posting has entries": ["DELETE FROM ledger_entry"],
    "no table has a default partition": ["CREATE TABLE swallows PARTITION OF ledger_entry DEFAULT"],
    "every number exists once": ["UPDATE payments_transaction SET tx_no = 'PAY0000000001'"],
    "refunds do not exceed their payment": [
        "ALTER TABLE payments_transaction"
        " DROP CONSTRAINT payments_transaction_refunds_within_payment;"
        f" UPDATE payments_transaction SET refunded_total = final_amount + 1 WHERE id = {PAYMENT}"
    ],
    "a payment's refund total is the sum of its refunds": [
        f"UPDATE payments_transaction SET refunded_total = refunded_total + 1 WHERE id = {PAYMENT}",
        f"UPDATE payments_transaction SET refunded_fee = refunded_fee - 0.01 WHERE id = {PAYMENT}",
        "DELETE FROM payments_transaction WHERE type = 'refund'",
    ],
    "a payment is refunded when all of it is": [
        f"UPDATE payments_transaction SET status = 'refunded' WHERE id = {PAYMENT}",
        f"UPDATE payments_transaction SET refunded_total = final_amount WHERE id = {PAYMENT}",
    ],
    "every completed transaction that moves value is posted, once": [
        f"UPDATE ledger_posting SET reference = uuidv7() WHERE reference = {PAYMENT}",
        "UPDATE ledger_posting SET reference = uuidv7() WHERE kind = 'recharge'",
        f"INSERT INTO ledger_posting (kind, reference, posted_at) SELECT 'x', {PAYMENT}, now()",
        "INSERT INTO ledger_posting (kind, reference, posted_at)"
        " SELECT 'x', id, now() FROM payments_transaction WHERE type = 'adjustment'",
    ],
    "a failed transaction moved nothing": [
        "UPDATE payments_transaction SET status = 'failed', failure_code = 'X'"
        f" WHERE id = {PAYMENT}"
    ],
    "what a transaction says moved is what moved": [
        "UPDATE payments_transaction SET final_amount = final_amount - 1,"
        f" amount = amount - 1 WHERE id = {PAYMENT}",
        "UPDATE payments_transaction SET final_amount = 1, amount = 1 WHERE type = 'recharge'",
        f"UPDATE payments_transaction SET points = points + 1 WHERE id = {PAYMENT}",
        f"UPDATE payments_transaction SET type = 'recharge' WHERE id = {PAYMENT}",
    ],
    "an order's payment is the one it names": [
        "UPDATE payments_order SET tx_id = uuidv7()",
        "UPDATE payments_order SET amount = 1",
        "UPDATE payments_transaction SET external_order_id = 'O-9'",
    ],
    "every number that was acknowledged exists": [
        "UPDATE payments_transaction SET tx_no = 'X' WHERE type = 'refund'"
    ],
    "an order has one payment that did not fail": [
        "UPDATE payments_transaction SET external_order_id = 'O-1', status = 'completed',"
        " failure_code = '' WHERE type = 'payment'"
    ],
    "each webhook event belongs to a shop": [
        "INSERT INTO merchants_webhookevent (merchant_id, type, payload)"
        " VALUES (uuidv7(), 'ping', '{}')"
    ],
    "each webhook delivery has its event and an endpoint of the same shop": [
        "INSERT INTO merchants_webhookdelivery (event_id, endpoint_id) VALUES (uuidv7(), uuidv7())"
    ],
    "a completed top-up is credited, as it was asked for and paid": [
        "INSERT INTO payments_topup (order_id, provider, card_id, member_id, amount, currency,"
        " idempotency_key, request_hash, status, tx_id, expires_at, closed_at, payment_id,"
        " paid_amount, paid_currency) SELECT 'T-1', 'sandbox', id, owner_id, 1, 'TWD', 'k', 'h',"
        " 'completed', uuidv7(), now(), now(), 'P-1', 1, 'TWD' FROM cards_card"
        " WHERE card_type = 'PPD'"
    ],
    "what a limit has counted is what was paid that day, less refunds": [
        "UPDATE payments_spending SET spent = spent + 1"
    ],
    "every reference leads somewhere": [
        "DELETE FROM cards_card WHERE card_type = 'PPD'",
        "DELETE FROM members_member",
        "DELETE FROM merchants_merchant",
        "UPDATE payments_transaction SET original_id = uuidv7() WHERE type = 'refund'",
    ],
}


@pytest.fixture
def world(unchecked_database: str, superuser: psycopg.Connection) -> Any:
    """One payment, part of it refunded, a failed one, a top-up, points given; a superuser in it."""
    member, _ = factories.make_member()
    till = factories.make_till(fee_rate=Decimal("0.02"))
    card = factories.make_prepaid(member, "100.00")
    execute("UPDATE cards_card SET limit_per_day = 1000 WHERE id = %s", [card.id])
    paid = factories.charge(
        till, factories.make_code(card, member), "50.00", external_order_id="O-1"
    )
    refunds.refund_payment(
        till=till, tx_no=paid.body["tx_no"], amount=Decimal("20.00"), idempotency_key="R"
    )
    factories.charge(till, factories.make_code(card, member), "500.00", external_order_id="O-2")
    points.adjust_points(card_id=card.id, delta=5)
    with psycopg.connect(
        superuser.info.dsn, dbname=unchecked_database, password=superuser.info.password
    ) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


def test_each_kind_of_corruption_is_found_and_named(world: psycopg.Connection) -> None:
    assert invariants.check() == []
    unproved = set(invariants._registered) - set(CORRUPTIONS)
    assert not {name for name in unproved if not is_of_another_app(name)}
    for name, corruptions in CORRUPTIONS.items():
        for corruption in corruptions:
            world.execute("SAVEPOINT before")
            world.execute(corruption)
            # Only inside the superuser's own database transaction, so that each starts afresh.
            sql = invariants._registered[name].sql
            offender = world.execute(f"SELECT * FROM ({sql}) AS offender LIMIT 1").fetchone()
            assert offender is not None and offender[0], corruption
            world.execute("ROLLBACK TO SAVEPOINT before")


def is_of_another_app(name: str) -> bool:
    sql = invariants._registered[name].sql
    return any(part in sql for part in ("settlements_", "unclaimed", "audit_"))


def test_the_command_names_the_offender_and_exits_with_1(world: psycopg.Connection) -> None:
    out = StringIO()
    call_command("check_invariants", stdout=out)
    assert out.getvalue() == "All invariants hold.\n"

    world.execute(f"UPDATE ledger_account SET balance = balance + 1 WHERE id = {CARD_MONEY}")
    world.commit()
    errors = StringIO()
    with pytest.raises(SystemExit) as exited:
        call_command("check_invariants", stderr=errors)

    assert exited.value.code == 1
    account = fetch(f"SELECT {CARD_MONEY}::text")
    assert errors.getvalue() == f"a balance is the sum of its entries: {account}\n"


def test_the_check_leaves_the_connection_usable_when_it_cannot_run(
    unchecked_database: str, superuser: psycopg.Connection
) -> None:
    with psycopg.connect(
        superuser.info.dsn,
        dbname=unchecked_database,
        password=superuser.info.password,
        autocommit=True,
    ) as connection:
        connection.execute("ALTER TABLE ledger_posting RENAME TO ledger_posting_away")
    with pytest.raises(Exception, match="ledger_posting"):
        invariants.check()

    assert fetch("SELECT 1") == 1
