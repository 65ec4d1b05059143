DROP VIEW report.entries;
DROP FUNCTION ledger_post(uuid, text, uuid, uuid[], numeric[]);
DROP FUNCTION ledger_lock_accounts(uuid[]);
DROP FUNCTION ledger_platform_account(text, text);
DROP FUNCTION ledger_open_account(text, text);
DROP TABLE ledger_entry;
DROP TABLE ledger_posting;
DROP TABLE ledger_account;
DROP FUNCTION ledger_guard_account();
