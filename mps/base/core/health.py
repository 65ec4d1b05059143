"""Liveness and readiness checks."""

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import (
    HttpRequest,
    HttpResponse,
    JsonResponse,
)

from mps.base.core import releases, schema
from mps.base.core.read_only import read_only

MIN_PARTITION_MONTHS = 3


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
