"""The ledger's one writer, and nobody else."""

import itertools
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connections

from mps.base.audit import services as audit
from mps.base.core.db_scope import principal_scope
from mps.base.ledger import services as ledger
from mps.base.ledger.models import Account, Entry, Posting
from tests.concurrency.racing import run_together
from tests.snapshots import fetch, snapshot

APPEND_ONLY = "MPS02"
CALLERS_MISTAKE = "MPS03"
DENIED = "42501"


def sqlstate(sql: str, parameters: list[Any] | None = None, using: str = "owner") -> str:
    """Return the SQLSTATE with which the database refuses a statement; '' if it does not."""
    try:
        with connections[using].cursor() as cursor:
            cursor.execute(sql, parameters)
    except DatabaseError as error:
        return str(getattr(error.__cause__, "sqlstate", ""))
    return ""


def open_account(kind: str = "card_money", unit: str = "TWD") -> uuid.UUID:
    with principal_scope("platform_admin") as scope:
        return ledger.open_account(scope, kind=kind, unit=unit)


def post(moves: dict[uuid.UUID, str | int]) -> ledger.Posted:
    with principal_scope("platform_admin") as scope:
        return ledger.post(
            scope,
            kind="test",
            reference=uuid.uuid4(),
            moves={account: Decimal(amount) for account, amount in moves.items()},
        )


def raw_post(accounts: list[Any] | None, amounts: list[Any] | None) -> str:
    """Call the function itself; return the SQLSTATE."""
    return sqlstate(
        "SELECT ledger_post('test', uuidv7(), %s::uuid[], %s::numeric[])", [accounts, amounts]
    )


@pytest.fixture
def accounts(database: str) -> Iterator[dict[str, uuid.UUID]]:
    """One account of each kind that matters; 100.00 and 50 points on the card's."""
    made = {
        "card": open_account(),
        "other": open_account(),
        "points": open_account("card_points", "PTS"),
        "shop": open_account("merchant"),
    }
    with principal_scope("platform_admin") as scope:
        made["clearing"] = ledger.platform_account(scope, kind="clearing", unit="TWD")
        made["issue"] = ledger.platform_account(scope, kind="points_issue", unit="PTS")
    post({made["card"]: 100, made["clearing"]: -100, made["points"]: 50, made["issue"]: -50})
    return made


def test_money_and_points_move_in_one_posting(accounts: dict[str, uuid.UUID]) -> None:
    posted = post(
        {
            accounts["shop"]: "30.50",
            accounts["points"]: 30,
            accounts["card"]: "-30.50",
            accounts["issue"]: -30,
        }
    )

    assert posted.balances == {accounts["card"]: Decimal("69.50"), accounts["points"]: Decimal(80)}
    with principal_scope("platform_admin"):
        posting = Posting.objects.get(id=posted.posting_id)
        entries = {
            entry.account_id: (entry.amount, entry.balance_after) for entry in posting.entries.all()
        }
        assert Account.objects.get(id=accounts["card"]).balance == Decimal("69.50")
        assert Account.objects.get(id=accounts["shop"]).balance is None
        assert str(posting) == f"test {posting.id}"
        assert sorted(map(str, posting.entries.all())) == ["-30.00", "-30.50", "30.00", "30.50"]
        assert (
            str(Account.objects.get(id=accounts["card"]))
            == f"money on a card TWD {accounts['card']}"
        )
    assert entries == {
        accounts["shop"]: (Decimal("30.50"), None),
        accounts["points"]: (Decimal("30.00"), Decimal("80.00")),
        accounts["card"]: (Decimal("-30.50"), Decimal("69.50")),
        accounts["issue"]: (Decimal("-30.00"), None),
    }


def test_an_overdraft_is_refused_by_naming_the_account(accounts: dict[str, uuid.UUID]) -> None:
    before = snapshot()

    for poor, moves in (
        ("card", {"card": "-100.01", "shop": "100.01"}),
        ("other", {"card": "-1", "other": "-0.01", "shop": "1.01"}),
        ("points", {"points": "-51", "issue": "51", "card": "-1", "shop": "1"}),
    ):
        with pytest.raises(ledger.OverdraftError) as refused:
            post({accounts[name]: amount for name, amount in moves.items()})
        assert refused.value.account_id == accounts[poor]
        assert snapshot() == before
    # A shop keeps no balance: it may owe.
    post({accounts["shop"]: "-1000", accounts["clearing"]: "1000"})
    # All of it may go, to the last cent.
    post({accounts["card"]: "-100.00", accounts["shop"]: "100.00"})
    assert fetch("SELECT balance FROM ledger_account WHERE id = %s", [accounts["card"]]) == 0


