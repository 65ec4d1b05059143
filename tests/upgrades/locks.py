"""Refuse a migration that would keep tills waiting: it works on a hot table while it holds a lock.

Each statement is watched as it runs on a populated database. A strong lock alone is held for
milliseconds: adding a column with a constant default needs one. What takes longer the larger the
table is must not happen under it: rewriting the table, reading it whole, building an index.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

# What charges, refunds and top-ups read and write, and what they take hours to read whole.
HOT = (
    "audit_event",
    "audit_unsealed",
    "cards_binding",
    "cards_card",
    "cards_codehistory",
    "cards_paymentcode",
    "cards_voucher",
    "ledger_account",
    "ledger_entry",
    "ledger_posting",
    "members_member",
    "members_membertoken",
    "merchants_merchant",
    "merchants_terminal",
    "merchants_terminalkey",
    "merchants_webhookdelivery",
    "merchants_webhookendpoint",
    "merchants_webhookevent",
    "payments_consent",
    "payments_idempotency",
    "payments_order",
    "payments_providerorder",
    "payments_spending",
    "payments_topup",
    "payments_transaction",
    "payments_unclaimed",
    "settlements_line",
)
# Locks that reading or writing a row waits for.
STRONG = ("ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")

_STATE = """
    SELECT c.relname, pg_relation_filenode(c.oid),
           pg_stat_get_xact_numscans(c.oid) + pg_stat_get_xact_tuples_returned(c.oid),
           EXISTS (SELECT FROM pg_locks l WHERE l.pid = pg_backend_pid() AND l.relation = c.oid
                   AND l.granted AND l.mode = ANY (%s))
    FROM pg_class c
    WHERE c.relkind IN ('r', 'p')
      AND regexp_replace(c.relname, '_y[0-9]{4}m[0-9]{2}$', '') = ANY (%s)
"""


@dataclass
class Watch:
    """What was found while statements ran."""

    findings: list[str] = field(default_factory=list)


@contextmanager
def watching(connection: BaseDatabaseWrapper) -> Iterator[Watch]:
    """Watch the statements that run on a connection within the block."""
    watch = Watch()
    asking = False

    def look() -> dict[str, tuple[Any, int, bool]]:
        nonlocal asking
        asking = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(_STATE, [list(STRONG), list(HOT)])
                return {name: (node, work, held) for name, node, work, held in cursor.fetchall()}
        finally:
            asking = False

    def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, ctx: Any) -> Any:
        if asking:
            return execute(sql, params, many, ctx)
        before = look()
        result = execute(sql, params, many, ctx)
        after = look()
        for table, (node, work, held) in after.items():
            if table not in before or not held:
                continue
            earlier_node, earlier_work, _ = before[table]
            if node != earlier_node:
                watch.findings.append(f"rewrites {table}: {_short(sql)}")
            elif work > earlier_work:
                watch.findings.append(f"reads {table} under a strong lock: {_short(sql)}")
        return result

    with connection.execute_wrapper(wrapper):
        yield watch


def _short(sql: str) -> str:
    return " ".join(str(sql).split())[:120]
