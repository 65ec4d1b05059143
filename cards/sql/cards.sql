-- The next card number of a type: its letters and at least eight digits.
CREATE OR REPLACE FUNCTION cards_next_number(p_card_type text) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT p_card_type || lpad(n::text, greatest(8, length(n::text)), '0')
    FROM nextval(CASE p_card_type
        WHEN 'STD' THEN 'cards_standard_number_seq'::regclass
        WHEN 'PPD' THEN 'cards_prepaid_number_seq'::regclass
        WHEN 'COR' THEN 'cards_corporate_number_seq'::regclass
        WHEN 'VCH' THEN 'cards_voucher_number_seq'::regclass
    END) AS n
$$;
GRANT EXECUTE ON FUNCTION cards_next_number(text) TO member_app, platform_admin;

CREATE OR REPLACE TRIGGER cards_card_fact BEFORE UPDATE ON cards_card
    FOR EACH ROW EXECUTE FUNCTION core_change_fact();
CREATE OR REPLACE TRIGGER cards_binding_fact BEFORE UPDATE ON cards_binding
    FOR EACH ROW EXECUTE FUNCTION core_change_fact();
CREATE OR REPLACE TRIGGER cards_binding_gone BEFORE DELETE ON cards_binding
    FOR EACH ROW EXECUTE FUNCTION core_change_fact();

-- A closed card never reopens; type, number and accounts never change; the owner changes to another
-- of its owners only.
-- Members lock what is active, and unlock what a member locked; only owners set the password by
-- which others join.
CREATE OR REPLACE FUNCTION cards_guard_card() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF OLD.status = 'closed' AND NEW.status <> 'closed' THEN
        RAISE EXCEPTION 'a closed card never reopens' USING ERRCODE = 'MPS02';
    END IF;
    IF (NEW.number, NEW.card_type, NEW.money_account_id, NEW.points_account_id)
       IS DISTINCT FROM (OLD.number, OLD.card_type, OLD.money_account_id, OLD.points_account_id)
       OR (NEW.owner_id <> OLD.owner_id AND NOT EXISTS (
               SELECT FROM public.cards_binding b
               WHERE b.card_id = OLD.id AND b.member_id = NEW.owner_id AND b.role = 'owner')) THEN
        RAISE EXCEPTION 'number, type, owner and accounts of a card never change'
            USING ERRCODE = 'MPS02';
    END IF;
    IF current_user = 'member_app' AND (
           ((NEW.status, NEW.locked_by_member) <> (OLD.status, OLD.locked_by_member)
            AND NOT (OLD.status = 'active' AND NEW.status = 'frozen' AND NEW.locked_by_member)
            AND NOT (OLD.status = 'frozen' AND OLD.locked_by_member AND NEW.status = 'active'))
           OR (NEW.binding_password <> OLD.binding_password AND NOT EXISTS (
               SELECT FROM public.cards_binding b
               WHERE b.card_id = OLD.id AND b.member_id = public.core_principal_id()
                 AND b.role = 'owner'))) THEN
        RAISE EXCEPTION 'a member changes no such thing' USING ERRCODE = 'MPS02';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER cards_card_guard BEFORE UPDATE ON cards_card
    FOR EACH ROW EXECUTE FUNCTION cards_guard_card();
CREATE OR REPLACE TRIGGER cards_codehistory_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON cards_codehistory
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();

-- Take the asking member, who is to be erased, off all cards: those that are theirs alone are
-- closed and lose their name, a card with another owner is handed over, live codes end. Answers
-- what stands against it, and the caller rolls back then: `money` on a card that is theirs alone,
-- `owner` of one that others use, or ''.
CREATE OR REPLACE FUNCTION cards_erase_member() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    me uuid := core_principal_id();
    mine record;
    heir uuid;
    fact uuid;
BEGIN
    -- First the member, as binding does; then who may use the cards, as unbinding does: the heir
    -- stays. Then what charges rest on, in the order of their ids, in which charges share it. No
    -- row is held against those that refer to it.
    PERFORM FROM members_member m WHERE m.id = me FOR NO KEY UPDATE;
    PERFORM FROM cards_binding b
    WHERE b.card_id IN (SELECT x.card_id FROM cards_binding x WHERE x.member_id = me)
    ORDER BY b.id FOR UPDATE;
    PERFORM FROM cards_card c
    WHERE c.id IN (SELECT b.card_id FROM cards_binding b WHERE b.member_id = me)
    ORDER BY c.id FOR NO KEY UPDATE;
    FOR fact IN SELECT me UNION SELECT b.card_id FROM cards_binding b WHERE b.member_id = me
                UNION SELECT b.id FROM cards_binding b WHERE b.member_id = me ORDER BY 1 LOOP
        PERFORM core_take_fact(fact);
    END LOOP;
    FOR mine IN SELECT c.id, c.owner_id, c.money_account_id, c.status, b.role, b.id AS binding_id
                FROM cards_card c JOIN cards_binding b ON b.card_id = c.id
                WHERE b.member_id = me ORDER BY c.id FOR NO KEY UPDATE OF c LOOP
        -- In a statement of its own, after the card is locked.
        SELECT b.member_id INTO heir FROM cards_binding b
        WHERE b.card_id = mine.id AND b.member_id <> me AND b.role = 'owner'
        ORDER BY b.created_at, b.id LIMIT 1;
        IF mine.role <> 'owner' OR heir IS NOT NULL THEN
            UPDATE cards_card SET owner_id = heir WHERE id = mine.id AND owner_id = me;
            DELETE FROM cards_binding WHERE id = mine.binding_id;
            CONTINUE;
        END IF;
        IF mine.status <> 'closed' THEN
            IF EXISTS (SELECT FROM cards_binding b
                       WHERE b.card_id = mine.id AND b.member_id <> me) THEN
                RETURN 'owner';
            END IF;
            -- The change waits for whoever rests on the card as it was; only then its balance
            -- stands.
            UPDATE cards_card SET status = 'closed', status_reason = 'erased' WHERE id = mine.id;
        END IF;
        UPDATE cards_card SET name = '', binding_password = '' WHERE id = mine.id;
        IF EXISTS (SELECT FROM ledger_account a
                   WHERE a.id = mine.money_account_id AND a.balance > 0) THEN
            RETURN 'money';
        END IF;
    END LOOP;
    DELETE FROM cards_formerbinding WHERE member_id = me;
    UPDATE cards_paymentcode SET ended_at = core_now(), outcome = 'revoked'
    WHERE member_id = me AND ended_at IS NULL;
    RETURN '';
