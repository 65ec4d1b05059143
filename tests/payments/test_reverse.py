"""Undoing what the till does not know the outcome of."""

from decimal import Decimal
from typing import Any

import pytest

from cards import vouchers
from cards.selectors import balances_of
from merchants import services as merchants
from payments import refunds
from tests import factories
from tests.snapshots import age_by_a_day, assert_refused, execute, fetch, outcome, snapshot


@pytest.fixture
def shop(database: str) -> Any:
    """A till, a member with 100.00 on a prepaid card, and `charge(order)`."""

    class Shop:
        member, standard = factories.make_member()
        till = factories.make_till(fee_rate=Decimal("0.02"))
        card = factories.make_prepaid(member, "100.00")

        def charge(self, order: str, amount: str = "60.00", **fields: Any) -> Any:
            return factories.charge(
                self.till,
                fields.pop("code", None) or factories.make_code(self.card, self.member),
                amount,
                external_order_id=order,
                **fields,
            )

        def reverse(self, order: str) -> dict[str, Any]:
            return refunds.reverse_order(till=self.till, external_order_id=order)

    return Shop()


def test_a_paid_order_is_given_back_in_full_and_closed(shop: Any) -> None:
    code = factories.make_code(shop.card, shop.member)
    paid = shop.charge("O-1", code=code, idempotency_key="K1")

    answer = shop.reverse("O-1")

    assert answer == {
        "external_order_id": "O-1",
        "status": "cancelled",
        "tx_no": paid.body["tx_no"],
        "refund_tx_no": "REF0000000001",
        "amount": "60.00",
    }
    assert balances_of(shop.card) == (Decimal("100.00"), 0)
    assert (
        fetch(
            "SELECT (status, refunded_total, refunded_points, refunded_fee)::text"
            " FROM payments_transaction WHERE type = 'payment'"
        )
        == "(cancelled,60.00,60,1.20)"
    )
    before = snapshot()
    assert shop.reverse("O-1") == answer
    assert snapshot() == before
    for key in ("K1", "K2"):
        assert_refused(
            lambda key=key: shop.charge("O-1", code=code, idempotency_key=key), "ORDER_REVERSED"
        )
    assert_refused(
        lambda: refunds.refund_payment(
            till=shop.till,
            tx_no=paid.body["tx_no"],
            amount=Decimal("1.00"),
            idempotency_key="R",
        ),
        "ONLY_COMPLETED_PAYMENT_REFUNDABLE",
        action="REFUND_FAILED",
        answers=1,
    )


def test_an_order_reversed_before_its_charge_takes_no_charge(shop: Any) -> None:
    answer = shop.reverse("O-1")

    assert answer == {"external_order_id": "O-1", "status": "cancelled"}
    code = factories.make_code(shop.card, shop.member)
    assert_refused(lambda: shop.charge("O-1", code=code), "ORDER_REVERSED")
    assert shop.reverse("O-1") == answer
    # The same order at another shop, and another order here, are not touched.
    other = factories.make_till()
    assert outcome(lambda: factories.charge(other, code, "1.00", external_order_id="O-1")) == "ok"
    assert outcome(lambda: shop.charge("O-2")) == "ok"


def test_what_was_partly_refunded_gives_back_the_rest(shop: Any) -> None:
    paid = shop.charge("O-1")
    refunds.refund_payment(
        till=shop.till, tx_no=paid.body["tx_no"], amount=Decimal("25.00"), idempotency_key="R"
    )

    answer = shop.reverse("O-1")

    assert answer["amount"] == "35.00"
    assert balances_of(shop.card) == (Decimal("100.00"), 0)
    assert fetch("SELECT sum(fee) FROM payments_transaction WHERE type = 'refund'") == Decimal(
        "1.20"
    )


def test_a_failed_order_is_closed(shop: Any) -> None:
    assert shop.charge("O-1", "100.01").refused

    answer = shop.reverse("O-1")

    assert answer == {"external_order_id": "O-1", "status": "cancelled"}
    code = factories.make_code(shop.card, shop.member)
    assert_refused(lambda: shop.charge("O-1", "10.00", code=code), "ORDER_REVERSED")
    assert balances_of(shop.card) == (Decimal("100.00"), 0)


@pytest.mark.parametrize("status", ["frozen", "closed"])
def test_it_succeeds_whatever_became_of_card_member_and_shop(shop: Any, status: str) -> None:
    shop.charge("O-1", "100.00")
    execute("UPDATE cards_card SET status = %s WHERE id = %s", [status, shop.card.id])
    execute("UPDATE members_member SET status = 'suspended'")
    merchants.suspend_merchant(merchant_id=shop.till.merchant_id)
    shop.till = factories.find_till(shop.till)

    answer = shop.reverse("O-1")

    assert answer["amount"] == "100.00"
    credited = fetch("SELECT credited_to FROM payments_transaction WHERE type = 'refund'")
    if status == "frozen":
        assert credited == "card"
        assert balances_of(shop.card) == (Decimal("100.00"), 0)
    else:
        assert credited == "unclaimed"
        assert balances_of(shop.card) == (Decimal("0.00"), 0)
        assert fetch(
            "SELECT sum(amount) FROM ledger_entry e JOIN ledger_account a ON a.id = account_id"
            " WHERE a.kind = 'unclaimed'"
        ) == Decimal("100.00")
    assert shop.reverse("O-1") == answer


def test_a_suspended_shop_gives_nothing_back_that_was_paid_long_ago(
    shop: Any, database: str, superuser: Any
) -> None:
    shop.charge("O-1")
    age_by_a_day(superuser, database)
    merchants.suspend_merchant(merchant_id=shop.till.merchant_id, reason="fraud")

    assert_refused(lambda: shop.reverse("O-1"), "MERCHANT_SUSPENDED", action="REVERSE_FAILED")
    # What was never paid is closed all the same; and what an active shop was paid goes back.
    assert shop.reverse("O-2") == {"external_order_id": "O-2", "status": "cancelled"}
    merchants.activate_merchant(merchant_id=shop.till.merchant_id, reason="cleared")
    assert shop.reverse("O-1")["amount"] == "60.00"


def test_an_outside_payment_and_a_free_one_are_reversed_too(shop: Any) -> None:
    voucher = vouchers.issue_voucher_card(
        owner_id=shop.member.id, kind="percent", value=Decimal(100)
    )
    by_cash = shop.charge(
        "O-1", code=factories.make_code(shop.standard, shop.member), payment_method="cash"
    )
    free = shop.charge("O-2", voucher_code=factories.make_code(voucher, shop.member))
    assert balances_of(shop.standard) == (None, 60)
    assert (free.body["final_amount"], balances_of(shop.card)) == ("0.00", (Decimal("100.00"), 60))

    reversed_cash, reversed_free = shop.reverse("O-1"), shop.reverse("O-2")

    assert reversed_cash["tx_no"] == by_cash.body["tx_no"]
    assert (reversed_cash["amount"], reversed_free["amount"]) == ("60.00", "0.00")
    assert balances_of(shop.standard) == (None, 0)
    assert balances_of(shop.card) == (Decimal("100.00"), 0)
    assert fetch("SELECT used_by_tx_id FROM cards_voucher") is None


def test_every_reversal_is_in_the_log_once(shop: Any) -> None:
    shop.charge("O-1")
    before = snapshot().events
    shop.reverse("O-1")
    assert fetch("SELECT count(*) FROM audit_event WHERE action = 'ORDER_REVERSED'") == 1
    assert snapshot().events == before + 2  # and the refund
    shop.reverse("O-1")
    assert snapshot().events == before + 2
