SELECT core_unprotect(t) FROM unnest(ARRAY['ledger_account', 'ledger_posting', 'ledger_entry']::regclass[]) AS t;
