"""The console as it is installed: what staff do there is in the audit log."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import redis
from allauth.core.internal import ratelimit
from django.http import HttpRequest

from mps.audit import services
from mps.audit.models import Event
from mps.core import context, errors
from mps.core.console import ConsoleSite, HistoryLine, refusal_page

logger = logging.getLogger(__name__)
HISTORY_LENGTH = 100
# The longest of the windows in which failures are counted.
WAIT_SECONDS = 300


class AuditedSite(ConsoleSite):
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
                f"{event.actor_type} {event.actor}".strip(),
                event.action,
                event.context,
            )
            for event in events
        ]

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Sign somebody in, or not, within the limits of every sign-in; either is written down."""
        if request.method != "POST":
            return super().login(request, extra_context)
        name = request.POST.get("username", "").replace("\x00", "")[:80]
        try:
            attempt = self._count_attempt(request, name)
        except errors.RateLimitedError as error:
            self._record_sign_in("STAFF_SIGN_IN_REFUSED", name, {"error": error.code})
            return refusal_page(error)
        response = super().login(request, extra_context)
        if request.user.is_authenticated and response.status_code == HTTPStatus.FOUND:
            if attempt is not None:
                attempt.rollback()
            context.set_actor("staff", request.user.get_username())
            self._record_sign_in("STAFF_SIGNED_IN", name, {})
        else:
            self._record_sign_in("STAFF_SIGN_IN_REFUSED", name, {"error": "INVALID_CREDENTIALS"})
        return response

    def _count_attempt(self, request: HttpRequest, name: str) -> Any:
        """Count an attempt before anything is hashed; :raises RateLimitedError: one too many.

        Without Redis nobody counts, and staff still get in.
        """
        try:
            attempt = ratelimit.consume(
                request, app="allauth.account", action="login_failed", key=f"staff:{name.lower()}"
            )
        except redis.RedisError:
            logger.warning("Redis is away: staff sign-in attempts are not limited")
            return None
        if not attempt:
            raise errors.RateLimitedError(retry_after_seconds=WAIT_SECONDS)
        return attempt

    def _record_sign_in(self, action: str, name: str, details: dict[str, Any]) -> None:
        self.record(action, object_type="user", object_id=name, details=details)

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
