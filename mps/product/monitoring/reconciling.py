"""Reconcile the books since the last clean run, in short statements.

Each check is one statement, so it sees one moment: whatever is written meanwhile is seen whole or
not at all. What began long ago and commits late is caught by looking an hour further back than the
last run.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from mps.base.core.db_scope import Scope

# A ledger whose entries take no more than this is looked at as a whole each time: about 400,000.
SMALL_BYTES = 32 * 1024 * 1024
# Each run looks at one of so many parts of all accounts, whether they moved or not.
SLICES = 24
OVERLAP_SECONDS = 3600
_MAX_OFFENDERS = 100


@dataclass(frozen=True, slots=True)
class Span:
    """What one run looks at.

    :param since: entries, postings and transactions from here on.
    :param everything: that is from the beginning, and all accounts.
    :param part: of the accounts, this one of `SLICES`.
    """

    since: datetime
    until: datetime
    everything: bool
    part: int


@dataclass(frozen=True, slots=True)
class Check:
    """`sql` selects the offenders, one text column each; nothing selected means it holds.

    It may use `%(floor)s`, the smallest id of the span, `%(everything)s` and `%(part)s`.
    """

    name: str
    sql: str

    def find(self, scope: Scope, span: Span) -> list[str]:
        """Return the first offenders."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT core_uuid_floor(%s)", [span.since])
            (floor,) = cursor.fetchone()
            cursor.execute(
                f"SELECT * FROM ({self.sql}) AS offender LIMIT {_MAX_OFFENDERS}",
                {"floor": floor, "everything": span.everything, "part": span.part},
            )
            return [offender for (offender,) in cursor.fetchall()]


def begin(scope: Scope) -> Span:
    """Return what the next run looks at."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT reconciled_to, core_now(), next_slice,
                      (SELECT coalesce(sum(pg_relation_size(inhrelid)), 0) FROM pg_inherits
                       WHERE inhparent = 'ledger_entry'::regclass) <= %s
               FROM monitoring_progress""",
            [SMALL_BYTES],
        )
        since, now, part, small = cursor.fetchone()
        if small:
            cursor.execute("SELECT 'epoch'::timestamptz")
            (since,) = cursor.fetchone()
    return Span(since, now, small, part)


def finish(scope: Scope, span: Span) -> None:
    """Let the next run begin where a clean one ended."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE monitoring_progress
               SET reconciled_to = greatest(reconciled_to, %s - make_interval(secs => %s)),
                   next_slice = (%s + 1) %% %s""",
            [span.until, OVERLAP_SECONDS, span.part, SLICES],
        )


CHECKS = (
    Check(
        "postings sum to zero",
        # An entry is made after its posting, so its id is larger.
        """SELECT DISTINCT e.posting_id::text FROM ledger_posting p
           JOIN ledger_entry e ON e.posting_id = p.id AND e.id >= %(floor)s
           JOIN ledger_account a ON a.id = e.account_id
           WHERE p.id >= %(floor)s
           GROUP BY e.posting_id, a.unit HAVING sum(e.amount) <> 0""",
    ),
    Check(
        "every posting has entries",
        """SELECT p.id::text FROM ledger_posting p
           WHERE p.id >= %(floor)s AND NOT EXISTS (
               SELECT FROM ledger_entry e WHERE e.posting_id = p.id AND e.id >= %(floor)s)""",
    ),
    Check(
        "every entry is on a known account, of a known posting",
        """SELECT e.id::text FROM ledger_entry e
           WHERE e.id >= %(floor)s
             AND (NOT EXISTS (SELECT FROM ledger_account a WHERE a.id = e.account_id)
                  OR NOT EXISTS (SELECT FROM ledger_posting p WHERE p.id = e.posting_id))""",
    ),
    Check(
        "a balance is the sum of its entries",
        f"""WITH looked_at AS (
               SELECT account_id FROM ledger_entry
               WHERE id >= %(floor)s AND balance_after IS NOT NULL
               UNION
               SELECT id FROM ledger_account
               WHERE balance IS NOT NULL AND (%(everything)s OR
                   mod(('x' || right(id::text, 6))::bit(24)::integer, {SLICES}) = %(part)s))
           SELECT a.id::text FROM looked_at JOIN ledger_account a ON a.id = looked_at.account_id
           LEFT JOIN ledger_entry e ON e.account_id = a.id
           WHERE a.balance IS NOT NULL
           GROUP BY a.id HAVING a.balance <> coalesce(sum(e.amount), 0)""",
    ),
    Check(
        "each balance after is the one before plus the amount",
        """SELECT id::text FROM (
               SELECT id, balance_after - amount AS before,
                      lag(balance_after) OVER (PARTITION BY account_id ORDER BY id) AS last
               FROM ledger_entry WHERE id >= %(floor)s AND balance_after IS NOT NULL) AS entry
           WHERE before <> last""",
    ),
    Check(
        "every completed transaction that moves value is posted, once",
        # A transaction has its id before it is posted.
        """SELECT t.tx_no::text FROM payments_transaction t
           LEFT JOIN ledger_posting p ON p.reference = t.id AND p.id >= %(floor)s
           WHERE t.id >= %(floor)s AND t.status IN ('completed', 'refunded', 'cancelled')
             AND ((t.payment_method = 'balance' AND t.final_amount > 0) OR t.points <> 0
                  OR t.type IN ('recharge', 'cash_out'))
           GROUP BY t.id, t.tx_no HAVING count(p.id) <> 1""",
    ),
    Check(
        "what was posted is a transaction that took effect",
        """SELECT p.id::text FROM ledger_posting p
           LEFT JOIN payments_transaction t ON t.id = p.reference
           WHERE p.id >= %(floor)s
             AND p.kind IN ('payment', 'refund', 'recharge', 'adjustment', 'cash_out')
             AND (t.id IS NULL OR t.status NOT IN ('completed', 'refunded', 'cancelled'))""",
    ),
    Check(
        "what a transaction says moved is what moved",
        """SELECT t.tx_no::text FROM ledger_posting p
           JOIN payments_transaction t ON t.id = p.reference
           JOIN ledger_entry e ON e.posting_id = p.id AND e.id >= %(floor)s
           JOIN cards_card c ON c.id = t.card_id
           WHERE p.id >= %(floor)s
             AND ((e.account_id = c.money_account_id AND e.amount <> t.final_amount * CASE t.type
                       WHEN 'refund' THEN 1 WHEN 'recharge' THEN 1 ELSE -1 END)
                  OR (e.account_id = c.points_account_id AND e.amount <> t.points))""",
    ),
    Check(
        "a payment's refund total is the sum of its refunds",
        """SELECT t.tx_no::text FROM payments_transaction t
           JOIN payments_transaction r ON r.original_id = t.id AND r.type = 'refund'
               AND r.status = 'completed'
           WHERE t.type = 'payment' AND t.id IN (
               SELECT original_id FROM payments_transaction
               WHERE id >= %(floor)s AND type = 'refund' AND original_id IS NOT NULL)
           GROUP BY t.id, t.tx_no, t.refunded_total, t.refunded_fee
           HAVING t.refunded_total <> sum(r.final_amount) OR t.refunded_fee <> sum(r.fee)""",
    ),
)
