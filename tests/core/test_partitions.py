"""Append-only tables in month partitions, and the names that stay unique across them."""

import uuid
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.migrations.exceptions import IrreversibleError

from tests.ledger.test_posting import sqlstate
from tests.snapshots import execute, fetch

PARTITIONED = {
    "audit_event",
    "cards_codehistory",
    "ledger_entry",
    "ledger_posting",
    "payments_transaction",
}


def rows(sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    with connections["owner"].cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def children(parent: str) -> list[str]:
    return [
        row[0]
        for row in rows(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = %s::regclass ORDER BY 1",
            [parent],
        )
    ]


def test_which_tables_are_partitioned_and_how_far(database: str) -> None:
    found = {row[0] for row in rows("SELECT partrelid::regclass::text FROM pg_partitioned_table")}
    assert found >= PARTITIONED
    now = fetch("SELECT now() AT TIME ZONE 'UTC'")
    month = now.year * 12 + now.month - 1
    months = [f"y{each // 12}m{each % 12 + 1:02}" for each in range(month - 1, month + 5)]
    for table in found:
        assert children(table) == [f"{table}_{each}" for each in months]
        # A default partition would swallow what comes late, and lock everything when split.
        assert (
            fetch(
                "SELECT partdefid FROM pg_partitioned_table WHERE partrelid = %s::regclass", [table]
            )
            == 0
        )
    assert fetch("SELECT partition_months_ahead()") >= 3


def test_a_partition_has_all_that_guards_its_table(database: str) -> None:
    for parent in PARTITIONED:
        child = children(parent)[0]
        indexes = "SELECT count(*) FROM pg_index WHERE indrelid = %s::regclass"
        assert fetch(indexes, [child]) == fetch(indexes, [parent])
        constraints = (
            "SELECT array_agg(conname ORDER BY conname) FROM pg_constraint"
            " WHERE conrelid = %s::regclass AND contype = 'c'"
        )
        assert fetch(constraints, [child]) == fetch(constraints, [parent])
        triggers = (
            "SELECT array_agg(tgname ORDER BY tgname) FROM pg_trigger"
            " WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgenabled = 'O'"
        )
        assert fetch(triggers, [child]) == fetch(triggers, [parent])
        assert fetch("SELECT relrowsecurity FROM pg_class WHERE oid = %s::regclass", [child])
        for role in ("mps_web", "mps_report", "merchant_api", "member_app", "platform_admin"):
            privileges = "SELECT, INSERT, UPDATE, DELETE, TRUNCATE"
            assert not fetch("SELECT has_table_privilege(%s, %s, %s)", [role, child, privileges])
            assert not fetch(
                "SELECT has_any_column_privilege(%s, %s, 'SELECT, INSERT, UPDATE')", [role, child]
            )


def test_making_partitions_again_makes_none(database: str) -> None:
    out = StringIO()
    call_command("ensure_partitions", stdout=out)
    assert out.getvalue() == "0 partitions made.\n"

    call_command("ensure_partitions", "--months-ahead", "6", stdout=out)
    tables = fetch("SELECT count(*) FROM pg_partitioned_table")
    assert out.getvalue().splitlines()[-1] == f"{2 * tables} partitions made."
    call_command("ensure_partitions", "--months-ahead", "6", stdout=out)
    assert out.getvalue().splitlines()[-1] == "0 partitions made."
    assert fetch("SELECT make_partition('audit_event', '2031-05-17')")
    assert not fetch("SELECT make_partition('audit_event', '2031-05-01')")


def test_an_archived_partition_is_not_made_again(database: str) -> None:
    child = children("audit_event")[0]
    execute(f"ALTER TABLE {child} SET SCHEMA archive")

    call_command("ensure_partitions", verbosity=0)

    assert f"archive.{child}" in children("audit_event")
    assert child not in children("audit_event")


def test_ids_carry_their_time_and_find_their_month(database: str) -> None:
    new_id = fetch("SELECT core_new_id()")
    made = datetime.fromtimestamp((new_id.int >> 80) / 1000, UTC)
    assert new_id.version == 7
    assert abs(made - fetch("SELECT clock_timestamp()")) < timedelta(seconds=10)
    ids = [row[0] for row in rows("SELECT core_new_id() FROM generate_series(1, 1000)")]
    assert ids == sorted(ids)
    assert len(set(ids)) == 1000

    for text, floor in (
        ("1970-01-01T00:00:00Z", "00000000-0000-0000-0000-000000000000"),
        ("2026-11-01T00:00:00Z", None),
    ):
        moment = datetime.fromisoformat(text)
        expected = uuid.UUID(int=int(moment.timestamp() * 1000) << 80)
        assert fetch("SELECT core_uuid_floor(%s)", [moment]) == expected
        assert floor is None or str(expected) == floor

    post = "INSERT INTO ledger_posting (id, kind, reference, posted_at) VALUES (%s, 'x', %s, now())"
    first = fetch("SELECT date_trunc('month', now(), 'UTC')")
    for moment, month in (
        (first, first),
        (first - timedelta(milliseconds=1), first - timedelta(days=1)),
    ):
        posting = uuid.UUID(int=(round(moment.timestamp() * 1000) << 80) | (7 << 76))
        execute(post, [posting, posting])
        assert (
            fetch("SELECT tableoid::regclass::text FROM ledger_posting WHERE id = %s", [posting])
            == f"ledger_posting_y{month.year}m{month.month:02}"
        )
        execute(
            "INSERT INTO ledger_entry (posting_id, account_id, amount)"
            " SELECT %s, id, amount FROM ("
            " VALUES (ledger_open_account('merchant', 'TWD'), 1),"
            " (ledger_open_account('merchant', 'TWD'), -1)) v (id, amount)",
            [posting],
        )


@pytest.mark.parametrize("moment", ["2001-01-01", "2101-01-01"])
def test_what_lies_outside_every_partition_is_refused(database: str, moment: str) -> None:
    for table, columns, values in (
        ("ledger_posting", "kind, reference, posted_at", "'x', uuidv7(), now()"),
        (
            "audit_event",
            "happened_at, actor_type, actor, action, object_type, object_id, context, request_id,"
            " address",
            "now(), 'system', '', 'TEST', '', '', '{}', '', ''",
        ),
    ):
        assert (
            sqlstate(
                f"INSERT INTO {table} (id, {columns})"
                f" VALUES (core_uuid_floor(%s::date::timestamptz), {values})",
                [moment],
            )
            == "23514"
        )


def test_the_registries_keep_names_unique_across_months(database: str) -> None:
    one, two = uuid.uuid4(), uuid.uuid4()
    for insert, values in (
        (
            "INSERT INTO payments_idempotency (scope_id, key, request_hash, status, body,"
            " created_at) VALUES (%s, 'K', '', 200, '{}', now())",
            [one],
        ),
        (
            "INSERT INTO payments_order (merchant_id, external_order_id, reversed_at)"
            " VALUES (%s, 'O', now())",
            [one],
        ),
        (
            "INSERT INTO payments_providerorder (provider, provider_order_id, tx_id, card_id,"
            " amount) VALUES (%s, 'P', uuidv7(), uuidv7(), 1)",
            ["wechat"],
        ),
    ):
        other = ["alipay"] if values == ["wechat"] else [two]
        assert sqlstate(insert, values) == ""
        assert sqlstate(insert, values) == "23505"
        assert sqlstate(insert, other) == ""
    # Never blind to what is not there.
    for sql in (
        "INSERT INTO payments_providerorder VALUES ('wechat', '', uuidv7(), uuidv7(), 1)",
        "INSERT INTO payments_providerorder VALUES ('wechat', NULL, uuidv7(), uuidv7(), 1)",
        "INSERT INTO payments_providerorder VALUES (NULL, 'P', uuidv7(), uuidv7(), 1)",
        "INSERT INTO payments_order (merchant_id, external_order_id) VALUES (uuidv7(), 'O2')",
    ):
        assert sqlstate(sql) in {"23514", "23502"}
    execute("TRUNCATE payments_idempotency, payments_order, payments_providerorder")


def test_only_the_owners_own_session_shifts_the_clock(database: str) -> None:
    shifted = "SELECT core_now() - now() FROM set_config('mps.clock_shift', '-1 day', true)"
    assert fetch(shifted) == timedelta(days=-1)
    with connections["default"].cursor() as cursor:
        cursor.execute(shifted)
        assert cursor.fetchone()[0] == timedelta(0)


def test_no_migration_takes_the_tables_away(unchecked_database: str) -> None:
    for app in ("payments", "ledger", "core"):
        with pytest.raises(IrreversibleError):
            call_command("migrate", app, "zero", verbosity=0)

    call_command("check_schema", stdout=StringIO())
    call_command("check_invariants", stdout=StringIO())
