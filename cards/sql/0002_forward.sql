-- Numbers, tiers, codes and the reads and writes a charge makes on cards.

CREATE SEQUENCE cards_standard_number_seq;
CREATE SEQUENCE cards_prepaid_number_seq;
CREATE SEQUENCE cards_corporate_number_seq;
CREATE SEQUENCE cards_voucher_number_seq;

-- The next card number of a type: its letters and at least eight digits.
CREATE FUNCTION cards_next_number(p_card_type text) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT p_card_type || lpad(n::text, greatest(8, length(n::text)), '0')
    FROM nextval(CASE p_card_type
        WHEN 'STD' THEN 'cards_standard_number_seq'::regclass WHEN 'PPD' THEN 'cards_prepaid_number_seq'::regclass
        WHEN 'COR' THEN 'cards_corporate_number_seq'::regclass WHEN 'VCH' THEN 'cards_voucher_number_seq'::regclass
    END) AS n
$$;
GRANT EXECUTE ON FUNCTION cards_next_number(text) TO member_app, platform_admin;

CREATE TRIGGER cards_card_fact BEFORE UPDATE ON cards_card
    FOR EACH ROW EXECUTE FUNCTION core_change_fact();
CREATE TRIGGER cards_binding_fact BEFORE UPDATE ON cards_binding
    FOR EACH ROW EXECUTE FUNCTION core_change_fact();
CREATE TRIGGER cards_binding_gone BEFORE DELETE ON cards_binding
    FOR EACH ROW EXECUTE FUNCTION core_change_fact();

-- A closed card never reopens; type, number and accounts never change; the owner changes to another of its owners only.
-- Members lock what is active, and unlock what a member locked; only owners set the password by which others join.
CREATE FUNCTION cards_guard_card() RETURNS trigger
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
        RAISE EXCEPTION 'number, type, owner and accounts of a card never change' USING ERRCODE = 'MPS02';
    END IF;
    IF current_user = 'member_app' AND (
           ((NEW.status, NEW.locked_by_member) <> (OLD.status, OLD.locked_by_member)
            AND NOT (OLD.status = 'active' AND NEW.status = 'frozen' AND NEW.locked_by_member)
            AND NOT (OLD.status = 'frozen' AND OLD.locked_by_member AND NEW.status = 'active'))
           OR (NEW.binding_password <> OLD.binding_password AND NOT EXISTS (
               SELECT FROM public.cards_binding b
               WHERE b.card_id = OLD.id AND b.member_id = public.core_principal_id() AND b.role = 'owner'))) THEN
        RAISE EXCEPTION 'a member changes no such thing' USING ERRCODE = 'MPS02';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cards_card_guard BEFORE UPDATE ON cards_card
    FOR EACH ROW EXECUTE FUNCTION cards_guard_card();

CREATE TABLE cards_codehistory (
    id uuid NOT NULL DEFAULT core_new_id(),
    card_id uuid NOT NULL,
    member_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    outcome varchar(10) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT cards_codehistory_outcome_valid CHECK (outcome IN ('used', 'revoked', 'expired', 'replaced'))
) PARTITION BY RANGE (id);
CREATE INDEX cards_codehistory_hash ON cards_codehistory USING hash (code_hash);
CREATE TRIGGER cards_codehistory_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON cards_codehistory
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();

-- Give (card, member) a new code, or each of many pairs one; the old one goes to the history.
-- Arrays run in step. Answers what was issued; the unique index refuses a digit string that is taken.
CREATE FUNCTION cards_issue_codes(
    p_cards uuid[], p_members uuid[], p_nonces bytea[], p_key_id text, p_hashes bytea[], p_ttl_seconds integer)
