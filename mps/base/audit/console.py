"""The console as it is installed: what staff do there is in the audit log."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest

from mps.base.audit import services
from mps.base.audit.models import Event
from mps.base.audit.passkey_pages import PasskeySite
from mps.base.console import HistoryLine

HISTORY_LENGTH = 100


class AuditedSite(PasskeySite):
    """The console's pages; sign-ins, password changes and saved forms leave an audit event."""

    def record(
        self, action: str, *, object_type: str, object_id: object, details: dict[str, Any]
    ) -> None:
        """Append one event."""
        services.record(
            action, object_type=object_type, object_id=str(object_id)[:80], details=details
        )

    def history_of(self, object_ids: Sequence[str]) -> list[HistoryLine]:
        """Return the latest events about an object, by the index on its name."""
        events = Event.objects.filter(object_id__in=object_ids).order_by("-id")[:HISTORY_LENGTH]
        return [
            HistoryLine(
                event.happened_at,
                event.who,
                event.action,
                event.context,
            )
            for event in events
        ]

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Sign out."""
        name = request.user.get_username()
        response = super().logout(request, extra_context)
        if request.method == "POST":
            self.record("STAFF_SIGNED_OUT", object_type="user", object_id=name, details={})
        return response

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Let staff change their own password."""
        response = super().password_change(request, extra_context)
        if request.method == "POST" and response.status_code == 302:
            self.record(
                "USER_CHANGED",
                object_type="user",
                object_id=request.user.get_username(),
                details={"password": "changed"},
            )
        return response
