"""The audit log's job: seal what was written down."""

from mps.audit import chain
from mps.core.jobs import job


@job("audit.seal")
def seal() -> int:
    """Seal all events that are in no seal yet; meant for every minute."""
    return chain.seal_events()
