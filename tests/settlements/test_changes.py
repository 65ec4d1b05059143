"""A shop that is changed between two settlements: nothing is lost, nothing is settled twice."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from merchants import services as merchants
from settlements import periods, services
from settlements.models import Settlement
from tests import factories
from tests.settlements import helpers
from tests.settlements.past import Past, Purse, Shop, owner
from tests.snapshots import execute

TODAY = datetime.now(UTC).date()


def open_shop(database: str, zone: str, hours: int) -> Shop:
    """A shop with a payment of 1.00 in each of the last so many hours, but the last two days."""
    member, _ = factories.make_member()
    purse = Purse(factories.make_prepaid(member, "9000.00", fixed_discount="1"), member)
    shop = Shop(factories.make_till(time_zone=zone), Decimal(0))
    past = Past(helpers.fetch("SELECT id FROM ledger_account WHERE kind = 'points_issue'"))
    last = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=2)
    for n in range(hours, 0, -1):
        past.pay(shop, purse, Decimal("1.00"), last - timedelta(hours=n))
    with owner(database) as connection:
        past.write(connection)
    return shop


def settle_days(shop: Shop, first: int, last: int, mode: str = "t_plus_1") -> None:
    """Settle the days from so many to so many days ago, as the job would."""
    for ago in range(first, last - 1, -1):
        day = TODAY - timedelta(days=ago)
        for outcome in services.settle_due(
            mode=mode, merchant_code=shop.till.merchant_code, day=day
        ):
            assert not outcome.error


def made(shop: Shop) -> list[Settlement]:
    return list(
        Settlement.objects.using("owner").filter(merchant_id=shop.till.merchant_id).order_by("id")
    )


def test_a_shop_that_moves_to_another_time_zone(database: str) -> None:
    shop = open_shop(database, "Asia/Taipei", 96)
    settle_days(shop, 7, 4)

    execute("UPDATE merchants_merchant SET time_zone = 'America/New_York'")
    settle_days(shop, 5, 2)

    settlements = made(shop)
    assert sum(each.tx_count for each in settlements) == 96
    assert helpers.count("payments_unclaimed") == 0
    assert len({each.period_end.hour for each in settlements}) > 1
    for each in settlements:
        late = helpers.fetch(
            "SELECT max(t.created_at) FROM settlements_line l"
            " JOIN payments_transaction t ON t.id = l.tx_id WHERE l.settlement_id = %s",
            [each.id],
        )
        assert late < each.period_end


def test_a_shop_that_changes_its_mode(database: str) -> None:
    shop = open_shop(database, "Asia/Taipei", 96)
    settle_days(shop, 7, 4)
    before = sum(each.tx_count for each in made(shop))

    execute("UPDATE merchants_merchant SET settlement_mode = 'monthly'")
    month = periods.period_on("monthly", shop.till, TODAY)
    services.generate_settlement(
        merchant_id=shop.till.merchant_id,
        mode="monthly",
        period_start=month.start,
        period_end=month.end,
    )
    execute("UPDATE merchants_merchant SET settlement_mode = 't_plus_1'")
    settle_days(shop, 3, 1)

    settlements = made(shop)
    assert [each.mode for each in settlements[-2:]] == ["t_plus_1", "monthly"]
    assert settlements[-1].tx_count == 96 - before > 0
    assert all(one.id < other.id for one, other in pairwise(settlements))
    assert helpers.count("payments_unclaimed") == 0


def test_a_suspended_shop_is_settled_and_paid(database: str) -> None:
    shop = open_shop(database, "Asia/Taipei", 24)

    merchants.suspend_merchant(merchant_id=shop.till.merchant_id, reason="moved away")
    settle_days(shop, 1, 1)

    [settlement] = made(shop)
    services.approve_settlement(settlement_id=settlement.id)
    services.mark_paid(settlement_id=settlement.id)
    assert settlement.net == Decimal("24.00")
    assert helpers.owed(shop.till) == 0


def test_refunds_of_what_was_settled_and_cash_beyond_payments(database: str) -> None:
    member, _ = factories.make_member()
    till = factories.make_till(fee_rate=Decimal("0.03"))
    card = factories.make_prepaid(member, "1000.00", fixed_discount="1")
    paid = helpers.pay(till, card, member, "100.00")
    first = helpers.settle(till)
    services.approve_settlement(settlement_id=first.id)
    services.mark_paid(settlement_id=first.id)

    # given more cash in the till than the shop is owed, and a refund of what was paid out
    helpers.refund(till, paid, "33.33")
    helpers.take_cash(till, card, "400.00")
    debt = helpers.settle(till)
    helpers.pay(till, card, member, "500.00")
    helpers.refund(till, paid, "66.67")
    last = helpers.settle(till)

    # 0.99 of the fee of 3.00 comes back with the first refund, the rest with the second.
    assert helpers.figures(debt) == ("0.00", "33.33", "400.00", "-0.99", "0.00", "-432.34")
    assert helpers.figures(last) == ("500.00", "66.67", "0.00", "12.99", "-432.34", "-12.00")
    helpers.pay(till, card, member, "200.00")
    cover = helpers.settle(till)
    assert (cover.carried_in, cover.net) == (Decimal("-12.00"), Decimal("182.00"))
    services.approve_settlement(settlement_id=cover.id)
    services.mark_paid(settlement_id=cover.id)
    assert helpers.owed(till) == 0
    assert helpers.platform("fee") == Decimal("21.00")
