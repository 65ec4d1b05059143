"""Format times and parse date ranges."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext

from mps.base.core.errors import InvalidRequestError

MAX_DAYS = 92
YEARS = range(2000, 2101)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def show_time(moment: datetime) -> str:
    """Write a time as the API does: RFC 3339, UTC, microseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@functools.cache
def time_zones() -> frozenset[str]:
    """Return the names of the time zones this machine knows. Finding them reads many files."""
    return frozenset(available_timezones())


@dataclass(frozen=True, slots=True)
class Days:
    """From a day to a day of `MPS_TIME_ZONE`, both included.

    :raises InvalidRequestError: they are not in order, or too many.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if not timedelta(0) <= self.last - self.first < timedelta(days=MAX_DAYS):
            raise InvalidRequestError(
                errors={
                    "to": [gettext("The range can be at most %(days)s days.") % {"days": MAX_DAYS}]
                }
            )

    @property
    def bounds(self) -> dict[str, datetime | str]:
        """The parameters of a query: `[start, end)`, and the zone."""
        zone = ZoneInfo(settings.MPS_TIME_ZONE)
        return {
            "start": datetime.combine(self.first, time.min, zone),
            "end": datetime.combine(self.last + timedelta(days=1), time.min, zone),
            "zone": settings.MPS_TIME_ZONE,
        }


def read_days(query: Mapping[str, Any], *, today: date, default: int = 7) -> Days:
    """Read `from` and `to`; without them, so many days up to today.

    :raises InvalidRequestError: one is no date, or they are no span.
    """
    last = read_day(query, "to") or today
    return Days(read_day(query, "from") or last - timedelta(days=default - 1), last)


def read_day(query: Mapping[str, Any], name: str) -> date | None:
    """Read one day; None if it is not asked for.

    :raises InvalidRequestError: it is no date, or centuries away.
    """
    text = query.get(name)
    if text is None:
        return None
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise InvalidRequestError(errors={name: [gettext("Enter a date, such as 2025-09-29.")]})
    if day.year not in YEARS:
        raise InvalidRequestError(
            errors={name: [gettext("The year must be between 2000 and 2100.")]}
        )
    return day


def read_today(zone: str) -> date:
    """Return the day it is in a time zone, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT (now() AT TIME ZONE %s)::date", [zone])
        today: date = cursor.fetchone()[0]
    return today
