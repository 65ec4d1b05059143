-- Made here, above the apps it shows: a transaction's settlement is one of its columns.
CREATE OR REPLACE VIEW report.transactions WITH (security_barrier) AS
    SELECT t.id AS tx_id, t.tx_no, t.type, t.status, nullif(t.failure_code, '') AS failure_code,
           t.card_id, t.card_no, m.number AS member_no, s.code AS merchant_code, t.terminal_id,
           t.currency, t.amount, t.discount_rate, t.final_amount, t.points,
           nullif(t.payment_method, '') AS payment_method,
           nullif(t.external_order_id, '') AS external_order_id,
           (SELECT o.tx_no FROM payments_transaction o
            WHERE o.id = t.original_id) AS original_tx_no, l.settlement_id, t.created_at
    FROM payments_transaction t
    JOIN members_member m ON m.id = t.member_id
    LEFT JOIN merchants_merchant s ON s.id = t.merchant_id
    LEFT JOIN settlements_line l ON l.tx_id = t.id;
GRANT SELECT ON report.transactions TO mps_report;

CREATE OR REPLACE VIEW report.settlements WITH (security_barrier) AS
    SELECT s.id AS settlement_id, m.code AS merchant_code, s.mode, s.period_start, s.period_end,
           s.gross, s.refunds, s.cash_topups, s.fee, s.carried_in, s.net, s.tx_count, s.status
    FROM settlements_settlement s JOIN merchants_merchant m ON m.id = s.merchant_id;
GRANT SELECT ON report.settlements TO mps_report;
