"""What must happen once happens once, however many try at the same time."""

from collections import Counter
from decimal import Decimal

from django.db import connections

from cards import card_status, sharing, vouchers
from cards.selectors import balances_of
from mps.base.core import invariants
from mps.base.core.errors import MpsError
from payments import refunds, topups
from payments.idempotency import Answer
from tests import factories
from tests.concurrency.racing import run_together


def outcomes(results: list[Answer | MpsError]) -> Counter[str]:
    """Count the outcomes by code; a success counts as `ok`."""
    return Counter(
        result.code
        if isinstance(result, MpsError)
        else result.body["code"]
        if result.refused
        else "ok"
        for result in results
    )


def count(sql: str) -> int:
    with connections["owner"].cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.fetchone()[0])


def share_among(card, number: int) -> list:
    """Bind so many members to a card; return them."""
    members = [factories.make_member()[0] for _ in range(number)]
    for member in members:
        sharing.bind_member(card_id=card.id, member_id=member.id)
    return members


def remove_locks() -> None:
    """Take the row locks out of the ledger's functions; widen the gap between read and write."""
    with connections["owner"].cursor() as cursor:
        for name in ("ledger_post", "ledger_lock_accounts"):
            cursor.execute("SELECT pg_get_functiondef(%s::regproc)", [name])
            source = cursor.fetchone()[0]
            assert "FOR NO KEY UPDATE" in source
            source = source.replace("FOR NO KEY UPDATE", "")
            source = source.replace(
                "    posting_id := core_new_id();",
                "    PERFORM pg_sleep(0.01); posting_id := core_new_id();",
            )
            cursor.execute(source)


def test_200_charges_on_money_for_100(database: str) -> None:
    owner, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "1000.00", fixed_discount="1")
    codes = [factories.make_code(card, member) for member in share_among(card, 200)]

    results = run_together(
        [lambda code=code: factories.charge(till, code, "10.00") for code in codes]
    )

    assert outcomes(results) == {"ok": 100, "INSUFFICIENT_BALANCE": 100}
    assert balances_of(card) == (Decimal("0.00"), 1000)
    assert count("SELECT count(*) FROM payments_transaction WHERE status = 'failed'") == 100


def test_control_without_the_row_lock_money_is_lost(unchecked_database: str) -> None:
    owner, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "1000.00", fixed_discount="1")
    codes = [factories.make_code(card, member) for member in share_among(card, 20)]
    remove_locks()

    run_together([lambda code=code: factories.charge(till, code, "10.00") for code in codes])

    broken = {breach.invariant for breach in invariants.check()}
    assert "a balance is the sum of its entries" in broken


def test_50_identical_charges_are_one(database: str) -> None:
    owner, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "1000.00")
    code = factories.make_code(card, owner)

    results = run_together(
        [lambda: factories.charge(till, code, "10.00", idempotency_key="the-one")] * 50
    )

    assert outcomes(results) == {"ok": 50}
    assert len({str(result.body) for result in results}) == 1
    assert sum(not result.replayed for result in results) == 1
    assert count("SELECT count(*) FROM payments_transaction WHERE type = 'payment'") == 1
    assert balances_of(card)[0] == Decimal("990.00")


def test_50_identical_declines_are_one(database: str) -> None:
    owner, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "5.00")
    code = factories.make_code(card, owner)

    def decline() -> Answer:
        return factories.charge(till, code, "10.00", idempotency_key="poor")

    def top_up() -> Answer:
        return factories.top_up(card, "100.00")

    results = run_together([decline] * 25)
    top_up()
    results += run_together([decline] * 25)

    assert outcomes(results) == {"INSUFFICIENT_BALANCE": 50}
    assert len({str(result.body) for result in results}) == 1
    assert count("SELECT count(*) FROM payments_transaction WHERE status = 'failed'") == 1
    assert count("SELECT count(*) FROM audit_event WHERE action = 'PAYMENT_FAILED'") == 1
    assert outcomes([_charge_error(till, code)]) == {"QR_EXPIRED_OR_INVALID": 1}
    assert balances_of(card)[0] == Decimal("105.00")


