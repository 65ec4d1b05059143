"""The console itself: who comes in, in whose name, and how a refusal looks."""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
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

from mps.base.console.acts import Act
from mps.base.core import context, db_scope, errors, problems, staff

logger = logging.getLogger(__name__)

_Site: Any = UnfoldAdminSite


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of an object's history."""

    happened_at: datetime
    actor: str
    action: str
    details: dict[str, Any]


class ConsoleSite(_Site):  # type: ignore[misc]
    """The console's pages, each in the platform's scope and in the name of who is signed in."""

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
            staff.keep_alive(request)
            try:
                if getattr(view, "opens_own_scope", False):
                    return view(request, *args, **kwargs)
                with platform():
                    return rendered(view(request, *args, **kwargs))
            except Exception as exception:
                return self._refuse(request, exception)

        guarded: Callable[..., HttpResponseBase] = super().admin_view(acting, cacheable)
        return gzip_page(guarded)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """Return the apps and their lists once they are looked at.

        Every page is offered them, and as a rule shows the sidebar's lines instead.
        """
        return SimpleLazyObject(functools.partial(super().get_app_list, request, app_label))

    def record(
        self, action: str, *, object_type: str, object_id: object, details: dict[str, Any]
    ) -> None:
        """Write down what staff did, in the log of the site that is installed."""
        raise NotImplementedError

    def history_of(self, object_ids: Sequence[str]) -> list[HistoryLine]:
        """Return the latest of what was written down about an object, newest first."""
        raise NotImplementedError

    def ask_second_pair(
        self,
        *,
        model: type[Model],
        act: "Act",
        targets: Sequence[Any],
        values: Mapping[str, list[str]],
        user: Any,
    ) -> Model:
        """Write an act down that somebody else has to agree to; return the request.

        :param values: of the form's fields, as they were sent.
        """
        raise NotImplementedError

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
    return [_("Demonstration: no second factor"), "warning"]


def platform() -> Any:
    """Return the scope the console reads in."""
    return db_scope.principal_scope("platform_admin")


def rendered(response: HttpResponseBase) -> HttpResponseBase:
    """Return a response rendered now, while the scope its template reads in is open."""
    if isinstance(response, TemplateResponse):
        response.render()
    return response


# Who has no business here, whatever their user says.
_doorkeepers: list[Callable[[Any], bool]] = []


def add_doorkeeper(may_enter: Callable[[Any], bool]) -> None:
    """Let an app say of a user whether they may sign in. Called inside the platform's scope."""
    _doorkeepers.append(may_enter)


def may_sign_in(user: Any) -> bool:
    """Return whether nothing is known that keeps a user out."""
    return all(may_enter(user) for may_enter in _doorkeepers)
