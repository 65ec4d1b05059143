"""The platform's own jobs."""

from mps.base.core import retention
from mps.base.core.jobs import job


@job("core.make_partitions")
def make_partitions() -> int:
    """Make the coming months' partitions; meant for every day."""
    return retention.make_partitions()


@job("core.purge")
def purge() -> int:
    """Forget old sessions and runs; meant for every day."""
    return retention.last_of(retention.purge())
