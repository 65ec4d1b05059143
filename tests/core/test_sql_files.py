"""Repeatable SQL: applied when its text changed, whole or not at all, and never in a till's way."""

import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, OperationalError, connections

from mps.base.core import releases, schema, sql_files
from tests.snapshots import execute, fetch


@pytest.fixture
def ledger_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The ledger's file of functions, to be changed."""
    listed = list(sql_files.list_files())
    (ledger,) = (file for file in listed if str(file) == "ledger/sql/ledger.sql")
    changed = tmp_path / "ledger.sql"
    changed.write_text(ledger.text)
    monkeypatch.setattr(
        sql_files,
        "list_files",
        lambda: iter(
            sql_files.SQLFile(file.app, file.name, changed) if file == ledger else file
            for file in listed
        ),
    )
    yield changed


def test_every_file_is_listed_by_its_app() -> None:
    for config in apps.get_app_configs():
        present = {path.stem for path in (Path(config.path) / "sql").glob("*.sql")}
        listed = getattr(config, "sql_files", ())
        assert sorted(listed) == sorted(present), config.label


def test_all_files_can_be_run_again_and_nothing_changes(database: str) -> None:
    before = schema.read_schema(connections["owner"])
    oids = "SELECT string_agg(oid::text, ',' ORDER BY oid) FROM pg_proc WHERE proname ~ '^ledger_'"
    functions = fetch(oids)

    execute("DELETE FROM core_sqlfile")
    applied = sql_files.apply_pending(connections["owner"])

    assert applied == list(sql_files.list_files())
    assert schema.read_schema(connections["owner"]) == before
    # Replaced in place: what was prepared with them goes on.
    assert fetch(oids) == functions
    assert sql_files.apply_pending(connections["owner"]) == []


def test_a_changed_file_is_applied_and_only_it(database: str, ledger_file: Path) -> None:
    ledger_file.write_text(
        ledger_file.read_text()
        + "\nCREATE OR REPLACE FUNCTION ledger_answer() RETURNS integer LANGUAGE sql RETURN 42;\n"
    )

    assert releases.find_missing(connections["owner"]) == (
        "ledger/sql/ledger.sql has not been applied"
    )
    out = StringIO()
    call_command("migrate", stdout=out)

    assert [line for line in out.getvalue().splitlines() if "Applied" in line] == [
        "  Applied ledger/sql/ledger.sql"
    ]
    assert fetch("SELECT ledger_answer()") == 42
    assert releases.find_missing(connections["owner"]) == ""


def test_files_are_applied_together_or_not_at_all(database: str, ledger_file: Path) -> None:
    execute("DELETE FROM core_sqlfile WHERE app IN ('core', 'ledger')")
    ledger_file.write_text("CREATE OR REPLACE FUNCTION broken() RETURNS integer LANGUAGE sq;")

    with pytest.raises(DatabaseError):
        sql_files.apply_pending(connections["owner"])

    assert fetch("SELECT count(*) FROM core_sqlfile WHERE app IN ('core', 'ledger')") == 0


def test_whoever_holds_a_table_is_not_kept_waiting(database: str, ledger_file: Path) -> None:
    """Given a long transaction on the accounts, when a policy changes, it gives way and waits."""
    ledger_file.write_text(
        ledger_file.read_text()
        + "\nDROP POLICY IF EXISTS ledger_account_test ON ledger_account;"
        + "\nCREATE POLICY ledger_account_test ON ledger_account TO mps_report USING (false);\n"
    )
    reader = SimpleNamespace(**connections["owner"].get_connection_params())
    gave_way = threading.Event()
    with psycopg.connect(
        host=reader.host,
        port=reader.port,
        user=reader.user,
        password=reader.password,
        dbname=reader.dbname,
    ) as holder:
        holder.execute("SELECT 1 FROM ledger_account LIMIT 1")

        def end_it(attempt: int) -> None:
            # Nobody waits in a queue behind us: another reader gets in at once.
            holder.execute("SET LOCAL lock_timeout = '50ms'")
            holder.execute("SELECT 1 FROM ledger_account LIMIT 1")
            gave_way.set()
            holder.rollback()

        applied = sql_files.apply_pending(connections["owner"], on_wait=end_it)

    assert gave_way.is_set()
    assert [str(file) for file in applied] == ["ledger/sql/ledger.sql"]


def test_a_lock_that_does_not_come_is_said(
    database: str, ledger_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_files, "MAX_ATTEMPTS", 1)
    before = ledger_file.read_text()
    ledger_file.write_text(before + "\nLOCK TABLE ledger_account IN ACCESS EXCLUSIVE MODE;\n")
    with connections["default"].cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SET LOCAL ROLE platform_admin")
        cursor.execute("SELECT 1 FROM ledger_account LIMIT 1")
        with pytest.raises(OperationalError, match="lock timeout"):
            sql_files.apply_pending(connections["owner"])
        cursor.execute("ROLLBACK")


