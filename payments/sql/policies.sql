-- A member sees the top-ups of cards they are bound to, and asks for their own; nothing else of it
-- is theirs to write: no token credits. Shops see none. The platform sees all, and writes what the
-- provider says.
ALTER TABLE payments_topup ENABLE ROW LEVEL SECURITY;
ALTER TABLE payments_topup FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS payments_topup_owner ON payments_topup;
CREATE POLICY payments_topup_owner ON payments_topup TO mps_owner USING (true);
DROP POLICY IF EXISTS payments_topup_platform ON payments_topup;
CREATE POLICY payments_topup_platform ON payments_topup TO platform_admin USING (true);
DROP POLICY IF EXISTS payments_topup_member ON payments_topup;
CREATE POLICY payments_topup_member ON payments_topup FOR SELECT TO member_app
    USING (card_id IN (SELECT b.card_id FROM cards_binding b
                       WHERE b.member_id = core_principal_id()));
DROP POLICY IF EXISTS payments_topup_asked ON payments_topup;
CREATE POLICY payments_topup_asked ON payments_topup FOR INSERT TO member_app
    WITH CHECK (member_id = core_principal_id()
                AND card_id IN (SELECT b.card_id FROM cards_binding b
                                WHERE b.member_id = core_principal_id()));

-- No member's or shop's data: the platform, which plays the provider here, sees all rows, nobody
-- else any.
ALTER TABLE payments_sandboxorder ENABLE ROW LEVEL SECURITY;
ALTER TABLE payments_sandboxorder FORCE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS payments_sandboxorder_owner ON payments_sandboxorder;
CREATE POLICY payments_sandboxorder_owner ON payments_sandboxorder TO mps_owner USING (true);
DROP POLICY IF EXISTS payments_sandboxorder_platform ON payments_sandboxorder;
CREATE POLICY payments_sandboxorder_platform ON payments_sandboxorder TO platform_admin
    USING (true);

-- Who sees which transactions: a shop its own; a member those of cards they are bound to, and what
-- they paid with cards they have left; the console all.

SELECT core_protect(t) FROM unnest(ARRAY[
    'payments_transaction', 'payments_idempotency', 'payments_order', 'payments_providerorder',
    'payments_unclaimed', 'payments_consent', 'payments_spending'
]::regclass[]) t;

DROP POLICY IF EXISTS payments_transaction_of_shop ON payments_transaction;
CREATE POLICY payments_transaction_of_shop ON payments_transaction TO merchant_api
    USING (merchant_id = core_principal_id()) WITH CHECK (merchant_id = core_principal_id());
DROP POLICY IF EXISTS payments_transaction_of_member ON payments_transaction;
CREATE POLICY payments_transaction_of_member ON payments_transaction FOR SELECT TO member_app
    USING (member_id = core_principal_id() OR card_id IN (SELECT cards_mine()));
DROP POLICY IF EXISTS payments_idempotency_own ON payments_idempotency;
CREATE POLICY payments_idempotency_own ON payments_idempotency TO merchant_api, member_app
    USING (scope_id = core_principal_id()) WITH CHECK (scope_id = core_principal_id());
DROP POLICY IF EXISTS payments_order_of_shop ON payments_order;
CREATE POLICY payments_order_of_shop ON payments_order TO merchant_api
    USING (merchant_id = core_principal_id()) WITH CHECK (merchant_id = core_principal_id());
DROP POLICY IF EXISTS payments_consent_of_shop ON payments_consent;
CREATE POLICY payments_consent_of_shop ON payments_consent FOR SELECT TO merchant_api
    USING (merchant_id = core_principal_id());
DROP POLICY IF EXISTS payments_consent_of_member ON payments_consent;
CREATE POLICY payments_consent_of_member ON payments_consent FOR SELECT TO member_app
    USING (member_id = core_principal_id());
