DROP POLICY merchants_account ON ledger_account;
DROP POLICY merchants_entry ON ledger_entry;
SELECT core_unprotect(t) FROM unnest(ARRAY[
    'merchants_merchant', 'merchants_merchantuser', 'merchants_terminal', 'merchants_terminalkey'
]::regclass[]) AS t;
