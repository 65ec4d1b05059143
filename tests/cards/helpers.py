"""What the tests of cards over HTTP share."""

import json
from typing import Any

from django.db import connections
from django.test import Client

from mps.base.audit.models import Event
from mps.base.core.db_scope import principal_scope

CARD_FIELDS = [
    "card_no",
    "card_type",
    "name",
    "status",
    "role",
    "balance",
    "points",
    "tier",
    "level",
    "next_tier",
    "next_tier_points",
    "discount_rate",
    "expires_at",
    "voucher",
]


def post(client: Client, url: str, body: object = None) -> Any:
    """Send JSON: text and bytes as they are."""
    content = body if isinstance(body, str | bytes) else json.dumps(body or {})
    return client.post(url, content, content_type="application/json")


def events(action: str) -> list[Event]:
    """Return the audit events of this action, oldest first."""
    with principal_scope("platform_admin"):
        return list(Event.objects.filter(action=action).order_by("id"))


def as_owner(sql: str, parameters: list | None = None) -> list[tuple]:
    """Run a statement as the owner of the tables."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall() if cursor.description else []