def test_a_callers_mistake_is_refused_by_the_database(accounts: dict[str, uuid.UUID]) -> None:
    card, shop, issue = accounts["card"], accounts["shop"], accounts["issue"]
    foreign = open_account("merchant", "USD")
    before = snapshot()

    for wrong in (
        ([card, shop], [-1, 2]),  # unbalanced
        ([card, shop, accounts["points"], issue], [-1, 1, 5, -4]),  # points are
        ([card, issue], [-1, 1]),  # money against points
        ([card, foreign], [-1, 1]),  # one currency against another
        ([card, card], [-1, 1]),  # one account twice
        ([card, shop, shop], [-2, 1, 1]),
        ([card, shop], [0, 0]),
        ([card, shop, issue], [-1, 1, 0]),
        ([card, shop], ["-0.001", "0.001"]),
        ([card, shop], ["NaN", "NaN"]),
        ([card, shop], [None, None]),
        ([card, uuid.uuid4()], [-1, 1]),  # unknown
        ([card], [1]),
        ([], []),
        (None, None),
        ([card, shop], None),
        ([card, shop], [-1]),
        ([card, shop], [-1, 1, 0]),
    ):
        assert raw_post(*wrong) == CALLERS_MISTAKE, wrong
        assert snapshot() == before, wrong
    assert raw_post([card, None], [-1, 1]) == "23502"
    for accounts_, amounts in (
        ([card, shop], ["Infinity", "-Infinity"]),
        ([shop, accounts["clearing"]], [Decimal(10) ** 13, -(Decimal(10) ** 13)]),
        ([card, shop], ["999999999999.99", "-999999999999.99"]),
    ):
        assert raw_post(accounts_, amounts).startswith("22"), amounts  # out of range
    assert snapshot() == before


def test_each_kind_of_account_keeps_what_it_must(database: str) -> None:
    assert fetch("SELECT balance FROM ledger_account WHERE id = %s", [open_account()]) == 0
    assert (
        fetch("SELECT balance FROM ledger_account WHERE id = %s", [open_account("merchant")])
        is None
    )
    for kind, unit in (
        ("card_points", "TWD"),
        ("card_money", "PTS"),
        ("gold", "TWD"),
        ("fee", "t"),
    ):
        assert sqlstate("SELECT ledger_open_account(%s, %s)", [kind, unit]) == "23514"
    # The platform has one of each, whoever asks; of cards and shops it has none.
    for kind in ("clearing", "unclaimed", "fee", "adjustment"):
        with principal_scope("merchant_api", uuid.uuid4()) as scope:
            first = ledger.platform_account(scope, kind=kind, unit="TWD")
            assert ledger.platform_account(scope, kind=kind, unit="TWD") == first
        with principal_scope("platform_admin") as scope:
            assert ledger.platform_account(scope, kind=kind, unit="USD") != first
    for kind in ("merchant", "card_money", "card_points"):
        before = fetch("SELECT count(*) FROM ledger_account")
        assert sqlstate("SELECT ledger_platform_account(%s, 'TWD')", [kind]) == CALLERS_MISTAKE
        assert fetch("SELECT count(*) FROM ledger_account") == before
    assert sqlstate("SELECT ledger_open_account('clearing', 'TWD')") == "23505"


def test_postings_in_any_order_do_not_deadlock(accounts: dict[str, uuid.UUID]) -> None:
    cards = [accounts["card"], accounts["other"], open_account(), open_account()]
    for card in cards[1:]:
        post({card: 100, accounts["clearing"]: -100})
    orders = list(itertools.permutations(range(4)))

    def move(order: tuple[int, ...]) -> ledger.Posted:
        amounts = ["1", "-1", "2", "-2"]
        return post({cards[place]: amounts[place] for place in order})

    results = run_together([lambda order=order: move(order) for order in orders], workers=12)

    assert len(results) == 24
    for card, expected in zip(cards, (124, 76, 148, 52), strict=True):
        assert fetch("SELECT balance FROM ledger_account WHERE id = %s", [card]) == expected


# --- nobody else ----------------------------------------------------------------------------------

TABLES = {
    "ledger_account": ("INSERT INTO {} (kind, unit) VALUES ('merchant', 'TWD')", "kind = 'fee'"),
    "ledger_posting": (
        "INSERT INTO {} (kind, reference, posted_at) VALUES ('x', uuidv7(), now())",
        "kind = 'x'",
    ),
    "ledger_entry": (
        "INSERT INTO {} (posting_id, account_id, amount) VALUES (uuidv7(), uuidv7(), 1)",
        "amount = 1",
    ),
    "audit_event": (
        "INSERT INTO {} (happened_at, actor_type, actor, action, object_type, object_id, context,"
        " request_id, address) VALUES (now(), 'system', '', 'X', '', '', '{{}}', '', '')",
        "actor = 'x'",
    ),
    "payments_transaction": (
        "INSERT INTO {} (tx_no, type, status, card_id, member_id, currency, amount, final_amount,"
        " created_at)"
        " VALUES ('x', 'recharge', 'completed', uuidv7(), uuidv7(), 'TWD', 1, 1, now())",
        "amount = 0",
    ),
}
# Refunds, top-ups and adjustments are written by the payments service in these two roles.
GRANTED = {
    ("payments_transaction", "INSERT", "merchant_api"),
    ("payments_transaction", "INSERT", "platform_admin"),
}


