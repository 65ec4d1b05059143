"""A mixed day over shops in three time zones, settled by ten runs at once that are killed half way:
to the cent.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import cycle, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from settlements import periods, services
from settlements.models import Settlement
from tests import factories
from tests.settlements import helpers, worker
from tests.settlements.past import Figures, Past, Purse, Shop, figures_of, owner
from tests.settlements.test_jobs import ZONES
from tests.settlements.waiting import wait_until

RUNS = 10
DAY = date.today() - timedelta(days=3)  # noqa: DTZ011 -- a day that is over everywhere
NEXT_DAY = DAY + timedelta(days=1)


@dataclass
class World:
    """Shops, in the order in which they are settled; cards; what happened."""

    database: str
    shops: list[Shop]
    purses: list[Purse]
    past: Past

    def moments(self, shop: Shop, day: date) -> periods.Period:
        """A day of a shop."""
        return periods.period_on("t_plus_1", shop.till, day)

    def of(self, shop: Shop, day: date) -> Figures:
        """What a shop's settlement of a day must say."""
        span = self.moments(shop, day)
        return figures_of(
            each
            for each in self.past.done
            if each.shop is shop and span.start <= each.at < span.end
        )


@pytest.mark.parametrize(
    ("shops", "number", "kills"),
    [
        pytest.param(6, 600, 3, id="small"),
        pytest.param(50, 10_000, 20, id="large", marks=pytest.mark.long),
    ],
)
def test_a_mixed_day_is_settled_once_by_runs_that_meet_and_are_killed(
    database: str, shops: int, number: int, kills: int
) -> None:
    world = open_shops(database, shops)
    refund_only = world.shops[1]
    pay_the_day_before(world, refund_only)
    let_a_day_happen(world, number, refund_only)

    # when a charge is held open across the cut-off, and runs are killed in their midst
    with held_charge(world, world.shops[0]) as held:
        settle_with_kills(world, kills)
        assert_settled(world, DAY, but=held)
    settle_at_once(world, NEXT_DAY)

    # then all of it is settled once, and what each shop is owed is what the ledger says
    assert_settled(world, NEXT_DAY, also=held)
    debt = settlement_of(refund_only, DAY)
    assert debt.net == -(debt.refunds + debt.fee) < 0
    assert settlement_of(refund_only, NEXT_DAY).carried_in == debt.net
    assert debt.carried_to_id == settlement_of(refund_only, NEXT_DAY).id
    assert helpers.count("payments_unclaimed") == 0
    assert_paid_out(world)


# --- what happens ---------------------------------------------------------------------------------


def open_shops(database: str, number: int) -> World:
    """Shops in three zones, with four fees; cards with and without a discount, full of money."""
    shops = [
        Shop(factories.make_till(time_zone=zone, fee_rate=Decimal(rate)), Decimal(rate))
        for zone, rate, _ in zip(
            cycle(ZONES), cycle(("0.02", "0.0175", "0", "0.0333")), range(number), strict=False
        )
    ]
    shops.sort(key=lambda shop: (shop.till.time_zone, shop.till.merchant_code))
    purses = []
    for rate in ("0.95", "1", "0.88") * 3:
        owner, _ = factories.make_member()
        card = factories.make_prepaid(owner, "9000000.00", fixed_discount=rate)
        purses.append(Purse(card, owner, Decimal(rate)))
    issue = helpers.fetch("SELECT id FROM ledger_account WHERE kind = 'points_issue'")
    return World(database, shops, purses, Past(issue))


def pay_the_day_before(world: World, shop: Shop) -> None:
    """Payments that are settled and paid out before they are refunded."""
    start = world.moments(shop, DAY - timedelta(days=1)).start
    for hour in range(5):
        purse = world.purses[hour]
        world.past.pay(shop, purse, Decimal("100.10"), start + timedelta(hours=hour))


