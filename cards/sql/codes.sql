-- Give (card, member) a new code, or each of many pairs one; the old one goes to the history.
-- Arrays run in step. Answers what was issued; the unique index refuses a digit string that is
-- taken.
CREATE OR REPLACE FUNCTION cards_issue_codes(
    p_cards uuid[], p_members uuid[], p_nonces bytea[], p_key_id text, p_hashes bytea[],
    p_ttl_seconds integer)
RETURNS TABLE (card_id uuid, member_id uuid, issued_at timestamptz, expires_at timestamptz)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH wanted AS (
        SELECT * FROM unnest(p_cards, p_members, p_nonces, p_hashes)
            AS w (card_id, member_id, nonce, code_hash)
    ), old AS (
        SELECT c.* FROM cards_paymentcode c JOIN wanted w USING (card_id, member_id)
        ORDER BY c.id FOR UPDATE OF c
    ), past AS (
        INSERT INTO cards_codehistory (
            card_id, member_id, code_hash, issued_at, expires_at, ended_at, outcome)
        SELECT o.card_id, o.member_id, o.code_hash, o.issued_at, o.expires_at,
               coalesce(o.ended_at, least(o.expires_at, core_now())),
               CASE WHEN o.outcome <> '' THEN o.outcome
                    WHEN o.expires_at <= core_now() THEN 'expired' ELSE 'replaced' END
        FROM old o
    )
    INSERT INTO cards_paymentcode AS c (
        id, card_id, member_id, nonce, key_id, code_hash, issued_at, expires_at, ended_at, outcome)
    SELECT gen_random_uuid(), w.card_id, w.member_id, w.nonce, p_key_id, w.code_hash,
           core_now(), core_now() + make_interval(secs => p_ttl_seconds), NULL, ''
    FROM wanted w LEFT JOIN old o USING (card_id, member_id)
    ON CONFLICT ON CONSTRAINT cards_paymentcode_one_per_card_and_member DO UPDATE
        -- Another id: a charge that has looked at the old code must not burn its successor.
        SET id = excluded.id, nonce = excluded.nonce, key_id = excluded.key_id,
            code_hash = excluded.code_hash, issued_at = excluded.issued_at,
            expires_at = excluded.expires_at, ended_at = NULL, outcome = ''
    RETURNING c.card_id, c.member_id, c.issued_at, c.expires_at
$$;
GRANT EXECUTE ON FUNCTION cards_issue_codes(uuid[], uuid[], bytea[], text, bytea[], integer)
    TO member_app, platform_admin;

-- Give each of many live codes, named by id and by where its row was, its successor; the old ones
-- go to the history.
-- Arrays run in step. A code that was used, revoked or replaced since it was chosen is left: its
-- row is elsewhere, ended, or has another id. So is one that somebody holds just now: a charge
-- burns it, or another rotation is at it.
-- The successor's id is a UUIDv7, which its index takes at its end. Answers how many were rotated.
CREATE OR REPLACE FUNCTION cards_rotate_codes(
    p_places tid[], p_ids uuid[], p_nonces bytea[], p_key_id text, p_hashes bytea[],
    p_ttl_seconds integer) RETURNS bigint
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
        INSERT INTO cards_codehistory (
            card_id, member_id, code_hash, issued_at, expires_at, ended_at, outcome)
        SELECT r.card_id, r.member_id, r.code_hash, r.issued_at, r.expires_at,
               least(r.expires_at, core_now()),
               CASE WHEN r.expires_at <= core_now() THEN 'expired' ELSE 'replaced' END
        FROM renewed r
    )
    SELECT count(*) FROM renewed
$$;
GRANT EXECUTE ON FUNCTION cards_rotate_codes(tid[], uuid[], bytea[], text, bytea[], integer)
    TO platform_admin;

-- Past codes go by whole months, each when all of it is older than 30 days: rows of an append-only
-- table cannot be deleted. Answers the partitions dropped, or those that would be.
CREATE OR REPLACE FUNCTION cards_drop_code_history(p_dry_run boolean) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog SET lock_timeout = '2s' AS $$
DECLARE
    month record;
BEGIN
    FOR month IN
        SELECT * FROM core_months_before('cards_codehistory', core_now() - interval '30 days')
    LOOP
        IF NOT p_dry_run THEN EXECUTE format('DROP TABLE %s', month.partition); END IF;
        RETURN NEXT month.name;
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION cards_drop_code_history(boolean) TO platform_admin;

