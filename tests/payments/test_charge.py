"""Taking a payment."""

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection, connections

from cards import card_status, payment_codes, sharing, vouchers
from cards.selectors import balances_of
from members import services as members
from merchants import services as merchants
from payments import charge_decision, charges, races, refunds, topups, transactions
from payments import points as payment_points
from tests import factories
from tests.concurrency.racing import run_together, wait_for_a_waiter
from tests.snapshots import (
    assert_declined,
    assert_refused,
    execute,
    fetch,
    last_context,
    outcome,
    snapshot,
)


def test_the_worked_example(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till(fee_rate=Decimal("0.02"))
    card = factories.make_prepaid(member, "1000.00", fixed_discount="0.95")

    paid = factories.charge(
        till, factories.make_code(card, member), "299.00", external_order_id="WX-1"
    )

    assert paid.status == 201
    assert not paid.replayed
    body = dict(paid.body)
    assert body.pop("tx_no") == "PAY0000000001"
    assert body.pop("created_at").endswith("Z")
    assert body == {
        "status": "completed",
        "external_order_id": "WX-1",
        "amount": "299.00",
        "discount_rate": "0.95",
        "discount_amount": "14.95",
        "final_amount": "284.05",
        "currency": "TWD",
        "points_earned": 299,
        "tier": "ordinary",
        "payment_method": "balance",
        "card_no": f"PPD****{card.number[-4:]}",
        "balance_after": "715.95",
    }
    assert balances_of(card) == (Decimal("715.95"), 299)
    assert fetch("SELECT fee FROM payments_transaction WHERE type = 'payment'") == Decimal("5.68")
    owed = "SELECT sum(amount) FROM ledger_entry WHERE account_id = %s"
    assert fetch(owed, [till.account_id]) == Decimal("284.05")

    refund = refunds.refund_payment(
        till=till, tx_no=paid.body["tx_no"], amount=Decimal("50.00"), idempotency_key="refund"
    )

    assert refund.body["points_reversed"] == 52  # floor(299 × 50 / 284.05)
    assert refund.body["credited_to"] == "card"
    assert balances_of(card) == (Decimal("765.95"), 247)
    assert fetch(owed, [till.account_id]) == Decimal("234.05")


def test_the_thousandth_point_turns_a_card_silver_from_the_next_payment_on(database: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till(fee_rate=Decimal("0.02"))
    payment_points.adjust_points(card_id=standard.id, delta=999)

    first = factories.charge(
        till, factories.make_code(standard, member), "1.00", payment_method="cash"
    )
    second = factories.charge(
        till, factories.make_code(standard, member), "100.00", payment_method="wechat"
    )

    assert first.body["tier"] == "silver"
    assert first.body["discount_rate"] == "1.00"
    assert first.body["final_amount"] == "1.00"
    assert second.body["discount_rate"] == "0.95"
    assert second.body["final_amount"] == "95.00"
    # What the till took itself is neither owed nor charged for, and moves no balance.
    assert "balance_after" not in first.body
    assert balances_of(standard) == (None, 1100)
    assert fetch("SELECT count(*) FROM ledger_entry WHERE account_id = %s", [till.account_id]) == 0
    assert fetch("SELECT sum(fee) FROM payments_transaction") == 0


@pytest.mark.parametrize(
    ("points", "rate", "tier"),
    [(999, "1.00", "ordinary"), (1000, "0.95", "silver"), (5000, "0.90", "gold")],
)
def test_a_payment_of_less_than_one_unit_earns_nothing_and_keeps_the_tier(
    database: str, points: int, rate: str, tier: str
) -> None:
    member, standard = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "10.00")
    for each in (standard, card):
        payment_points.adjust_points(card_id=each.id, delta=points)

    by_balance = factories.charge(till, factories.make_code(card, member), "0.50")
    by_cash = factories.charge(
        till, factories.make_code(standard, member), "0.99", payment_method="cash"
    )

    for paid in (by_balance, by_cash):
        assert paid.status == 201
        assert (paid.body["points_earned"], paid.body["discount_rate"], paid.body["tier"]) == (
            0,
            rate,
            tier,
        )
    assert balances_of(card)[1] == points


@pytest.mark.parametrize(("basis", "points"), [("list", 299), ("paid", 284)])
def test_points_count_the_list_or_the_paid_amount(
    database: str, settings: Any, basis: str, points: int
) -> None:
    settings.MPS_POINTS_BASIS = basis
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "1000.00", fixed_discount="0.95")

    paid = factories.charge(factories.make_till(), factories.make_code(card, member), "299.00")

    assert paid.body["points_earned"] == points
    assert balances_of(card)[1] == points


