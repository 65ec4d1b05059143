"""Giving back."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cards import card_status, pricing
from cards.selectors import balances_of
from members import services as members
from merchants import services as merchants
from payments import points as payment_points
from payments import refunds, topups
from tests import factories
from tests.snapshots import assert_refused, execute, fetch, last_context, snapshot

CENT = Decimal("0.01")


def refund(till: Any, paid: Any, amount: str, **fields: Any) -> Any:
    """Refund a payment's answer."""
    return refunds.refund_payment(
        till=till,
        tx_no=paid.body["tx_no"],
        amount=Decimal(amount),
        **{"idempotency_key": factories.new_key(), **fields},
    )


@given(
    list_cents=st.integers(1, 10**9),
    rate=st.decimals("0.0001", "1", places=4),
    fee_rate=st.decimals("0", "1", places=4),
    cuts=st.lists(st.integers(1, 10**9), max_size=12),
)
def test_many_refunds_give_what_one_would(
    list_cents: int, rate: Decimal, fee_rate: Decimal, cuts: list[int]
) -> None:
    amount = Decimal(list_cents) / 100
    price = pricing.Price(amount, rate, (amount * rate).quantize(CENT, ROUND_HALF_UP))
    if not price.final_amount:
        return
    paid_cents = int(price.final_amount * 100)
    points = Decimal(pricing.points_earned(price=price, card_type="PPD", basis="list"))
    fee = (price.final_amount * fee_rate).quantize(CENT, ROUND_HALF_UP)
    ends = sorted({cut for cut in cuts if cut < paid_cents} | {paid_cents})

    for total, unit in ((points, Decimal(1)), (fee, CENT)):
        given_back = Decimal(0)
        for end in ends:
            share = pricing.share_of_refund(
                total=total,
                refunded_after=Decimal(end) / 100,
                paid=price.final_amount,
                given_before=given_back,
                unit=unit,
            )
            assert share >= 0
            assert share % unit == 0
            given_back += share
            # Never more than its share, and less than one unit short of it.
            exact = total * end / paid_cents
            assert exact - unit < given_back <= exact or end == paid_cents
        assert given_back == total


