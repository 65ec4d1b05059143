"""Vouchers: one promotion, one use."""

from decimal import Decimal
from typing import Any

import pytest

from cards import card_status, vouchers
from cards.selectors import balances_of
from members import services as members
from payments import refunds
from tests import factories
from tests.snapshots import assert_declined, assert_refused, execute, fetch, outcome


@pytest.fixture
def shop(database: str) -> Any:
    """A till, a member with 1000.00 on a prepaid card at 0.9, `issue()` and `charge()`."""

    class Shop:
        member, standard = factories.make_member()
        till = factories.make_till(fee_rate=Decimal("0.02"))
        card = factories.make_prepaid(member, "1000.00", fixed_discount="0.9")

        def issue(self, kind: str = "amount", value: str = "30", **fields: Any) -> Any:
            return vouchers.issue_voucher_card(
                owner_id=self.member.id, kind=kind, value=Decimal(value), **fields
            )

        def code(self, card: Any) -> str:
            return factories.make_code(card, self.member)

        def charge(self, amount: str, voucher: Any, **fields: Any) -> Any:
            return factories.charge(
                fields.pop("till", self.till),
                self.code(fields.pop("card", self.card)),
                amount,
                voucher_code=voucher if isinstance(voucher, str) else self.code(voucher),
                **fields,
            )

    return Shop()


def used_by(voucher: Any) -> Any:
    return fetch("SELECT used_by_tx_id FROM cards_voucher WHERE card_id = %s", [voucher.id])


@pytest.mark.parametrize(
    ("kind", "value", "final", "points"),
    [
        ("percent", "20", "71.99", 99),  # 99.99 × 0.9 × 0.8 = 71.9928, rounded once
        ("amount", "30", "59.99", 99),  # 99.99 × 0.9 − 30 = 59.991
        ("amount", "500", "0.00", 99),
        ("percent", "100", "0.00", 99),
    ],
)
def test_it_takes_off_after_the_cards_discount(
    shop: Any, kind: str, value: str, final: str, points: int
) -> None:
    voucher = shop.issue(kind, value)

    paid = shop.charge("99.99", voucher)

    assert paid.status == 201
    body = paid.body
    assert (body["discount_rate"], body["final_amount"]) == ("0.90", final)
    assert Decimal(body["discount_amount"]) == Decimal("99.99") - Decimal(final)
    assert body["balance_after"] == str(Decimal("1000.00") - Decimal(final))
    assert balances_of(shop.card) == (Decimal("1000.00") - Decimal(final), points)
    assert fetch("SELECT id FROM payments_transaction WHERE type = 'payment'") == used_by(voucher)
    # One use.
    code, voucher_code = shop.code(shop.card), shop.code(voucher)
    assert_declined(
        lambda: factories.charge(shop.till, code, "99.99", voucher_code=voucher_code),
        "VOUCHER_NOT_APPLICABLE",
        burnt=2,
    )


def test_alone_it_goes_with_an_outside_payment(shop: Any) -> None:
    voucher = shop.issue(min_spend=Decimal("50.00"))

    paid = factories.charge(shop.till, shop.code(voucher), "80.00", payment_method="cash")

    assert paid.status == 201
    assert (paid.body["final_amount"], paid.body["points_earned"], paid.body["tier"]) == (
        "50.00",
        0,
        None,
    )
    assert used_by(voucher) is not None
    assert fetch("SELECT sum(fee) FROM payments_transaction") == 0
    code = shop.code(voucher)
    assert_declined(
        lambda: factories.charge(shop.till, code, "80.00", payment_method="cash"),
        "VOUCHER_NOT_APPLICABLE",
    )


def test_with_a_standard_card_it_goes_with_an_outside_payment(shop: Any) -> None:
    voucher = shop.issue("percent", "20")

    paid = shop.charge("100.00", voucher, card=shop.standard, payment_method="cash")

    assert (paid.body["final_amount"], paid.body["points_earned"]) == ("80.00", 100)


def test_where_and_when_it_does_not_apply(shop: Any) -> None:
    other = factories.make_till()
    second = shop.issue()
    elsewhere = shop.issue(merchant_ids=[other.merchant_id])
    from_100 = shop.issue(min_spend=Decimal("100.00"))
    frozen, late = shop.issue(), shop.issue()
    frozen_code, late_code = shop.code(frozen), shop.code(late)
    card_status.freeze_card(card_id=frozen.id)
    execute("UPDATE cards_card SET expires_at = now() WHERE id = %s", [late.id])
    stranger, _ = factories.make_member()
    lent = vouchers.issue_voucher_card(owner_id=stranger.id, kind="amount", value=Decimal(1))
    lent_code = factories.make_code(lent, stranger)
    members.suspend_member(member_id=stranger.id)

    for voucher_code in (
        shop.code(elsewhere),
        shop.code(from_100),
        frozen_code,
        late_code,
        lent_code,
    ):
        code = shop.code(shop.card)
        assert_declined(
            lambda code=code, voucher_code=voucher_code: factories.charge(
                shop.till, code, "99.99", voucher_code=voucher_code
            ),
            "VOUCHER_NOT_APPLICABLE",
            burnt=2,
        )
    # No voucher, two vouchers, the same code twice.
    code, no_voucher = shop.code(shop.card), shop.code(shop.standard)
    assert_declined(
        lambda: factories.charge(shop.till, code, "1.00", voucher_code=no_voucher),
        "VOUCHER_NOT_APPLICABLE",
        burnt=2,
    )
    code, voucher_code = shop.code(second), shop.code(from_100)
    assert_declined(
        lambda: factories.charge(
            shop.till, code, "100.00", voucher_code=voucher_code, payment_method="cash"
        ),
        "VOUCHER_NOT_APPLICABLE",
        burnt=2,
    )
    for card in (shop.card, second):
        code = shop.code(card)
        assert_declined(
            lambda code=code, card=card: factories.charge(
                shop.till,
                code,
                "100.00",
                voucher_code=code,
                payment_method="balance" if card is shop.card else "cash",
            ),
            "VOUCHER_NOT_APPLICABLE",
        )
    # Where it applies, it does: the list amount counts, not what is paid of it.
    assert outcome(lambda: shop.charge("100.00", from_100)) == "ok"
    elsewhere_code = shop.code(elsewhere)
    assert outcome(lambda: shop.charge("10.00", elsewhere_code, till=other)) == "ok"