def writes(table: str) -> dict[str, str]:
    insert, change = TABLES[table]
    return {
        "INSERT": insert.format(table),
        "UPDATE": f"UPDATE {table} SET {change}",
        "DELETE": f"DELETE FROM {table}",
        "TRUNCATE": f"TRUNCATE {table}",
    }


@pytest.mark.parametrize("role", ["", "merchant_api", "member_app", "platform_admin"])
def test_the_web_login_writes_no_ledger_audit_or_history(
    accounts: dict[str, uuid.UUID], role: str
) -> None:
    before = snapshot()
    child = fetch("SELECT tableoid::regclass::text FROM ledger_entry LIMIT 1")

    for table in TABLES:
        for verb, sql in writes(table).items():
            if (table, verb, role) in GRANTED:
                continue
            assert _as_web(role, sql) == DENIED, (table, verb)
    for sql in (
        f"SELECT FROM {child}",
        f"INSERT INTO {child} (posting_id, account_id, amount) VALUES (uuidv7(), uuidv7(), 1)",
        f"DELETE FROM {child}",
        "ALTER TABLE ledger_entry DISABLE TRIGGER ALL",
        "DROP TABLE ledger_entry",
        "SET session_replication_role = replica",
    ):
        assert _as_web(role, sql) == DENIED, sql
    assert snapshot() == before


def _as_web(role: str, sql: str) -> str:
    connection = connections["default"]
    try:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            if role:
                cursor.execute("SELECT set_config('role', %s, true)", [role])
            cursor.execute(sql)
    except DatabaseError as error:
        return str(getattr(error.__cause__, "sqlstate", ""))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
    return ""


def test_not_even_the_owner_changes_what_was_written(accounts: dict[str, uuid.UUID]) -> None:
    audit.record("TESTED", object_type="test", object_id=1)
    before = snapshot()

    for table in ("ledger_posting", "ledger_entry", "audit_event"):
        child = fetch(f"SELECT tableoid::regclass::text FROM {table} LIMIT 1")
        for name in (table, child):
            for verb, sql in writes(table).items():
                if verb != "INSERT":
                    assert sqlstate(sql.replace(table, name)) == APPEND_ONLY, (name, verb)
    for sql in (
        writes("ledger_account")["UPDATE"],
        "UPDATE ledger_account SET balance = 1000 WHERE balance IS NOT NULL",
        writes("ledger_account")["DELETE"],
        "TRUNCATE ledger_account CASCADE",
        writes("payments_transaction")["DELETE"],
        writes("payments_transaction")["TRUNCATE"],
    ):
        assert sqlstate(sql) == APPEND_ONLY, sql
    # Entries balance, whoever writes them, and wherever.
    child = fetch("SELECT tableoid::regclass::text FROM ledger_entry LIMIT 1")
    for name in ("ledger_entry", child):
        for account in (accounts["shop"], uuid.uuid4()):
            assert (
                sqlstate(
                    f"INSERT INTO {name} (posting_id, account_id, amount) VALUES (uuidv7(), %s, 1)",
                    [account],
                )
                == CALLERS_MISTAKE
            )
    assert snapshot() == before


def test_the_setting_that_opens_a_balance_ends_with_the_posting(
    accounts: dict[str, uuid.UUID],
) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(
            "SELECT ledger_post('test', uuidv7(), %s::uuid[], '{-1,1}')",
            [[accounts["card"], accounts["shop"]]],
        )
        assert sqlstate("UPDATE ledger_account SET balance = 5 WHERE balance > 0") == APPEND_ONLY
        cursor.execute("ROLLBACK")


def test_the_reporting_login_reads_the_views_and_nothing_else(
    accounts: dict[str, uuid.UUID],
) -> None:
    import os

    from tests.conftest import url_for

    url = url_for(os.environ["DATABASE_REPORT_URL"], connections["owner"].settings_dict["NAME"])
    with psycopg.connect(url, autocommit=True) as report:
        seen = report.execute(
            "SELECT unit, sum(amount), count(*) FROM report.entries GROUP BY unit ORDER BY unit"
        ).fetchall()
        assert seen == [("PTS", 0, 2), ("TWD", 0, 2)]
        for table in TABLES:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                report.execute(f"SELECT FROM public.{table}")
        with pytest.raises(psycopg.errors.Error):
            report.execute("SELECT ledger_open_account('merchant', 'TWD')")


def test_entries_of_an_account_sort_as_its_balance_moved(accounts: dict[str, uuid.UUID]) -> None:
    for number in range(1, 6):
        post({accounts["card"]: -number, accounts["shop"]: number})
    with principal_scope("platform_admin"):
        balances = list(
            Entry.objects.filter(account_id=accounts["card"])
            .order_by("id")
            .values_list("balance_after", flat=True)
        )
    assert balances == [100, 99, 97, 94, 90, 85]