def test_which_card_pays_how(database: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till()
    made = {
        "STD": standard,
        "PPD": factories.make_prepaid(member, "100.00"),
        "COR": factories.make_corporate(member, "100.00"),
        "VCH": vouchers.issue_voucher_card(owner_id=member.id, kind="amount", value=Decimal(1)),
    }
    allowed = {("PPD", "balance"), ("COR", "balance")} | {
        ("STD", method) for method in charge_decision.OUTSIDE_METHODS
    }

    for card_type, card in made.items():
        for method in charge_decision.METHODS:
            code = factories.make_code(card, member)

            def charge(code: str = code, method: str = method) -> Any:
                return factories.charge(till, code, "1.00", payment_method=method)

            if (card_type, method) in allowed:
                assert outcome(charge) == "ok"
            elif card_type != "VCH" or method == "balance":
                assert_declined(charge, "UNSUPPORTED_CARD_TYPE_FOR_PAYMENT")


def test_who_and_what_may_not_pay(database: str) -> None:
    owner, _ = factories.make_member()
    bound, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "100.00")
    sharing.bind_member(card_id=card.id, member_id=bound.id)

    def decline(code: str) -> None:
        assert_declined(lambda: factories.charge(till, fresh, "1.00"), code)

    fresh = factories.make_code(card, bound)
    members.suspend_member(member_id=bound.id)
    decline("MEMBER_SUSPENDED")
    members.activate_member(member_id=bound.id)

    fresh = factories.make_code(card, bound)
    members.suspend_member(member_id=owner.id)
    decline("MEMBER_SUSPENDED")
    members.activate_member(member_id=owner.id)

    fresh = factories.make_code(card, bound)
    card_status.freeze_card(card_id=card.id)
    decline("CARD_NOT_ACTIVE")
    card_status.unfreeze_card(card_id=card.id)

    for status, code in (
        ("lost", "CARD_NOT_ACTIVE"),
        ("suspended", "CARD_NOT_ACTIVE"),
        ("expired", "CARD_EXPIRED"),
    ):
        fresh = factories.make_code(card, bound)
        execute("UPDATE cards_card SET status = %s WHERE id = %s", [status, card.id])
        decline(code)
        execute("UPDATE cards_card SET status = 'active' WHERE id = %s", [card.id])

    fresh = factories.make_code(card, bound)
    execute("UPDATE cards_card SET expires_at = now() WHERE id = %s", [card.id])
    decline("CARD_EXPIRED")
    execute("UPDATE cards_card SET expires_at = NULL WHERE id = %s", [card.id])

    fresh = factories.make_code(card, bound)
    execute("UPDATE cards_binding SET role = 'viewer' WHERE member_id = %s", [bound.id])
    decline("PERMISSION_DENIED")

    fresh = factories.make_code(card, owner)
    assert_declined(lambda: factories.charge(till, fresh, "100.01"), "INSUFFICIENT_BALANCE")
    assert outcome(lambda: factories.charge(till, fresh, "1.00")) == "QR_EXPIRED_OR_INVALID"
    assert balances_of(card) == (Decimal("100.00"), 0)


def test_a_code_of_somebody_no_longer_bound_does_not_pay(database: str) -> None:
    owner, _ = factories.make_member()
    bound, _ = factories.make_member()
    card = factories.make_prepaid(owner, "100.00")
    sharing.bind_member(card_id=card.id, member_id=bound.id)
    code = factories.make_code(card, bound)
    execute("DELETE FROM cards_binding WHERE member_id = %s AND card_id = %s", [bound.id, card.id])

    till = factories.make_till()

    assert_declined(lambda: factories.charge(till, code, "1.00"), "PERMISSION_DENIED")


