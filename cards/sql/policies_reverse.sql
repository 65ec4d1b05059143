DROP POLICY cards_account ON ledger_account;
DROP POLICY cards_entry ON ledger_entry;
SELECT core_unprotect(t) FROM unnest(ARRAY[
    'cards_card', 'cards_binding', 'cards_formerbinding', 'cards_voucher', 'cards_paymentcode', 'cards_codehistory', 'cards_tier'
]::regclass[]) AS t;
DROP FUNCTION cards_owner_is_active(uuid);
DROP FUNCTION cards_bound_name(uuid);
DROP FUNCTION cards_bound_number(uuid);
DROP FUNCTION cards_my_accounts();
DROP FUNCTION cards_managed();
DROP FUNCTION cards_mine();
