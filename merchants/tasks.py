"""Scheduled jobs for webhooks."""

from merchants.webhooks import delivery
from mps.base.core.jobs import job
from mps.base.core.retention import last_of


@job("merchants.deliver_webhooks")
def deliver_webhooks() -> dict[str, int]:
    """Send what is due; meant for every ten seconds."""
    return delivery.deliver_due()


@job("merchants.purge_webhooks")
def purge_webhooks() -> int:
    """Forget what was delivered long ago; meant for every day."""
    return last_of(delivery.purge_events())
