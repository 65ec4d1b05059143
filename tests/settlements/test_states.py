"""Approving, paying out, giving up: what moves, and what may not."""

from decimal import Decimal
from functools import partial

import pytest

from mps.base.core import context
from mps.base.core.errors import InvalidRequestError, NotFoundError
from payments import refunds
from settlements import services
from settlements.errors import NoTransactionsInPeriodError, SettlementStateError
from settlements.models import Settlement
from tests import factories
from tests.concurrency.racing import run_together
from tests.settlements import helpers


def approve(settlement: Settlement) -> Settlement:
    return services.approve_settlement(settlement_id=settlement.id)


def mark_paid(settlement: Settlement, reference: str = "BANK-1") -> Settlement:
    return services.mark_paid(settlement_id=settlement.id, payout_reference=reference)


def fail(settlement: Settlement, reason: str = "wrong account") -> Settlement:
    return services.fail_settlement(settlement_id=settlement.id, reason=reason)


def shop():
    """A shop that takes 2 %, and a card with money."""
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "1000.00", fixed_discount="1")
    return factories.make_till(fee_rate=Decimal("0.02")), card, member


def test_after_the_payout_the_shops_account_is_at_zero(database: str) -> None:
    till, card, member = shop()
    paid = helpers.pay(till, card, member, "299.00")
    helpers.refund(till, paid, "50.00")
    helpers.take_cash(till, card, "100.00")
    settlement = helpers.settle(till)
    clearing = helpers.platform("clearing")
    assert helpers.owed(till) == Decimal("149.00")

    with context.acting("staff", "ann"):
        approve(settlement)
    assert helpers.owed(till) == settlement.net == Decimal("144.02")
    assert helpers.platform("fee") == Decimal("4.98")
    mark_paid(settlement)

    assert helpers.owed(till) == 0
    assert helpers.platform("clearing") == clearing + settlement.net
    done = helpers.fresh(settlement)
    assert (done.status, done.approved_by, done.payout_reference) == ("paid", "ann", "BANK-1")
    assert helpers.actions() == ["SETTLEMENT_GENERATED", "SETTLEMENT_APPROVED", "SETTLEMENT_PAID"]


def test_each_act_is_safe_to_repeat(database: str) -> None:
    till, card, member = shop()
    helpers.pay(till, card, member, "100.00")
    settlement = helpers.settle(till)

    run_together([lambda: approve(settlement)] * 5)
    run_together([lambda: mark_paid(settlement)] * 5)
    before = helpers.state()
    approve(settlement)
    mark_paid(settlement)

    assert helpers.state() == before
    assert helpers.owed(till) == 0
    assert helpers.actions() == ["SETTLEMENT_GENERATED", "SETTLEMENT_APPROVED", "SETTLEMENT_PAID"]