def test_a_dead_code_leaves_an_event_and_no_transaction_and_claims_no_key(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")

    used = factories.make_code(card, member)
    factories.charge(till, used, "1.00")
    replaced = factories.make_code(card, member)
    revoked = factories.make_code(card, member)
    payment_codes.revoke_code(card_id=card.id, member_id=member.id)
    dead = {"unknown": "77000000000000000003", "used": used, "replaced": replaced}
    dead["revoked"] = revoked
    for code in dead.values():
        assert_refused(
            lambda code=code: factories.charge(till, code, "1.00", idempotency_key="again"),
            "QR_EXPIRED_OR_INVALID",
        )
    expired = factories.make_code(card, member)
    execute("UPDATE cards_paymentcode SET expires_at = now() WHERE ended_at IS NULL")
    assert_refused(
        lambda: factories.charge(till, expired, "1.00", idempotency_key="again"),
        "QR_EXPIRED_OR_INVALID",
    )
    assert last_context() == {
        "merchant": till.merchant_code,
        "order": "",
        "amount": "1.00",
        "error": "QR_EXPIRED_OR_INVALID",
    }

    good = factories.make_code(card, member)
    assert outcome(lambda: factories.charge(till, good, "1.00", idempotency_key="again")) == "ok"


def test_a_malformed_code_and_a_missing_key_are_not_looked_at(database: str) -> None:
    till = factories.make_till()
    before = snapshot()

    for code in ("", "1", "77" + "0" * 18, "7" * 20, "\uff17" * 20):
        assert outcome(lambda code=code: factories.charge(till, code, "1.00")) == "INVALID_CODE"
    for key in ("", "   ", "x" * 256, "\u00e9", "a\nb", None):
        assert (
            outcome(lambda key=key: factories.charge(till, "7", "1.00", idempotency_key=key))
            == "IDEMPOTENCY_KEY_REQUIRED"
        )

    assert snapshot() == before


def test_a_suspended_shop_takes_no_payment_until_it_is_active_again(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00")
    code = factories.make_code(card, member)
    merchants.suspend_merchant(merchant_id=till.merchant_id)

    assert_refused(lambda: factories.charge(till, code, "1.00"), "MERCHANT_SUSPENDED")

    merchants.activate_merchant(merchant_id=till.merchant_id)
    assert outcome(lambda: factories.charge(till, code, "1.00")) == "ok"


def test_a_code_shows_what_it_leads_to_and_stays_live(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "100.00", fixed_discount="0.9")
    code = factories.make_code(card, member)

    before = snapshot()
    facts = charges.validate_code(till=till, code=code)

    assert snapshot() == before
    assert (facts.card_no, facts.tier, facts.fixed_discount) == (
        card.number,
        "ordinary",
        Decimal("0.9"),
    )
    assert outcome(lambda: factories.charge(till, code, "1.00")) == "ok"
    assert_refused(
        lambda: charges.validate_code(till=till, code=code),
        "QR_EXPIRED_OR_INVALID",
        action="CODE_CHECK_REFUSED",
    )
    merchants.suspend_merchant(merchant_id=till.merchant_id)
    suspended = factories.find_till(till)
    assert_refused(
        lambda: charges.validate_code(till=suspended, code=code),
        "MERCHANT_SUSPENDED",
        action="CODE_CHECK_REFUSED",
    )


def test_staff_may_take_the_lowest_tiers_away(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    execute("DELETE FROM cards_tier WHERE min_points < 5000")

    paid = factories.charge(factories.make_till(), factories.make_code(card, member), "10.00")

    assert (paid.status, paid.body["discount_rate"], paid.body["tier"]) == (201, "1.00", None)


def between_read_and_write(monkeypatch: Any, change: Any) -> list[int]:
    """Let `change(n)` happen between the read and the write of a charge's n-th try, by others."""
    tries: list[int] = []
    decide = charge_decision.decide
    mine = threading.get_ident()

    def decide_then_change(*args: Any, **kwargs: Any) -> charge_decision.Decision:
        decision = decide(*args, **kwargs)
        if threading.get_ident() == mine:
            tries.append(len(tries) + 1)
            others = threading.Thread(target=change_and_leave, args=[len(tries)])
            others.start()
            others.join()
        return decision

    def change_and_leave(number: int) -> None:
        change(number)
        connections.close_all()

    monkeypatch.setattr(charge_decision, "decide", decide_then_change)
    return tries


def test_what_changes_between_read_and_write_is_priced_again(
    database: str, monkeypatch: Any
) -> None:
    member, _ = factories.make_member()
    till = factories.make_till(fee_rate=Decimal("0.01"))
    card = factories.make_prepaid(member, "1000.00")
    # In this order: from the second try on, the first one's locks are held.
    changes = [
        lambda: execute(
            "UPDATE merchants_merchant SET fee_rate = 0.2 WHERE id = %s", [till.merchant_id]
        ),
        lambda: execute("UPDATE cards_tier SET rate = 0.5 WHERE code = 'ordinary'"),
        lambda: execute(
            "SELECT ledger_post('test', uuidv7(), ARRAY[%s, (SELECT id FROM ledger_account"
            " WHERE kind = 'points_issue')]::uuid[], ARRAY[1000, -1000])",
            [card.points_account_id],
        ),
    ]
    tries = between_read_and_write(monkeypatch, lambda n: changes[n - 1]() if n <= 3 else None)

    paid = factories.charge(till, factories.make_code(card, member), "100.00")

    assert tries == [1, 2, 3, 4]
    assert (paid.body["discount_rate"], paid.body["points_earned"]) == ("0.95", 100)
    assert fetch("SELECT fee FROM payments_transaction WHERE type = 'payment'") == Decimal("19.00")
    assert balances_of(card) == (Decimal("905.00"), 1100)


def test_what_never_stops_changing_is_given_up(database: str, monkeypatch: Any) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00")
    code = factories.make_code(card, member)
    tries = between_read_and_write(
        monkeypatch,
        lambda n: execute("UPDATE cards_tier SET rate = %s WHERE code = 'ordinary'", [1 / (n + 1)]),
    )

    assert_refused(lambda: factories.charge(till, code, "100.00"), "UNAVAILABLE")

    assert len(tries) == races.MAX_TRIES
    monkeypatch.undo()
    assert outcome(lambda: factories.charge(till, code, "100.00")) == "ok"


def test_a_code_that_dies_between_read_and_write_is_dead(database: str, monkeypatch: Any) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00")
    voucher = vouchers.issue_voucher_card(owner_id=member.id, kind="amount", value=Decimal(5))
    code = factories.make_code(card, member)
    voucher_code = factories.make_code(voucher, member)
    between_read_and_write(
        monkeypatch,
        lambda _: execute(
            "UPDATE cards_paymentcode SET ended_at = now(), outcome = 'revoked'"
            " WHERE card_id = %s AND ended_at IS NULL",
            [voucher.id],
        ),
    )
    assert_refused(
        lambda: factories.charge(till, code, "100.00", voucher_code=voucher_code),
        "QR_EXPIRED_OR_INVALID",
        burnt=1,  # by the test itself
    )
    monkeypatch.undo()
    between_read_and_write(
        monkeypatch,
        lambda _: execute(
            "UPDATE cards_paymentcode SET ended_at = now(), outcome = 'used' WHERE card_id = %s",
            [card.id],
        ),
    )
    assert_refused(lambda: factories.charge(till, code, "100.00"), "QR_EXPIRED_OR_INVALID", burnt=1)


def test_a_lock_that_is_held_too_long_is_503(database: str, superuser: Any) -> None:
    import psycopg

    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00")
    code = factories.make_code(card, member)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    with psycopg.connect(superuser.info.dsn, dbname=database, password=superuser.info.password) as (
        holder
    ):
        holder.execute(
            "SELECT FROM ledger_account WHERE id = %s FOR UPDATE", [card.money_account_id]
        )
        with pytest.raises(OperationalError):
            factories.charge(till, code, "1.00")
        assert_refused(lambda: factories.charge(till, code, "1.00"), "UNAVAILABLE")

    assert outcome(lambda: factories.charge(till, code, "1.00")) == "ok"


def test_a_voucher_that_changes_between_read_and_write_is_priced_again(
    database: str, monkeypatch: Any
) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "1000.00")
    voucher = vouchers.issue_voucher_card(owner_id=member.id, kind="amount", value=Decimal(5))
    code, voucher_code = factories.make_code(card, member), factories.make_code(voucher, member)
    tries = between_read_and_write(
        monkeypatch, lambda n: execute("UPDATE cards_voucher SET value = 7") if n == 1 else None
    )

    paid = factories.charge(factories.make_till(), code, "100.00", voucher_code=voucher_code)

    assert (tries, paid.body["final_amount"]) == ([1, 2], "93.00")


def test_points_that_arrive_while_a_charge_waits_for_them_change_its_price(
    database: str, monkeypatch: Any
) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00")
    code = factories.make_code(card, member)
    posted = threading.Event()
    write = transactions.write_transaction

    def pause_and_write(*args: Any, **kwargs: Any) -> Any:
        posted.set()
        wait_for_a_waiter()  # the charge has read, and waits for the points
        return write(*args, **kwargs)

    monkeypatch.setattr(transactions, "write_transaction", pause_and_write)

    def charge() -> Any:
        posted.wait(30)
        return factories.charge(till, code, "100.00")

    _, paid = run_together(
        [lambda: payment_points.adjust_points(card_id=card.id, delta=1000), charge]
    )

    assert (paid.body["discount_rate"], paid.body["final_amount"]) == ("0.95", "95.00")


def test_an_expired_card_takes_no_money(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "10.00")
    execute("UPDATE cards_card SET expires_at = now() - interval '1 second'")
    till = factories.make_till()

    backend = topups.recharge_card(
        card_id=card.id, amount=Decimal(10), scope_id=card.id, idempotency_key="a"
    )
    cash = topups.top_up_at_till(
        till=till, card_no=card.number, amount=Decimal(10), idempotency_key="b"
    )

    assert (backend.body["code"], cash.body["code"]) == ("CARD_EXPIRED", "CARD_EXPIRED")
    assert balances_of(card) == (Decimal("10.00"), 0)
