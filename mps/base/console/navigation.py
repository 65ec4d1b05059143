"""The console's sidebar: sections in the order of daily work, with entries from each app.

An app names its lines as `navigation` of its AppConfig.
"""

import functools
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

CHAPTERS = {
    "members": _("Members"),
    "cards": _("Cards"),
    "payments": _("Payments"),
    "reports": _("Reports"),
    "merchants": _("Merchants"),
    "ledger": _("Ledger"),
    "audit": _("Audit"),
    "system": _("System"),
}
# Each page of the console asks for all of them, more than once.
_link = lazy(functools.cache(reverse), str)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the sidebar.

    :param chapter: one of `CHAPTERS`. :param place: where in it, counted from 1.
    """

    chapter: str
    place: int
    title: Any
    icon: str

    def shown(self) -> dict[str, Any]:
        """Return the line as the console's library wants it."""
        raise NotImplementedError

    def _leading_to(self, name: str, permission: str) -> dict[str, Any]:
        return {
            "title": self.title,
            "icon": self.icon,
            "link": _link(name),
            "permission": lambda request: request.user.has_perm(permission),
        }


@dataclass(frozen=True, slots=True)
class Page(_Line):
    """A model's list, such as `cards.card`, for those who may see it."""

    model: str

    def shown(self) -> dict[str, Any]:
        """Return the line as the console's library wants it."""
        app, _dot, name = self.model.partition(".")
        return self._leading_to(f"admin:{app}_{name}_changelist", f"{app}.view_{name}")


@dataclass(frozen=True, slots=True)
class Report(_Line):
    """A report, for those who may see what it is about."""

    name: str
    permission: str

    def shown(self) -> dict[str, Any]:
        """Return the line as the console's library wants it."""
        return self._leading_to(f"report-{self.name}", self.permission)


@functools.cache
def _chapters() -> list[dict[str, Any]]:
    lines: list[_Line] = [
        line for config in apps.get_app_configs() for line in getattr(config, "navigation", ())
    ]
    lines.sort(key=lambda line: line.place)
    today = {"title": _("Today"), "icon": "dashboard", "link": _link("admin:index")}
    return [
        {"items": [today]},
        *(
            {
                "title": title,
                "separator": True,
                "items": [line.shown() for line in lines if line.chapter == chapter],
            }
            for chapter, title in CHAPTERS.items()
        ),
    ]


def build(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar; its library leaves out what somebody may not see."""
    return _chapters()
