"""Health, and what is shown where nothing else answers."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import redis
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError, connection
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponsePermanentRedirect,
    JsonResponse,
)
from django.utils.translation import gettext_lazy as _
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt

from mps.base.core import errors, middleware, problems, releases, schema

MIN_PARTITION_MONTHS = 3


class InternalError(errors.MpsError):
    """A defect of ours. The log has the rest, under the request's id."""

    code = "INTERNAL_ERROR"
    status = 500
    title = _("Something went wrong on our side; it has been logged.")


def read_only(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Let a page be read only; any other method is refused as a program reads it.

    Nothing is changed by such a request, so it needs no token of a form, which would be refused
    first, and in another way.
    """

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method in {"GET", "HEAD"}:
            return view(request, *args, **kwargs)
        response = problems.problem_response(request, errors.MethodNotAllowedError())
        response["Allow"] = "GET, HEAD"
        return response

    return csrf_exempt(answer)


@read_only
def add_slash(request: HttpRequest) -> HttpResponse:
    """Lead who left out the last slash of a page's address to the page."""
    query = request.META.get("QUERY_STRING", "")
    return HttpResponsePermanentRedirect(f"{request.path}/{'?' if query else ''}{query}")


@read_only
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer that the process lives."""
    return JsonResponse({"status": "ok"})


@read_only
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer whether database, migrations, partitions and Redis are ready to take a payment."""
    checks = {"database": _check_database(), "redis": _check_redis()}
    ready = all(value == "ok" for value in checks.values())
    return JsonResponse(
        {"status": "ok" if ready else "unavailable", **checks}, status=200 if ready else 503
    )


def _check_database() -> str:
    try:
        if misfit := releases.find_misfit(connection):
            return misfit
        if missing := releases.find_missing(connection):
            return f"{missing}: run manage.py migrate"
        with connection.cursor() as cursor:
            cursor.execute("SELECT partition_months_ahead()")
            if (cursor.fetchone()[0] or 0) < MIN_PARTITION_MONTHS:
                return "partitions run out: run manage.py ensure_partitions"
        # What somebody added for themselves, an index say, keeps nobody from paying.
        if differences := schema.find_differences(connection, additions=False):
            more = f" and {len(differences) - 1} more" if len(differences) > 1 else ""
            return f"{differences[0]}{more}: run manage.py check_schema"
    except DatabaseError:
        return "not reachable"
    return "ok"


def _check_redis() -> str:
    try:
        redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1).ping()
    except (redis.RedisError, OSError):
        return "not reachable"
    return "ok"


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer an unknown path."""
    if middleware.is_api(request):
        return problems.problem_response(request, errors.NotFoundError())
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer what Django finds suspicious."""
    if middleware.is_api(request):
        too_big = isinstance(exception, RequestDataTooBig)
        return problems.problem_response(
            request, errors.PayloadTooLargeError() if too_big else errors.InvalidRequestError()
        )
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer what is not permitted."""
    if middleware.is_api(request):
        return problems.problem_response(request, errors.PermissionDeniedError())
    return defaults.permission_denied(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer a defect without telling anything of it."""
    if middleware.is_api(request):
        return problems.problem_response(request, InternalError())
    return defaults.server_error(request)
