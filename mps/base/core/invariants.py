"""Invariants of the whole database. Each app defines its own in `<app>/invariants.py`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from django.db import connections
from django.utils.module_loading import autodiscover_modules


@dataclass(frozen=True, slots=True)
class Invariant:
    """`sql` selects the offenders, one text column each; nothing selected means it holds."""

    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that does not hold, and the first thing that breaks it."""

    invariant: str
    offender: str


_registered: dict[str, Invariant] = {}


def register(*invariants: Invariant) -> None:
    """Add invariants to what `check` looks at."""
    _registered.update({invariant.name: invariant for invariant in invariants})


def check(
    *, using: str = "owner", progress: Callable[[int, int], None] = lambda _done, _total: None
) -> list[Breach]:
    """Look at the whole database in one snapshot; return every invariant that does not hold.

    :param progress: called with how many of how many were looked at.
    """
    _discover()
    breaches = []
    with connections[using].cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            for done, invariant in enumerate(_registered.values(), start=1):
                # Materialised, to be planned for reading all of it: as a rule there is no first
                # row, and a plan that finds one soon may take for ever to find none.
                cursor.execute(
                    f"WITH offender AS MATERIALIZED ({invariant.sql})"
                    " SELECT * FROM offender LIMIT 1"
                )
                row = cursor.fetchone()
                if row:
                    breaches.append(Breach(invariant.name, str(row[0])))
                progress(done, len(_registered))
        finally:
            cursor.execute("ROLLBACK")
    return breaches


register(
    # It would swallow rows of months that were not made, and lock everything when they are.
    Invariant(
        "no table has a default partition",
        "SELECT partrelid::regclass::text FROM pg_partitioned_table WHERE partdefid <> 0",
    )
)


@cache
def _discover() -> None:
    autodiscover_modules("invariants")
