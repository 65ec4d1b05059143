"""Compute settlement periods in the shops' time zones."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from merchants.models import Merchant

_A_DAY = timedelta(days=1)
_A_MINUTE = timedelta(minutes=1)


class Located(Protocol):
    """Somebody with days of their own: a shop, or its till."""

    @property
    def time_zone(self) -> str:
        """IANA name."""


@dataclass(frozen=True, slots=True)
class Period:
    """A span of time `[start, end)`."""

    start: datetime
    end: datetime


def period_for(mode: str, merchant: Located, now: datetime) -> Period:
    """Return the latest period of a mode that is over: yesterday, last month, or the last minute.

    Days and months are the shop's own, also when its clocks change: a day may have 23 or 25 hours.

    :param now: with a zone.
    """
    zone = ZoneInfo(merchant.time_zone)
    today = now.astimezone(zone).date()
    if mode == Merchant.SettlementMode.REALTIME:
        end = now.astimezone(UTC).replace(second=0, microsecond=0)
        return Period(end - _A_MINUTE, end)
    if mode == Merchant.SettlementMode.MONTHLY:
        last_day = today.replace(day=1) - _A_DAY
        return period_on(mode, merchant, last_day)
    return period_on(mode, merchant, today - _A_DAY)


def period_on(mode: str, merchant: Located, day: date) -> Period:
    """Return the day, or for `monthly` the month, of a shop that `day` lies in."""
    zone = ZoneInfo(merchant.time_zone)
    first, after = day, day + _A_DAY
    if mode == Merchant.SettlementMode.MONTHLY:
        first = day.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
    return Period(_midnight(first, zone), _midnight(after, zone))


def moment_of(value: date | datetime, merchant: Located) -> datetime:
    """Return the moment somebody means: what has no zone is the shop's own time, a date its start.

    Of a time that occurs twice because clocks go back, the first; a time they skip is as long
    after the change as it looks.
    """
    zone = ZoneInfo(merchant.time_zone)
    if not isinstance(value, datetime):
        return _midnight(value, zone)
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)