END $$;
GRANT EXECUTE ON FUNCTION cards_erase_member() TO member_app;

-- The tier of so many points.
CREATE OR REPLACE FUNCTION cards_tier_code(p_points numeric) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT code FROM cards_tier WHERE min_points <= p_points ORDER BY min_points DESC LIMIT 1
$$;
GRANT EXECUTE ON FUNCTION cards_tier_code(numeric) TO merchant_api, member_app, platform_admin;

-- Share the fact of a card, by id or by number, and read what moving its money takes, as it then
-- stands.
CREATE OR REPLACE FUNCTION cards_hold(p_card_id uuid, p_number text)
RETURNS TABLE (
    id uuid, number text, card_type text, status text, expires_at timestamptz, owner_id uuid,
               money_account_id uuid, points_account_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    held uuid := coalesce(p_card_id, (SELECT c.id FROM cards_card c WHERE c.number = p_number));
BEGIN
    PERFORM core_share_fact(held);
    RETURN QUERY SELECT c.id, c.number::text, c.card_type::text, c.status::text, c.expires_at,
                        c.owner_id, c.money_account_id, c.points_account_id
                 FROM cards_card c WHERE c.id = held;
END $$;
GRANT EXECUTE ON FUNCTION cards_hold(uuid, text) TO merchant_api, platform_admin;

-- The id of a card by its number, for somebody who may have left it.
CREATE OR REPLACE FUNCTION cards_find_id(p_number text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT id FROM cards_card WHERE number = p_number
$$;
GRANT EXECUTE ON FUNCTION cards_find_id(text) TO member_app, platform_admin;

-- Let a voucher be used again, unless its time is over.
CREATE OR REPLACE FUNCTION cards_give_voucher_back(p_card_id uuid, p_tx_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    UPDATE cards_voucher v SET used_by_tx_id = NULL FROM cards_card c
    WHERE c.id = v.card_id AND v.card_id = p_card_id AND v.used_by_tx_id = p_tx_id
      AND c.status NOT IN ('expired', 'closed')
      AND (c.expires_at IS NULL OR c.expires_at > core_now())
$$;
GRANT EXECUTE ON FUNCTION cards_give_voucher_back(uuid, uuid) TO merchant_api, platform_admin;

-- Mark a voucher used by a payment: true for exactly one payment.
CREATE OR REPLACE FUNCTION cards_use_voucher(p_card_id uuid, p_tx_id uuid) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH used AS (
        UPDATE cards_voucher SET used_by_tx_id = p_tx_id
        WHERE card_id = p_card_id AND used_by_tx_id IS NULL RETURNING 1
    ) SELECT EXISTS (SELECT FROM used)
$$;
GRANT SELECT ON cards_tier TO merchant_api;
GRANT SELECT ON cards_tier, cards_card, cards_binding, cards_voucher, cards_paymentcode
    TO member_app, platform_admin;
GRANT SELECT ON cards_codehistory TO platform_admin;
GRANT INSERT, UPDATE, DELETE ON cards_tier TO platform_admin;
GRANT INSERT ON cards_card, cards_voucher, cards_binding TO platform_admin;
GRANT UPDATE (
    status, status_reason, locked_by_member, owner_id, name, fixed_discount, binding_password,
    expires_at, limit_per_payment, limit_per_day) ON cards_card TO platform_admin;
GRANT UPDATE (role, limit_per_payment, limit_per_day), DELETE ON cards_binding TO platform_admin;
GRANT SELECT, INSERT, UPDATE (role, limit_per_payment, limit_per_day), DELETE ON cards_formerbinding
    TO platform_admin;
GRANT UPDATE (ended_at, outcome) ON cards_paymentcode TO member_app, platform_admin;

-- A member's own acts: registration issues the standard card, locking changes the status. Sharing,
-- which is about others, too, is the platform's.
GRANT INSERT ON cards_card, cards_binding TO member_app;
GRANT UPDATE (status, locked_by_member, binding_password) ON cards_card TO member_app;
