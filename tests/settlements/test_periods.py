"""Days and months of shops, also when their clocks change."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from merchants.models import Merchant
from settlements.periods import moment_of, period_for, period_on
from tests import factories
from tests.settlements import helpers
from tests.snapshots import execute


def at(zone: str) -> Merchant:
    return Merchant(time_zone=zone)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def test_yesterday_is_the_shops_own() -> None:
    now = utc(2025, 9, 29, 16, 10)  # 00:10 on the 30th in Taipei, still the 29th in New York

    taipei = period_for("t_plus_1", at("Asia/Taipei"), now)
    new_york = period_for("t_plus_1", at("America/New_York"), now)

    assert (taipei.start, taipei.end) == (utc(2025, 9, 28, 16), utc(2025, 9, 29, 16))
    assert (new_york.start, new_york.end) == (utc(2025, 9, 28, 4), utc(2025, 9, 29, 4))


def test_last_month_is_the_shops_own() -> None:
    taipei = period_for("monthly", at("Asia/Taipei"), utc(2025, 12, 31, 16, 10))
    berlin = period_for("monthly", at("Europe/Berlin"), utc(2025, 4, 30, 22, 10))

    assert (taipei.start, taipei.end) == (utc(2025, 11, 30, 16), utc(2025, 12, 31, 16))
    assert (berlin.start, berlin.end) == (utc(2025, 3, 31, 22), utc(2025, 4, 30, 22))
    march = period_on("monthly", at("Europe/Berlin"), date(2025, 3, 17))
    assert march.end - march.start == timedelta(days=31, hours=-1)


def test_real_time_is_the_last_minute_that_is_over() -> None:
    period = period_for("realtime", at("Asia/Taipei"), utc(2025, 9, 29, 16, 10, 59, 999))

    assert (period.start, period.end) == (utc(2025, 9, 29, 16, 9), utc(2025, 9, 29, 16, 10))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", date(2025, 3, 9), 23),
        ("America/New_York", date(2025, 11, 2), 25),
        ("Europe/Berlin", date(2025, 3, 30), 23),
        ("Europe/Berlin", date(2025, 10, 26), 25),
        ("America/Santiago", date(2025, 9, 7), 23),  # has no midnight
        ("America/Havana", date(2025, 11, 2), 25),  # has two
        ("Australia/Lord_Howe", date(2025, 10, 5), 23.5),
        ("Asia/Taipei", date(2025, 3, 30), 24),
    ],
)
def test_days_follow_each_other_when_clocks_change(zone: str, day: date, hours: float) -> None:
    before, this, after = (
        period_on("t_plus_1", at(zone), day + timedelta(days=n)) for n in (-1, 0, 1)
    )

    assert this.end - this.start == timedelta(hours=hours)
    assert (before.end, this.end) == (this.start, after.start)
    for minute in range(0, int(hours * 60), 30):
        moment = this.start + timedelta(minutes=minute)
        assert moment.astimezone(ZoneInfo(zone)).date() == day
        assert period_for("t_plus_1", at(zone), moment) == before


def test_what_has_no_zone_is_the_shops_own() -> None:
    shop = at("Europe/Berlin")

    assert moment_of(date(2025, 7, 1), shop) == utc(2025, 6, 30, 22)
    assert moment_of(datetime(2025, 7, 1, 12), shop) == utc(2025, 7, 1, 10)  # noqa: DTZ001
    assert moment_of(utc(2025, 7, 1, 12), shop) == utc(2025, 7, 1, 12)
    # 02:30 occurs twice: the first.
    assert moment_of(datetime(2025, 10, 26, 2, 30), shop) == utc(2025, 10, 26, 0, 30)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("America/New_York", date(2025, 3, 9)),
        ("America/New_York", date(2025, 11, 2)),
        ("Europe/Berlin", date(2025, 3, 30)),
        ("Europe/Berlin", date(2025, 10, 26)),
    ],
)
def test_the_days_when_clocks_change_lose_and_double_nothing(
    unchecked_database: str, zone: str, day: date
) -> None:
    # Made-up entries of the registry, with no transactions: one every half hour of three days.
    member, _ = factories.make_member()
    till = factories.make_till(time_zone=zone)
    card = factories.make_prepaid(member, "1000.00", fixed_discount="1")
    first = period_on("t_plus_1", at(zone), day - timedelta(days=1)).start
    last = period_on("t_plus_1", at(zone), day + timedelta(days=1)).end
    half_hours = int((last - first) / timedelta(minutes=30))
    helpers.pay(till, card, member, "1.00")
    execute(
        "WITH t AS (SELECT * FROM payments_unclaimed), gone AS (DELETE FROM payments_unclaimed)"
        " INSERT INTO payments_unclaimed"
        " SELECT t.merchant_id, uuidv7(), %s + n * interval '30 min',"
        " t.type, t.payment_method, t.amount, 0 FROM t, generate_series(0, %s) n",
        [first, half_hours - 1],
    )

    settled = [
        helpers.settle(
            till,
            period_start=day + timedelta(days=n),
            end=day + timedelta(days=n + 1),  # type: ignore[arg-type]
        )
        for n in (-1, 0, 1)
    ]
    counts = [each.tx_count for each in settled]
    hours = [(each.period_end - each.period_start) / timedelta(hours=1) for each in settled]

    assert sum(counts) == half_hours
    assert counts == [2 * each for each in hours]
    assert sorted(hours)[1] == 24
    assert sum(each.gross for each in settled) == Decimal(half_hours)
