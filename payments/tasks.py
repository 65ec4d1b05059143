"""Scheduled jobs for payments."""

from typing import Any

from mps.base.core.jobs import job
from mps.base.core.retention import last_of
from payments import consents, member_topups, retention, topup_comparison


@job("payments.purge_idempotency")
def purge_idempotency() -> int:
    """Forget old idempotency records; meant for every day."""
    return last_of(retention.purge_idempotency())


@job("payments.close_expired_approvals")
def close_expired_approvals() -> int:
    """Close the payments whose members kept silent; meant for every minute."""
    return consents.close_expired()


@job("payments.expire_top_ups")
def expire_top_ups() -> int:
    """Close top-ups nobody paid in time; meant for every minute."""
    return member_topups.expire_top_ups()


@job("payments.compare_top_ups")
def compare_top_ups() -> dict[str, Any]:
    """Compare the last days' top-ups with what the providers say; meant for every day."""
    found = topup_comparison.compare_top_ups()
    return {
        "compared": found.compared,
        "differences": len(found.differences),
        "unreachable": list(found.unreachable),
    }


@job("payments.archive_transactions")
def archive_transactions() -> dict[str, list[str]]:
    """Move old months of transactions to the archive; meant for every week."""
    return {"moved": list(retention.archive_transactions())}
