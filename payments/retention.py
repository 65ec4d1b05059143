"""Delete or archive old payment data."""

from collections.abc import Iterator

from django.db import connection

from mps.base.audit import services as audit
from mps.base.core import db_scope, retention
from mps.base.core.db_scope import Scope


def purge_idempotency() -> Iterator[int]:
    """Forget answers given more than 30 days ago; yield how many have gone so far.

    An order stays unique all the same: its registry keeps it for ever.
    """
    return retention.delete_in_batches("payments_purge_idempotency")


def count_old_idempotency() -> int:
    """Return how many `purge_idempotency` would forget now."""
    return retention.count_by("payments_count_old_idempotency")


def archive_transactions() -> Iterator[str]:
    """Move the months of transactions that are wholly older than a year to the archive.

    Yields each month's partition once it is moved. They stay attached: whoever looks at all
    transactions sees them.

    :raises UnavailableError: a month is being read; those before it are moved, try again.
    """
    while True:
        with db_scope.principal_scope("platform_admin") as scope:
            moved = _archive(scope, most=1, dry_run=False)
            if moved:
                audit.record(
                    "TRANSACTIONS_ARCHIVED",
                    object_type="partition",
                    object_id=moved[0],
                )
        if not moved:
            return
        yield moved[0]


def find_archivable() -> list[str]:
    """Return the partitions that `archive_transactions` would move now, oldest first."""
    with db_scope.principal_scope("platform_admin") as scope:
        return _archive(scope, most=1000, dry_run=True)


def _archive(scope: Scope, *, most: int, dry_run: bool) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT payments_archive_transactions(%s, %s)", [most, dry_run])
        return [row[0] for row in cursor.fetchall()]
