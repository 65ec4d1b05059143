"""Points on somebody's word."""

import uuid
from decimal import Decimal

import pytest

from cards import vouchers
from cards.selectors import balances_of
from payments import points as payment_points
from tests import factories
from tests.snapshots import assert_refused, fetch, last_context, outcome, snapshot


def test_points_are_added_and_taken_and_the_tier_follows(database: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till()

    def rate() -> str:
        code = factories.make_code(standard, member)
        return factories.charge(till, code, "0.10", payment_method="cash").body["discount_rate"]

    for delta, points, expected in (
        (1000, 1000, "0.95"),
        (-1, 999, "1.00"),
        (4001, 5000, "0.90"),
        (5000, 10000, "0.85"),
        (-10000, 0, "1.00"),
    ):
        done = payment_points.adjust_points(card_id=standard.id, delta=delta, reason="a reason")
        assert (done.type, done.status, done.points, done.amount) == (
            "adjustment",
            "completed",
            delta,
            0,
        )
        assert last_context() == {
            "delta": delta,
            "after": points,
            "reason": "a reason",
            "transaction": done.tx_no,
        }
        assert balances_of(standard) == (None, points)
        assert rate() == expected


def test_what_cannot_be_adjusted(database: str) -> None:
    member, standard = factories.make_member()
    corporate = factories.make_corporate(member, "1.00")
    voucher = vouchers.issue_voucher_card(owner_id=member.id, kind="amount", value=Decimal(1))
    payment_points.adjust_points(card_id=standard.id, delta=10)

    for card_id, delta, code in (
        (standard.id, -11, "INSUFFICIENT_BALANCE"),
        (corporate.id, 1, "UNSUPPORTED_CARD_TYPE_FOR_POINTS"),
        (voucher.id, 1, "UNSUPPORTED_CARD_TYPE_FOR_POINTS"),
        (uuid.uuid4(), 1, "CARD_NOT_FOUND"),
    ):
        assert_refused(
            lambda card_id=card_id, delta=delta: payment_points.adjust_points(
                card_id=card_id, delta=delta, reason="why"
            ),
            code,
            action="POINTS_ADJUST_REFUSED",
        )
        assert last_context() == {"delta": delta, "reason": "why", "error": code}
    assert balances_of(standard) == (None, 10)


@pytest.mark.parametrize(("delta", "reason"), [(0, ""), (10**9 + 1, ""), (1, "x" * 201)])
def test_what_means_nothing_is_not_tried(database: str, delta: int, reason: str) -> None:
    before = snapshot()

    assert (
        outcome(
            lambda: payment_points.adjust_points(card_id=uuid.uuid4(), delta=delta, reason=reason)
        )
        == "INVALID_REQUEST"
    )

    assert snapshot() == before
    assert fetch("SELECT count(*) FROM ledger_posting") == 0
