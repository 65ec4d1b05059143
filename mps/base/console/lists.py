"""Console lists and their date filters."""

import functools
from datetime import date, datetime, timedelta
from typing import Any, cast

from django.contrib.admin.views.main import ChangeList
from django.db.models import Func, Q, QuerySet, UUIDField, Value
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.utils import parse_date_str

from mps.base.console.calendars import Bar, Period, make_bar, midnight

_ChangeList: Any = ChangeList
_SKEW = timedelta(minutes=1)


class DayFilter(RangeDateFilter):
    """From a day to a day, both included, in the platform's time zone."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep what lies between the two; what is no date is ignored."""
        first = _day(self.used_parameters.get(f"{self.parameter_name}_from"))
        last = _day(self.used_parameters.get(f"{self.parameter_name}_to"))
        if first is not None:
            queryset = queryset.filter(self.since(self.field_path, midnight(first)))
        if last is not None:
            next_day = midnight(last + timedelta(days=1))
            queryset = queryset.filter(self.before(self.field_path, next_day))
        return queryset

    @classmethod
    def since(cls, path: str, moment: datetime) -> Q:
        """Return the condition of the lower bound."""
        return Q(**{f"{path}__gte": moment})

    @classmethod
    def before(cls, path: str, moment: datetime) -> Q:
        """Return the condition of the upper bound."""
        return Q(**{f"{path}__lt": moment})


class DayByIdFilter(DayFilter):
    """The same for rows whose id holds their time: it bounds the id, too, which is indexed and
    decides the partition.
    """

    @classmethod
    def since(cls, path: str, moment: datetime) -> Q:
        """Return the lower bound by time and id."""
        return super().since(path, moment) & Q(id__gte=smallest_id(moment - _SKEW))

    @classmethod
    def before(cls, path: str, moment: datetime) -> Q:
        """Return the upper bound by time and id."""
        return super().before(path, moment) & Q(id__lt=smallest_id(moment + _SKEW))


class ConsoleList(_ChangeList):  # type: ignore[misc]
    """A list, and the bar by which it is narrowed to a year, a month or a day.

    The framework's own asks the whole table which of them hold rows. Here the oldest row is asked
    for, and the filter of the same field, if there is one, says how to bound it.
    """

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Return what the filters read; not what the bar reads."""
        sent: dict[str, Any] = super().get_filters_params(params)
        of_bar = Period().query(self._dated)
        return {name: sent[name] for name in sent if name not in of_bar}

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        """Return the rows shown, of the period chosen."""
        found: QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        if not self.period.year:
            return found
        start, end = self.period.bounds
        bound = self._bound()
        self.has_active_filters = True
        return found.filter(bound.since(self._dated, start) & bound.before(self._dated, end))

    @functools.cached_property
    def period(self) -> Period:
        """The period chosen; all of time if none is."""
        return Period.read(self._dated, self.params) if self._dated else Period()

    @functools.cached_property
    def dates(self) -> Bar | None:
        """The bar; it takes one query, for the oldest row by index."""
        if not self._dated:
            return None
        rows = self.model._base_manager.order_by(self.model_admin.oldest_by)
        oldest = rows.values_list(self._dated, flat=True)[:1]
        days = [timezone.localdate(moment) for moment in oldest]
        return make_bar(self.period, days[0], self._narrowed) if days else None

    @property
    def _dated(self) -> str:
        return self.date_hierarchy or ""

    def _narrowed(self, period: Period) -> str:
        return str(self.get_query_string(period.query(self._dated)))

    def _bound(self) -> type[DayFilter]:
        """Return the filter of the same field; there, the id may bound it, too."""
        for each in self.list_filter:
            if isinstance(each, tuple) and each[0] == self._dated:
                return cast("type[DayFilter]", each[1])
        return DayFilter


def smallest_id(moment: datetime) -> Func:
    """Return the smallest id a row of this moment can have."""
    return Func(Value(moment), function="core_uuid_floor", output_field=UUIDField())


def _day(text: Any) -> date | None:
    day = parse_date_str(text) if isinstance(text, str) else None
    # Years the id and the calendar can hold.
    return day if day is not None and 1971 <= day.year <= 9000 else None