def _charge_error(till, code: str) -> Answer | MpsError:
    return run_together([lambda: factories.charge(till, code, "10.00")])[0]


def test_50_orders_with_own_keys_are_one_payment(database: str) -> None:
    owner, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "1000.00")
    codes = [factories.make_code(card, member) for member in share_among(card, 50)]

    results = run_together(
        [
            lambda code=code: factories.charge(till, code, "10.00", external_order_id="ORDER-1")
            for code in codes
        ]
    )

    assert outcomes(results) == {"ok": 50}
    assert len({result.body["tx_no"] for result in results}) == 1
    assert balances_of(card)[0] == Decimal("990.00")


def test_50_full_refunds_are_one(database: str) -> None:
    owner, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "100.00")
    paid = factories.charge(till, factories.make_code(card, owner), "100.00")

    results = run_together(
        [
            lambda: refunds.refund_payment(
                till=till,
                tx_no=paid.body["tx_no"],
                amount=Decimal("100.00"),
                idempotency_key=factories.new_key(),
            )
        ]
        * 50
    )

    assert outcomes(results) == {"ok": 1, "ONLY_COMPLETED_PAYMENT_REFUNDABLE": 49}
    assert balances_of(card) == (Decimal("100.00"), 0)


def test_30_refunds_of_4_on_100_are_25(database: str) -> None:
    owner, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "100.00")
    paid = factories.charge(till, factories.make_code(card, owner), "100.00")

    results = run_together(
        [
            lambda: refunds.refund_payment(
                till=till,
                tx_no=paid.body["tx_no"],
                amount=Decimal("4.00"),
                idempotency_key=factories.new_key(),
            )
        ]
        * 30
    )

    counted = outcomes(results)
    assert counted.pop("ok") == 25
    assert counted.total() == 5
    assert balances_of(card) == (Decimal("100.00"), 0)


def test_control_without_the_payment_lock_refunds_exceed(
    unchecked_database: str, monkeypatch
) -> None:
    owner, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "100.00")
    paid = factories.charge(till, factories.make_code(card, owner), "100.00")
    from django.db.models import QuerySet

    monkeypatch.setattr(QuerySet, "select_for_update", lambda self, **_: self.all())
    results = run_together(
        [
            lambda: refunds.refund_payment(
                till=till,
                tx_no=paid.body["tx_no"],
                amount=Decimal("100.00"),
                idempotency_key=factories.new_key(),
            )
        ]
        * 8
    )

    assert outcomes(results)["ok"] > 1


def test_one_code_at_two_shops_is_one_payment(database: str) -> None:
    owner, _ = factories.make_member()
    tills = [factories.make_till(), factories.make_till()]
    card = factories.make_prepaid(owner, "1000.00")
    for _ in range(25):
        code = factories.make_code(card, owner)

        results = run_together(
            [lambda till=till, code=code: factories.charge(till, code, "1.00") for till in tills]
            * 2
        )

        assert outcomes(results) == {"ok": 1, "QR_EXPIRED_OR_INVALID": 3}
    assert balances_of(card)[0] == Decimal("975.00")


def test_a_voucher_shown_twice_is_used_once(database: str) -> None:
    owner, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "1000.00")
    voucher = vouchers.issue_voucher_card(owner_id=owner.id, kind="amount", value=Decimal("50.00"))
    voucher_code = factories.make_code(voucher, owner)
    codes = [factories.make_code(card, member) for member in share_among(card, 10)]

    results = run_together(
        [
            lambda code=code: factories.charge(till, code, "100.00", voucher_code=voucher_code)
            for code in codes
        ]
    )

    counted = outcomes(results)
    assert counted["ok"] == 1
    assert balances_of(card)[0] == Decimal("950.00")