def test_partial_refunds_of_a_payment_give_back_all_of_it(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till(fee_rate=Decimal("0.0333"))
    card = factories.make_prepaid(member, "1000.00", fixed_discount="0.95")
    paid = factories.charge(till, factories.make_code(card, member), "299.00")

    answers = [refund(till, paid, amount) for amount in ("0.01", "100.00", "33.33", "150.70")]
    assert_refused(
        lambda: refund(till, paid, "0.02"),
        "REFUND_EXCEEDS_REMAINING",
        action="REFUND_FAILED",
        answers=1,
    )
    answers.append(refund(till, paid, "0.01", reason="the rest"))

    assert [answer.status for answer in answers] == [201] * 5
    assert sum(answer.body["points_reversed"] for answer in answers) == 299
    assert answers[1].body["points_reversed"] == 105  # floor(299 × 100.01 / 284.05) − 0
    assert [answer.body["remaining"] for answer in answers] == [
        "284.04",
        "184.04",
        "150.71",
        "0.01",
        "0.00",
    ]
    assert balances_of(card) == (Decimal("1000.00"), 0)
    assert (
        fetch(
            "SELECT (status, refunded_total, refunded_points, refunded_fee = fee, fee)::text"
            " FROM payments_transaction WHERE type = 'payment'"
        )
        == "(refunded,284.05,299,t,9.46)"
    )
    assert fetch("SELECT sum(fee) FROM payments_transaction WHERE type = 'refund'") == Decimal(
        "9.46"
    )
    assert fetch(
        "SELECT sum(amount) FROM ledger_entry WHERE account_id = %s", [till.account_id]
    ) == Decimal("0.00")
    assert_refused(
        lambda: refund(till, paid, "0.01"),
        "ONLY_COMPLETED_PAYMENT_REFUNDABLE",
        action="REFUND_FAILED",
        answers=1,
    )


def test_a_refund_takes_the_tier_back_at_once(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "10000.00")
    paid = factories.charge(till, factories.make_code(card, member), "1000.00")
    assert paid.body["tier"] == "silver"

    refund(till, paid, "0.01")
    assert balances_of(card)[1] == 1000
    refund(till, paid, "1.00")

    assert balances_of(card)[1] == 999
    second = factories.charge(till, factories.make_code(card, member), "100.00")
    assert second.body["discount_rate"] == "1.00"
    # Each payment keeps the rate it was priced with.
    assert refund(till, second, "100.00").body["remaining"] == "0.00"


def test_refunds_may_leave_the_points(database: str, settings: Any) -> None:
    settings.MPS_REFUND_POINTS = "keep"
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    paid = factories.charge(till, factories.make_code(card, member), "100.00")

    half, rest = refund(till, paid, "50.00"), refund(till, paid, "50.00")

    assert (half.body["points_reversed"], rest.body["points_reversed"]) == (0, 0)
    assert balances_of(card) == (Decimal("100.00"), 100)


def test_points_that_are_gone_are_forgiven_and_said_so(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    paid = factories.charge(till, factories.make_code(card, member), "100.00")
    payment_points.adjust_points(card_id=card.id, delta=-70, reason="spent")

    half = refund(till, paid, "50.00", reason="broken")
    assert half.body["points_reversed"] == 30
    assert last_context() == {
        "original": paid.body["tx_no"],
        "amount": "50.00",
        "points": -30,
        "points_forgiven": 20,
        "credited_to": "card",
        "reason": "broken",
    }
    rest = refund(till, paid, "50.00")

    assert rest.body["points_reversed"] == 0
    assert balances_of(card) == (Decimal("100.00"), 0)


@pytest.mark.parametrize("status", ["frozen", "lost", "suspended", "expired"])
def test_a_card_that_does_not_pay_is_credited(database: str, status: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    paid = factories.charge(till, factories.make_code(card, member), "100.00")
    code = factories.make_code(card, member)
    execute("UPDATE cards_card SET status = %s WHERE id = %s", [status, card.id])
    members.suspend_member(member_id=member.id)

    answer = refund(till, paid, "40.00")

    assert (answer.status, answer.body["credited_to"]) == (201, "card")
    assert balances_of(card) == (Decimal("40.00"), 60)
    assert factories.charge(till, code, "1.00").refused


def test_a_closed_card_is_credited_to_the_unclaimed_account(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    paid = factories.charge(till, factories.make_code(card, member), "100.00")
    execute("UPDATE cards_card SET status = 'closed' WHERE id = %s", [card.id])

    answers = [refund(till, paid, "40.00"), refund(till, paid, "60.00")]

    assert [answer.body["credited_to"] for answer in answers] == ["unclaimed", "unclaimed"]
    assert balances_of(card) == (Decimal("0.00"), 0)
    assert fetch(
        "SELECT sum(amount) FROM ledger_entry e JOIN ledger_account a ON a.id = account_id"
        " WHERE a.kind = 'unclaimed'"
    ) == Decimal("100.00")


def test_an_outside_payment_is_recorded_as_refunded_and_moves_no_money(database: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till(fee_rate=Decimal("0.02"))
    paid = factories.charge(
        till, factories.make_code(standard, member), "100.00", payment_method="alipay"
    )

    answer = refund(till, paid, "30.00")

    assert answer.body == {
        "tx_no": "REF0000000001",
        "original_tx_no": paid.body["tx_no"],
        "status": "completed",
        "amount": "30.00",
        "points_reversed": 30,
        "refunded_total": "30.00",
        "remaining": "70.00",
        "credited_to": None,
    }
    assert balances_of(standard) == (None, 70)
    assert (
        fetch(
            "SELECT count(*) FROM ledger_entry e JOIN ledger_account a ON a.id = account_id"
            " WHERE a.unit <> 'PTS'"
        )
        == 0
    )


def test_an_outside_payment_without_points_moves_nothing_at_all(database: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till()
    code = factories.make_code(standard, member)
    paid = factories.charge(till, code, "0.50", payment_method="cash")

    assert refund(till, paid, "0.50").body["remaining"] == "0.00"

    assert fetch("SELECT count(*) FROM ledger_posting") == 0
    assert fetch("SELECT status FROM payments_transaction WHERE type = 'payment'") == "refunded"


def test_what_cannot_be_refunded(database: str) -> None:
    member, _ = factories.make_member()
    till, other = factories.make_till(), factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    paid = factories.charge(till, factories.make_code(card, member), "50.00")
    failed = factories.charge(till, factories.make_code(card, member), "50.01")
    failed_no = fetch("SELECT tx_no FROM payments_transaction WHERE status = 'failed'")
    assert failed.refused
    back = refund(till, paid, "1.00")
    topped_up = topups.top_up_at_till(
        till=till, card_no=card.number, amount=Decimal("5.00"), idempotency_key="T"
    )

    for tx_no in ("PAY9999999999", "", "x"):
        assert_refused(
            lambda tx_no=tx_no: refunds.refund_payment(
                till=till, tx_no=tx_no, amount=Decimal("1.00"), idempotency_key="R0"
            ),
            "ORIGINAL_TX_NOT_FOUND",
            action="REFUND_FAILED",
        )
    assert_refused(
        lambda: refund(other, paid, "1.00"), "ORIGINAL_TX_NOT_FOUND", action="REFUND_FAILED"
    )
    # Nothing was stored: the key is free for the payment that was meant.
    assert refund(till, paid, "1.00", idempotency_key="R0").status == 201

    for tx_no in (failed_no, back.body["tx_no"], topped_up.body["tx_no"]):
        assert_refused(
            lambda tx_no=tx_no: refunds.refund_payment(
                till=till,
                tx_no=tx_no,
                amount=Decimal("1.00"),
                idempotency_key=factories.new_key(),
            ),
            "ONLY_COMPLETED_PAYMENT_REFUNDABLE",
            action="REFUND_FAILED",
            answers=1,
        )
        assert last_context() == {
            "merchant": till.merchant_code,
            "amount": "1.00",
            "error": "ONLY_COMPLETED_PAYMENT_REFUNDABLE",
        }
    assert_refused(
        lambda: refund(till, paid, "48.01"),
        "REFUND_EXCEEDS_REMAINING",
        action="REFUND_FAILED",
        answers=1,
    )
    before = snapshot()
    with pytest.raises(Exception, match="Idempotency-Key"):
        refund(till, paid, "1.00", idempotency_key="")
    assert snapshot() == before


def test_what_belongs_to_no_shop_is_not_refunded_in_a_shops_name(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    payment_points.adjust_points(card_id=card.id, delta=5, reason="a gift")
    adjustment = fetch("SELECT tx_no FROM payments_transaction WHERE type = 'adjustment'")

    assert_refused(
        lambda: refunds.refund_for_shop(
            merchant_id=None,
            tx_no=adjustment,
            amount=Decimal("1.00"),
            idempotency_key="R1",
            reason="a mistake",
        ),
        "ORIGINAL_TX_NOT_FOUND",
        action="REFUND_FAILED",
    )


def test_a_suspended_shop_gives_no_refund(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    paid = factories.charge(till, factories.make_code(card, member), "50.00")
    merchants.suspend_merchant(merchant_id=till.merchant_id)
    suspended = factories.find_till(till)

    assert_refused(
        lambda: refund(suspended, paid, "1.00"), "MERCHANT_SUSPENDED", action="REFUND_FAILED"
    )


def test_any_number_of_refusals_leave_as_many_events(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "10.00")
    paid = factories.charge(till, factories.make_code(card, member), "10.00")
    card_status.freeze_card(card_id=card.id)

    for _ in range(5):
        assert_refused(
            lambda: refund(till, paid, "11.00"),
            "REFUND_EXCEEDS_REMAINING",
            action="REFUND_FAILED",
            answers=1,
        )
        assert_refused(
            lambda: refunds.refund_payment(
                till=till, tx_no="PAY1", amount=Decimal(1), idempotency_key="R"
            ),
            "ORIGINAL_TX_NOT_FOUND",
            action="REFUND_FAILED",
        )

    assert (
        fetch(
            "SELECT count(*) FROM audit_event WHERE action = 'REFUND_FAILED'"
            " AND context ->> 'error' <> '' AND address <> ''"
        )
        == 10
    )


def test_points_once_forgiven_are_not_asked_for_again(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    paid = factories.charge(till, factories.make_code(card, member), "100.00")
    payment_points.adjust_points(card_id=card.id, delta=-100)

    assert refund(till, paid, "40.00").body["points_reversed"] == 0
    payment_points.adjust_points(card_id=card.id, delta=100)

    assert refund(till, paid, "60.00").body["points_reversed"] == 60
    assert balances_of(card) == (Decimal("100.00"), 40)


def test_a_shop_suspended_since_the_till_was_known_gives_nothing_back(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    paid = factories.charge(till, factories.make_code(card, member), "100.00")
    merchants.suspend_merchant(merchant_id=till.merchant_id, reason="fraud")

    assert_refused(
        lambda: refund(till, paid, "40.00"), "MERCHANT_SUSPENDED", action="REFUND_FAILED"
    )
