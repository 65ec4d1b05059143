"""A mixed day over shops in three time zones, settled by runs that meet: to the cent."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from django.db import connections

from settlements import services
from settlements.models import Settlement
from tests import factories
from tests.settlements import helpers
from tests.settlements.test_jobs import ZONES, move_to_the_past


def test_a_mixed_day_adds_up_to_the_ledger(database: str) -> None:
    # given about a thousand transactions at nine shops
    tills = [
        factories.make_till(time_zone=zone, fee_rate=Decimal(rate))
        for zone in ZONES
        for rate in ("0.02", "0.0175", "0")
    ]
    owners = [factories.make_member()[0] for _ in range(6)]
    cards = [
        (factories.make_prepaid(owner, "90000.00", fixed_discount=rate), owner)
        for owner, rate in zip(owners, ("0.95", "1", "0.88") * 2, strict=True)
    ]
    helpers.random_day(tills, cards, 600, seed=7)
    transactions = helpers.fetch(
        "SELECT count(*) FROM payments_transaction WHERE merchant_id IS NOT NULL"
    )
    assert transactions > 900
    move_to_the_past("3 days")
    before = {till.merchant_id: helpers.owed(till) for till in tills}

    # when ten runs settle at once
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: run(), range(10)))

    # then each shop has one settlement, and every transaction is in one
    settlements = read_settlements()
    assert len(settlements) == len(tills)
    assert sum(each.tx_count for each in settlements) == transactions
    assert helpers.count("settlements_line") == transactions
    assert helpers.count("payments_unclaimed") == 0
    for each in settlements:
        assert each.net + each.fee == before[each.merchant_id]
        services.approve_settlement(settlement_id=each.id)
        if each.net >= 0:
            services.mark_paid(settlement_id=each.id)
    left = {each.merchant_id: min(each.net, Decimal(0)) for each in settlements}
    assert {till.merchant_id: helpers.owed(till) for till in tills} == left
    assert helpers.platform("fee") == sum(each.fee for each in settlements)


def run() -> None:
    try:
        list(services.settle_due(mode="t_plus_1"))
    finally:
        connections.close_all()


def read_settlements() -> list[Settlement]:
    return list(Settlement.objects.using("owner"))
