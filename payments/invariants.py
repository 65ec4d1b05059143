"""Invariants between transactions, the ledger and the registries."""

from django.conf import settings

from mps.base.core.invariants import Invariant, register

register(
    Invariant(
        "every number exists once",
        "SELECT tx_no::text FROM payments_transaction GROUP BY tx_no HAVING count(*) > 1",
    ),
    Invariant(
        "refunds do not exceed their payment",
        """SELECT p.tx_no::text FROM payments_transaction p
           WHERE p.type = 'payment' AND p.refunded_total > p.final_amount""",
    ),
    Invariant(
        "a payment's refund total is the sum of its refunds",
        """SELECT p.tx_no::text FROM payments_transaction p
           LEFT JOIN payments_transaction r ON r.original_id = p.id AND r.type = 'refund' AND
           r.status = 'completed'
           WHERE p.type = 'payment'
           GROUP BY p.id, p.tx_no, p.refunded_total, p.refunded_fee
           HAVING p.refunded_total <> coalesce(sum(r.final_amount), 0) OR p.refunded_fee <>
           coalesce(sum(r.fee), 0)""",
    ),
    Invariant(
        "a payment is refunded when all of it is",
        """SELECT tx_no::text FROM payments_transaction WHERE type = 'payment'
           AND ((status = 'refunded' AND refunded_total < final_amount)
                OR (status = 'completed' AND final_amount > 0 AND refunded_total =
                final_amount))""",
    ),
    Invariant(
        "every completed transaction that moves value is posted, once",
        """SELECT t.tx_no::text FROM payments_transaction t LEFT JOIN ledger_posting p ON
        p.reference = t.id
           WHERE t.status IN ('completed', 'refunded', 'cancelled')
             AND ((t.payment_method = 'balance' AND t.final_amount > 0) OR t.points <> 0 OR t.type
             IN ('recharge', 'cash_out'))
           GROUP BY t.id, t.tx_no HAVING count(p.id) <> 1""",
    ),
    Invariant(
        "a failed transaction moved nothing",
        """SELECT t.tx_no::text FROM payments_transaction t JOIN ledger_posting p ON p.reference =
        t.id
           WHERE t.status = 'failed'""",
    ),
    Invariant(
        "what a transaction says moved is what moved",
        """SELECT t.tx_no::text FROM payments_transaction t
           JOIN ledger_posting p ON p.reference = t.id
           JOIN ledger_entry e ON e.posting_id = p.id
           JOIN cards_card c ON c.id = t.card_id
           WHERE (e.account_id = c.money_account_id
                  AND (t.type, e.amount) NOT IN (('payment', -t.final_amount),
                  ('refund', t.final_amount), ('recharge', t.final_amount),
                  ('adjustment', -t.final_amount), ('cash_out', -t.final_amount)))
              OR (e.account_id = c.points_account_id AND e.amount <> t.points)""",
    ),
    Invariant(
        "an order has one payment that did not fail",
        """SELECT min(tx_no)::text FROM payments_transaction
           WHERE type = 'payment' AND status <> 'failed' AND external_order_id <> ''
           GROUP BY merchant_id, external_order_id HAVING count(*) > 1""",
    ),
    Invariant(
        "an order's payment is the one it names",
        """SELECT o.external_order_id::text FROM payments_order o
           LEFT JOIN payments_transaction t ON t.id = o.tx_id
           WHERE o.tx_id IS NOT NULL AND (t.id IS NULL OR t.status = 'failed'
                 OR (t.merchant_id, t.external_order_id, t.amount)
                 IS DISTINCT FROM (o.merchant_id, o.external_order_id, o.amount))""",
    ),
    Invariant(
        "a completed top-up is credited, as it was asked for and paid",
        """SELECT o.order_id::text FROM payments_topup o
           LEFT JOIN payments_transaction t ON t.id = o.tx_id AND t.type = 'recharge'
             AND (t.card_id, t.amount, t.currency) = (o.card_id, o.amount, o.currency)
           LEFT JOIN payments_providerorder p ON p.tx_id = t.id
             AND (p.provider, p.provider_order_id) = (o.provider, o.payment_id)
           WHERE o.status = 'completed' AND (t.id IS NULL OR p.tx_id IS NULL
                 OR (o.paid_amount, o.paid_currency) IS DISTINCT FROM (o.amount, o.currency))""",
    ),
    Invariant(
        "every number that was acknowledged exists",
        """SELECT i.body ->> 'tx_no' FROM payments_idempotency i
           WHERE i.body ? 'tx_no' AND NOT EXISTS (
               SELECT FROM payments_transaction t WHERE t.tx_no = i.body ->> 'tx_no')""",
    ),
    Invariant(
        "what a limit has counted is what was paid that day, less refunds",
        f"""SELECT s.subject_id::text FROM payments_spending s
            WHERE s.spent <> payments_spent_on(s.subject_id, s.day, '{settings.MPS_TIME_ZONE}')""",
    ),
    Invariant(
        "every reference leads somewhere",
        """SELECT t.tx_no::text FROM payments_transaction t
           WHERE NOT EXISTS (SELECT FROM cards_card c WHERE c.id = t.card_id)
              OR NOT EXISTS (SELECT FROM members_member m WHERE m.id = t.member_id)
              OR (t.merchant_id IS NOT NULL AND NOT EXISTS (SELECT FROM merchants_merchant s WHERE
              s.id = t.merchant_id))
              OR (t.original_id IS NOT NULL AND NOT EXISTS (SELECT FROM payments_transaction o WHERE
              o.id = t.original_id))""",
    ),
)
