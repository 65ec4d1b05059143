DROP VIEW report.settlements;
CREATE OR REPLACE VIEW report.transactions WITH (security_barrier) AS
    SELECT t.id AS tx_id, t.tx_no, t.type, t.status, nullif(t.failure_code, '') AS failure_code, t.card_id,
           c.number AS card_no, m.number AS member_no, s.code AS merchant_code, t.terminal_id, t.currency, t.amount,
           t.discount_rate, t.final_amount, t.points, nullif(t.payment_method, '') AS payment_method,
           nullif(t.external_order_id, '') AS external_order_id,
           (SELECT o.tx_no FROM payments_transaction o WHERE o.id = t.original_id) AS original_tx_no,
           NULL::uuid AS settlement_id, t.created_at
    FROM payments_transaction t
    JOIN cards_card c ON c.id = t.card_id
    JOIN members_member m ON m.id = t.member_id
    LEFT JOIN merchants_merchant s ON s.id = t.merchant_id;
DROP FUNCTION settlements_release(uuid);
DROP FUNCTION settlements_generate(uuid, text, timestamptz, timestamptz, text);
DROP FUNCTION settlements_lock(uuid);
-- What was claimed is unclaimed again.
SELECT payments_enter_unclaimed(array_agg(tx_id)) FROM settlements_line;
DROP TABLE settlements_line;
DROP TABLE settlements_settlement;
DROP FUNCTION settlements_guard_settlement();
