"""All that is kept about a member, gathered for them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cards import selectors as cards
from members import privacy
from members import selectors as members
from members.models import ExternalIdentity, Member, MemberToken
from payments import history

PAGE = 1000


@dataclass(frozen=True, slots=True)
class Export:
    """Everything about one member."""

    member: Member
    identities: list[ExternalIdentity]
    cards: list[cards.OwnCard]
    transactions: list[history.HistoryLine]
    points: list[history.PointsLine]
    sessions: list[MemberToken]
    events: list[privacy.OwnEvent]


def export_member(*, member_id: UUID) -> Export:
    """Gather what is kept about a member. Inside their scope."""
    return Export(
        member=members.get_own_member(member_id),
        identities=list(members.identities_of(member_id)),
        cards=[cards.to_own_card(binding) for binding in cards.own_cards(member_id)],
        transactions=_all(history.transactions_of_member, member_id),
        points=_all(history.points_of_member, member_id),
        sessions=list(members.sessions_of(member_id)),
        events=privacy.own_events(),
    )


def _all(read: Any, member_id: UUID) -> list[Any]:
    """Read a history to its end, a span at a time."""
    found: list[Any] = []
    position: UUID | None = None
    while True:
        lines = read(member_id=member_id, span=history.Span(PAGE, position))
        found += lines
        if len(lines) < PAGE:
            return found
        position = lines[-1].id
