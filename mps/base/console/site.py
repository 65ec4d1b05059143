"""The console's admin site: access, database scope and error pages."""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis
from django.conf import settings
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import DataError
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.functional import SimpleLazyObject
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.views.decorators.gzip import gzip_page
from unfold.sites import UnfoldAdminSite

from mps.base.audit import services as audit
from mps.base.audit.models import Event
from mps.base.console import four_eyes
from mps.base.console.acts import Act
from mps.base.core import context, db_scope, errors, problems

logger = logging.getLogger(__name__)

_Site: Any = UnfoldAdminSite
HISTORY_LENGTH = 100


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of an object's history."""

    happened_at: datetime
    actor: str
    action: str
    details: dict[str, Any]


class ConsoleSite(_Site):  # type: ignore[misc]
    """The console's pages, each in the platform's scope and in the name of who is signed in.

    Password changes, sign-outs and saved forms leave an audit event; acts that need it become
    requests for approval.
    """

    index_title = _("Today")

    def admin_view(
        self, view: Callable[..., HttpResponseBase], cacheable: bool = False
    ) -> Callable[..., HttpResponseBase]:
        """Return the view for signed-in staff only, inside the platform's scope.

        A view marked `opens_own_scope` calls a service and is left outside.
        """

        @functools.wraps(view)
        def acting(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            context.set_actor("staff", request.user.get_username())
            self.keep_alive(request)
            try:
                if getattr(view, "opens_own_scope", False):
                    return view(request, *args, **kwargs)
                with platform():
                    return rendered(view(request, *args, **kwargs))
            except Exception as exception:
                return self._refuse(request, exception)

        guarded: Callable[..., HttpResponseBase] = super().admin_view(acting, cacheable)
        return gzip_page(guarded)

    def keep_alive(self, request: HttpRequest) -> None:
        """Remember that a session is used; what kind of session that is, those say who open it."""

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """Return the apps and their lists once they are looked at.

        Every page is offered them, and as a rule shows the sidebar's lines instead.
        """
        return SimpleLazyObject(functools.partial(super().get_app_list, request, app_label))

    def record(
        self, action: str, *, object_type: str, object_id: object, details: dict[str, Any]
    ) -> None:
        """Append one event to the audit log: what staff did."""
        audit.record(
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

    def ask_second_pair(
        self,
        *,
        model: type[Model],
        act: Act,
        targets: Sequence[Any],
        values: Mapping[str, list[str]],
        user: Any,
    ) -> Model:
        """Write an act down that somebody else has to agree to; return the request.

        :param values: of the form's fields, as they were sent.
        """
        return four_eyes.request_act(
            model=model, act=act, targets=targets, values=values, user=user
        )

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

    def _refuse(self, request: HttpRequest, exception: Exception) -> HttpResponseBase:
        """Answer a known refusal with a page; what is unknown is a defect and goes up."""
        if isinstance(exception, (Http404, PermissionDenied, SuspiciousOperation)):
            raise exception
        error = problems.as_mps_error(exception)
        if error is None and isinstance(exception, redis.RedisError):
            error = errors.UnavailableError()
        if error is None and isinstance(exception, DataError):
            # The driver refused a value before the database saw it, such as text with a NUL.
            error = errors.InvalidRequestError()
        if error is None:
            raise exception
        logger.warning("console page refused", extra={"code": error.code})
        return refusal_page(error)


def refusal_page(error: errors.MpsError) -> HttpResponse:
    """Return a refusal as a page that needs nothing: neither the database nor who is asking."""
    return HttpResponse(
        format_html("<!doctype html><title>{0}</title><p>{0}</p>", error.title),
        status=error.status,
        headers=problems.problem_headers(error),
    )


def banner(request: HttpRequest) -> list[Any] | None:
    """Return what every page says of this installation, if there is anything to say."""
    if settings.MPS_STAFF_TOTP:
        return None
    return [_("Demo: no two-step verification"), "warning"]


def platform() -> AbstractContextManager[db_scope.Scope]:
    """Return the scope the console reads in."""
    return db_scope.principal_scope("platform_admin")


def rendered(response: HttpResponseBase) -> HttpResponseBase:
    """Return a response rendered now, while the scope its template reads in is open."""
    if isinstance(response, TemplateResponse):
        response.render()
    return response
