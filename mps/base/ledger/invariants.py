"""Invariants of the ledger."""

from mps.base.core.invariants import Invariant, register

register(
    Invariant(
        "postings sum to zero per unit",
        """SELECT e.posting_id::text FROM ledger_entry e JOIN ledger_account a ON a.id =
        e.account_id
           GROUP BY e.posting_id, a.unit HAVING sum(e.amount) <> 0""",
    ),
    Invariant(
        "a balance is the sum of its entries",
        """SELECT a.id::text FROM ledger_account a LEFT JOIN ledger_entry e ON e.account_id = a.id
           WHERE a.balance IS NOT NULL GROUP BY a.id HAVING a.balance <> coalesce(sum(e.amount),
           0)""",
    ),
    Invariant("no balance is negative", "SELECT id::text FROM ledger_account WHERE balance < 0"),
    Invariant(
        "each balance after is the one before plus the amount",
        """SELECT id::text FROM (
               SELECT id, balance_after, balance_after - amount AS before,
                      lag(balance_after, 1, 0) OVER (PARTITION BY account_id ORDER BY id) AS last
               FROM ledger_entry WHERE balance_after IS NOT NULL) AS entry
           WHERE before <> last""",
    ),
    Invariant(
        "every entry is on a known account, of a known posting",
        """SELECT e.id::text FROM ledger_entry e
           WHERE NOT EXISTS (SELECT FROM ledger_account a WHERE a.id = e.account_id)
              OR NOT EXISTS (SELECT FROM ledger_posting p WHERE p.id = e.posting_id)""",
    ),
    Invariant(
        "every posting has entries",
        """SELECT p.id::text FROM ledger_posting p
           WHERE NOT EXISTS (SELECT FROM ledger_entry e WHERE e.posting_id = p.id)""",
    ),
)
