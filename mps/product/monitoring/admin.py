"""Console pages of incidents."""

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from mps.base import console
from mps.base.console import Act, Done
from mps.base.core.db_scope import Scope
from mps.product.monitoring import services
from mps.product.monitoring.models import Incident


@admin.register(Incident)
class IncidentAdmin(console.LogAdmin):
    """What was wrong, from when until when."""

    list_display = ("kind", "show_state", "opened_at", "closed_at", "notified_at")
    date_hierarchy = "opened_at"
    list_filter = ("kind", ("opened_at", console.DayFilter))
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "id",
                    "kind",
                    "show_state",
                    "details",
                    "opened_at",
                    "last_seen_at",
                    "closed_at",
                )
            },
        ),
        (_("Alerts"), {"fields": ("told", "notified_at", "resolution_notified_at")}),
    )

    @console.shown(_("state"))
    def show_state(self, incident: Incident) -> Any:
        """Show whether it is over."""
        if incident.closed_at is None:
            return console.badge("open", _("open"), {"open": "danger"})
        return console.badge("closed", _("closed"), {"closed": "success"})


def _open(scope: Scope) -> console.Figure:
    kinds = list(Incident.objects.open().order_by("opened_at"))
    return console.Figure(
        title=_("Open alerts"),
        value=console.whole(len(kinds)),
        href=console.rows_url(Incident, closed_at__isnull=True),
        note=_("no open alerts") if not kinds else "",
        tone="bad" if kinds else "",
        parts=[(each.get_kind_display(), console.url_of(each)) for each in kinds[:4]],
    )


console.add_figure("monitoring.view_incident", _open)


def _close(incident: Incident, values: dict[str, Any], staff: Any) -> Done:
    services.close_incident(incident_id=incident.id, reason=values["reason"])
    return Done(text=_("The incident was closed: %(name)s.") % {"name": incident})


console.add_acts(
    Incident,
    Act(
        name="close",
        label=_("Close"),
        explanation=_(
            "Closes the incident manually. If the problem persists, the next check opens a new one:"
        ),
        run=_close,
        replays=True,
        offered=lambda incident: incident.closed_at is None,
        icon="check",
    ),
)
