"""PostgreSQL features beyond the models: SQL files in migrations, functions as defaults, arrays."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from django.apps import apps
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.special import RunSQL
from django.db.models import DateTimeField, Func, UUIDField


class RunSQLFile(RunSQL):
    """Run a file of SQL that belongs to a migration: `<app>/migrations/<name>.sql`.

    It makes or changes tables, and is never edited once it is published. Functions, triggers,
    policies, views and grants are not made here: see `sql_files`. It cannot be reversed.

    :param app_label: whose migration it is.
    :param name: the file's name without its ending.
    :param state_operations: what of it Django's models know.
    """

    def __init__(
        self, app_label: str, name: str, state_operations: Sequence[Operation] | None = None
    ) -> None:
        self.app_label = app_label
        self.name = name
        folder = Path(apps.get_app_config(app_label).path) / "migrations"
        super().__init__(
            sql=(folder / f"{name}.sql").read_text(encoding="utf-8"),
            state_operations=state_operations,
        )

    def deconstruct(self) -> tuple[str, list[object], dict[str, object]]:
        """Return what a migration writer would need to write this operation again."""
        return self.__class__.__qualname__, [self.app_label, self.name], {}


def as_array(values: Iterable[UUID | Decimal | bytes]) -> str:
    """Return an array as PostgreSQL writes it, for a parameter cast to that type of array.

    A list would do as well; the driver takes it apart twice, a tenth of a charge's time.
    """
    texts = (rf'"\\x{each.hex()}"' if isinstance(each, bytes) else str(each) for each in values)
    return "{" + ",".join(texts) + "}"


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
