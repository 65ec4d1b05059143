"""Which database role a piece of work runs as, and whose rows it may see."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from uuid import UUID

from django.db import connection, transaction

Role = Literal["merchant_api", "member_app", "platform_admin"]


@contextmanager
def principal_scope(role: Role, principal: UUID | None = None) -> Iterator[None]:
    """Run the block in one database transaction, as `role`, seeing the rows of `principal`.

    Both settings end with the database transaction, so a pooled connection carries nothing over.
    Durable:
    never inside another scope, so that what a service has answered is committed. Nothing reads
    member or
    merchant data outside a scope.

    :param principal: id of the merchant (`merchant_api`) or member (`member_app`); None for the
        platform.
    """
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('role', %s, true), set_config('mps.principal_id', %s, true)",
                [role, str(principal) if principal else ""],
            )
        yield
