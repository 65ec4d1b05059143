"""Putting money on cards."""

import uuid
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from cards import card_status, payment_codes, vouchers
from cards.selectors import balances_of
from merchants import services as merchants
from payments import topups
from tests import factories
from tests.snapshots import (
    age_by_a_day,
    assert_refused,
    fetch,
    last_context,
    outcome,
    snapshot,
)

ACCOUNT_SUM = (
    "SELECT coalesce(sum(amount), 0) FROM ledger_entry e"
    " JOIN ledger_account a ON a.id = account_id WHERE a.id::text = %s OR a.kind = %s"
)
SCOPE = uuid.uuid4()


def recharge(card: Any, amount: str, key: str = "", **fields: Any) -> Any:
    """Top up as a trusted backend."""
    return topups.recharge_card(
        card_id=card if isinstance(card, uuid.UUID) else card.id,
        amount=Decimal(amount),
        idempotency_key=key or factories.new_key(),
        **{"scope_id": SCOPE, **fields},
    )


def at_till(till: Any, amount: str, key: str = "", **fields: Any) -> Any:
    """Top up with cash."""
    return topups.top_up_at_till(
        till=till, amount=Decimal(amount), idempotency_key=key or factories.new_key(), **fields
    )


def test_a_top_up_is_credited_once_by_key(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member)

    first = recharge(card, "100.00", "K", payment_method="wechat", tag={"a": 1}, reason="gift")
    before = snapshot()
    again = recharge(card, "100", "K", payment_method="wechat", tag={"a": 1})

    assert snapshot() == before
    assert first.status == 201
    assert first.body == {
        "tx_no": "RCG0000000001",
        "status": "completed",
        "amount": "100.00",
        "card_no": f"PPD****{card.number[-4:]}",
    }
    assert (again.status, again.body, again.replayed) == (201, first.body, True)
    assert balances_of(card) == (Decimal("100.00"), 0)
    assert fetch(ACCOUNT_SUM, ["", "clearing"]) == Decimal("-100.00")
    for fields in ({"amount": "100.01"}, {"payment_method": "cash"}, {"tag": {}}):
        assert_refused(
            lambda fields=fields: recharge(
                card,
                **{"amount": "100.00", "payment_method": "wechat", "tag": {"a": 1}, **fields},
                key="K",
            ),
            "IDEMPOTENCY_KEY_REUSED",
            action="RECHARGE_FAILED",
        )
    # Another backend's key of that name is another key.
    assert not recharge(card, "100.00", "K", scope_id=uuid.uuid4()).replayed
    assert balances_of(card)[0] == Decimal("200.00")


def test_a_providers_order_is_credited_once_whatever_the_key(database: str) -> None:
    member, _ = factories.make_member()
    card, other = factories.make_prepaid(member), factories.make_prepaid(member)

    def by_order(card: Any, amount: str, provider: str = "wechat", order: str = "P1") -> Any:
        return recharge(card, amount, payment_method=provider, provider_order_id=order)

    first = by_order(card, "100.00")
    before = snapshot()
    again = by_order(card, "100.00")
    assert (again.body, again.replayed) == (first.body, True)
    assert snapshot() == replace(before, answers=before.answers + 1)

    for args in ((card, "100.01"), (other, "100.00")):
        assert_refused(
            lambda args=args: by_order(*args), "ALREADY_EXISTS", action="RECHARGE_FAILED"
        )
    # Another provider's, one without provider, and none at all.
    assert not by_order(card, "1.00", "alipay").replayed
    assert not by_order(card, "1.00", "").replayed
    assert by_order(card, "1.00", "").replayed
    assert not by_order(card, "1.00", "", "").replayed
    assert not by_order(card, "1.00", "", "").replayed
    assert balances_of(card)[0] == Decimal("104.00")
    # One refused is not taken: it may be credited later.
    card_status.freeze_card(card_id=other.id)
    assert by_order(other, "5.00", order="P2").refused
    card_status.unfreeze_card(card_id=other.id)
    assert not by_order(other, "5.00", order="P2").refused


def test_what_is_not_topped_up(database: str, settings: Any) -> None:
    member, standard = factories.make_member()
    settings.MPS_MAX_BALANCE = Decimal("1000.00")
    voucher = vouchers.issue_voucher_card(owner_id=member.id, kind="amount", value=Decimal(1))
    frozen, full = factories.make_prepaid(member), factories.make_corporate(member, "999.99")
    card_status.freeze_card(card_id=frozen.id)

    for card, code in (
        (standard, "UNSUPPORTED_CARD_TYPE_FOR_RECHARGE"),
        (voucher, "UNSUPPORTED_CARD_TYPE_FOR_RECHARGE"),
        (frozen, "CARD_NOT_ACTIVE"),
        (full, "LIMIT_EXCEEDED"),
    ):
        key = factories.new_key()
        assert_refused(
            lambda card=card, key=key: recharge(card, "0.02", key),
            code,
            action="RECHARGE_FAILED",
            answers=1,
        )
        assert last_context() == {"amount": "0.02", "method": "", "order": "", "error": code}
        card_status.unfreeze_card(card_id=card.id)
        before = snapshot()
        assert recharge(card, "0.02", key).body["code"] == code
        assert snapshot() == before
    assert recharge(full, "0.01").status == 201
    assert_refused(
        lambda: recharge(uuid.uuid4(), "1.00"), "CARD_NOT_FOUND", action="RECHARGE_FAILED"
    )
    before = snapshot()
    assert outcome(lambda: recharge(full, "1.00", " ")) == "IDEMPOTENCY_KEY_REQUIRED"
    assert snapshot() == before


