"""What tests of members share."""

from typing import Any

from django.db import connections
from django.test import Client

from members import services
from members.models import Member
from mps.base.core import db_scope

LOGIN = "/api/v1/auth/login"


def post(client: Client, path: str, body: Any = None, **headers: str) -> Any:
    """Send JSON."""
    return client.post(
        path, body if body is not None else {}, content_type="application/json", headers=headers
    )


def log_in(client: Client, identifier: str | None, password: str) -> Any:
    """Sign in over HTTP."""
    return post(client, LOGIN, {"identifier": identifier, "password": password})


def bearer(token: str) -> dict[str, str]:
    """Return the header that presents a token."""
    return {"Authorization": f"Bearer {token}"}


def token_of(member: Member) -> str:
    """Return a fresh token, made without a password."""
    issued = services.issue_token(user_id=member.user_id)
    assert issued is not None
    return issued.token


def suspend(member: Member) -> None:
    services.suspend_member(member_id=member.id, reason="test")


def events(*actions: str) -> list[tuple[Any, ...]]:
    """Return action, actor, object and context of each event with one of these actions."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT action, actor, object_id, context FROM report.audit_events"
            " WHERE action = ANY(%s) ORDER BY event_id",
            [list(actions)],
        )
        return cursor.fetchall()


def count_events() -> int:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_event")
        return cursor.fetchone()[0]


def reload(member: Member) -> Member:
    """Return the member as the database has them now."""
    with db_scope.principal_scope("platform_admin"):
        return Member.objects.get(id=member.id)


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """Check a refusal's form; return its document."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    document = response.json()
    assert document["code"] == code
    assert document["status"] == status
    return document


def find_member_by_identity(*, provider: str, external_id: str) -> Member | None:
    """Return whom an external identity belongs to."""
    with db_scope.principal_scope("platform_admin"):
        return Member.objects.filter(
            identities__provider=provider, identities__external_id=external_id
        ).first()
