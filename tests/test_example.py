"""The worked example of the README, by the services."""

from decimal import Decimal

from cards.selectors import balances_of
from payments import refunds
from tests import factories


def test_worked_example(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00", fixed_discount="0.95")

    answer = factories.charge(till, factories.make_code(card, member), "299.00")

    assert answer.status == 201
    assert answer.body["final_amount"] == "284.05"
    assert answer.body["balance_after"] == "715.95"
    assert answer.body["points_earned"] == 299
    refund = refunds.refund_payment(
        till=till, tx_no=answer.body["tx_no"], amount=Decimal("50.00"), idempotency_key="refund-1"
    )
    # floor(299 x 50.00 / 284.05) = 52
    assert refund.body["points_reversed"] == 52
    assert balances_of(card) == (Decimal("765.95"), 247)
