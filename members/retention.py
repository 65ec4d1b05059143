"""Delete old sign-in data of members."""

from collections.abc import Iterator

from mps.base.core import retention


def purge_tokens() -> Iterator[int]:
    """Forget tokens that ran out more than 30 days ago; yield how many have gone so far."""
    return retention.delete_in_batches("members_purge_tokens")


def count_old_tokens() -> int:
    """Return how many `purge_tokens` would forget now."""
    return retention.count_by("members_count_old_tokens")