-- What a charge must know of a code: its card, who shows it, and everything the price depends on.
-- Looked up by any of the hashes (one a configured key) through the unique index. `version` changes
-- when any row read here changes, points excepted: whoever reads without a lock compares it again
-- under lock.
-- Planned once a session: planning these joins anew for each code would cost more than running
-- them. So the plan must suit what the tables become, not only what they are in the first minute:
-- one code (whose hashes the planner would take for ten rows), found by index. The same holds for
-- all that a charge runs.
CREATE OR REPLACE FUNCTION cards_read_code(p_hashes bytea[])
RETURNS TABLE (
    code_id uuid, code_live boolean, code_expires_at timestamptz,
    card_id uuid, card_no text, card_type text, card_status text, card_expired boolean,
    fixed_discount numeric, money_account_id uuid, points_account_id uuid, points numeric,
    member_id uuid, member_active boolean, owner_id uuid, owner_active boolean, binding_id uuid,
    role text, tier text, tier_rate numeric, tier_from numeric, tier_below numeric,
    corporate_rate numeric,
    limit_per_payment numeric, card_limit_per_day numeric, binding_limit_per_day numeric,
    member_limit_per_day numeric, voucher_kind text, voucher_value numeric,
    voucher_min_spend numeric, voucher_merchants uuid[], voucher_used boolean,
    version text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
    SELECT code.id, code.ended_at IS NULL AND code.expires_at > core_now(), code.expires_at,
           card.id, card.number, card.card_type, card.status,
           coalesce(card.expires_at <= core_now(), false), card.fixed_discount,
           card.money_account_id, card.points_account_id, points.balance,
           code.member_id, member.status = 'active', owner.id, owner.status = 'active', binding.id,
           binding.role, tier.code, tier.rate, tier.min_points::numeric,
           tier.next_min_points::numeric, corporate.rate,
           least(card.limit_per_payment, binding.limit_per_payment, member.limit_per_payment),
           card.limit_per_day, binding.limit_per_day, member.limit_per_day,
           voucher.kind, voucher.value, voucher.min_spend, voucher.merchant_ids,
           voucher.used_by_tx_id IS NOT NULL,
           concat_ws(
               ',', code.id, card.xmin, member.xmin, owner.xmin, binding.xmin, tier.rate,
               corporate.rate, voucher.xmin)
    FROM (SELECT * FROM cards_paymentcode WHERE code_hash = ANY (p_hashes) LIMIT 1) code
    JOIN cards_card card ON card.id = code.card_id
    JOIN members_member member ON member.id = code.member_id
    JOIN members_member owner ON owner.id = card.owner_id
    LEFT JOIN cards_binding binding ON binding.card_id = code.card_id
        AND binding.member_id = code.member_id
    LEFT JOIN cards_voucher voucher ON voucher.card_id = card.id
    LEFT JOIN ledger_account points ON points.id = card.points_account_id
    LEFT JOIN LATERAL (
        SELECT t.code, t.rate, t.min_points,
               (SELECT min(n.min_points) FROM cards_tier n
                WHERE n.min_points > t.min_points) AS next_min_points
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

-- Whether a code was ever issued, as far back as its history goes. By index: as fast for few live
-- codes as for many.
CREATE OR REPLACE FUNCTION cards_code_was_issued(p_hashes bytea[]) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT EXISTS (SELECT FROM cards_paymentcode WHERE code_hash = ANY (p_hashes))
        OR EXISTS (SELECT FROM unnest(p_hashes) AS one
                   JOIN cards_codehistory h ON h.code_hash = one)
$$;
GRANT EXECUTE ON FUNCTION cards_code_was_issued(bytea[]) TO merchant_api;

-- Burn a live code: true for exactly one caller. A voucher's card is marked used by the payment,
-- too.
CREATE OR REPLACE FUNCTION cards_burn_code(p_code_id uuid) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH burnt AS (
        UPDATE cards_paymentcode SET ended_at = core_now(), outcome = 'used'
        WHERE id = p_code_id AND ended_at IS NULL AND expires_at > core_now() RETURNING 1
    ) SELECT EXISTS (SELECT FROM burnt)
$$;
