-- Who sees which shops: a shop itself, the console all; a member none (what everybody may know: merchants_name()).

SELECT core_protect(t) FROM unnest(ARRAY[
    'merchants_merchant', 'merchants_merchantuser', 'merchants_terminal', 'merchants_terminalkey'
]::regclass[]) AS t;

CREATE POLICY merchants_merchant_self ON merchants_merchant FOR SELECT TO merchant_api
    USING (id = core_principal_id());
CREATE POLICY merchants_merchantuser_self ON merchants_merchantuser FOR SELECT TO merchant_api
    USING (merchant_id = core_principal_id());
CREATE POLICY merchants_terminal_self ON merchants_terminal FOR SELECT TO merchant_api
    USING (merchant_id = core_principal_id());
CREATE POLICY merchants_terminalkey_self ON merchants_terminalkey FOR SELECT TO merchant_api
    USING (terminal_id IN (SELECT t.id FROM merchants_terminal t WHERE t.merchant_id = core_principal_id()));

-- A shop's money is on its account.
CREATE POLICY merchants_account ON ledger_account FOR SELECT TO merchant_api
    USING (id = (SELECT m.account_id FROM merchants_merchant m WHERE m.id = core_principal_id()));
CREATE POLICY merchants_entry ON ledger_entry FOR SELECT TO merchant_api
    USING (account_id = (SELECT m.account_id FROM merchants_merchant m WHERE m.id = core_principal_id()));
