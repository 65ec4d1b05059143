DROP VIEW report.settlements, report.transactions;
DROP FUNCTION settlements_release(uuid);
DROP FUNCTION settlements_generate(uuid, text, timestamptz, timestamptz, text);
DROP FUNCTION settlements_lock(uuid);
-- What was claimed is unclaimed again.
SELECT payments_enter_unclaimed(array_agg(tx_id)) FROM settlements_line;
DROP TABLE settlements_line;
DROP TABLE settlements_settlement;
DROP FUNCTION settlements_guard_settlement();
