"""The same request gets the first answer, whatever has happened since."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cards import card_status
from cards.selectors import balances_of
from members import services as members
from mps.base.core.money import JsonNumber
from payments import idempotency, refunds, topups
from tests import factories
from tests.snapshots import assert_declined, assert_refused, execute, outcome, snapshot


def test_a_retry_gets_the_first_answer_whatever_has_happened_since(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    code = factories.make_code(card, member)

    def charge(amount: str = "60.00", **fields: Any) -> Any:
        return factories.charge(
            till, code, amount, **{"idempotency_key": "K1", "external_order_id": "O1", **fields}
        )

    first = charge()
    changes = [
        lambda: execute("UPDATE cards_paymentcode SET expires_at = issued_at"),
        lambda: factories.charge(till, factories.make_code(card, member), "40.00"),  # spent
        lambda: card_status.freeze_card(card_id=card.id),
        lambda: members.suspend_member(member_id=member.id),
        lambda: execute("DELETE FROM cards_paymentcode"),
    ]
    for change in changes:
        change()
        before = snapshot()
        again = charge()
        assert (again.status, again.body, again.replayed) == (201, first.body, True)
        assert list(again.body) == list(first.body)
        # However it is spelled, it is the same request.
        assert charge("60").body == charge("60.0").body == first.body
        assert snapshot() == before
    assert balances_of(card) == (Decimal("0.00"), 100)

    for other in (
        {"amount": "60.01"},
        {"external_order_id": "O2"},
        {"external_order_id": ""},
        {"payment_method": "cash"},
        {"code": "77000000000000000003"},
        {"voucher_code": "77000000000000000003"},
        {"tag": {"a": 1}},
    ):
        fields = {"code": code, "amount": "60.00", **other}
        assert_refused(lambda fields=fields: charge_with(till, **fields), "IDEMPOTENCY_KEY_REUSED")


def charge_with(till: Any, code: str, amount: str, **fields: Any) -> Any:
    return factories.charge(
        till, code, amount, **{"idempotency_key": "K1", "external_order_id": "O1", **fields}
    )


def test_a_key_is_the_shops_own(database: str) -> None:
    member, _ = factories.make_member()
    tills = [factories.make_till(), factories.make_till()]
    card = factories.make_prepaid(member, "100.00")

    answers = [
        factories.charge(till, factories.make_code(card, member), "10.00", idempotency_key="K")
        for till in tills
    ]

    assert [answer.replayed for answer in answers] == [False, False]
    assert len({answer.body["tx_no"] for answer in answers}) == 2
    # Another till of the same shop shares its keys: whichever asks, it was answered.
    assert balances_of(card)[0] == Decimal("80.00")


def test_a_key_of_a_charge_is_no_key_of_a_refund_or_top_up(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    paid = factories.charge(till, factories.make_code(card, member), "1.00", idempotency_key="K")

    assert_refused(
        lambda: refunds.refund_payment(
            till=till, tx_no=paid.body["tx_no"], amount=Decimal("1.00"), idempotency_key="K"
        ),
        "IDEMPOTENCY_KEY_REUSED",
        action="REFUND_FAILED",
    )
    assert_refused(
        lambda: topups.top_up_at_till(
            till=till, card_no=card.number, amount=Decimal("1.00"), idempotency_key="K"
        ),
        "IDEMPOTENCY_KEY_REUSED",
        action="RECHARGE_FAILED",
    )


def test_a_decline_is_an_answer_too(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "5.00")
    code = factories.make_code(card, member)
    answers = []

    def charge() -> Any:
        answers.append(factories.charge(till, code, "10.00", idempotency_key="poor"))
        return answers[-1]

    assert_declined(charge, "INSUFFICIENT_BALANCE")
    factories.top_up(card, "100.00")
    before = snapshot()
    charge()

    assert snapshot() == before
    first, again = answers
    assert (first.status, first.replayed) == (402, False)
    assert (again.status, again.body, again.replayed) == (402, first.body, True)
    assert first.body["request_id"]
    assert outcome(lambda: factories.charge(till, code, "1.00")) == "QR_EXPIRED_OR_INVALID"


def test_refunds_repeat_their_answers(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    paid = factories.charge(till, factories.make_code(card, member), "50.00")

    def refund(amount: str, key: str, **fields: Any) -> Any:
        return refunds.refund_payment(
            till=till,
            tx_no=paid.body["tx_no"],
            amount=Decimal(amount),
            idempotency_key=key,
            **fields,
        )

    first = refund("30.00", "R1", tag={"n": JsonNumber("1.0")})
    too_much = refund("30.00", "R2")
    before = snapshot()
    again = refund("30", "R1", tag={"n": JsonNumber("1.00")})
    too_much_again = refund("30.0", "R2")

    assert snapshot() == before
    assert (again.status, again.body, again.replayed) == (201, first.body, True)
    assert too_much.body["code"] == "REFUND_EXCEEDS_REMAINING"
    assert (too_much_again.status, too_much_again.body) == (409, too_much.body)
    for fields in ({"amount": "29.00"}, {"reason": "other"}, {"tag": {"n": 2}}):
        assert_refused(
            lambda fields=fields: refund(**{"amount": "30.00", "key": "R1", **fields}),
            "IDEMPOTENCY_KEY_REUSED",
            action="REFUND_FAILED",
        )
    assert balances_of(card)[0] == Decimal("80.00")


@pytest.mark.parametrize("key", ["a", " a ", "~" * 255, "a b", "K-1:2/3"])
def test_keys_are_printable_ascii(key: str) -> None:
    assert idempotency.require_key(key) == key


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5) | st.integers().map(str).map(JsonNumber),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=10,
    )
)
def test_what_is_kept_of_a_tag_is_plain_json(value: Any) -> None:
    import orjson

    plain = idempotency.plain(value)

    assert orjson.loads(orjson.dumps(plain)) == plain
    assert idempotency.plain(plain) == plain


def test_numbers_of_a_tag_are_kept_as_near_as_can_be() -> None:
    written = ["1", "-12", "1.50", "1e2", "9" * 18, "1e400", "-1e400"]

    assert idempotency.plain([JsonNumber(each) for each in written]) == [
        1,
        -12,
        1.5,
        100.0,
        int("9" * 18),
        "1e400",
        "-1e400",
    ]


def test_a_tag_with_a_number_beyond_all_bounds_is_kept(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    tag = {"n": JsonNumber("1e400"), "m": {"é": ["x"]}}

    paid = factories.charge(till, factories.make_code(card, member), "10.00", tag=tag)
    refund = refunds.refund_payment(
        till=till,
        tx_no=paid.body["tx_no"],
        amount=Decimal("1.00"),
        idempotency_key="R",
        tag=tag,
    )

    assert (paid.status, refund.status) == (201, 201)
