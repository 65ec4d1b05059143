"""Invariants between settlements, transactions and the ledger."""

from mps.base.core.invariants import Invariant, register

_ELIGIBLE = """SELECT t.id, t.tx_no FROM payments_transaction t
               WHERE t.merchant_id IS NOT NULL
                 AND t.status IN ('completed', 'refunded', 'cancelled')"""

register(
    Invariant(
        "each transaction is in at most one settlement",
        """SELECT l.tx_id::text FROM settlements_line l GROUP BY l.tx_id HAVING count(*) > 1
           UNION ALL
           SELECT l.tx_id::text FROM settlements_line l
           WHERE EXISTS (SELECT FROM payments_unclaimed u WHERE u.tx_id = l.tx_id)""",
    ),
    Invariant(
        "what a shop did is settled or waits for it, and nothing else is",
        f"""SELECT e.tx_no::text FROM ({_ELIGIBLE}) e
            WHERE NOT EXISTS (SELECT FROM settlements_line l WHERE l.tx_id = e.id)
              AND NOT EXISTS (SELECT FROM payments_unclaimed u WHERE u.tx_id = e.id)
            UNION ALL
            SELECT c.tx_id::text FROM (SELECT tx_id FROM settlements_line
                                       UNION ALL SELECT tx_id FROM payments_unclaimed) c
            WHERE NOT EXISTS (SELECT FROM ({_ELIGIBLE}) e WHERE e.id = c.tx_id)""",
    ),
    Invariant(
        "what waits to be settled is as the transaction says",
        """SELECT t.tx_no::text FROM payments_unclaimed u
           JOIN payments_transaction t ON t.id = u.tx_id
           WHERE (u.merchant_id, u.created_at, u.type, u.payment_method, u.amount, u.fee)
                 IS DISTINCT FROM
                 (t.merchant_id, t.created_at, t.type, t.payment_method, t.final_amount, t.fee)""",
    ),
    Invariant(
        "the figures of a settlement are the sums of its lines",
        """SELECT s.id::text FROM settlements_settlement s
           LEFT JOIN settlements_line l ON l.settlement_id = s.id
           GROUP BY s.id
           HAVING CASE WHEN s.status = 'failed' THEN count(l.tx_id) > 0 ELSE
               (s.tx_count, s.gross, s.refunds, s.cash_topups, s.fee) IS DISTINCT FROM
               (count(l.tx_id), coalesce(sum(l.gross), 0), coalesce(sum(l.refund), 0),
                coalesce(sum(l.cash_topup), 0), coalesce(sum(l.fee), 0)) END""",
    ),
    Invariant(
        "a line is of the shop of its settlement, and of what is settled",
        """SELECT t.tx_no::text FROM settlements_line l
           JOIN payments_transaction t ON t.id = l.tx_id
           LEFT JOIN settlements_settlement s ON s.id = l.settlement_id
           WHERE s.merchant_id IS DISTINCT FROM t.merchant_id OR t.created_at >= s.period_end""",
    ),
    Invariant(
        "a negative net is carried into one later settlement",
        """SELECT s.id::text FROM settlements_settlement s
           LEFT JOIN settlements_settlement d ON d.carried_to_id = s.id
           WHERE s.status <> 'failed'
           GROUP BY s.id
           HAVING s.carried_in <> coalesce(sum(d.net), 0)
               OR bool_or(d.merchant_id <> s.merchant_id) OR bool_or(d.id >= s.id)""",
    ),
    Invariant(
        "a settlement is posted as its state says",
        """SELECT s.id::text FROM settlements_settlement s
           JOIN merchants_merchant m ON m.id = s.merchant_id
           LEFT JOIN ledger_posting p ON p.reference = s.id
           LEFT JOIN ledger_entry e ON e.posting_id = p.id AND e.account_id = m.account_id
           GROUP BY s.id
           HAVING coalesce(-sum(e.amount), 0)
               <> CASE WHEN s.status IN ('settled', 'paid') THEN s.fee ELSE 0 END
                + CASE WHEN s.status = 'paid' THEN s.net ELSE 0 END""",
    ),
    Invariant(
        "a shop's account is what it is owed",
        """SELECT m.code::text FROM merchants_merchant m
           LEFT JOIN (SELECT account_id, sum(amount) AS amount FROM ledger_entry
                      GROUP BY account_id) held ON held.account_id = m.account_id
           LEFT JOIN (SELECT merchant_id, sum(CASE
                          WHEN type = 'recharge' THEN -amount WHEN type = 'adjustment' THEN amount
                          WHEN payment_method <> 'balance' THEN 0
                          WHEN type = 'payment' THEN amount ELSE -amount END) AS amount
                      FROM payments_unclaimed GROUP BY merchant_id) waiting
               ON waiting.merchant_id = m.id
           LEFT JOIN (SELECT merchant_id, sum(gross - refunds - cash_topups
                          - CASE WHEN status = 'pending' THEN 0 ELSE fee END
                          - CASE WHEN status = 'paid' THEN net ELSE 0 END) AS amount
                      FROM settlements_settlement WHERE status <> 'failed'
                      GROUP BY merchant_id) claimed ON claimed.merchant_id = m.id
           WHERE coalesce(held.amount, 0)
              <> coalesce(waiting.amount, 0) + coalesce(claimed.amount, 0)""",
    ),
)
