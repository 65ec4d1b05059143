DROP FUNCTION watch_settlement_due();
DROP FUNCTION watch_totals();
DROP FUNCTION watch_advance();
DROP FUNCTION watch_count(timestamptz, timestamptz);
DROP INDEX watch_code_expiry;
DROP TABLE watch_counter;
DROP TABLE watch_progress;
