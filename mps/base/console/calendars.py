"""Years, months and days for filtering lists of the console.

Which of them hold rows is not asked: that would be a walk through all rows. They run from the
oldest row, which an index knows, to today.
"""

import calendar
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import takewhile
from typing import Any, Self

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

_PARTS = ("year", "month", "day")
_NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Choice:
    """A link of the bar; `text` is short, `name` says it in full."""

    text: str
    name: str
    link: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """What the bar above a list offers: a step back, where one is, and where to go from here."""

    back: Choice | None
    here: str
    choices: list[Choice]


@dataclass(frozen=True, slots=True)
class Period:
    """All of time, a year, a month or a day, in the time zone that is shown."""

    year: int | None = None
    month: int | None = None
    day: int | None = None

    @classmethod
    def read(cls, field: str, sent: Mapping[str, Any]) -> Self:
        """Return what an address names, by the framework's names; all of time if that is junk."""
        texts = [str(sent.get(f"{field}__{part}", "")) for part in _PARTS]
        named = list(takewhile(bool, texts))
        if any(texts[len(named) :]) or not all(map(_NUMBER.fullmatch, named)):
            return cls()
        found = cls(*map(int, named))
        try:
            # Years the id and the calendar can hold.
            return found if not named or 1971 <= found.first.year <= 9000 else cls()
        except ValueError:
            return cls()

    @property
    def first(self) -> date:
        """The first day of it."""
        return date(self.year or 1, self.month or 1, self.day or 1)

    @property
    def last(self) -> date:
        """The last day of it."""
        year = self.year or date.max.year
        month = self.month or 12
        return date(year, month, self.day or calendar.monthrange(year, month)[1])

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """The midnights it begins with and ends before."""
        return midnight(self.first), midnight(self.last + timedelta(days=1))

    @property
    def parent(self) -> "Period":
        """What it is a part of."""
        if self.day:
            return Period(self.year, self.month)
        return Period(self.year) if self.month else Period()

    @property
    def name(self) -> str:
        """It in full."""
        if self.day:
            return date_format(self.first, "DATE_FORMAT")
        if self.month:
            return date_format(self.first, "YEAR_MONTH_FORMAT")
        return str(self.year) if self.year else _("All dates")

    @property
    def text(self) -> str:
        """It in short, beside others of its kind."""
        if self.day:
            return str(self.day)
        return date_format(self.first, "M") if self.month else self.name

    def parts(self, oldest: date, newest: date) -> "list[Period]":
        """Return the years, months or days of it between two days."""
        if self.day or oldest > self.last or newest < self.first:
            return []
        low, high = max(oldest, self.first), min(newest, self.last)
        if self.month:
            return [Period(self.year, self.month, day) for day in range(low.day, high.day + 1)]
        if self.year:
            return [Period(self.year, month) for month in range(low.month, high.month + 1)]
        return [Period(year) for year in range(low.year, high.year + 1)]

    def query(self, field: str) -> dict[str, int | None]:
        """Return it as an address names it."""
        values = (self.year, self.month, self.day)
        return {f"{field}__{part}": value for part, value in zip(_PARTS, values, strict=True)}


def make_bar(period: Period, oldest: date, link: Callable[[Period], str]) -> Bar | None:
    """Return the bar of a list narrowed to a period, or None where there is nothing to choose.

    :param link: the address of the list narrowed to another.
    """
    newest = timezone.localdate()
    shown = period.parent if period.day else period
    parts = shown.parts(oldest, newest)
    while len(parts) == 1 and not parts[0].day:
        # There is no other: one step down.
        shown = parts[0]
        parts = shown.parts(oldest, newest)
    choices = [Choice(each.text, each.name, link(each), each == period) for each in parts]
    back = period.parent
    if not period.year:
        return Bar(None, shown.name, choices) if choices else None
    here = period if period.day else shown
    return Bar(Choice(back.name, back.name, link(back)), here.name, choices)


def midnight(day: date) -> datetime:
    """Return the moment a day begins in the time zone that is shown."""
    return timezone.make_aware(datetime.combine(day, time.min))
