"""Read-only console page of the audit log."""

import re
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from mps.base import console
from mps.base.audit import chain
from mps.base.audit.models import Event
from mps.base.core.db_scope import current_scope

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
# The first letters of an id are its time, the last are its own.
_LETTERS = 8


def _short(text: str, name: str) -> Any:
    """Return a text in which a name that is an id stands by its end; all of it is on the page."""
    if not _UUID.fullmatch(name):
        return text
    shorter = text.replace(name, f"…{name[-_LETTERS:]}")
    return format_html('<span title="{}">{}</span>', name, shorter)


@admin.register(Event)
class EventAdmin(console.Exported, console.LogAdmin):
    """Who did what."""

    export_fields = (
        "id",
        "happened_at",
        "actor_type",
        "actor",
        "action",
        "object_type",
        "object_id",
        "request_id",
        "address",
    )
    list_before_template = "console/chain.html"
    list_display = ("happened_at", "action", "short_who", "shown_about", "short_object")
    list_display_links = ("happened_at", "action")
    date_hierarchy = "happened_at"
    list_filter = (("happened_at", console.DayByIdFilter),)
    exact_search = ((r"[A-Z][A-Z]+(_[A-Z]+)+", "action"),)
    search_fields = ("=object_id",)
    search_help_text = _("Object number or ID, or action, such as CARD_FROZEN")
    fieldsets = (
        (None, {"fields": ("happened_at", "action", "shown_about", "object_id", "context")}),
        (_("Who"), {"fields": ("shown_who", "request_id", "address")}),
    )

    @console.shown(_("actor"))
    def shown_who(self, event: Event) -> str:
        """Show who acted."""
        return event.who

    @console.shown(_("actor"))
    def short_who(self, event: Event) -> Any:
        """Show who acted, in few letters."""
        return _short(event.who, event.actor)

    @console.shown(_("object"))
    def short_object(self, event: Event) -> Any:
        """Show what it was done to, in few letters."""
        return _short(event.object_id, event.object_id)

    @console.shown(_("kind of object"))
    def shown_about(self, event: Event) -> str:
        """Show what kind of thing it was done to."""
        return event.about

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponseBase:
        """Show the list, and how far it is sealed."""
        return super().changelist_view(
            request, {**(extra_context or {}), "chain": chain.get_state(current_scope())}
        )
