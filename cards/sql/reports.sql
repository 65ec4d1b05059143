CREATE OR REPLACE VIEW report.accounts WITH (security_barrier) AS
    SELECT a.id AS account_id, a.kind, a.unit, a.balance, coalesce(money.id, points.id) AS card_id
    FROM ledger_account a
    LEFT JOIN cards_card money ON money.money_account_id = a.id
    LEFT JOIN cards_card points ON points.points_account_id = a.id;
GRANT SELECT ON report.accounts TO mps_report;
