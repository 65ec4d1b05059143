"""A client of the functions: each kind of caller, and what it sends."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from members import services as members
from members.models import Member
from mps.base.core import context
from mps.product.rpc import services
from tests.servers_http import live_server_url  # noqa: F401


@dataclass
class Reply:
    """What came back: numbers as they were written."""

    status: int
    body: Any
    headers: Any

    @property
    def error(self) -> tuple[int, str]:
        """Status and code of a refusal, which has PostgREST's form."""
        assert self.status >= 400, self.body
        assert set(self.body) == {"code", "message", "details", "hint"}, self.body
        assert self.body["code"] == "P0001"
        return self.status, self.body["message"]


Rpc = Callable[..., Reply]


@pytest.fixture
def rpc(database: str) -> Rpc:
    """`rpc(key, function, name=value, …)`: arguments without `p_`."""
    client = Client()

    def call(key: str, function: str, /, **arguments: Any) -> Reply:
        body = json.dumps({f"p_{name}": value for name, value in arguments.items()})
        return send(client, key, function, body)

    return call


def send(client: Client, key: str, function: str, body: str | bytes, **headers: str) -> Reply:
    """Send a body as it is."""
    response = client.post(
        f"/rest/v1/rpc/{function}",
        body,
        content_type=headers.pop("content_type", "application/json"),
        headers=headers or ({"apikey": key, "Authorization": f"Bearer {key}"} if key else {}),
    )
    return Reply(response.status_code, read(response.content), response.headers)


def read(content: bytes) -> Any:
    """Read JSON with its numbers as they were written."""
    return json.loads(content, parse_float=Decimal)


def row(reply: Reply) -> dict[str, Any]:
    """Return the only row of an answer."""
    assert reply.status == 200, reply.body
    assert len(reply.body) == 1
    found: dict[str, Any] = reply.body[0]
    return found


def scalar(reply: Reply) -> Any:
    """Return a scalar answer."""
    assert reply.status == 200, reply.body
    return reply.body


@pytest.fixture
def service_key(database: str) -> str:
    """A trusted backend's key."""
    return services.create_service_key(name="shop-backend")[1]


def token_of(member: Member) -> str:
    """Sign a member in."""
    with context.acting("anonymous", ""):
        issued = members.issue_token(user_id=member.user_id)
    assert issued is not None
    return issued.token


def world() -> tuple[Any, ...]:
    """Return what must not move when a call is refused: transactions, entries, balances."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM payments_transaction WHERE status <> 'failed'),"
            " (SELECT count(*) FROM ledger_entry), (SELECT sum(balance) FROM ledger_account),"
            " (SELECT count(*) FROM cards_binding), (SELECT count(*) FROM merchants_terminal)"
        )
        return tuple(cursor.fetchone())


def audited(action: str) -> list[dict[str, Any]]:
    """Return the audit events of an action, oldest first."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT actor_type, actor, object_id, context::text FROM audit_event"
            " WHERE action = %s ORDER BY id",
            [action],
        )
        return [
            {"actor_type": kind, "actor": actor, "object_id": about, **json.loads(context)}
            for kind, actor, about, context in cursor.fetchall()
        ]