def test_nothing_owed_is_paid_without_a_posting(database: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till(fee_rate=Decimal("0.02"))
    helpers.pay(till, standard, member, "100.00", payment_method="cash")
    settlement = helpers.settle(till)
    postings = helpers.count("ledger_posting")

    approve(settlement)
    mark_paid(settlement)

    assert helpers.fresh(settlement).status == "paid"
    assert helpers.count("ledger_posting") == postings


def test_a_debt_is_never_paid_and_goes_with_the_next(database: str) -> None:
    till, card, member = shop()
    paid = helpers.pay(till, card, member, "100.00")
    first = helpers.settle(till)
    helpers.refund(till, paid, "100.00")
    debt = helpers.settle(till)
    helpers.pay(till, card, member, "300.00")
    last = helpers.settle(till)
    for settlement in (first, last):
        approve(settlement)
        mark_paid(settlement)

    # The debt was approved with the settlement that carries it.
    assert helpers.fresh(debt).status == "settled"
    assert helpers.owed(till) == 0
    assert helpers.platform("fee") == Decimal("6.00")
    before = helpers.state()
    with pytest.raises(SettlementStateError):
        mark_paid(debt)
    with pytest.raises(SettlementStateError):
        fail(debt)
    assert helpers.state() == before
    assert helpers.actions()[-2:] == ["SETTLEMENT_PAY_REFUSED", "SETTLEMENT_FAIL_REFUSED"]


@pytest.mark.parametrize("approved", [False, True])
def test_one_that_failed_gives_its_transactions_and_debts_to_the_next(
    database: str, approved: bool
) -> None:
    till, card, member = shop()
    paid = helpers.pay(till, card, member, "100.00")
    mark_paid(approve(helpers.settle(till)))
    helpers.refund(till, paid, "100.00")
    debt = helpers.settle(till)
    helpers.pay(till, card, member, "300.00")
    end = helpers.soon()
    failed = helpers.settle(till, end=end)
    if approved:
        approve(failed)

    fail(failed)
    fail(failed)

    assert helpers.fresh(debt).carried_to_id is None
    assert helpers.count("payments_unclaimed") == 1
    assert helpers.settle(till, end=end).status == "failed"
    again = helpers.settle(till)
    assert helpers.figures(again) == helpers.figures(failed)
    assert helpers.fresh(debt).carried_to_id == again.id
    mark_paid(approve(again))
    assert helpers.owed(till) == 0
    assert helpers.platform("fee") == Decimal("6.00")
    assert helpers.actions().count("SETTLEMENT_FAILED") == 1


def test_what_does_not_fit_the_state_is_refused(database: str) -> None:
    till, card, member = shop()
    helpers.pay(till, card, member, "100.00")
    failed = fail(helpers.settle(till))
    pending = helpers.settle(till)
    helpers.pay(till, card, member, "100.00")
    paid = mark_paid(approve(helpers.settle(till)))
    before = helpers.state()

    for act in (
        lambda: approve(failed),
        lambda: mark_paid(failed),
        lambda: mark_paid(pending),
        lambda: mark_paid(paid, "BANK-2"),
        lambda: fail(paid),
    ):
        with pytest.raises(SettlementStateError) as refusal:
            act()
        assert (refusal.value.code, refusal.value.status) == ("SETTLEMENT_STATE_CONFLICT", 409)
    for act in (lambda: fail(pending, " "), lambda: mark_paid(pending, "a\nb")):
        with pytest.raises(InvalidRequestError):
            act()
    with pytest.raises(NotFoundError):
        services.approve_settlement(settlement_id=till.merchant_id)

    assert helpers.state() == before
    assert [each for each in helpers.actions() if each.endswith("REFUSED")] == [
        "SETTLEMENT_APPROVE_REFUSED",
        "SETTLEMENT_PAY_REFUSED",
        "SETTLEMENT_PAY_REFUSED",
        "SETTLEMENT_PAY_REFUSED",
        "SETTLEMENT_FAIL_REFUSED",
        "SETTLEMENT_APPROVE_REFUSED",
    ]


def test_paying_and_failing_at_once_is_one_of_them(database: str) -> None:
    till, card, member = shop()
    for _ in range(5):
        helpers.pay(till, card, member, "10.00")
        settlement = approve(helpers.settle(till))

        results = run_together(
            [partial(mark_paid, settlement), partial(fail, settlement)],
        )

        refused = [result for result in results if isinstance(result, SettlementStateError)]
        assert len(refused) == 1
        if helpers.fresh(settlement).status == "failed":
            mark_paid(approve(helpers.settle(till)))
        assert helpers.owed(till) == 0
        with pytest.raises(NoTransactionsInPeriodError):
            helpers.settle(till)


def test_a_reversed_payment_goes_from_a_settlement_that_failed_to_the_next(database: str) -> None:
    till, card, member = shop()
    helpers.pay(till, card, member, "100.00", external_order_id="O-1")
    refunds.reverse_order(till=till, external_order_id="O-1")
    fail(helpers.settle(till))

    again = helpers.settle(till)

    assert (again.tx_count, again.gross, again.refunds) == (2, Decimal(100), Decimal(100))
