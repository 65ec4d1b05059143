"""Scheduled job that seals the audit log."""

from mps.base.audit import chain
from mps.base.core.jobs import job


@job("audit.seal")
def seal() -> int:
    """Seal all events that are in no seal yet; meant for every minute."""
    return chain.seal_events()
