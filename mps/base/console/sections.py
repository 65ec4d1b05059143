"""Additional page sections: tables below an object, figures on the dashboard."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.template.loader import render_to_string
from django.utils.html import format_html

from mps.base.core.db_scope import Scope

_FIGURE = re.compile(r"–|[+-]?[0-9]{1,3}(,[0-9]{3})*(\.[0-9]+)?( %)?")


@dataclass(frozen=True, slots=True)
class Section:
    """A table under an object's fields: what else is known of it."""

    title: Any
    headers: Sequence[Any]
    rows: Sequence[Sequence[Any]]

    @property
    def table(self) -> dict[str, Any]:
        """The table as the template wants it, its figures marked as such."""
        figures = [
            all(isinstance(cell, str) and _FIGURE.fullmatch(cell) for cell in column)
            and set(column) != {"–"}
            for column in zip(*self.rows, strict=False)
        ]
        rows = [
            [
                format_html('<span class="figures">{}</span>', cell) if is_figure else cell
                for cell, is_figure in zip(row, figures, strict=False)
            ]
            for row in self.rows
        ]
        return {"headers": self.headers, "rows": rows}


@dataclass(frozen=True, slots=True)
class Tab:
    """A section beside an object's fields, by the names the framework's tabs go by."""

    section: Section
    model_name: str
    tab: bool = True

    @property
    def title(self) -> Any:
        """What the tab says."""
        return self.section.title

    @property
    def contents(self) -> str:
        """The table, shown while its tab is chosen."""
        return render_to_string("console/tab.html", {"tab": self})


# Makes a table for an object, None if there is nothing to show.
MakeSection = Callable[[Scope, Any], Section | None]

_sections: defaultdict[type[Model], list[MakeSection]] = defaultdict(list)
_last_sections: defaultdict[type[Model], list[MakeSection]] = defaultdict(list)


def add_sections(model: type[Model], *sections: MakeSection, last: bool = False) -> None:
    """Show tables on a model's page.

    :param last: after those that other apps add.
    """
    (_last_sections if last else _sections)[model].extend(sections)


def sections_of(model: type[Model]) -> list[MakeSection]:
    """Return what makes the tables of a model's page, in their order."""
    return [*_sections[model], *_last_sections[model]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number of the first page.

    :param href: the rows behind it.
    :param change: how it moved, such as `+12 %`. :param tone: whether that is good: `good`, `bad`.
    :param parts: what it is made of, each with the rows behind it.
    """

    title: Any
    value: Any
    href: str
    note: Any = ""
    change: str = ""
    tone: str = ""
    parts: Sequence[tuple[Any, str]] = ()


_figures: list[tuple[str, Callable[[Scope], Figure]]] = []


def add_figure(permission: str, make: Callable[[Scope], Figure]) -> None:
    """Show a number of what waits on the first page, to those who have a permission."""
    _figures.append((permission, make))


def figures_for(scope: Scope, user: Any) -> list[Figure]:
    """Return the numbers of what waits that somebody may see."""
    return [make(scope) for permission, make in _figures if user.has_perm(permission)]