def let_a_day_happen(world: World, number: int, refund_only: Shop) -> None:
    """Write the day before with its refunds, then the day; settle the day before in between."""
    past, chance = world.past, random.Random(number)
    span = world.moments(refund_only, DAY)
    for n, payment in enumerate(list(past.done)):
        past.refund(payment, Decimal("33.33"), span.start + timedelta(hours=n))
    others = [shop for shop in world.shops if shop is not refund_only]
    plan = []
    for n in range(number - len(past.done)):
        shop = others[n % len(others)]
        span = world.moments(shop, DAY)
        # Also the first moment of the day, and the last.
        edges = {0: span.start, 1: span.end - timedelta(microseconds=1)}
        at = edges.get(n // len(others), span.start + chance.random() * (span.end - span.start))
        plan.append((at, shop))
    open_payments: dict[Any, list[Any]] = {shop.till.merchant_id: [] for shop in others}
    for at, shop in sorted(plan, key=lambda each: each[0]):
        happen(past, shop, at, open_payments[shop.till.merchant_id], world.purses, chance)
    for shop in world.shops:
        # The first moment of the next day is the next day's.
        purse = chance.choice(world.purses)
        past.pay(shop, purse, Decimal("5000.00"), world.moments(shop, DAY).end)
    with owner(world.database) as connection:
        past.write(connection)
    settle_the_day_before(world, refund_only)


def happen(
    past: Past,
    shop: Shop,
    at: datetime,
    paid: list[Any],
    purses: list[Purse],
    chance: random.Random,
) -> None:
    """One thing of a day's mix."""
    what, purse = chance.random(), chance.choice(purses)
    amount = Decimal(chance.randrange(1, 20_000)) / 100
    if what < 0.08:
        past.pay(shop, purse, amount, at, failure="INSUFFICIENT_BALANCE")
    elif what < 0.20:
        top_up = past.take_cash(shop, purse, amount, at)
        if chance.random() < 0.3:
            past.undo(top_up, at)
    elif what < 0.30:
        paid.append(past.pay(shop, purse, amount, at, method="wechat"))
    elif what < 0.50 and paid:
        payment = chance.choice(paid)
        left = payment.final - payment.refunded
        part = (payment.final / 3).quantize(Decimal("0.01"))
        past.refund(payment, left if chance.random() < 0.3 or part == 0 else min(part, left), at)
        if payment.refunded == payment.final:
            paid.remove(payment)
    else:
        payment = past.pay(shop, purse, amount, at)
        if payment.final:
            paid.append(payment)


@contextmanager
def held_charge(world: World, shop: Shop) -> Iterator[Any]:
    """A charge of the day's last second that commits when everything has been settled."""
    owner_of_card, _ = factories.make_member()
    purse = Purse(factories.make_prepaid(owner_of_card, "500.00"), owner_of_card)
    at = world.moments(shop, DAY).end - timedelta(milliseconds=1)
    held = world.past.pay(shop, purse, Decimal("77.77"), at)
    with owner(world.database) as connection:
        world.past.write(connection, after=held.n - 1)
        yield held


# --- settling -------------------------------------------------------------------------------------


def settle_the_day_before(world: World, shop: Shop) -> None:
    [settlement] = [
        each.settlement
        for each in services.settle_due(
            mode="t_plus_1", merchant_code=shop.till.merchant_code, day=DAY - timedelta(days=1)
        )
    ]
    assert settlement is not None
    services.approve_settlement(settlement_id=settlement.id)
    services.mark_paid(settlement_id=settlement.id)


def settle_with_kills(world: World, kills: int) -> None:
    """Ten runs at once. At some shops, in turn, the one that is in the midst of its claims is
    killed, and one that waits for it; another two come up.
    """
    left = kills
    with ExitStack() as stack:
        watching = stack.enter_context(owner(world.database))
        shut = [
            stack.enter_context(gate(world, world.shops[n * len(world.shops) // kills]))
            for n in range(0, kills, 2)
        ]
        running = [worker.start(world.database, str(DAY)) for _ in range(RUNS)]
        for each in shut:
            session = each.info.backend_pid
            wait_until(lambda session=session: blocked(watching, session))
            at_work = blocked(watching, session)
            running.sort(key=lambda run: run.session not in at_work)
            assert [run.session in at_work for run in running[:2]] == [True, False]
            for victim in running[: min(2, left)]:
                victim.kill()
                left -= 1
                running.remove(victim)
                running.append(worker.start(world.database, str(DAY)))
            each.rollback()
    assert left == 0
    for run in running:
        run.finish()


def settle_at_once(world: World, day: date) -> None:
    """A few runs that nobody kills."""
    for each in [worker.start(world.database, str(day)) for _ in range(3)]:
        each.finish()


@contextmanager
def gate(world: World, shop: Shop) -> Iterator[psycopg.Connection]:
    """Hold one of a shop's claims until `rollback`: who settles it gets so far and no further."""
    with owner(world.database) as connection:
        row = connection.execute(
            "SELECT tx_id FROM payments_unclaimed WHERE merchant_id = %s AND created_at < %s"
            " ORDER BY md5(tx_id::text) LIMIT 1 FOR UPDATE",
            [shop.till.merchant_id, world.moments(shop, DAY).end],
        ).fetchone()
        assert row is not None
        yield connection


def blocked(connection: psycopg.Connection, session: int) -> set[int]:
    """Return the sessions that wait for this one itself."""
    connection.rollback()
    rows = connection.execute(
        "SELECT pid FROM pg_stat_activity WHERE pg_blocking_pids(pid) = ARRAY[%s::integer]",
        [session],
    ).fetchall()
    return {pid for (pid,) in rows}


# --- what came of it ------------------------------------------------------------------------------


def settlement_of(shop: Shop, day: date) -> Settlement:
    span = periods.period_on("t_plus_1", shop.till, day)
    return Settlement.objects.using("owner").get(
        merchant_id=shop.till.merchant_id, mode="t_plus_1", period_end=span.end
    )


def assert_settled(
    world: World, day: date, *, but: Any | None = None, also: Any | None = None
) -> None:
    """Each shop has one settlement of the day, and it says what happened."""
    made = Settlement.objects.using("owner").filter(
        period_end__in={world.moments(shop, day).end for shop in world.shops}
    )
    assert made.count() == len(world.shops)
    assert len(helpers.actions()) == helpers.count("settlements_settlement") + 2
    for shop in world.shops:
        expected = world.of(shop, day)
        for other, sign in ((but, -1), (also, 1)):
            if other is not None and other.shop is shop:
                expected.gross += sign * other.final
                expected.fee += sign * other.fee
                expected.tx_count += sign
        settlement = settlement_of(shop, day)
        assert {name: getattr(settlement, name) for name in vars(expected)} == vars(expected)
        assert lines_by_the_ledger(settlement) == (
            settlement.gross - settlement.refunds - settlement.cash_topups
        )


def lines_by_the_ledger(settlement: Settlement) -> Decimal:
    """Return what the transactions of a settlement did to the shop's account."""
    return Decimal(
        helpers.fetch(
            "SELECT coalesce(sum(e.amount), 0) FROM settlements_line l"
            " JOIN ledger_posting p ON p.reference = l.tx_id"
            " JOIN ledger_entry e ON e.posting_id = p.id AND e.account_id = %s"
            " WHERE l.settlement_id = %s",
            [settlement.merchant.account_id, settlement.id],
        )
    )


def assert_paid_out(world: World) -> None:
    """Pay all; each shop's account ends at zero, the platform has its fees."""
    for settlement in Settlement.objects.using("owner").filter(carried_to=None, status="pending"):
        services.approve_settlement(settlement_id=settlement.id)
        services.mark_paid(settlement_id=settlement.id)

    assert {helpers.owed(shop.till) for shop in world.shops} == {Decimal(0)}
    assert not Settlement.objects.using("owner").filter(status="pending").exists()
    assert helpers.platform("fee") == sum(
        (each.fee for each in Settlement.objects.using("owner")), Decimal(0)
    )


# --- days when clocks change ----------------------------------------------------------------------


@pytest.mark.parametrize("hours", [23, 25])
def test_days_when_clocks_change_lose_and_double_nothing(database: str, hours: int) -> None:
    world = open_shops(database, 0)
    shops = {
        (zone, mode): Shop(factories.make_till(time_zone=zone, settlement_mode=mode), Decimal(0))
        for zone in ("Europe/Berlin", "America/New_York")
        for mode in ("t_plus_1", "monthly")
    }
    # given a payment at each half hour of that day, the day before and the day after
    for (zone, _mode), shop in shops.items():
        changed = last_change(zone, hours)
        at = world.moments(shop, changed - timedelta(days=1)).start
        end = world.moments(shop, changed + timedelta(days=1)).end
        while at < end:
            world.past.pay(shop, world.purses[0], Decimal("1.00"), at)
            at += timedelta(minutes=30)
    with owner(world.database) as connection:
        world.past.write(connection)

    for (zone, mode), shop in shops.items():
        days = [last_change(zone, hours) + timedelta(days=n) for n in (-1, 0, 1)]
        if mode == "monthly":
            days = sorted({day.replace(day=1) for day in days})
        made = [settle_day(shop, mode, day) for day in days]

        if mode == "t_plus_1":
            assert [each.tx_count for each in made] == [48, 2 * hours, 48], zone
        assert sum(each.tx_count for each in made) == 96 + 2 * hours, zone
        for earlier, later in pairwise(made):
            assert earlier.period_end == later.period_start
    assert helpers.count("payments_unclaimed") == 0


def settle_day(shop: Shop, mode: str, day: date) -> Settlement:
    period = periods.period_on(mode, shop.till, day)
    return services.generate_settlement(
        merchant_id=shop.till.merchant_id,
        mode=mode,
        period_start=period.start,
        period_end=period.end,
    )


def last_change(zone: str, hours: int) -> date:
    """Return the latest day of so many hours."""
    day = date.today()  # noqa: DTZ011
    while True:
        day -= timedelta(days=1)
        start, end = (
            datetime.combine(each, datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
            for each in (day, day + timedelta(days=1))
        )
        if end - start == timedelta(hours=hours):
            return day
