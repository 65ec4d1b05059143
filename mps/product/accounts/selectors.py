"""Collect all data stored about a member, for their export."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from cards import selectors as cards
from members import selectors as members
from members.models import ExternalIdentity, Member, MemberToken
from mps.base.core.db_scope import Scope
from payments import history

PAGE = 1000
MOST_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """Something the audit log holds about a member, as they see it."""

    happened_at: datetime
    action: str
    address: str


@dataclass(frozen=True, slots=True)
class Export:
    """Everything about one member."""

    member: Member
    identities: list[ExternalIdentity]
    cards: list[cards.OwnCard]
    transactions: list[history.HistoryLine]
    points: list[history.PointsLine]
    sessions: list[MemberToken]
    events: list[OwnEvent]


def export_member(scope: Scope, *, member_id: UUID) -> Export:
    """Gather what is kept about a member."""
    return Export(
        member=members.get_own_member(scope, member_id),
        identities=list(members.identities_of(scope, member_id)),
        cards=[cards.to_own_card(binding) for binding in cards.own_cards(scope, member_id)],
        transactions=_all(scope, history.transactions_of_member, member_id),
        points=_all(scope, history.points_of_member, member_id),
        sessions=list(members.sessions_of(scope, member_id)),
        events=_own_events(scope),
    )


def _own_events(scope: Scope) -> list[OwnEvent]:
    """Return what the audit log holds about the member of the scope, newest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT happened_at, action, address FROM members_own_events(%s)", [MOST_EVENTS]
        )
        return [OwnEvent(*row) for row in cursor.fetchall()]


def _all(scope: Scope, read: Any, member_id: UUID) -> list[Any]:
    """Read a history to its end, a span at a time."""
    found: list[Any] = []
    position: UUID | None = None
    while True:
        lines = read(scope, member_id=member_id, span=history.Span(PAGE, position))
        found += lines
        if len(lines) < PAGE:
            return found
        position = lines[-1].id
