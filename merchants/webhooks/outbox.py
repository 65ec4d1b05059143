"""Write events to the outbox, in the database transaction of the change they report."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from mps.base.core.db_scope import Scope


def emit_event(
    scope: Scope, *, merchant_id: UUID, event_type: str, data: Mapping[str, Any]
) -> None:
    """Tell a shop's webhook endpoints of something; commits with its surroundings.

    Nothing is written when no endpoint wants it.

    :param event_type: one of `WebhookEvent.Type`.
    :param data: the object as the POS API shows it; money as strings.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT merchants_emit(%s, %s, %s::jsonb)",
            [merchant_id, event_type, orjson.dumps(dict(data)).decode()],
        )
