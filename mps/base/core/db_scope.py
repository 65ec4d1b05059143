"""Which database role a piece of work runs as, and whose rows it may see."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import InitVar, dataclass
from typing import Literal
from uuid import UUID

from django.db import connection, connections, transaction
from django.db.backends.utils import CursorWrapper

Role = Literal["merchant_api", "member_app", "platform_admin"]
# A read-only copy of the database, by DATABASE_REPLICA_URL.
REPLICA = "replica"


class _Opener:
    """What only this module has, so that nobody else makes a `Scope`."""


_OPENER = _Opener()


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """An open `principal_scope`: as which role, and whose rows are seen.

    What has to run inside one takes it as its first argument.

    :param principal: id of the merchant or member; None for the platform.
    """

    role: Role
    principal: UUID | None
    opener: InitVar[_Opener]

    def __post_init__(self, opener: _Opener) -> None:
        """Refuse to be made by anybody but `principal_scope`."""
        if opener is not _OPENER:
            raise TypeError("Only principal_scope() makes a scope.")

    def require_open(self) -> None:
        """Refuse to be used after the block has ended, or by another thread."""
        if _current.get() is not self:
            raise RuntimeError("The scope has ended.")


_current: ContextVar[Scope | None] = ContextVar("mps_scope", default=None)


@contextmanager
def principal_scope(role: Role, principal: UUID | None = None) -> Iterator[Scope]:
    """Run the block in one database transaction, as `role`, seeing the rows of `principal`.

    Yields the scope, which the block hands to what has to run inside it.

    Both settings end with the database transaction, so a pooled connection carries nothing over.
    Durable: never inside another scope, so that what a service has answered is committed. The
    database refuses to read or write members' and merchants' rows without one.

    :param principal: id of the merchant (`merchant_api`) or member (`member_app`); None for the
        platform.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            _set_principal(cursor, role, principal)
        scope = Scope(role, principal, _OPENER)
        _current.set(scope)
        try:
            yield scope
        finally:
            _current.set(None)


def current_scope() -> Scope:
    """Return the open scope, for callbacks to which a framework hands no argument of ours.

    Everything else is given its scope: see `Scope`.
    """
    scope = _current.get()
    if scope is None:
        raise RuntimeError("No scope is open.")
    return scope


@contextmanager
def reporting_cursor(scope: Scope) -> Iterator[CursorWrapper]:
    """Yield a cursor for what the platform reports over many days.

    On the replica, where there is one; else within the scope.

    :param scope: the platform's.
    """
    if REPLICA not in connections.databases:
        with connection.cursor() as cursor:
            yield cursor
        return
    with transaction.atomic(using=REPLICA, durable=True), connections[REPLICA].cursor() as cursor:
        _set_principal(cursor, "platform_admin", None)
        yield cursor


def _set_principal(cursor: CursorWrapper, role: Role, principal: UUID | None) -> None:
    # Plans are kept with their connection. One made while a table is new, its rows not counted,
    # would go on reading all of it as it grows: what tills and phones ask for is found by index.
    whole_tables = "on" if role == "platform_admin" else "off"
    cursor.execute(
        "SELECT set_config('role', %s, true), set_config('mps.principal_id', %s, true),"
        " set_config('enable_seqscan', %s, true)",
        [role, str(principal) if principal else "", whole_tables],
    )
