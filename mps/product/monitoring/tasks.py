"""Scheduled monitoring jobs. Each is safe to run twice at once and to be killed half-way."""

from celery import shared_task

from mps.product.monitoring import services


@shared_task(name=services.HEALTH_JOB)  # type: ignore[untyped-decorator]
def check_health() -> list[str]:
    """Check the platform's health; meant for every five minutes."""
    return [str(finding.kind) for finding in services.watch_health() or []]


@shared_task(name=services.RECONCILE_JOB)  # type: ignore[untyped-decorator]
def reconcile() -> list[str]:
    """Compare the books; meant for every hour."""
    return list((services.watch_books() or {}).get("differences", ()))
