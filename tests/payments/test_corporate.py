"""Corporate cards: a company's money, and the discount it lends."""

from decimal import Decimal
from typing import Any

import pytest

from cards import card_status, sharing
from cards.selectors import balances_of
from payments import points as payment_points
from payments import refunds
from tests import factories
from tests.snapshots import execute


def test_it_pays_for_its_people_and_earns_no_points(database: str) -> None:
    owner, _ = factories.make_member()
    bound, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_corporate(owner, "100.00", fixed_discount="0.8")
    plain = factories.make_corporate(owner, "100.00")
    sharing.bind_member(card_id=card.id, member_id=bound.id)

    paid = factories.charge(till, factories.make_code(card, bound), "50.00")
    undiscounted = factories.charge(till, factories.make_code(plain, owner), "50.00")

    assert (paid.body["final_amount"], paid.body["balance_after"]) == ("40.00", "60.00")
    assert (paid.body["points_earned"], paid.body["tier"]) == (0, None)
    assert undiscounted.body["final_amount"] == "50.00"
    assert balances_of(card) == (Decimal("60.00"), None)
    refund = refunds.refund_payment(
        till=till, tx_no=paid.body["tx_no"], amount=Decimal("40.00"), idempotency_key="R"
    )
    assert refund.body["points_reversed"] == 0
    assert balances_of(card) == (Decimal("100.00"), None)


@pytest.mark.parametrize(
    ("points", "corporate", "rate"),
    [
        (0, ["0.8"], "0.80"),
        (0, ["0.97", "0.92"], "0.92"),
        (1000, ["0.97"], "0.95"),
        (10000, ["0.86"], "0.85"),
        (1000, [None], "0.95"),
    ],
)
def test_it_lends_its_discount_to_the_standard_card_when_better(
    database: str, points: int, corporate: list[str | None], rate: str
) -> None:
    company, _ = factories.make_member()
    member, standard = factories.make_member()
    till = factories.make_till()
    if points:
        payment_points.adjust_points(card_id=standard.id, delta=points)
    lent = [
        factories.make_corporate(company, **({"fixed_discount": each} if each else {}))
        for each in corporate
    ]
    for card in lent:
        sharing.bind_member(card_id=card.id, member_id=member.id)

    def pay(card: Any = standard, method: str = "cash") -> str:
        code = factories.make_code(card, member)
        answer = factories.charge(till, code, "1.00", payment_method=method)
        return answer.body["discount_rate"]

    assert pay() == rate
    # Only to the standard card, and only while the corporate card is good.
    prepaid = factories.make_prepaid(member, "10.00")
    assert pay(prepaid, "balance") == "1.00"
    execute("UPDATE cards_card SET expires_at = now() WHERE card_type = 'COR'")
    by_tier = {0: "1.00", 1000: "0.95", 10000: "0.85"}[points]
    assert pay() == by_tier
    execute("UPDATE cards_card SET expires_at = NULL WHERE card_type = 'COR'")
    assert pay() == rate
    card_status.freeze_card(card_id=lent[0].id)
    card_status.freeze_card(card_id=lent[-1].id)
    assert pay() == by_tier
    card_status.unfreeze_card(card_id=lent[-1].id)
    sharing.unbind_member(card_id=lent[-1].id, member_id=member.id)
    assert pay() == by_tier
