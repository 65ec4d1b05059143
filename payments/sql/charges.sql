-- What a charge reads of this app: the time, the merchant, and what is stored for its key and its
-- order.
-- One row, always.
CREATE OR REPLACE FUNCTION payments_read_charge(p_merchant_id uuid, p_key text, p_order text)
RETURNS TABLE (
    read_at timestamptz, merchant_active boolean, merchant_fee_rate numeric,
    merchant_limit_per_payment numeric, merchant_limit_per_day numeric, merchant_version text,
    points_issue_id uuid, stored_hash bytea, stored_status smallint, stored_body jsonb,
    order_tx_id uuid, order_amount numeric, order_reversed boolean, order_waits jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
    SELECT core_now(), m.status = 'active', m.fee_rate, m.limit_per_payment, m.limit_per_day,
           m.xmin::text,
           (SELECT id FROM ledger_account WHERE kind = 'points_issue' AND unit = 'PTS'),
           i.request_hash, i.status, i.body,
           o.tx_id, o.amount, o.reversed_at IS NOT NULL,
           (SELECT wi.body FROM payments_consent w
            JOIN payments_idempotency wi ON wi.scope_id = w.merchant_id AND wi.key = w.key
            WHERE w.merchant_id = p_merchant_id AND w.external_order_id = p_order
              AND w.state = 'awaiting' AND w.external_order_id <> '')
    FROM merchants_merchant m
    LEFT JOIN payments_idempotency i ON i.scope_id = p_merchant_id AND i.key = p_key
    LEFT JOIN payments_order o ON o.merchant_id = p_merchant_id AND o.external_order_id = p_order
        AND p_order <> ''
    WHERE m.id = p_merchant_id
$$;
GRANT EXECUTE ON FUNCTION payments_read_charge(uuid, text, text) TO merchant_api, platform_admin;

-- The one write of a charge: everything it leaves behind, or nothing.
--
-- The caller has read and priced without a lock, and names in p_facts whose rows that rests on
-- (merchant, card, member, owner, binding). Here the locks are taken, always in this order: facts
-- (shared), key, order, daily limits, accounts, codes; and what was read is compared again. If
-- anything moved, the answer is outcome 'again', nothing was written, and the caller reads and
-- prices anew.
-- Otherwise the code is burnt, and the charge is
--   'completed': money and points posted, the voucher used, the order taken; or
--   'failed': with p_failure_code when the caller had decided so, else LIMIT_EXCEEDED by what was
--   spent today, or INSUFFICIENT_BALANCE by the ledger.
-- Both leave a transaction, an audit event and the stored answer for the key. p_full_body and
-- p_poor_body are the stored answers of a full daily limit and of an insufficient balance; p_body
-- that of the decided outcome, to which tx_no, balance_after and tier are added when completed.
CREATE OR REPLACE FUNCTION payments_write_charge(
    p_merchant_id uuid, p_merchant_version text, p_terminal_id uuid,
    p_key text, p_request_hash bytea, p_order text,
    p_facts uuid[], p_code_hashes bytea[], p_card_version text,
    p_voucher_hashes bytea[], p_voucher_version text,
    p_currency text, p_amount numeric, p_discount_rate numeric,
    p_final_amount numeric, p_fee numeric,
    p_method text, p_tag jsonb, p_points integer, p_points_from numeric, p_points_below numeric,
    p_accounts uuid[], p_moves numeric[], p_money_account uuid, p_points_account uuid,
    p_limited uuid[], p_day_limits numeric[], p_zone text, p_approval_id uuid,
    p_failure_code text, p_status smallint, p_body jsonb,
    p_poor_status smallint, p_full_body jsonb, p_poor_body jsonb,
    p_actor_type text, p_actor text, p_request_id text, p_address text,
    OUT outcome text, OUT answer_status smallint, OUT body jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
    card record;
    voucher record;
    posted record;
    points_before numeric;
    balance_left numeric;
    tier_now text := '';
    status_now text := 'completed';
    failure text := p_failure_code;
    payment_id uuid;
    payment_no text;
    voucher_card uuid;
    voucher_code uuid;
BEGIN
    outcome := 'again';
    answer_status := p_status;
    PERFORM core_share_fact(fact) FROM unnest(p_facts) AS fact;
    PERFORM payments_lock_name(p_merchant_id, 'key:' || p_key);
    IF p_order <> '' THEN PERFORM payments_lock_name(p_merchant_id, 'order:' || p_order); END IF;

    -- Under the locks: each statement sees what committed while it waited.
    IF EXISTS (SELECT FROM payments_idempotency i WHERE i.scope_id = p_merchant_id AND i.key = p_key
               AND (p_approval_id IS NULL OR i.status <> 202))
       OR (p_order <> '' AND EXISTS (
               SELECT FROM payments_order o
               WHERE o.merchant_id = p_merchant_id AND o.external_order_id = p_order))
       OR (p_order <> '' AND p_approval_id IS NULL AND EXISTS (
               SELECT FROM payments_consent a
               WHERE a.merchant_id = p_merchant_id AND a.external_order_id = p_order
               AND a.state = 'awaiting' AND a.external_order_id <> ''))
       OR p_merchant_version IS DISTINCT FROM (SELECT m.xmin::text FROM merchants_merchant m
                                               WHERE m.id = p_merchant_id) THEN
        RETURN;
    END IF;
    SELECT * INTO card FROM cards_read_code(p_code_hashes);
    IF NOT FOUND OR card.version <> p_card_version THEN RETURN; END IF;
    IF cardinality(p_voucher_hashes) > 0 THEN
        SELECT * INTO voucher FROM cards_read_code(p_voucher_hashes);
        IF NOT FOUND OR voucher.version <> p_voucher_version THEN RETURN; END IF;
        voucher_card := voucher.card_id;
        voucher_code := voucher.code_id;
    ELSIF card.card_type = 'VCH' THEN
        voucher_card := card.card_id;
    END IF;
    IF failure = '' AND cardinality(p_limited) > 0
       AND NOT payments_has_room(p_subjects => p_limited, p_limits => p_day_limits,
                                 p_amount => p_final_amount, p_zone => p_zone) THEN
        failure := 'LIMIT_EXCEEDED';
        answer_status := p_poor_status;
        body := p_full_body;
    END IF;
    IF failure = '' THEN
        -- Also a payment that earns nothing needs the points: its price and its tier rest on them.
        SELECT l.balance INTO points_before
        FROM ledger_lock_accounts(array_append(p_accounts, p_points_account)) l
        WHERE l.account_id = p_points_account;
    END IF;
    -- The price was made for this span of points; past its end another tier applies.
    IF points_before < p_points_from OR points_before >= p_points_below THEN RETURN; END IF;
    IF NOT cards_burn_code(card.code_id) THEN RETURN; END IF;
    -- From here on something is written: a race lost now takes everything back by an error the
    -- caller retries.
    IF voucher_code IS NOT NULL AND voucher_code <> card.code_id
       AND NOT cards_burn_code(voucher_code) THEN
        RAISE EXCEPTION 'the voucher code went meanwhile' USING ERRCODE = 'MPS01';
    END IF;
    IF p_approval_id IS NOT NULL THEN
        UPDATE payments_consent a SET state = 'approved'
        WHERE a.id = p_approval_id AND a.state = 'awaiting' AND a.expires_at > core_now();
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the approval ended meanwhile' USING ERRCODE = 'MPS01';
        END IF;
    END IF;

    payment_id := core_new_id();
    payment_no := payments_next_number('payment');
    IF failure = '' AND cardinality(p_accounts) > 0 THEN
        SELECT * INTO posted FROM ledger_post(
            p_kind => 'payment', p_reference => payment_id,
            p_accounts => p_accounts, p_amounts => p_moves);
        IF posted.refused_account IS NOT NULL THEN
            failure := 'INSUFFICIENT_BALANCE';
            answer_status := p_poor_status;
            body := p_poor_body;
        ELSE
            balance_left := posted.balances[array_position(p_accounts, p_money_account)];
        END IF;
    END IF;
    IF failure = '' AND balance_left IS NULL AND p_money_account IS NOT NULL THEN
        -- A voucher paid all of it: the card's balance did not move.
        balance_left := (SELECT a.balance FROM ledger_account a WHERE a.id = p_money_account);
    END IF;
    IF failure = '' THEN
        outcome := 'completed';
        IF cardinality(p_limited) > 0 THEN
            UPDATE payments_spending s SET spent = s.spent + p_final_amount
            WHERE s.subject_id = ANY (p_limited) AND s.day = (core_now() AT TIME ZONE p_zone)::date;
        END IF;
        IF p_points_account IS NOT NULL THEN
            tier_now := coalesce(cards_tier_code(points_before + p_points), '');
        END IF;
        IF voucher_card IS NOT NULL AND NOT cards_use_voucher(voucher_card, payment_id) THEN
            RAISE EXCEPTION 'the voucher was used meanwhile' USING ERRCODE = 'MPS01';
        END IF;
        IF p_order <> '' THEN
            INSERT INTO payments_order (merchant_id, external_order_id, tx_id, amount)
            VALUES (p_merchant_id, p_order, payment_id, p_amount);
        END IF;
        body := p_body || jsonb_build_object('tx_no', payment_no, 'tier', nullif(tier_now, ''))
             || CASE WHEN balance_left IS NULL THEN '{}'
                     ELSE jsonb_build_object('balance_after', balance_left::text) END;
    ELSE
        outcome := 'failed';
        status_now := 'failed';
        body := coalesce(body, p_body);
        voucher_card := NULL;
    END IF;

    INSERT INTO payments_transaction (
        id, tx_no, type, status, failure_code, merchant_id, terminal_id, card_id, card_no,
        member_id, currency, amount, discount_rate, discount_amount, final_amount, points, fee,
        tier, balance_after, payment_method, external_order_id, voucher_card_id, tag, created_at)
    VALUES (
        payment_id, payment_no, 'payment', status_now, failure, p_merchant_id, p_terminal_id,
        card.card_id, card.card_no, card.member_id, p_currency,
        p_amount, p_discount_rate, p_amount - p_final_amount, p_final_amount,
        CASE WHEN failure = '' THEN p_points ELSE 0 END,
        CASE WHEN failure = '' THEN p_fee ELSE 0 END, tier_now, balance_left,
        p_method, p_order, voucher_card, p_tag, core_now());
    IF outcome = 'completed' THEN
        INSERT INTO payments_unclaimed (
            merchant_id, tx_id, created_at, type, payment_method, amount, fee)
        VALUES (p_merchant_id, payment_id, core_now(), 'payment', p_method, p_final_amount, p_fee);
    END IF;
    PERFORM audit_record(
        p_actor_type => p_actor_type, p_actor => p_actor,
        p_action => CASE outcome WHEN 'completed' THEN 'PAYMENT_COMPLETED'
                                 ELSE 'PAYMENT_FAILED' END,
        p_object_type => 'transaction', p_object_id => payment_no,
        p_context => jsonb_strip_nulls(jsonb_build_object(
            'merchant', p_merchant_id, 'card', card.card_no, 'amount', p_amount::text,
            'final_amount', p_final_amount::text, 'order', nullif(p_order, ''),
            'error', nullif(failure, ''))),
        p_request_id => p_request_id, p_address => p_address);
    INSERT INTO payments_idempotency (scope_id, key, request_hash, status, body, created_at)
    VALUES (p_merchant_id, p_key, p_request_hash, answer_status, payments_write_charge.body,
            core_now())
    -- Only the 202 of a payment its member has approved is there before.
    ON CONFLICT (scope_id, key) DO UPDATE SET status = excluded.status, body = excluded.body;
    PERFORM merchants_emit(
        p_merchant_id, 'payment.' || outcome,
        CASE outcome WHEN 'completed' THEN body ELSE jsonb_build_object(
            'tx_no', payment_no, 'status', 'failed', 'failure_code', failure,
            'external_order_id', nullif(p_order, ''), 'amount', p_amount::text,
            'currency', p_currency, 'payment_method', p_method, 'created_at',
            to_char(core_now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) END);
END $$;
GRANT EXECUTE ON FUNCTION payments_write_charge(
    uuid, text, uuid, text, bytea, text, uuid[], bytea[], text, bytea[], text, text, numeric,
    numeric, numeric, numeric, text, jsonb, integer, numeric, numeric, uuid[], numeric[], uuid,
    uuid, uuid[], numeric[], text, uuid, text, smallint, jsonb, smallint, jsonb, jsonb, text, text,
    text, text)
    TO merchant_api, platform_admin;