def test_cash_at_a_till_is_owed_by_the_shop(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member)
    code = factories.make_code(card, member)

    first = at_till(till, "30.00", "K1", card_no=card.number)
    again = at_till(till, "30", "K1", card_no=card.number)
    by_code = at_till(till, "20.00", "K2", code=code)

    assert (again.body, again.replayed) == (first.body, True)
    assert by_code.body["amount"] == "20.00"
    assert balances_of(card)[0] == Decimal("50.00")
    assert fetch(ACCOUNT_SUM, [str(till.account_id), ""]) == Decimal("-50.00")
    # The code was looked at, not burnt, and the money pays; a retry needs the code no more.
    assert outcome(lambda: factories.charge(till, code, "50.00")) == "ok"
    assert at_till(till, "20.00", "K2", code=code).body == by_code.body
    assert fetch(ACCOUNT_SUM, [str(till.account_id), ""]) == Decimal("0.00")


def test_what_a_till_may_not_top_up(database: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till()
    barred = factories.make_till(can_top_up=False)
    card = factories.make_prepaid(member)
    used = factories.make_code(card, member)
    payment_codes.revoke_code(card_id=card.id, member_id=member.id)

    def refused(expected: str, answers: int = 0, till: Any = till, **fields: Any) -> None:
        assert_refused(
            lambda: at_till(till, "1.00", **fields),
            expected,
            action="RECHARGE_FAILED",
            answers=answers,
        )

    refused("PERMISSION_DENIED", till=barred, card_no=card.number)
    refused("CARD_NOT_FOUND", card_no="PPD99999999")
    refused("QR_EXPIRED_OR_INVALID", code=used)
    refused("UNSUPPORTED_CARD_TYPE_FOR_RECHARGE", answers=1, card_no=standard.number)
    card_status.freeze_card(card_id=card.id)
    refused("CARD_NOT_ACTIVE", answers=1, card_no=card.number)
    card_status.unfreeze_card(card_id=card.id)
    at_till(till, "1.00", "K", card_no=card.number)
    refused("IDEMPOTENCY_KEY_REUSED", key="K", card_no=standard.number)
    merchants.suspend_merchant(merchant_id=till.merchant_id)
    refused("MERCHANT_SUSPENDED", till=factories.find_till(till), card_no=card.number)
    before = snapshot()
    for fields in ({}, {"card_no": card.number, "code": used}):
        assert outcome(lambda fields=fields: at_till(till, "1.00", **fields)) == "INVALID_REQUEST"
    assert outcome(lambda: at_till(till, "1.00", code="1")) == "INVALID_CODE"
    assert snapshot() == before


def test_a_till_takes_its_own_top_up_back_the_same_day(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    sibling, _key = factories.add_till(till.merchant_id)
    stranger = factories.make_till()
    card = factories.make_prepaid(member)
    top_up = at_till(till, "30.00", card_no=card.number)
    tx_no = top_up.body["tx_no"]

    def reverse(till: Any = till, tx_no: str = tx_no) -> Any:
        return topups.reverse_top_up(till=till, tx_no=tx_no)

    def refused(code: str, till: Any = till, tx_no: str = tx_no) -> None:
        assert_refused(lambda: reverse(till, tx_no), code, action="RECHARGE_REVERSE_FAILED")

    paid = factories.charge(till, factories.make_code(card, member), "0.01")
    for other in (sibling, stranger):
        refused("NOT_FOUND", till=other)
    for other_tx in (paid.body["tx_no"], "RCG9999999999", ""):
        refused("NOT_FOUND", tx_no=other_tx)
    refused("INSUFFICIENT_BALANCE")
    factories.top_up(card, "0.01")

    answer = reverse()
    assert answer == {**top_up.body, "status": "cancelled"}
    assert balances_of(card)[0] == Decimal("0.00")
    assert fetch(ACCOUNT_SUM, [str(till.account_id), ""]) == Decimal("0.01")
    before = snapshot()
    assert reverse() == answer
    assert snapshot() == before
    assert (
        fetch(
            "SELECT count(*) FROM audit_event"
            " WHERE action = 'RECHARGE_REVERSED' AND object_id = %s",
            [tx_no],
        )
        == 1
    )


def test_yesterdays_top_up_is_not_taken_back(database: str, superuser: Any) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member)
    tx_no = at_till(till, "30.00", card_no=card.number).body["tx_no"]
    age_by_a_day(superuser, database)

    assert_refused(
        lambda: topups.reverse_top_up(till=till, tx_no=tx_no),
        "PERMISSION_DENIED",
        action="RECHARGE_REVERSE_FAILED",
    )


def test_a_suspended_shop_takes_no_top_up_back(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member)
    tx_no = at_till(till, "30.00", card_no=card.number).body["tx_no"]
    merchants.suspend_merchant(merchant_id=till.merchant_id, reason="fraud")

    assert_refused(
        lambda: topups.reverse_top_up(till=till, tx_no=tx_no),
        "MERCHANT_SUSPENDED",
        action="RECHARGE_REVERSE_FAILED",
    )


@pytest.mark.parametrize("amount", ["999999999999.99", "9999999999999"])
def test_an_amount_beyond_all_bounds_moves_nothing(
    database: str, settings: Any, amount: str
) -> None:
    settings.MPS_MAX_BALANCE = Decimal(10) ** 20
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "0.01")

    assert_refused(lambda: recharge(card, amount), "INVALID_REQUEST", action="RECHARGE_FAILED")

    assert balances_of(card)[0] == Decimal("0.01")
