"""Health checks that run every five minutes. Each returns a finding, or None if all is well.

Those of the database run in a scope of the platform's each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import redis
from django.conf import settings

from mps.base.core.db_scope import Scope
from mps.product.monitoring import selectors
from mps.product.monitoring.models import Incident

Kind = Incident.Kind

_AN_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong.

    :param details: figures for who will look into it; never a secret.
    """

    kind: str
    details: dict[str, Any] = field(default_factory=dict)


def failed_payments(scope: Scope) -> Finding | None:
    """Look at how many payments failed lately."""
    found = selectors.recent_payments(scope, _window())
    if not _too_many(
        found.failed,
        found.total,
        settings.MPS_HEALTH_MAX_FAILED_PERCENT,
        settings.MPS_HEALTH_MIN_CHARGES,
    ):
        return None
    return Finding(
        Kind.FAILED_PAYMENTS,
        {"payments": found.total, "failed": found.failed, "by_code": found.by_code},
    )


def expired_codes(scope: Scope) -> Finding | None:
    """Look at how many payment codes ran out unused lately."""
    found = selectors.recent_codes(scope, _window())
    total = found.used + found.expired
    if not _too_many(
        found.expired,
        total,
        settings.MPS_HEALTH_MAX_EXPIRED_PERCENT,
        settings.MPS_HEALTH_MIN_CODES,
    ):
        return None
    return Finding(Kind.EXPIRED_CODES, {"codes": total, "expired": found.expired})


def audit_silence(scope: Scope) -> Finding | None:
    """Look for an hour that saw transactions and no audit event."""
    return Finding(Kind.AUDIT_SILENCE) if selectors.is_audit_silent(scope, _AN_HOUR) else None


def settlement_late(scope: Scope) -> Finding | None:
    """Look for shops that should have been settled."""
    late = selectors.late_settlements(scope)
    return _backlog(
        Kind.SETTLEMENT_LATE, late, settings.MPS_HEALTH_MAX_SETTLEMENT_LAG_SECONDS, "shops"
    )


def webhooks_late(scope: Scope) -> Finding | None:
    """Look for webhooks that should have been tried by now."""
    late = selectors.late_webhooks(scope)
    return _backlog(
        Kind.WEBHOOKS_LATE, late, settings.MPS_HEALTH_MAX_WEBHOOK_LAG_SECONDS, "endpoints"
    )


def audit_unsealed(scope: Scope) -> Finding | None:
    """Look for audit events that should be in the chain."""
    late = selectors.unsealed_events(scope)
    return _backlog(Kind.AUDIT_UNSEALED, late, settings.MPS_HEALTH_MAX_SEAL_LAG_SECONDS, "events")


def partitions(scope: Scope) -> Finding | None:
    """Look at how far ahead there are partitions."""
    months = selectors.partition_months_ahead(scope)
    if months >= settings.MPS_HEALTH_MIN_PARTITION_MONTHS:
        return None
    return Finding(Kind.PARTITIONS, {"months_ahead": months})


def late_jobs(scope: Scope) -> Finding | None:
    """Look for jobs that should have come to their end by their schedule."""
    late = {
        job.name: int(job.overdue_seconds)
        for job in selectors.job_ages(scope)
        if job.overdue_seconds > settings.MPS_HEALTH_MAX_JOB_DELAY_SECONDS
    }
    return Finding(Kind.JOBS, {"overdue_seconds": late}) if late else None


def redis_answers() -> Finding | None:
    """Look whether Redis answers."""
    try:
        with selectors.redis_client() as client:
            client.ping()
    except (redis.RedisError, OSError) as error:
        return Finding(Kind.REDIS, {"error": type(error).__name__})
    return None


def queue() -> Finding | None:
    """Look at how many tasks wait; whether Redis answers is another's business."""
    try:
        depths = selectors.queue_depths()
    except (redis.RedisError, OSError):
        return None
    long = {
        name: depth for name, depth in depths.items() if depth > settings.MPS_HEALTH_MAX_QUEUE_DEPTH
    }
    return Finding(Kind.QUEUE, {"waiting": long}) if long else None


# By the kind each may find, so that its incident closes when the check is made and finds nothing.
OF_DATABASE: dict[str, Callable[[Scope], Finding | None]] = {
    Kind.FAILED_PAYMENTS: failed_payments,
    Kind.EXPIRED_CODES: expired_codes,
    Kind.AUDIT_SILENCE: audit_silence,
    Kind.AUDIT_UNSEALED: audit_unsealed,
    Kind.WEBHOOKS_LATE: webhooks_late,
    Kind.SETTLEMENT_LATE: settlement_late,
    Kind.PARTITIONS: partitions,
    Kind.JOBS: late_jobs,
}
OF_REDIS: dict[str, Callable[[], Finding | None]] = {
    Kind.REDIS: redis_answers,
    Kind.QUEUE: queue,
}


def _window() -> timedelta:
    return timedelta(seconds=settings.MPS_HEALTH_WINDOW_SECONDS)


def _too_many(part: int, whole: int, percent: float, at_least: int) -> bool:
    """Return whether more than so many per cent are bad; of a few, no share says anything."""
    return whole >= at_least and part * 100 > whole * percent


def _backlog(
    kind: str, waiting: selectors.Backlog, limit_seconds: int, what: str
) -> Finding | None:
    if waiting.age_seconds <= limit_seconds:
        return None
    return Finding(kind, {what: waiting.count, "overdue_seconds": int(waiting.age_seconds)})
