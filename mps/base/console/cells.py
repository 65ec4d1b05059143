"""Format values for lists and detail pages."""

import functools
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar, cast

from django.core.exceptions import FieldDoesNotExist
from django.db.models import DecimalField, IntegerField, Model
from django.http import QueryDict
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from unfold.decorators import display

from mps.base.core import errors


def refusal(code: str) -> str:
    """Say a refusal in words, with the code that integrators and the log go by."""
    if not code:
        return "–"
    title = errors.titles().get(code)
    return f"{title} ({code})" if title else code


def rows_url(model: type[Model], **filters: Any) -> str:
    """Return the address of a model's list, filtered."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    query = QueryDict(mutable=True)
    for key, value in filters.items():
        query[key] = str(value)
    return f"{reverse(name)}?{query.urlencode()}" if filters else reverse(name)


_Method = TypeVar("_Method", bound=Callable[..., Any])


def shown(
    description: Any, *, figures: bool = False, **options: Any
) -> Callable[[_Method], _Method]:
    """Name a column or a field that a method makes; options are those of the framework.

    :param figures: they stand below each other to the right.
    """

    def named(method: _Method) -> _Method:
        made = display(description=description, **options)(method)
        made.figures = figures
        return cast("_Method", made)

    return named


@functools.cache
def column_of(page: Any, name: Any) -> Any:
    """Return a page's column or field as what writes it: figures with thousands apart, and a link
    to what has no name of its own here. Others as they are.
    """
    column: Any
    kind = "figures"
    if not isinstance(name, str):
        return name
    if getattr(getattr(page, name, None), "figures", False):
        method = getattr(page, name)

        def column(obj: Any) -> Any:
            return method(obj)

        column.short_description = method.short_description
        column.admin_order_field = getattr(method, "admin_order_field", None)
    else:
        try:
            of_model: Any = page.model._meta.get_field(name)
        except FieldDoesNotExist:
            return name
        named = of_model.verbose_name
        if of_model.many_to_one and isinstance(named, str):
            # The field was not named, so its name is in English: what it leads to has one.
            kind, named = "link", of_model.related_model._meta.verbose_name

            def column(obj: Any) -> Any:
                return link(getattr(obj, name))

        elif (
            isinstance(of_model, (DecimalField, IntegerField))
            and not of_model.primary_key
            and not of_model.choices
        ):
            places = getattr(of_model, "decimal_places", 0)

            def column(obj: Any) -> Any:
                return _grouped(getattr(obj, name), places)

        else:
            return name
        column.short_description = named
        column.admin_order_field = name
    # The style sheet knows figures by this name.
    column.__name__ = f"{kind}_{name}"
    return column


def url_of(obj: Model) -> str:
    """Return the address of an object's page; empty if it has none."""
    name = f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change"
    try:
        return reverse(name, args=[obj.pk])
    except NoReverseMatch:
        return ""


def link(obj: Model | None, text: Any = None) -> Any:
    """Return a link to an object's page; a dash for nothing."""
    if obj is None:
        return "–"
    label = obj if text is None else text
    url = url_of(obj)
    return format_html('<a class="text-link" href="{}">{}</a>', url, label) if url else label


def badge(value: str, text: Any, colours: dict[str, str]) -> Any:
    """Return a state in its colour."""
    return _label(colours.get(value, ""), str(text))


@functools.lru_cache(maxsize=1000)
def _label(colour: str, text: str) -> str:
    """Return a label, made once: a list has one in each row."""
    return render_to_string("unfold/helpers/label.html", {"type": colour, "text": text})


def amount(value: Decimal | None) -> str:
    """Write an amount with thousands apart; a dash for none."""
    return _grouped(value, 2)


def whole(value: Decimal | int | None) -> str:
    """Write a whole number with thousands apart; a dash for none."""
    return _grouped(None if value is None else int(value), 0)


def _grouped(value: Decimal | int | None, places: int) -> str:
    """Write a number as the reader's language does, with thousands apart; a dash for none."""
    return "–" if value is None else str(number_format(value, places, force_grouping=True))


def moment(value: datetime | None) -> str:
    """Write a moment in the platform's time zone, on one line; a dash for none."""
    if value is None:
        return "–"
    text = timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S")
    return format_html('<span class="whitespace-nowrap">{}</span>', text)


def details_text(details: dict[str, Any]) -> str:
    """Return the details of an audit event for a reader."""
    parts = []
    for name, value in details.items():
        if isinstance(value, dict) and set(value) == {"before", "after"}:
            parts.append(f"{name}: {value['before']} → {value['after']}")
        elif value not in ("", None):
            parts.append(f"{name}: {value}")
    return ", ".join(parts)
