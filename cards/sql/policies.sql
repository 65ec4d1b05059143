-- Who sees which cards: a member those they are bound to, the console all; a shop none
-- (cards_read_code() and cards_hold() show it what a payment takes).

SELECT core_protect(t) FROM unnest(ARRAY[
    'cards_card', 'cards_binding', 'cards_formerbinding', 'cards_voucher', 'cards_paymentcode',
    'cards_codehistory', 'cards_tier'
]::regclass[]) t;

-- The cards the asking member is bound to; of these the ones they administer. Definers, since a
-- policy of bindings that looks at bindings would look at itself.
CREATE OR REPLACE FUNCTION cards_mine() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT b.card_id FROM cards_binding b WHERE b.member_id = core_principal_id()
$$;

CREATE OR REPLACE FUNCTION cards_managed() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT b.card_id FROM cards_binding b
    WHERE b.member_id = core_principal_id() AND b.role IN ('owner', 'admin')
$$;

-- Their ledger accounts.
CREATE OR REPLACE FUNCTION cards_my_accounts() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT a FROM cards_binding b JOIN cards_card c ON c.id = b.card_id,
                  unnest(ARRAY[c.money_account_id, c.points_account_id]) AS a
    WHERE b.member_id = core_principal_id() AND a IS NOT NULL
$$;
GRANT EXECUTE ON FUNCTION cards_mine(), cards_managed(), cards_my_accounts() TO member_app;

-- What the others on a card may know of who is bound to it.
CREATE OR REPLACE FUNCTION cards_bound_number(p_binding_id uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT m.number FROM cards_binding b JOIN members_member m ON m.id = b.member_id
    WHERE b.id = p_binding_id AND b.card_id IN (SELECT cards_mine())
$$;

CREATE OR REPLACE FUNCTION cards_bound_name(p_binding_id uuid) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT m.name FROM cards_binding b JOIN members_member m ON m.id = b.member_id
    WHERE b.id = p_binding_id AND b.card_id IN (SELECT cards_mine())
$$;

-- And of its owner.
CREATE OR REPLACE FUNCTION cards_owner_is_active(p_card_id uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT m.status = 'active' FROM cards_card c JOIN members_member m ON m.id = c.owner_id
    WHERE c.id = p_card_id
$$;
GRANT EXECUTE ON FUNCTION cards_bound_number(uuid), cards_bound_name(uuid) TO member_app;
GRANT EXECUTE ON FUNCTION cards_owner_is_active(uuid) TO member_app, platform_admin;

-- Everybody may know the tiers.
DROP POLICY IF EXISTS cards_tier_public ON cards_tier;
CREATE POLICY cards_tier_public ON cards_tier FOR SELECT TO member_app, merchant_api USING (true);

-- At registration the owner's binding comes after the card.
DROP POLICY IF EXISTS cards_card_seen ON cards_card;
CREATE POLICY cards_card_seen ON cards_card FOR SELECT TO member_app
    USING (owner_id = core_principal_id() OR id IN (SELECT cards_mine()));
DROP POLICY IF EXISTS cards_card_issued ON cards_card;
CREATE POLICY cards_card_issued ON cards_card FOR INSERT TO member_app
    WITH CHECK (owner_id = core_principal_id() AND card_type = 'STD');
DROP POLICY IF EXISTS cards_card_managed ON cards_card;
CREATE POLICY cards_card_managed ON cards_card FOR UPDATE TO member_app
    USING (id IN (SELECT cards_managed()));
DROP POLICY IF EXISTS cards_binding_seen ON cards_binding;
CREATE POLICY cards_binding_seen ON cards_binding FOR SELECT TO member_app
    USING (member_id = core_principal_id() OR card_id IN (SELECT cards_mine()));
DROP POLICY IF EXISTS cards_binding_made ON cards_binding;
CREATE POLICY cards_binding_made ON cards_binding FOR INSERT TO member_app
    WITH CHECK (member_id = core_principal_id()
                AND card_id IN (SELECT c.id FROM cards_card c
                                WHERE c.owner_id = core_principal_id()));
DROP POLICY IF EXISTS cards_voucher_seen ON cards_voucher;
CREATE POLICY cards_voucher_seen ON cards_voucher FOR SELECT TO member_app
    USING (card_id IN (SELECT cards_mine()));
DROP POLICY IF EXISTS cards_paymentcode_own ON cards_paymentcode;
CREATE POLICY cards_paymentcode_own ON cards_paymentcode TO member_app
    USING (member_id = core_principal_id()) WITH CHECK (member_id = core_principal_id());
DROP POLICY IF EXISTS cards_account ON ledger_account;
CREATE POLICY cards_account ON ledger_account FOR SELECT TO member_app
    USING (id IN (SELECT cards_my_accounts()));
DROP POLICY IF EXISTS cards_entry ON ledger_entry;
CREATE POLICY cards_entry ON ledger_entry FOR SELECT TO member_app
    USING (account_id IN (SELECT cards_my_accounts()));