RETURNS TABLE (card_id uuid, member_id uuid, issued_at timestamptz, expires_at timestamptz)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH wanted AS (
        SELECT * FROM unnest(p_cards, p_members, p_nonces, p_hashes) AS w (card_id, member_id, nonce, code_hash)
    ), old AS (
        SELECT c.* FROM cards_paymentcode c JOIN wanted w USING (card_id, member_id)
        ORDER BY c.id FOR UPDATE OF c
    ), past AS (
        INSERT INTO cards_codehistory (card_id, member_id, code_hash, issued_at, expires_at, ended_at, outcome)
        SELECT o.card_id, o.member_id, o.code_hash, o.issued_at, o.expires_at,
               coalesce(o.ended_at, least(o.expires_at, core_now())),
               CASE WHEN o.outcome <> '' THEN o.outcome WHEN o.expires_at <= core_now() THEN 'expired' ELSE 'replaced' END
        FROM old o
    )
    INSERT INTO cards_paymentcode AS c (id, card_id, member_id, nonce, key_id, code_hash, issued_at, expires_at, ended_at, outcome)
    SELECT gen_random_uuid(), w.card_id, w.member_id, w.nonce, p_key_id, w.code_hash,
           core_now(), core_now() + make_interval(secs => p_ttl_seconds), NULL, ''
    FROM wanted w LEFT JOIN old o USING (card_id, member_id)
    ON CONFLICT ON CONSTRAINT cards_paymentcode_one_per_card_and_member DO UPDATE
        -- Another id: a charge that has looked at the old code must not burn its successor.
        SET id = excluded.id, nonce = excluded.nonce, key_id = excluded.key_id, code_hash = excluded.code_hash,
            issued_at = excluded.issued_at, expires_at = excluded.expires_at, ended_at = NULL, outcome = ''
    RETURNING c.card_id, c.member_id, c.issued_at, c.expires_at
$$;
GRANT EXECUTE ON FUNCTION cards_issue_codes(uuid[], uuid[], bytea[], text, bytea[], integer) TO member_app, platform_admin;

