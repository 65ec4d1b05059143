"""Scheduled job that closes expired four-eyes requests."""

from mps.base.approvals import services
from mps.base.core.jobs import job


@job("approvals.expire")
def expire() -> int:
    """Close what has expired; meant for every five minutes."""
    return services.expire_approvals()
