"""Read metrics of the running platform, each by index or over a bounded range of ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from django.db import connection
from django_celery_beat.models import PeriodicTask

from mps.base.core.db_scope import Scope

_REDIS_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Payments:
    """What became of payments lately."""

    total: int
    failed: int
    by_code: dict[str, int]


@dataclass(frozen=True, slots=True)
class Codes:
    """What became of payment codes lately."""

    used: int
    expired: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits longer than it should have to.

    :param count: shops, deliveries or events that wait.
    :param age_seconds: for how long the oldest of them is due.
    """

    count: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class JobAge:
    """When a job last came to its end.

    :param failed: its latest run did not come to its end.
    :param overdue_seconds: by how much it is late by its schedule; 0 or less: it is not.
    """

    name: str
    age_seconds: float
    failed: bool
    overdue_seconds: float


# --- the database --------------------------------------------------------------------------------


def recent_payments(scope: Scope, window: timedelta) -> Payments:
    """Return what became of the payments of the latest `window`."""
    found = _rows(
        scope,
        "SELECT failure_code, count(*) FROM payments_transaction"
        " WHERE id >= core_uuid_floor(core_now() - %s) AND type = 'payment'"
        " AND status <> 'pending' GROUP BY failure_code",
        [window],
    )
    by_code = {code: number for code, number in found if code}
    total = sum(number for _code, number in found)
    return Payments(total, sum(by_code.values()), by_code)


def recent_codes(scope: Scope, window: timedelta) -> Codes:
    """Return what became of the payment codes that ended in the latest `window`."""
    found = dict(
        _rows(
            scope,
            "SELECT metric, sum(total)::bigint FROM monitoring_count(core_now() - %s, core_now())"
            " GROUP BY metric",
            [window],
        )
    )
    return Codes(found.get("codes_used", 0), found.get("codes_expired", 0))


def totals(scope: Scope) -> list[tuple[str, str, int]]:
    """Return the counters as (metric, label, total)."""
    return [
        (metric, label, total)
        for metric, label, total in _rows(scope, "SELECT * FROM monitoring_totals()")
    ]


def is_audit_silent(scope: Scope, window: timedelta) -> bool:
    """Return whether the latest `window` saw a transaction and no audit event."""
    ((silent,),) = _rows(
        scope,
        """SELECT EXISTS (SELECT FROM payments_transaction
                          WHERE id >= core_uuid_floor(core_now() - %s))
              AND NOT EXISTS (SELECT FROM audit_event
                              WHERE id >= core_uuid_floor(core_now() - %s))""",
        [window, window],
    )
    return bool(silent)


def late_settlements(scope: Scope) -> Backlog:
    """Return the shops that should have been settled by now."""
    return _backlog(scope, "SELECT shops, core_now() - due_since FROM monitoring_settlement_due()")


def late_webhooks(scope: Scope) -> Backlog:
    """Return the endpoints with a delivery that is due; not those nothing reaches just now."""
    return _backlog(
        scope,
        """SELECT count(*), core_now() - min(due.at) FROM merchants_webhookendpoint e
           CROSS JOIN LATERAL (
               SELECT d.next_attempt_at AS at FROM merchants_webhookdelivery d
               WHERE d.endpoint_id = e.id AND d.state = 'pending'
               ORDER BY d.next_attempt_at LIMIT 1) AS due
           WHERE e.enabled AND e.failing_since IS NULL AND due.at <= core_now()""",
    )


def unsealed_events(scope: Scope) -> Backlog:
    """Return the audit events that are in no seal yet; their ids hold their time.

    Those that came with the installation could be sealed since then.
    """
    return _backlog(
        scope,
        """SELECT count(*), core_now() - min(greatest(
               uuid_extract_timestamp(event_id), (SELECT began_at FROM monitoring_progress)))
           FROM audit_unsealed""",
    )


def partition_months_ahead(scope: Scope) -> int:
    """Return for how many months to come every partitioned table is ready."""
    ((months,),) = _rows(scope, "SELECT partition_months_ahead()")
    return months or 0


def job_ages(scope: Scope) -> list[JobAge]:
    """Return how the scheduled jobs are doing that have run at least once."""
    tasks = {
        task.task: task
        for task in PeriodicTask.objects.select_related(
            "interval", "crontab", "solar", "clocked"
        ).filter(enabled=True)
    }
    runs = _rows(
        scope,
        """SELECT job.name, coalesce(done.started_at, first.started_at),
                  extract(epoch FROM core_now() - coalesce(done.started_at, first.started_at)),
                  latest.outcome IN ('failed', 'unfinished'),
                  latest.outcome = 'running' AND latest.lease_until > core_now()
           FROM unnest(%s::text[]) AS job (name)
           CROSS JOIN LATERAL (SELECT * FROM core_jobrun r WHERE r.name = job.name
                               ORDER BY r.id DESC LIMIT 1) AS latest
           CROSS JOIN LATERAL (SELECT started_at FROM core_jobrun r WHERE r.name = job.name
                               ORDER BY r.id LIMIT 1) AS first
           LEFT JOIN LATERAL (SELECT started_at FROM core_jobrun r
                              WHERE r.name = job.name AND r.outcome = 'ok'
                              ORDER BY r.id DESC LIMIT 1) AS done ON true
           ORDER BY job.name""",
        [list(tasks)],
    )
    return [
        JobAge(
            name,
            float(age),
            failed,
            0.0 if running else -tasks[name].schedule.remaining_estimate(began).total_seconds(),
        )
        for name, began, age, failed, running in runs
    ]


def open_incidents(scope: Scope) -> dict[str, int]:
    """Return for how many seconds each open incident has been open, by kind."""
    return {
        kind: int(seconds)
        for kind, seconds in _rows(
            scope,
            "SELECT kind, extract(epoch FROM core_now() - opened_at) FROM monitoring_incident"
            " WHERE closed_at IS NULL",
        )
    }


def _backlog(scope: Scope, sql: str, parameters: Sequence[Any] = ()) -> Backlog:
    ((count, age),) = _rows(scope, sql, parameters)
    return Backlog(count or 0, max(0.0, age.total_seconds()) if age else 0.0)


def _rows(scope: Scope, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


# --- Redis ---------------------------------------------------------------------------------------


def redis_client() -> "redis.Redis":
    """Return a client that gives up after a second."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=_REDIS_SECONDS,
        socket_timeout=_REDIS_SECONDS,
        decode_responses=True,
    )


def queue_depths() -> dict[str, int]:
    """Return how many tasks wait in each queue; :raises redis.RedisError: it does not answer."""
    routed = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()}
    with redis_client() as client:
        return {
            name: int(client.llen(name))
            for name in sorted({current_app.conf.task_default_queue, *routed})
        }
