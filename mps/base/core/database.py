"""What speaking to PostgreSQL takes beside the models: files of SQL, functions, arrays."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from uuid import UUID

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
