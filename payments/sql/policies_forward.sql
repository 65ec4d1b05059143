-- Who sees which transactions: a shop its own; a member those of cards they are bound to, and what they paid with
-- cards they have left; the console all.

SELECT core_protect(t) FROM unnest(ARRAY[
    'payments_transaction', 'payments_idempotency', 'payments_order', 'payments_providerorder', 'payments_unclaimed',
    'payments_approval', 'payments_spending'
]::regclass[]) AS t;

CREATE POLICY payments_transaction_of_shop ON payments_transaction TO merchant_api
    USING (merchant_id = core_principal_id()) WITH CHECK (merchant_id = core_principal_id());
CREATE POLICY payments_transaction_of_member ON payments_transaction FOR SELECT TO member_app
    USING (member_id = core_principal_id() OR card_id IN (SELECT cards_mine()));

CREATE POLICY payments_idempotency_own ON payments_idempotency TO merchant_api, member_app
    USING (scope_id = core_principal_id()) WITH CHECK (scope_id = core_principal_id());
CREATE POLICY payments_order_of_shop ON payments_order TO merchant_api
    USING (merchant_id = core_principal_id()) WITH CHECK (merchant_id = core_principal_id());

CREATE POLICY payments_approval_of_shop ON payments_approval FOR SELECT TO merchant_api
    USING (merchant_id = core_principal_id());
CREATE POLICY payments_approval_of_member ON payments_approval FOR SELECT TO member_app
    USING (member_id = core_principal_id());
