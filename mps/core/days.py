"""How times are written, and spans of days read."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings

from mps.core.errors import InvalidRequestError

MAX_DAYS = 92
_YEARS = range(2000, 2101)
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

    :raises InvalidRequestError: they are not in order, too many, or centuries away.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        for name, day in (("from", self.first), ("to", self.last)):
            if day.year not in _YEARS:
                raise InvalidRequestError(errors={name: ["Between 2000 and 2100."]})
        if not timedelta(0) <= self.last - self.first < timedelta(days=MAX_DAYS):
            raise InvalidRequestError(errors={"to": [f"From then on, at most {MAX_DAYS} days."]})

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
    last = _read(query, "to") or today
    return Days(_read(query, "from") or last - timedelta(days=default - 1), last)


def _read(query: Mapping[str, Any], name: str) -> date | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InvalidRequestError(errors={name: ["A date, as 2025-09-29."]})
