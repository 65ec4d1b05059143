"""What the database lets a member do to cards, their own and others', whoever speaks for them."""

import pytest
from django.db import DatabaseError, connection

from cards import card_status, sharing
from mps.base.core import db_scope
from tests import factories


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        (
            "INSERT INTO cards_binding (id, card_id, member_id, role)"
            " VALUES (gen_random_uuid(), %(theirs)s, %(me)s, 'owner')",
            "row-level security",
        ),
        (
            "UPDATE cards_binding SET role = 'owner', limit_per_day = NULL"
            " WHERE member_id = %(me)s",
            "permission denied",
        ),
        ("UPDATE cards_card SET owner_id = %(me)s WHERE id = %(shared)s", "permission denied"),
        (
            "UPDATE cards_card SET binding_password = 'mine' WHERE id = %(shared)s",
            "a member changes no such thing",
        ),
        (
            "UPDATE cards_card SET status = 'active' WHERE id = %(frozen)s",
            "a member changes no such thing",
        ),
        (
            "UPDATE cards_card SET locked_by_member = true WHERE id = %(frozen)s",
            "a member changes no such thing",
        ),
        (
            "UPDATE cards_card SET status = 'closed' WHERE id = %(frozen)s",
            "a member changes no such thing",
        ),
    ],
)
def test_a_member_takes_no_card_and_no_right(database: str, statement: str, refused: str) -> None:
    """Also when whatever speaks for them asks the database directly."""
    owner, _ = factories.make_member()
    me, _ = factories.make_member()
    theirs, shared, frozen = (factories.make_prepaid(owner, "10.00") for _ in range(3))
    for card in (shared, frozen):
        sharing.bind_member(card_id=card.id, member_id=me.id, role="admin")
    card_status.freeze_card(card_id=frozen.id, reason="fraud")
    which = {"theirs": theirs.id, "shared": shared.id, "frozen": frozen.id, "me": me.id}

    with (
        pytest.raises(DatabaseError, match=refused),
        db_scope.principal_scope("member_app", me.id),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, which)
