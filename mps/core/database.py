"""What migrations and commands need to speak to PostgreSQL as its owner."""

from collections.abc import Sequence
from pathlib import Path

from django.apps import apps
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.special import RunSQL
from django.db.models import DateTimeField, Func, UUIDField


class RunSQLFile(RunSQL):
    """Run `<app>/sql/<name>_forward.sql`; its `_reverse.sql` takes it back.

    :param app_label: whose `sql` folder.
    :param name: number or name of the pair of files.
    """

    def __init__(
        self, app_label: str, name: str, state_operations: Sequence[Operation] | None = None
    ) -> None:
        self.app_label = app_label
        self.name = name
        super().__init__(
            sql=self._read("forward"),
            reverse_sql=self._read("reverse"),
            state_operations=state_operations,
        )

    def deconstruct(self) -> tuple[str, list[object], dict[str, object]]:
        """Return what a migration writer would need to write this operation again."""
        return self.__class__.__qualname__, [self.app_label, self.name], {}

    def _read(self, direction: str) -> str:
        folder = Path(apps.get_app_config(self.app_label).path) / "sql"
        return (folder / f"{self.name}_{direction}.sql").read_text(encoding="utf-8")


class NewId(Func):
    """The database's id for an append-only row:

    A UUIDv7, whose time decides the month partition.
    """

    function = "core_new_id"
    arity = 0
    output_field = UUIDField()


class DatabaseNow(Func):
    """The database transaction's time; see `core_now()`."""

    function = "core_now"
    arity = 0
    output_field = DateTimeField()
