"""Functions, triggers, policies, views and grants: files that are always the current text.

Tables change by numbered migrations. Everything else in the database is in `<app>/sql/*.sql`: the
text as it is today, written so that it can be run again (`CREATE OR REPLACE`, `DROP POLICY IF
EXISTS`). After the migrations, `manage.py migrate` runs each file whose hash differs from that of
the text applied last. An app lists its files in `AppConfig.sql_files`, in the order in which they
build on each other; apps come in the order of `INSTALLED_APPS`, lowest first.

Processes of the previous release keep running meanwhile. So a function whose signature changes gets
a new name, and the old one is dropped one release later; a view only gains columns, at its end.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from django.apps import apps
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.operations.special import RunSQL
from django.db.utils import OperationalError
from psycopg import errors

# Changing a policy or a trigger locks its table. Charges never wait longer for it than this.
LOCK_TIMEOUT_MS = 500
PAUSE_SECONDS = 1.0
MAX_ATTEMPTS = 120


@dataclass(frozen=True)
class SQLFile:
    """A file of repeatable SQL and whose it is."""

    app: str
    name: str
    path: Path

    def __str__(self) -> str:
        return f"{self.app}/sql/{self.name}.sql"

    @cached_property
    def text(self) -> str:
        """The file's content."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def sha256(self) -> bytes:
        """The hash by which the database knows which text it has."""
        return hashlib.sha256(self.text.encode()).digest()


class RunRepeatableSQL(RunSQL):
    """Run a repeatable file within a migration, for what the columns of its tables rest on.

    A database that is made today gets the text of today; `migrate` brings the others up to it.
    """

    def __init__(self, app_label: str, name: str) -> None:
        self.app_label = app_label
        self.name = name
        super().__init__(sql=_file(app_label, name).text)

    def deconstruct(self) -> tuple[str, list[object], dict[str, object]]:
        """Return what a migration writer would need to write this operation again."""
        return self.__class__.__qualname__, [self.app_label, self.name], {}


def list_files() -> Iterator[SQLFile]:
    """Yield every repeatable file, in the order in which they are applied."""
    for config in apps.get_app_configs():
        for name in getattr(config, "sql_files", ()):
            yield _file(config.label, name)


def _file(app_label: str, name: str) -> SQLFile:
    path = Path(apps.get_app_config(app_label).path) / "sql" / f"{name}.sql"
    return SQLFile(app_label, name, path)


def list_pending(connection: BaseDatabaseWrapper) -> list[SQLFile]:
    """Return the files whose text is not the one that was applied last, in order."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regprocedure('core_applied_files()') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return list(list_files())
        cursor.execute("SELECT app, name, sha256 FROM core_applied_files()")
        applied = {(app, name): bytes(sha256) for app, name, sha256 in cursor.fetchall()}
    return [file for file in list_files() if applied.get((file.app, file.name)) != file.sha256]


def apply_pending(
    connection: BaseDatabaseWrapper, *, on_wait: Callable[[int], None] = lambda attempt: None
) -> list[SQLFile]:
    """Run the pending files in one database transaction; return them.

    Who holds a table's lock is not kept waiting behind us: after half a second all is given back,
    and tried again a second later.

    :param connection: as mps_owner; outside a database transaction.
    :param on_wait: told of each attempt that had to give way.
    :raises OperationalError: the locks were not to be had in two minutes; nothing was changed.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            with transaction.atomic(using=connection.alias, durable=True):
                return _apply(connection)
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.LockNotAvailable | errors.DeadlockDetected):
                raise
            if attempt == MAX_ATTEMPTS:
                raise
            on_wait(attempt)
        time.sleep(PAUSE_SECONDS)
    raise AssertionError("unreachable")


def _apply(connection: BaseDatabaseWrapper) -> list[SQLFile]:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        # One migration at a time; the others find nothing left to do.
        cursor.execute("LOCK TABLE core_sqlfile IN EXCLUSIVE MODE")
        pending = list_pending(connection)
        for file in pending:
            # Without parameters, so that a percent sign is one.
            cursor.execute(file.text, None)
            cursor.execute(
                "INSERT INTO core_sqlfile (app, name, sha256) VALUES (%s, %s, %s)"
                " ON CONFLICT (app, name) DO UPDATE"
                " SET sha256 = excluded.sha256, applied_at = excluded.applied_at",
                [file.app, file.name, file.sha256],
            )
        if pending:
            cursor.execute("SELECT core_refresh_partitions()")
        return pending