-- Give each of many live codes, named by id and by where its row was, its successor; the old ones go to the history.
-- Arrays run in step. A code that was used, revoked or replaced since it was chosen is left: its row is elsewhere, ended,
-- or has another id. So is one that somebody holds just now: a charge burns it, or another rotation is at it.
-- The successor's id is a UUIDv7, which its index takes at its end. Answers how many were rotated.
CREATE FUNCTION cards_rotate_codes(
    p_places tid[], p_ids uuid[], p_nonces bytea[], p_key_id text, p_hashes bytea[], p_ttl_seconds integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH held AS MATERIALIZED (
        SELECT c.ctid AS place, w.nonce, w.code_hash
        FROM unnest(p_places, p_ids, p_nonces, p_hashes) AS w (place, id, nonce, code_hash)
        JOIN cards_paymentcode c ON c.ctid = w.place AND c.id = w.id
        WHERE c.ended_at IS NULL FOR UPDATE OF c SKIP LOCKED
    ), renewed AS (
        UPDATE cards_paymentcode c
        SET id = uuidv7(), nonce = held.nonce, key_id = p_key_id, code_hash = held.code_hash,
            issued_at = core_now(), expires_at = core_now() + make_interval(secs => p_ttl_seconds)
        FROM held WHERE c.ctid = held.place
        RETURNING old.card_id, old.member_id, old.code_hash, old.issued_at, old.expires_at
    ), past AS (
        INSERT INTO cards_codehistory (card_id, member_id, code_hash, issued_at, expires_at, ended_at, outcome)
        SELECT r.card_id, r.member_id, r.code_hash, r.issued_at, r.expires_at, least(r.expires_at, core_now()),
               CASE WHEN r.expires_at <= core_now() THEN 'expired' ELSE 'replaced' END
        FROM renewed r
    )
    SELECT count(*) FROM renewed
$$;
GRANT EXECUTE ON FUNCTION cards_rotate_codes(tid[], uuid[], bytea[], text, bytea[], integer) TO platform_admin;

-- Past codes go by whole months, each when all of it is older than 30 days: rows of an append-only table cannot be
-- deleted. Answers the partitions dropped, or those that would be.
CREATE FUNCTION cards_drop_code_history(p_dry_run boolean) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog SET lock_timeout = '2s' AS $$
DECLARE
    month record;
BEGIN
    FOR month IN SELECT * FROM core_months_before('cards_codehistory', core_now() - interval '30 days') LOOP
        IF NOT p_dry_run THEN EXECUTE format('DROP TABLE %s', month.partition); END IF;
        RETURN NEXT month.name;
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION cards_drop_code_history(boolean) TO platform_admin;

-- What a charge must know of a code: its card, who shows it, and everything the price depends on.
-- Looked up by any of the hashes (one a configured key) through the unique index. `version` changes when
-- any row read here changes, points excepted: whoever reads without a lock compares it again under lock.
-- Planned once a session: planning these joins anew for each code would cost more than running them. So the plan must
-- suit what the tables become, not only what they are in the first minute: one code (whose hashes the planner would
-- take for ten rows), found by index. The same holds for all that a charge runs.
CREATE FUNCTION cards_read_code(p_hashes bytea[])
RETURNS TABLE (
    code_id uuid, code_live boolean, code_expires_at timestamptz,
    card_id uuid, card_no text, card_type text, card_status text, card_expired boolean, fixed_discount numeric,
    money_account_id uuid, points_account_id uuid, points numeric,
    member_id uuid, member_active boolean, owner_id uuid, owner_active boolean, binding_id uuid, role text,
    tier text, tier_rate numeric, tier_from numeric, tier_below numeric,
    corporate_rate numeric,
    limit_per_payment numeric, card_limit_per_day numeric, binding_limit_per_day numeric, member_limit_per_day numeric,
    voucher_kind text, voucher_value numeric, voucher_min_spend numeric, voucher_merchants uuid[], voucher_used boolean,
    version text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
    SELECT code.id, code.ended_at IS NULL AND code.expires_at > core_now(), code.expires_at,
           card.id, card.number, card.card_type, card.status,
           coalesce(card.expires_at <= core_now(), false), card.fixed_discount,
           card.money_account_id, card.points_account_id, points.balance,
           code.member_id, member.status = 'active', owner.id, owner.status = 'active', binding.id, binding.role,
           tier.code, tier.rate, tier.min_points::numeric, tier.next_min_points::numeric,
           corporate.rate,
           least(card.limit_per_payment, binding.limit_per_payment, member.limit_per_payment),
           card.limit_per_day, binding.limit_per_day, member.limit_per_day,
           voucher.kind, voucher.value, voucher.min_spend, voucher.merchant_ids, voucher.used_by_tx_id IS NOT NULL,
           concat_ws(',', code.id, card.xmin, member.xmin, owner.xmin, binding.xmin, tier.rate, corporate.rate, voucher.xmin)
    FROM (SELECT * FROM cards_paymentcode WHERE code_hash = ANY (p_hashes) LIMIT 1) code
    JOIN cards_card card ON card.id = code.card_id
    JOIN members_member member ON member.id = code.member_id
    JOIN members_member owner ON owner.id = card.owner_id
    LEFT JOIN cards_binding binding ON binding.card_id = code.card_id AND binding.member_id = code.member_id
    LEFT JOIN cards_voucher voucher ON voucher.card_id = card.id
    LEFT JOIN ledger_account points ON points.id = card.points_account_id
    LEFT JOIN LATERAL (
        SELECT t.code, t.rate, t.min_points,
               (SELECT min(n.min_points) FROM cards_tier n WHERE n.min_points > t.min_points) AS next_min_points
        FROM cards_tier t WHERE t.min_points <= points.balance ORDER BY t.min_points DESC LIMIT 1
    ) tier ON true
    LEFT JOIN LATERAL (
        SELECT min(lent.fixed_discount) AS rate
        FROM cards_binding b JOIN cards_card lent ON lent.id = b.card_id
        WHERE card.card_type = 'STD' AND b.member_id = code.member_id
          AND lent.card_type = 'COR' AND lent.status = 'active'
          AND (lent.expires_at IS NULL OR lent.expires_at > core_now())
    ) corporate ON true
$$;
GRANT EXECUTE ON FUNCTION cards_read_code(bytea[]) TO merchant_api, platform_admin;

-- Whether a code was ever issued, as far back as its history goes. By index: as fast for few live codes as for many.
CREATE FUNCTION cards_code_was_issued(p_hashes bytea[]) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT EXISTS (SELECT FROM cards_paymentcode WHERE code_hash = ANY (p_hashes))
        OR EXISTS (SELECT FROM unnest(p_hashes) AS one JOIN cards_codehistory h ON h.code_hash = one)
$$;
GRANT EXECUTE ON FUNCTION cards_code_was_issued(bytea[]) TO merchant_api;

-- Take the asking member, who is to be erased, off all cards: those that are theirs alone are closed and lose their
-- name, a card with another owner is handed over, live codes end. Answers what stands against it, and the caller rolls
-- back then: `money` on a card that is theirs alone, `owner` of one that others use, or ''.
CREATE FUNCTION cards_erase_member() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    me uuid := core_principal_id();
    mine record;
    heir uuid;
    fact uuid;
BEGIN
    -- First the member, as binding does; then who may use the cards, as unbinding does: the heir stays. Then what charges
    -- rest on, in the order of their ids, in which charges share it. No row is held against those that refer to it.
    PERFORM FROM members_member m WHERE m.id = me FOR NO KEY UPDATE;
    PERFORM FROM cards_binding b WHERE b.card_id IN (SELECT x.card_id FROM cards_binding x WHERE x.member_id = me)
    ORDER BY b.id FOR UPDATE;
    PERFORM FROM cards_card c WHERE c.id IN (SELECT b.card_id FROM cards_binding b WHERE b.member_id = me)
    ORDER BY c.id FOR NO KEY UPDATE;
    FOR fact IN SELECT me UNION SELECT b.card_id FROM cards_binding b WHERE b.member_id = me
                UNION SELECT b.id FROM cards_binding b WHERE b.member_id = me ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended(fact::text, 0));
    END LOOP;
    FOR mine IN SELECT c.id, c.owner_id, c.money_account_id, c.status, b.role, b.id AS binding_id
                FROM cards_card c JOIN cards_binding b ON b.card_id = c.id
                WHERE b.member_id = me ORDER BY c.id FOR NO KEY UPDATE OF c LOOP
        -- In a statement of its own, after the card is locked.
        SELECT b.member_id INTO heir FROM cards_binding b
        WHERE b.card_id = mine.id AND b.member_id <> me AND b.role = 'owner' ORDER BY b.created_at, b.id LIMIT 1;
        IF mine.role <> 'owner' OR heir IS NOT NULL THEN
            UPDATE cards_card SET owner_id = heir WHERE id = mine.id AND owner_id = me;
            DELETE FROM cards_binding WHERE id = mine.binding_id;
            CONTINUE;
        END IF;
        IF mine.status <> 'closed' THEN
            IF EXISTS (SELECT FROM cards_binding b WHERE b.card_id = mine.id AND b.member_id <> me) THEN
                RETURN 'owner';
            END IF;
            -- The change waits for whoever rests on the card as it was; only then its balance stands.
            UPDATE cards_card SET status = 'closed', status_reason = 'erased' WHERE id = mine.id;
        END IF;
        UPDATE cards_card SET name = '', binding_password = '' WHERE id = mine.id;
        IF EXISTS (SELECT FROM ledger_account a WHERE a.id = mine.money_account_id AND a.balance > 0) THEN
            RETURN 'money';
        END IF;
    END LOOP;
    DELETE FROM cards_formerbinding WHERE member_id = me;
    UPDATE cards_paymentcode SET ended_at = core_now(), outcome = 'revoked' WHERE member_id = me AND ended_at IS NULL;
    RETURN '';
END $$;
GRANT EXECUTE ON FUNCTION cards_erase_member() TO member_app;

-- The tier of so many points.
CREATE FUNCTION cards_tier_code(p_points numeric) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT code FROM cards_tier WHERE min_points <= p_points ORDER BY min_points DESC LIMIT 1
$$;
GRANT EXECUTE ON FUNCTION cards_tier_code(numeric) TO merchant_api, member_app, platform_admin;

-- Burn a live code: true for exactly one caller. A voucher's card is marked used by the payment, too.
CREATE FUNCTION cards_burn_code(p_code_id uuid) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH burnt AS (
        UPDATE cards_paymentcode SET ended_at = core_now(), outcome = 'used'
        WHERE id = p_code_id AND ended_at IS NULL AND expires_at > core_now() RETURNING 1
    ) SELECT EXISTS (SELECT FROM burnt)
$$;

-- Share the fact of a card, by id or by number, and read what moving its money takes, as it then stands.
CREATE FUNCTION cards_hold(p_card_id uuid, p_number text)
RETURNS TABLE (id uuid, number text, card_type text, status text, expires_at timestamptz, owner_id uuid,
               money_account_id uuid, points_account_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    held uuid := coalesce(p_card_id, (SELECT c.id FROM cards_card c WHERE c.number = p_number));
BEGIN
    PERFORM core_share_fact(held);
    RETURN QUERY SELECT c.id, c.number::text, c.card_type::text, c.status::text, c.expires_at, c.owner_id,
                        c.money_account_id, c.points_account_id
                 FROM cards_card c WHERE c.id = held;
END $$;
GRANT EXECUTE ON FUNCTION cards_hold(uuid, text) TO merchant_api, platform_admin;

-- The id of a card by its number, for somebody who may have left it.
CREATE FUNCTION cards_find_id(p_number text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT id FROM cards_card WHERE number = p_number
$$;
GRANT EXECUTE ON FUNCTION cards_find_id(text) TO member_app, platform_admin;

-- Let a voucher be used again, unless its time is over.
CREATE FUNCTION cards_give_voucher_back(p_card_id uuid, p_tx_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    UPDATE cards_voucher v SET used_by_tx_id = NULL FROM cards_card c
    WHERE c.id = v.card_id AND v.card_id = p_card_id AND v.used_by_tx_id = p_tx_id
      AND c.status NOT IN ('expired', 'closed') AND (c.expires_at IS NULL OR c.expires_at > core_now())
$$;
GRANT EXECUTE ON FUNCTION cards_give_voucher_back(uuid, uuid) TO merchant_api, platform_admin;

-- Mark a voucher used by a payment: true for exactly one payment.
CREATE FUNCTION cards_use_voucher(p_card_id uuid, p_tx_id uuid) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH used AS (
        UPDATE cards_voucher SET used_by_tx_id = p_tx_id WHERE card_id = p_card_id AND used_by_tx_id IS NULL RETURNING 1
    ) SELECT EXISTS (SELECT FROM used)
$$;

GRANT SELECT ON cards_tier TO merchant_api;
GRANT SELECT ON cards_tier, cards_card, cards_binding, cards_voucher, cards_paymentcode TO member_app, platform_admin;
GRANT SELECT ON cards_codehistory TO platform_admin;
GRANT INSERT, UPDATE, DELETE ON cards_tier TO platform_admin;
GRANT INSERT ON cards_card, cards_voucher, cards_binding TO platform_admin;
GRANT UPDATE (status, status_reason, locked_by_member, owner_id, name, fixed_discount, binding_password, expires_at,
              limit_per_payment, limit_per_day) ON cards_card TO platform_admin;
GRANT UPDATE (role, limit_per_payment, limit_per_day), DELETE ON cards_binding TO platform_admin;
GRANT SELECT, INSERT, UPDATE (role, limit_per_payment, limit_per_day), DELETE ON cards_formerbinding TO platform_admin;
GRANT UPDATE (ended_at, outcome) ON cards_paymentcode TO member_app, platform_admin;
-- A member's own acts: registration issues the standard card, locking changes the status. Sharing, which is about
-- others, too, is the platform's.
GRANT INSERT ON cards_card, cards_binding TO member_app;
GRANT UPDATE (status, locked_by_member, binding_password) ON cards_card TO member_app;

CREATE VIEW report.accounts WITH (security_barrier) AS
    SELECT a.id AS account_id, a.kind, a.unit, a.balance, coalesce(money.id, points.id) AS card_id
    FROM ledger_account a
    LEFT JOIN cards_card money ON money.money_account_id = a.id
    LEFT JOIN cards_card points ON points.points_account_id = a.id;
GRANT SELECT ON report.accounts TO mps_report;
