ALTER TABLE merchants_webhookendpoint ENABLE ROW LEVEL SECURITY;
ALTER TABLE merchants_webhookendpoint FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS merchants_webhookendpoint_owner ON merchants_webhookendpoint;
CREATE POLICY merchants_webhookendpoint_owner ON merchants_webhookendpoint TO mps_owner
    USING (true);
DROP POLICY IF EXISTS merchants_webhookendpoint_platform ON merchants_webhookendpoint;
CREATE POLICY merchants_webhookendpoint_platform ON merchants_webhookendpoint TO platform_admin
    USING (true);
DROP POLICY IF EXISTS merchants_webhookendpoint_shop ON merchants_webhookendpoint;
CREATE POLICY merchants_webhookendpoint_shop ON merchants_webhookendpoint TO merchant_api
    USING (merchant_id = core_principal_id());

ALTER TABLE merchants_webhookevent ENABLE ROW LEVEL SECURITY;
ALTER TABLE merchants_webhookevent FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS merchants_webhookevent_owner ON merchants_webhookevent;
CREATE POLICY merchants_webhookevent_owner ON merchants_webhookevent TO mps_owner USING (true);
DROP POLICY IF EXISTS merchants_webhookevent_platform ON merchants_webhookevent;
CREATE POLICY merchants_webhookevent_platform ON merchants_webhookevent FOR SELECT TO platform_admin
    USING (true);
DROP POLICY IF EXISTS merchants_webhookevent_shop ON merchants_webhookevent;
CREATE POLICY merchants_webhookevent_shop ON merchants_webhookevent FOR SELECT TO merchant_api
    USING (merchant_id = core_principal_id());

ALTER TABLE merchants_webhookdelivery ENABLE ROW LEVEL SECURITY;
ALTER TABLE merchants_webhookdelivery FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS merchants_webhookdelivery_owner ON merchants_webhookdelivery;
CREATE POLICY merchants_webhookdelivery_owner ON merchants_webhookdelivery TO mps_owner
    USING (true);
DROP POLICY IF EXISTS merchants_webhookdelivery_platform ON merchants_webhookdelivery;
CREATE POLICY merchants_webhookdelivery_platform ON merchants_webhookdelivery FOR SELECT
    TO platform_admin USING (true);
DROP POLICY IF EXISTS merchants_webhookdelivery_shop ON merchants_webhookdelivery;
CREATE POLICY merchants_webhookdelivery_shop ON merchants_webhookdelivery FOR SELECT TO merchant_api
    USING (endpoint_id IN (SELECT e.id FROM merchants_webhookendpoint e
                           WHERE e.merchant_id = core_principal_id()));

-- Who sees which shops: a shop itself, the console all; a member none (what everybody may know:
-- merchants_name()).

SELECT core_protect(t) FROM unnest(ARRAY[
    'merchants_merchant', 'merchants_merchantuser', 'merchants_terminal', 'merchants_terminalkey'
]::regclass[]) t;

DROP POLICY IF EXISTS merchants_merchant_self ON merchants_merchant;
CREATE POLICY merchants_merchant_self ON merchants_merchant FOR SELECT TO merchant_api
    USING (id = core_principal_id());
DROP POLICY IF EXISTS merchants_merchantuser_self ON merchants_merchantuser;
CREATE POLICY merchants_merchantuser_self ON merchants_merchantuser FOR SELECT TO merchant_api
    USING (merchant_id = core_principal_id());
DROP POLICY IF EXISTS merchants_terminal_self ON merchants_terminal;
CREATE POLICY merchants_terminal_self ON merchants_terminal FOR SELECT TO merchant_api
    USING (merchant_id = core_principal_id());
DROP POLICY IF EXISTS merchants_terminalkey_self ON merchants_terminalkey;
CREATE POLICY merchants_terminalkey_self ON merchants_terminalkey FOR SELECT TO merchant_api
    USING (terminal_id IN (SELECT t.id FROM merchants_terminal t
                           WHERE t.merchant_id = core_principal_id()));

-- A shop's money is on its account.
DROP POLICY IF EXISTS merchants_account ON ledger_account;
CREATE POLICY merchants_account ON ledger_account FOR SELECT TO merchant_api
    USING (id = (SELECT m.account_id FROM merchants_merchant m
                 WHERE m.id = core_principal_id()));
DROP POLICY IF EXISTS merchants_entry ON ledger_entry;
CREATE POLICY merchants_entry ON ledger_entry FOR SELECT TO merchant_api
    USING (account_id = (SELECT m.account_id FROM merchants_merchant m
                         WHERE m.id = core_principal_id()));
