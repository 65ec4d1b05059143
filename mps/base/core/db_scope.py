"""Which database role a piece of work runs as, and whose rows it may see."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from uuid import UUID

from django.db import connection, connections, transaction
from django.db.backends.utils import CursorWrapper

Role = Literal["merchant_api", "member_app", "platform_admin"]
# A read-only copy of the database, by DATABASE_REPLICA_URL.
REPLICA = "replica"


@contextmanager
def principal_scope(role: Role, principal: UUID | None = None) -> Iterator[None]:
    """Run the block in one database transaction, as `role`, seeing the rows of `principal`.

    Both settings end with the database transaction, so a pooled connection carries nothing over.
    Durable: never inside another scope, so that what a service has answered is committed. Nothing
    reads member or merchant data outside a scope.

    :param principal: id of the merchant (`merchant_api`) or member (`member_app`); None for the
        platform.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            _set_principal(cursor, role, principal)
        yield


@contextmanager
def reporting_cursor() -> Iterator[CursorWrapper]:
    """Yield a cursor for what the platform reports over many days.

    On the replica, where there is one; else within the platform's scope that must be open.
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
