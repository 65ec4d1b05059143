"""Contents of the demo: people, shops, and who visits which shop when."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

from django.conf import settings

from mps.launcher import state

STAFF_NAME = "admin"
STAFF_PASSWORD = "demo-admin-1"
# What weighs much takes two.
CHECKER_NAME = "checker"
CHECKER_PASSWORD = "demo-checker-1"
# Who manages the first of the shops.
MANAGER_NAME = "manager"
MANAGER_PASSWORD = "demo-shop-1"
MEMBER_PASSWORD = "demo-password-1"
FAMILY_PASSWORD = "family-1"
PEOPLE = (
    ("林小美", "0912000001"),
    ("張小明", "0912000002"),
    ("陳大文", "0912000003"),
)
BACKEND_NAME = "demo-backend"
CREDENTIALS_FILE = state.CREDENTIALS_FILE
# A week, and the day the console compares today with.
DAYS = 8
# The same history each time, but for the dates.
SEED = 20250929
# Where the first shop's own system would listen. It is switched off: nothing is sent anywhere.
WEBHOOK_URL = "http://127.0.0.1:9000/mps"


@dataclass(frozen=True, slots=True)
class Shop:
    """A shop to open, and how busy it is."""

    code: str
    name: str
    fee_rate: Decimal
    settlement_mode: str
    # How many customers come in each hour of the shop's own day, from `opens` on.
    opens: int
    customers: tuple[int, ...]
    # What they spend: from, to, in steps of.
    prices: tuple[int, int, int]
    time_zone: str = "Asia/Taipei"


SHOPS = (
    Shop(
        *("SHOP001", "晨光咖啡", Decimal("0.02"), "t_plus_1"),
        opens=7,
        customers=(3, 4, 3, 1, 1, 2, 2, 1, 1, 1, 1),
        prices=(55, 260, 5),
    ),
    Shop(
        *("SHOP002", "老張麵館", Decimal("0.015"), "realtime"),
        opens=11,
        customers=(3, 6, 3, 0, 0, 1, 3, 5, 2, 1),
        prices=(80, 420, 10),
    ),
    Shop(
        *("SHOP003", "麗人髮廊", Decimal("0.025"), "monthly"),
        opens=10,
        customers=(0, 1, 0, 0, 1, 0, 0, 0, 1, 1),
        prices=(350, 1600, 50),
    ),
    Shop(
        *("SHOP004", "山海書店", Decimal("0.018"), "t_plus_1"),
        opens=11,
        customers=(0, 1, 1, 0, 1, 0, 1, 1, 2, 1),
        prices=(120, 980, 1),
        time_zone="Asia/Tokyo",
    ),
)


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody comes to a shop and pays. No two visits share a minute."""

    at: datetime
    shop: Shop
    amount: Decimal
    order: str


def plan(random: Random, now: datetime) -> list[Visit]:
    """Plan the visits of the last days, up to `now`, in the order they happen."""
    today = now.astimezone(ZoneInfo(settings.MPS_TIME_ZONE)).date()
    planned: dict[datetime, Visit] = {}
    for days_ago in range(DAYS, -1, -1):
        day = today - timedelta(days=days_ago)
        for shop in SHOPS:
            for number, arrival in enumerate(_arrivals(random, shop, day), start=1):
                # No two visits share a minute, whichever the shop.
                at = arrival
                while at in planned:
                    at += timedelta(minutes=1)
                low, high, step = shop.prices
                # The lower of two: many small amounts, few large ones.
                amount = min(random.randrange(low, high + 1, step) for _ in range(2))
                planned[at] = Visit(at, shop, Decimal(amount), f"{day:%Y%m%d}-{number:03d}")
    since, until = now - timedelta(days=DAYS), now - timedelta(minutes=2)
    return [planned[at] for at in sorted(planned) if since < at < until]


def _arrivals(random: Random, shop: Shop, day: date) -> list[datetime]:
    opening = datetime.combine(day, time(shop.opens), ZoneInfo(shop.time_zone)).astimezone(UTC)
    return sorted(
        opening + timedelta(hours=hour, minutes=random.randrange(60))
        for hour, customers in enumerate(shop.customers)
        if customers
        for _ in range(customers + random.choice((-1, 0, 0, 1)))
    )
