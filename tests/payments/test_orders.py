"""One payment an order."""

from decimal import Decimal
from typing import Any

from cards.selectors import balances_of
from payments import refunds
from tests import factories
from tests.snapshots import assert_declined, assert_refused, fetch, outcome, snapshot


def test_an_order_is_paid_once(database: str) -> None:
    member, _ = factories.make_member()
    till, other_till = factories.make_till(), factories.make_till()
    card = factories.make_prepaid(member, "1000.00", fixed_discount="0.95")

    def charge(amount: str = "100.00", **fields: Any) -> Any:
        code = fields.pop("code", None) or factories.make_code(card, member)
        return factories.charge(
            fields.pop("till", till), code, amount, **{"external_order_id": "O-1", **fields}
        )

    first_code = factories.make_code(card, member)
    first = charge(code=first_code, idempotency_key="K1")
    code = factories.make_code(card, member)
    before = snapshot()
    # Under another key it is the same payment; the code is not looked at and stays live.
    second = charge(code=code, idempotency_key="K2")
    assert (second.status, second.body, second.replayed) == (201, first.body, True)
    assert list(second.body) == list(first.body)
    assert snapshot() == before

    assert_refused(lambda: charge("100.01", code=code), "ORDER_AMOUNT_MISMATCH")

    # Another shop's order of that name is another order.
    elsewhere = charge("7.00", till=other_till)
    assert elsewhere.body["tx_no"] != first.body["tx_no"]

    def refund(amount: str) -> Any:
        return refunds.refund_payment(
            till=till,
            tx_no=first.body["tx_no"],
            amount=Decimal(amount),
            idempotency_key=factories.new_key(),
        )

    refund("10.00")
    code = factories.make_code(card, member)
    assert charge(code=code).body == first.body
    refund("85.00")
    assert_refused(lambda: charge(code=code), "ALREADY_EXISTS")
    assert charge(code=first_code, idempotency_key="K1").body == first.body

    reversed_order = refunds.reverse_order(till=till, external_order_id="O-1")
    assert reversed_order == {
        "external_order_id": "O-1",
        "status": "cancelled",
        "tx_no": first.body["tx_no"],
    }
    assert_refused(lambda: charge(code=first_code, idempotency_key="K1"), "ORDER_REVERSED")
    assert_refused(lambda: charge(code=code, idempotency_key="K3"), "ORDER_REVERSED")
    assert balances_of(card)[0] == Decimal("1000.00") - Decimal("6.65")


def test_a_failed_payment_frees_its_order(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "5.00")

    def charge(code: str, key: str) -> Any:
        return factories.charge(till, code, "10.00", external_order_id="O-1", idempotency_key=key)

    code = factories.make_code(card, member)
    assert_declined(lambda: charge(code, "K1"), "INSUFFICIENT_BALANCE")
    factories.top_up(card, "5.00")
    paid = charge(factories.make_code(card, member), "K2")

    assert paid.status == 201
    # The first key keeps its answer, the order its payment.
    assert charge(code, "K1").body["code"] == "INSUFFICIENT_BALANCE"
    assert fetch(
        "SELECT array_agg(status::text ORDER BY id) FROM payments_transaction"
        " WHERE external_order_id = 'O-1'"
    ) == ["failed", "completed"]
    assert outcome(lambda: charge(code, "K3")) == "ok"
    assert fetch("SELECT count(*) FROM payments_order") == 1


def test_payments_without_an_order_do_not_meet(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")

    answers = [factories.charge(till, factories.make_code(card, member), "10") for _ in range(3)]

    assert len({answer.body["tx_no"] for answer in answers}) == 3
    assert answers[0].body["external_order_id"] is None
    assert fetch("SELECT count(*) FROM payments_order") == 0