def test_an_unknown_voucher_code_burns_nothing(shop: Any) -> None:
    code = shop.code(shop.card)

    assert_refused(
        lambda: factories.charge(shop.till, code, "10.00", voucher_code="77000000000000000003"),
        "QR_EXPIRED_OR_INVALID",
    )

    assert outcome(lambda: factories.charge(shop.till, code, "10.00")) == "ok"


def test_only_a_payment_that_succeeds_uses_it(shop: Any) -> None:
    voucher = shop.issue()
    code, voucher_code = shop.code(shop.card), shop.code(voucher)

    assert_declined(
        lambda: factories.charge(shop.till, code, "5000.00", voucher_code=voucher_code),
        "INSUFFICIENT_BALANCE",
        burnt=2,
    )

    assert used_by(voucher) is None
    assert outcome(lambda: shop.charge("100.00", voucher)) == "ok"


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("", True),
        ("UPDATE cards_card SET expires_at = now() + interval '1 day' WHERE id = %s", True),
        ("UPDATE cards_card SET expires_at = now() WHERE id = %s", False),
        ("UPDATE cards_card SET status = 'frozen' WHERE id = %s", True),
        ("UPDATE cards_card SET status = 'closed' WHERE id = %s", False),
    ],
)
def test_a_full_refund_gives_a_valid_one_back(shop: Any, change: str, again: bool) -> None:
    voucher = shop.issue()
    paid = shop.charge("100.00", voucher)

    def refund(amount: str) -> Any:
        return refunds.refund_payment(
            till=shop.till,
            tx_no=paid.body["tx_no"],
            amount=Decimal(amount),
            idempotency_key=factories.new_key(),
        )

    refund("59.99")
    assert used_by(voucher) is not None
    if change:
        execute(change, [voucher.id])
    refund("0.01")

    assert (used_by(voucher) is None) is again
    assert balances_of(shop.card) == (Decimal("1000.00"), 0)
    if again:
        # Given back to a frozen card it waits there until the card is active.
        execute("UPDATE cards_card SET status = 'active' WHERE id = %s", [voucher.id])
        assert outcome(lambda: shop.charge("100.00", voucher)) == "ok"


def test_giving_it_back_leaves_what_others_used(shop: Any) -> None:
    first, second = shop.issue(), shop.issue()
    paid = shop.charge("100.00", first)
    shop.charge("100.00", second)

    refunds.refund_payment(
        till=shop.till,
        tx_no=paid.body["tx_no"],
        amount=Decimal(paid.body["final_amount"]),
        idempotency_key="R",
    )

    assert used_by(first) is None
    assert used_by(second) is not None


def test_a_payment_that_a_voucher_paid_in_full_goes_back(shop: Any) -> None:
    voucher = shop.issue("percent", "100")
    paid = shop.charge("99.00", voucher)
    assert balances_of(shop.card) == (Decimal("1000.00"), 99)

    def refund(amount: str, tx_no: str = paid.body["tx_no"], key: str = "") -> Any:
        return refunds.refund_payment(
            till=shop.till,
            tx_no=tx_no,
            amount=Decimal(amount),
            idempotency_key=key or factories.new_key(),
        )

    assert refund("0.01").body["code"] == "REFUND_EXCEEDS_REMAINING"
    back = refund("0.00", key="back")

    assert back.status == 201
    assert (back.body["amount"], back.body["points_reversed"]) == ("0.00", 99)
    assert (back.body["remaining"], back.body["credited_to"]) == ("0.00", None)
    assert balances_of(shop.card) == (Decimal("1000.00"), 0)
    assert used_by(voucher) is None
    assert refund("0.00", key="back").body == back.body
    assert refund("0.00").body["code"] == "ONLY_COMPLETED_PAYMENT_REFUNDABLE"
    # Of a payment of something, nothing is no refund.
    other = shop.charge("10.00", voucher, card=shop.card)
    assert other.status == 201
    dear = factories.charge(shop.till, shop.code(shop.card), "10.00")
    assert_refused(
        lambda: refund("0.00", dear.body["tx_no"]), "INVALID_AMOUNT", action="REFUND_FAILED"
    )
