"""Published migrations stay as they are; new ones keep no till waiting."""

import hashlib
import json
import os
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connections, transaction

from tests import factories
from tests.conftest import url_for
from tests.settlements import helpers
from tests.upgrades import installation, locks

PUBLISHED = installation.FOLDER / "published.json"


def migration_files() -> dict[str, str]:
    """Return the hash of every file of our migrations, by its path in the repository."""
    root = Path(__file__).parents[2]
    return {
        str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest()
        for config in apps.get_app_configs()
        if hasattr(config, "sql_files")
        for file in sorted((Path(config.path) / "migrations").glob("[0-9]*.*"))
        if file.suffix in {".py", ".sql"}
    }


def test_no_published_migration_was_edited() -> None:
    published = json.loads(PUBLISHED.read_text())
    now = migration_files()

    changed = [path for path, sha256 in published.items() if now.get(path) != sha256]

    assert changed == [], "a release has run these: write a new migration instead"


@pytest.fixture
def busy(unchecked_database: str) -> str:
    """A database in which every hot table of a charge has rows."""
    member, _ = factories.make_member()
    till = factories.make_till()
    helpers.pay(till, factories.make_prepaid(member, "100.00"), member, "10.00")
    return unchecked_database


@pytest.fixture
def released(
    superuser: psycopg.Connection, unchecked_database: str, request: pytest.FixtureRequest
) -> str:
    """The database of the first release, with what the demonstration left in it."""
    name = f"{unchecked_database}_released"
    superuser.execute(f'CREATE DATABASE "{name}" OWNER mps_owner')
    url = url_for(os.environ["MPS_TEST_SUPERUSER_URL"], name)
    installation.restore("1.0.0", url)
    for alias in connections:
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = name

    def drop() -> None:
        for alias in connections:
            connections[alias].close()
            connections[alias].settings_dict["NAME"] = unchecked_database
        superuser.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    request.addfinalizer(drop)
    return name


def test_no_migration_since_the_first_release_keeps_tills_waiting(released: str) -> None:
    with locks.watching(connections["owner"]) as watch:
        call_command("migrate", verbosity=0)

    assert watch.findings == []
    call_command("check_schema", stdout=StringIO())


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("CREATE INDEX slow ON payments_order (amount)", "reads payments_order"),
        ("CREATE INDEX slow ON ledger_entry (amount)", "reads ledger_entry_y"),
        (
            "ALTER TABLE cards_card ADD CONSTRAINT slow CHECK (name <> 'x')",
            "reads cards_card under a strong lock",
        ),
        ("ALTER TABLE cards_card ALTER COLUMN expires_at SET NOT NULL", "reads cards_card"),
        (
            "ALTER TABLE members_member ADD COLUMN slow uuid DEFAULT gen_random_uuid()",
            "rewrites members_member",
        ),
        (
            "ALTER TABLE payments_order ALTER COLUMN amount TYPE numeric(20, 4)",
            "rewrites payments_order",
        ),
        (
            "ALTER TABLE cards_binding ADD CONSTRAINT slow FOREIGN KEY (member_id)"
            " REFERENCES members_member (id)",
            "reads cards_binding",
        ),
        ("LOCK TABLE cards_card; SELECT count(*) FROM cards_card", "reads cards_card"),
    ],
)
def test_what_would_keep_tills_waiting_is_found(busy: str, statement: str, finding: str) -> None:
    connection = connections["owner"]
    with transaction.atomic(using="owner"):
        with connection.cursor() as cursor:
            cursor.execute("UPDATE cards_card SET expires_at = now()")
        connection.check_constraints()
        with locks.watching(connection) as watch, connection.cursor() as cursor:
            cursor.execute(statement)
        transaction.set_rollback(True, using="owner")

    assert any(found.startswith(finding) for found in watch.findings), watch.findings


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE payments_transaction ADD COLUMN quick integer NOT NULL DEFAULT 0",
        "ALTER TABLE cards_card ADD CONSTRAINT quick CHECK (name <> 'x') NOT VALID",
        "CREATE TABLE quick (id uuid PRIMARY KEY)",
        "ALTER TABLE members_member ALTER COLUMN name TYPE varchar(200)",
        "DROP INDEX payments_transaction_card",
    ],
)
def test_what_takes_a_moment_is_not(busy: str, statement: str) -> None:
    connection = connections["owner"]
    with transaction.atomic(using="owner"):
        with locks.watching(connection) as watch, connection.cursor() as cursor:
            cursor.execute(statement)
        transaction.set_rollback(True, using="owner")

    assert watch.findings == []