def test_freezing_while_paying_never_lets_a_payment_through_afterwards(database: str) -> None:
    owner, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "1000.00")
    codes = [factories.make_code(card, member) for member in share_among(card, 30)]
    jobs = [lambda code=code: factories.charge(till, code, "1.00") for code in codes]
    jobs.insert(10, lambda: card_status.freeze_card(card_id=card.id, reason="lost"))

    results = [result for result in run_together(jobs, workers=8) if result is not None]

    counted = outcomes(results)
    assert set(counted) <= {"ok", "CARD_NOT_ACTIVE"}
    assert counted.total() == 30
    late = count(
        "SELECT count(*) FROM payments_transaction WHERE status = 'completed' AND type = 'payment'"
        " AND id > (SELECT id FROM audit_event WHERE action = 'CARD_FROZEN')"
    )
    assert late == 0


def test_reverse_and_charge_at_once_end_without_money_moved(database: str) -> None:
    owner, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "1000.00")
    codes = [factories.make_code(card, member) for member in share_among(card, 20)]
    for number, code in enumerate(codes):
        order = f"ORDER-{number}"

        results = run_together(
            [
                lambda code=code, order=order: factories.charge(
                    till, code, "10.00", external_order_id=order
                ),
                lambda order=order: refunds.reverse_order(till=till, external_order_id=order),
            ]
        )

        assert results[1] == refunds.reverse_order(till=till, external_order_id=order)
        assert results[1]["status"] == "cancelled"
    assert balances_of(card) == (Decimal("1000.00"), 0)


def test_one_key_for_two_requests_at_once_is_one_payment(database: str) -> None:
    """Each by a card and a code of its own, so that only the key stands between them."""
    owner, _ = factories.make_member()
    till = factories.make_till()
    codes = [factories.make_code(factories.make_prepaid(owner, "100.00"), owner) for _ in range(10)]

    results = run_together(
        [
            lambda code=code: factories.charge(till, code, "10.00", idempotency_key="K")
            for code in codes
        ]
    )

    assert outcomes(results) == {"ok": 1, "IDEMPOTENCY_KEY_REUSED": 9}
    assert count("SELECT count(*) FROM payments_transaction WHERE type = 'payment'") == 1


def test_12_who_say_that_one_order_was_paid_credit_it_once(database: str) -> None:
    owner, _ = factories.make_member()
    card = factories.make_prepaid(owner, "0")

    def credit() -> Answer:
        return topups.recharge_card(
            card_id=card.id,
            amount=Decimal("5.00"),
            scope_id=card.id,
            payment_method="wechat",
            provider_order_id="P-1",
            idempotency_key=factories.new_key(),
        )

    results = run_together([credit] * 12)

    assert outcomes(results) == {"ok": 12}
    assert len({result.body["tx_no"] for result in results}) == 1
    assert balances_of(card)[0] == Decimal("5.00")


def test_twins_of_what_gives_or_takes_money_are_one_each(database: str) -> None:
    owner, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(owner, "100.00")
    paid = factories.charge(till, factories.make_code(card, owner), "50.00")
    cash = {"card_no": card.number, "amount": Decimal("3.00")}
    taken = topups.top_up_at_till(till=till, **cash, idempotency_key="taken")

    def refund() -> Answer:
        return refunds.refund_payment(
            till=till, tx_no=paid.body["tx_no"], amount=Decimal("5.00"), idempotency_key="refund"
        )

    def credit() -> Answer:
        return topups.recharge_card(
            card_id=card.id, amount=Decimal("7.00"), scope_id=card.id, idempotency_key="credit"
        )

    def take() -> Answer:
        return topups.top_up_at_till(till=till, **cash, idempotency_key="take")

    for work in (refund, credit, take):
        results = run_together([work] * 8)
        assert outcomes(results) == {"ok": 8}
        assert len({result.body["tx_no"] for result in results}) == 1
    results = run_together(
        [lambda: topups.reverse_top_up(till=till, tx_no=taken.body["tx_no"])] * 8
    )

    assert all(result == results[0] for result in results)
    assert count("SELECT count(*) FROM payments_transaction WHERE type = 'adjustment'") == 1
    assert balances_of(card)[0] == Decimal("65.00")