def test_partitions_get_the_triggers_of_their_table(database: str) -> None:
    """A statement trigger is not inherited: one that is new reaches the months there are."""
    count = (
        "SELECT count(*) FROM pg_trigger WHERE tgname = 'ledger_entry_test'"
        " AND tgrelid IN"
        " (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'ledger_entry'::regclass)"
    )
    execute(
        "CREATE TRIGGER ledger_entry_test BEFORE DELETE ON ledger_entry"
        " FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change()"
    )
    assert fetch(count) == 0

    months = fetch("SELECT count(*) FROM pg_inherits WHERE inhparent = 'ledger_entry'::regclass")
    assert fetch("SELECT core_refresh_partitions()") == months
    assert fetch(count) == months
    assert fetch("SELECT core_refresh_partitions()") == 0


# --- what differs is named -----------------------------------------------------------------------


def test_the_expected_schema_is_current(database: str) -> None:
    call_command("write_schema", "--check")
    assert schema.find_differences(connections["default"]) == []
    out = StringIO()
    call_command("check_schema", stdout=out)
    assert out.getvalue() == "The database is as this release expects.\n"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            "CREATE OR REPLACE FUNCTION core_now() RETURNS timestamptz LANGUAGE sql STABLE"
            " AS 'SELECT now()'",
            "function core_now() differs from this release",
        ),
        (
            "ALTER TABLE payments_transaction DROP COLUMN reason",
            "column payments_transaction.reason is missing",
        ),
        ("DROP INDEX payments_transaction_card", "index payments_transaction_card is missing"),
        ("DROP TABLE payments_spending", "table payments_spending is missing"),
        (
            "ALTER TABLE cards_card DISABLE ROW LEVEL SECURITY",
            "table cards_card differs from this release",
        ),
        (
            "DROP POLICY merchants_merchant_self ON merchants_merchant",
            "policy merchants_merchant.merchants_merchant_self is missing",
        ),
        (
            "DROP TRIGGER payments_transaction_guard ON payments_transaction",
            "trigger payments_transaction.payments_transaction_guard is missing",
        ),
        (
            "ALTER TABLE ledger_account DROP CONSTRAINT ledger_account_balance_not_negative",
            "constraint ledger_account.ledger_account_balance_not_negative is missing",
        ),
        (
            "REVOKE EXECUTE ON FUNCTION audit_record FROM merchant_api",
            "to merchant_api is missing",
        ),
        ("DROP VIEW report.entries", "view report.entries is missing"),
    ],
)
def test_what_differs_is_named(unchecked_database: str, client, change: str, named: str) -> None:
    execute(change)

    assert any(named in line for line in schema.find_differences(connections["default"]))
    out = StringIO()
    with pytest.raises(CommandError, match=r"differs from this release in \d+ places"):
        call_command("check_schema", stdout=out)
    assert named in out.getvalue()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"].endswith(": run manage.py check_schema")


def test_an_operators_own_index_keeps_nobody_from_paying(unchecked_database: str, client) -> None:
    execute("CREATE INDEX our_own ON payments_transaction (created_at)")

    assert client.get("/readyz").status_code == 200
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("check_schema", stdout=out)
    assert "index our_own is not part of this release" in out.getvalue()


def test_another_major_version_of_postgresql_compares_names_only(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "schema.txt"
    _version, *lines = schema.FILE.read_text().splitlines()
    other.write_text(
        "\n".join(["PostgreSQL 99", *(line.partition(" =")[0] + " =" for line in lines)])
    )
    monkeypatch.setattr(schema, "FILE", other)

    assert schema.find_differences(connections["default"]) == []


# --- databases of other releases -----------------------------------------------------------------


def test_a_database_from_before_the_first_release_is_refused(
    unchecked_database: str, client
) -> None:
    execute("DROP TABLE core_sqlfile")

    for command in ("migrate", "prepare", "check_schema"):
        with pytest.raises(CommandError) as refused:
            call_command(command)
        assert str(refused.value) == releases.TOO_OLD
    assert client.get("/readyz").json()["database"] == releases.TOO_OLD


def test_a_database_of_a_newer_release_is_refused(unchecked_database: str, client) -> None:
    execute(
        "INSERT INTO django_migrations (app, name, applied) VALUES ('cards', '9999_later', now())"
    )

    with pytest.raises(CommandError, match=r"newer version of MPS.*cards\.9999_later"):
        call_command("migrate")
    assert client.get("/readyz").status_code == 503


def test_nothing_starts_on_a_database_that_lacks_something(unchecked_database: str) -> None:
    execute("ALTER TABLE payments_transaction DROP COLUMN tag CASCADE")

    with pytest.raises(CommandError, match=r"column payments_transaction\.tag is missing"):
        call_command("prepare")
