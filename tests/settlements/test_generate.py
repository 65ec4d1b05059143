"""What a run takes, and what it makes of it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import DatabaseError, connection

from mps.base.core.db_scope import principal_scope
from mps.base.core.errors import InvalidRequestError, MpsError, NotFoundError
from payments import topups
from settlements.errors import NoTransactionsInPeriodError
from tests import factories
from tests.concurrency.racing import run_together
from tests.settlements import helpers
from tests.snapshots import execute


def test_payments_refunds_top_ups_and_fee_make_the_net(database: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till(fee_rate=Decimal("0.02"))
    card = factories.make_prepaid(member, "1000.00", fixed_discount="1")
    paid = helpers.pay(till, card, member, "299.00")
    helpers.refund(till, paid, "50.00")
    helpers.take_cash(till, card, "100.00")
    undone = helpers.take_cash(till, card, "30.00")
    topups.reverse_top_up(till=till, tx_no=undone)
    helpers.pay(till, standard, member, "70.00", payment_method="cash")

    settlement = helpers.settle(till)

    # 5.98 taken, floor(5.98 x 50 / 299) = 1.00 given back; cash paid at the till is not owed.
    assert helpers.figures(settlement) == ("299.00", "50.00", "100.00", "4.98", "0.00", "144.02")
    assert settlement.tx_count == 6
    assert settlement.status == "pending"
    assert helpers.actions() == ["SETTLEMENT_GENERATED"]
    assert helpers.count("payments_unclaimed") == 0


def test_declined_payments_are_not_settled(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "5.00")
    assert factories.charge(till, factories.make_code(card, member), "10.00").refused

    with pytest.raises(NoTransactionsInPeriodError):
        helpers.settle(till)


def test_outside_money_is_listed_and_not_owed(database: str) -> None:
    member, standard = factories.make_member()
    till = factories.make_till(fee_rate=Decimal("0.02"))
    paid = helpers.pay(till, standard, member, "100.00", payment_method="wechat")
    helpers.refund(till, paid, "40.00")

    settlement = helpers.settle(till)

    assert helpers.figures(settlement) == ("0.00", "0.00", "0.00", "0.00", "0.00", "0.00")
    assert settlement.tx_count == 2


def test_the_same_period_again_is_the_same_settlement(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00")
    helpers.pay(till, card, member, "10.00")
    end = helpers.soon()
    first = helpers.settle(till, end=end)
    helpers.pay(till, card, member, "20.00")

    again = helpers.settle(till, end=end)

    assert again.id == first.id
    assert helpers.count("settlements_settlement") == 1
    assert helpers.count("payments_unclaimed") == 1
    assert helpers.actions() == ["SETTLEMENT_GENERATED"]


def test_a_run_takes_what_an_earlier_period_missed(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00", fixed_discount="1")
    helpers.pay(till, card, member, "10.00")
    later = helpers.soon() + timedelta(days=1)

    settlement = helpers.settle(till, period_start=later - timedelta(days=1), end=later)

    assert settlement.gross == Decimal("10.00")


def test_what_happens_at_the_end_or_after_is_left(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00", fixed_discount="1")
    helpers.pay(till, card, member, "10.00")
    helpers.pay(till, card, member, "20.00")
    cut = helpers.fetch("SELECT max(created_at) FROM payments_transaction WHERE type = 'payment'")

    first = helpers.settle(till, end=cut)
    second = helpers.settle(till, end=cut + timedelta(microseconds=1))

    assert (first.gross, second.gross) == (Decimal("10.00"), Decimal("20.00"))


def test_nothing_to_settle_leaves_nothing(database: str) -> None:
    till = factories.make_till()
    before = helpers.state()

    with pytest.raises(NoTransactionsInPeriodError) as refusal:
        helpers.settle(till)

    assert (refusal.value.code, refusal.value.status) == ("NO_TRANSACTIONS_IN_PERIOD", 409)
    assert helpers.state() == before
    assert helpers.actions() == ["SETTLEMENT_REFUSED"]


def test_wrong_requests_are_refused(database: str) -> None:
    till = factories.make_till()
    now = datetime.now(UTC)
    before = helpers.state()

    for fields in (
        {"mode": "weekly"},
        {"period_start": now, "period_end": now},
        {"period_start": now, "period_end": now - timedelta(seconds=1)},
        {"period_start": date(2025, 9, 29), "period_end": date(2025, 9, 29)},
        {"period_end": datetime.max.replace(tzinfo=UTC)},
        {"period_start": datetime.min.replace(tzinfo=UTC)},
    ):
        with pytest.raises(InvalidRequestError):
            helpers.settle(till, **fields)
    with pytest.raises(NotFoundError):
        helpers.settle(till, merchant_id=till.account_id)

    assert helpers.state() == before


def test_a_time_without_zone_is_the_shops_own(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till(time_zone="America/New_York")
    card = factories.make_prepaid(member, "1000.00")
    helpers.pay(till, card, member, "10.00")
    tomorrow = datetime.now(ZoneInfo("America/New_York")).date() + timedelta(days=1)

    by_date = helpers.settle(till, period_start=date(2025, 9, 29), end=tomorrow)
    by_time = helpers.settle(
        till,
        period_start=datetime(2025, 9, 29),  # noqa: DTZ001 -- that is the point
        end=datetime.combine(tomorrow, datetime.min.time()),
    )

    assert by_date.id == by_time.id
    assert by_date.period_start == datetime(2025, 9, 29, 4, tzinfo=UTC)


# --- debts ---------------------------------------------------------------------------------------


def test_a_refund_only_period_carries_its_negative_once(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till(fee_rate=Decimal("0.02"))
    card = factories.make_prepaid(member, "1000.00", fixed_discount="1")
    paid = helpers.pay(till, card, member, "100.00")
    first = helpers.settle(till)
    helpers.refund(till, paid, "100.00")
    second = helpers.settle(till)
    with pytest.raises(NoTransactionsInPeriodError):
        helpers.settle(till)
    helpers.pay(till, card, member, "300.00")
    third = helpers.settle(till)
    helpers.pay(till, card, member, "50.00")
    fourth = helpers.settle(till)

    assert helpers.figures(first) == ("100.00", "0.00", "0.00", "2.00", "0.00", "98.00")
    assert helpers.figures(second) == ("0.00", "100.00", "0.00", "-2.00", "0.00", "-98.00")
    assert helpers.figures(third) == ("300.00", "0.00", "0.00", "6.00", "-98.00", "196.00")
    assert helpers.figures(fourth) == ("50.00", "0.00", "0.00", "1.00", "0.00", "49.00")
    assert helpers.fresh(second).carried_to_id == third.id


def test_a_debt_goes_on_until_it_is_covered(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member)
    helpers.take_cash(till, card, "100.00")
    first = helpers.settle(till)
    helpers.take_cash(till, card, "50.00")
    second = helpers.settle(till)
    helpers.pay(till, card, member, "20.00")
    third = helpers.settle(till)

    assert [each.net for each in (first, second)] == [Decimal("-100.00"), Decimal("-150.00")]
    assert third.carried_in == Decimal("-150.00")
    assert third.net == third.gross - 150


# --- at once -------------------------------------------------------------------------------------


def test_ten_runs_at_once_make_one_settlement(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00")
    for _ in range(20):
        helpers.pay(till, card, member, "10.00")
    end = helpers.soon()

    results = run_together([lambda: helpers.settle(till, end=end)] * 10)

    assert len({result.id for result in results}) == 1
    assert helpers.count("settlements_settlement") == 1
    assert helpers.actions() == ["SETTLEMENT_GENERATED"]


def test_runs_of_overlapping_periods_share_nothing(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00")
    for _ in range(20):
        helpers.pay(till, card, member, "10.00")
    end = helpers.soon()

    results = run_together(
        [
            lambda n=n, mode=mode: helpers.settle(till, end=end + timedelta(minutes=n), mode=mode)
            for n in range(5)
            for mode in ("realtime", "monthly")
        ]
    )

    done = [result for result in results if not isinstance(result, MpsError)]
    assert len(done) == 1
    assert {result.code for result in results if isinstance(result, MpsError)} == {
        "NO_TRANSACTIONS_IN_PERIOD"
    }


def test_control_without_the_lock_a_period_is_settled_twice_or_fails(
    unchecked_database: str,
) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00")
    helpers.pay(till, card, member, "10.00")
    source = helpers.fetch("SELECT pg_get_functiondef('settlements_generate'::regproc)")
    assert "PERFORM settlements_lock(p_merchant_id);" in source
    source = source.replace("PERFORM settlements_lock(p_merchant_id);", "")
    # Between looking for the period's settlement and claiming, the other run gets its turn.
    source = source.replace(
        "    new_id := core_new_id();", "PERFORM pg_sleep(0.3); new_id := core_new_id();"
    )
    execute(source)
    end = helpers.soon()

    results = run_together([lambda: helpers.settle(till, end=end)] * 4)

    assert any(isinstance(result, MpsError) for result in results)


def test_a_charge_held_open_across_the_cut_off_is_settled_once(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    card = factories.make_prepaid(member, "1000.00", fixed_discount="1")
    helpers.pay(till, card, member, "10.00")
    code = factories.make_code(card, member)
    hold = helpers.HeldCharge(till, code, "20.00")

    with hold:
        cut = datetime.now(UTC)  # the charge began before, and is not committed
        first = helpers.settle(till, end=cut)
    second = helpers.settle(till, end=cut + timedelta(microseconds=1))

    assert helpers.fetch(
        "SELECT created_at < %s FROM payments_transaction WHERE final_amount = 20", [cut]
    )
    assert (first.gross, first.tx_count) == (Decimal("10.00"), 1)
    assert (second.gross, second.tx_count) == (Decimal("20.00"), 1)
    assert helpers.settle(till, end=cut).id == first.id
    with pytest.raises(NoTransactionsInPeriodError):
        helpers.settle(till)


# --- who may -------------------------------------------------------------------------------------


def test_no_shop_and_no_login_settles_or_claims(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    helpers.pay(till, factories.make_prepaid(member, "100.00"), member, "10.00")
    settlement = helpers.settle(till)
    before = helpers.state()

    for role, statement in (
        ("merchant_api", "SELECT * FROM payments_claim(%s, now())"),
        ("platform_admin", "SELECT * FROM payments_claim(%s, now())"),
        (
            "merchant_api",
            "SELECT settlements_generate(%s, 'monthly', now() - '1 day', now(), 'TWD')",
        ),
        ("merchant_api", "SELECT settlements_release(%s)"),
        ("merchant_api", "UPDATE settlements_settlement SET status = 'settled' WHERE id = %s"),
        ("platform_admin", "UPDATE settlements_settlement SET net = 0 WHERE id = %s"),
        ("platform_admin", "DELETE FROM settlements_line WHERE tx_id = %s"),
        ("platform_admin", "DELETE FROM payments_unclaimed WHERE tx_id = %s"),
        ("member_app", "SELECT * FROM settlements_settlement WHERE id = %s"),
        ("platform_admin", "SELECT settlements_release(%s)"),
    ):
        with pytest.raises(DatabaseError), principal_scope(role, till.merchant_id):
            with connection.cursor() as cursor:
                cursor.execute(statement, [settlement.id])

    assert helpers.state() == before


def test_a_shop_sees_its_own_rows_only(database: str) -> None:
    member, _ = factories.make_member()
    card = factories.make_prepaid(member, "100.00")
    tills = [factories.make_till(), factories.make_till()]
    for till in tills:
        helpers.pay(till, card, member, "10.00")
        helpers.settle(till)

    with principal_scope("merchant_api", tills[0].merchant_id), connection.cursor() as cursor:
        cursor.execute("SELECT merchant_id FROM settlements_settlement")
        assert cursor.fetchall() == [(tills[0].merchant_id,)]
        cursor.execute("SELECT count(*) FROM settlements_line")
        assert cursor.fetchone() == (1,)
    with principal_scope("merchant_api"), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM settlements_settlement")
        assert cursor.fetchone() == (0,)


def test_figures_never_change_even_by_the_owner(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till()
    helpers.pay(till, factories.make_prepaid(member, "100.00"), member, "10.00")
    settlement = helpers.settle(till)

    for statement in (
        "UPDATE settlements_settlement SET tx_count = 2",
        "UPDATE settlements_settlement SET status = 'paid', approved_at = now(), paid_at = now()",
        "DELETE FROM settlements_settlement",
        "UPDATE settlements_line SET fee = 1",
        "TRUNCATE settlements_line",
        "INSERT INTO settlements_line SELECT * FROM settlements_line",
    ):
        with pytest.raises(DatabaseError):
            execute(statement)

    assert helpers.figures(helpers.fresh(settlement)) == helpers.figures(settlement)
