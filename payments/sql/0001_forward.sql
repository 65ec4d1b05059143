-- Transactions, and the registries that keep keys and orders unique across their partitions.

CREATE SEQUENCE payments_payment_seq;
CREATE SEQUENCE payments_refund_seq;
CREATE SEQUENCE payments_recharge_seq;
CREATE SEQUENCE payments_adjustment_seq;
CREATE SEQUENCE payments_cash_out_seq;

CREATE TABLE payments_transaction (
    id uuid NOT NULL DEFAULT core_new_id(),
    tx_no varchar(20) NOT NULL,
    type varchar(12) NOT NULL,
    status varchar(12) NOT NULL,
    failure_code varchar(60) NOT NULL DEFAULT '',
    merchant_id uuid,
    terminal_id uuid,
    card_id uuid NOT NULL,
    -- A card's number never changes; kept here, a shop reads it without seeing the card.
    card_no varchar(14) NOT NULL,
    member_id uuid NOT NULL,
    currency varchar(3) NOT NULL,
    -- What the till asked for, before discount; for other types what moved.
    amount numeric(14, 2) NOT NULL,
    discount_rate numeric(5, 4) NOT NULL DEFAULT 1,
    discount_amount numeric(14, 2) NOT NULL DEFAULT 0,
    final_amount numeric(14, 2) NOT NULL,
    -- Points added (payments), taken back (refunds, negative), adjusted (either sign).
    points integer NOT NULL DEFAULT 0,
    fee numeric(14, 2) NOT NULL DEFAULT 0,
    -- As answered to the till: the tier after the payment, and what was left on the card if its balance paid.
    tier varchar(20) NOT NULL DEFAULT '',
    balance_after numeric(14, 2),
    payment_method varchar(20) NOT NULL DEFAULT '',
    external_order_id varchar(64) NOT NULL DEFAULT '',
    original_id uuid,
    voucher_card_id uuid,
    credited_to varchar(10) NOT NULL DEFAULT '',
    reason varchar(200) NOT NULL DEFAULT '',
    tag jsonb NOT NULL DEFAULT '{}',
    -- What refunds have taken of this payment so far; the only columns that move, with the status.
    refunded_total numeric(14, 2) NOT NULL DEFAULT 0,
    refunded_points integer NOT NULL DEFAULT 0,
    refunded_fee numeric(14, 2) NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT payments_transaction_type_valid CHECK (type IN ('payment', 'refund', 'recharge', 'adjustment', 'cash_out')),
    CONSTRAINT payments_transaction_status_valid CHECK (status IN ('pending', 'completed', 'failed', 'refunded', 'cancelled')),
    CONSTRAINT payments_transaction_failure_named CHECK ((status = 'failed') = (failure_code <> '')),
    CONSTRAINT payments_transaction_amounts_not_negative CHECK (amount >= 0 AND final_amount >= 0 AND discount_amount >= 0 AND fee >= 0),
    CONSTRAINT payments_transaction_discount_adds_up CHECK (final_amount + discount_amount = amount),
    CONSTRAINT payments_transaction_refunds_within_payment CHECK (
        refunded_total BETWEEN 0 AND final_amount AND refunded_points BETWEEN 0 AND greatest(points, 0) AND refunded_fee BETWEEN 0 AND fee),
    CONSTRAINT payments_transaction_refund_has_original CHECK (type <> 'refund' OR original_id IS NOT NULL)
) PARTITION BY RANGE (id);
CREATE INDEX payments_transaction_tx_no ON payments_transaction (tx_no);
CREATE INDEX payments_transaction_merchant ON payments_transaction (merchant_id, id);
CREATE INDEX payments_transaction_card ON payments_transaction (card_id, id);
CREATE INDEX payments_transaction_order ON payments_transaction (merchant_id, external_order_id) WHERE external_order_id <> '';
CREATE INDEX payments_transaction_original ON payments_transaction (original_id) WHERE original_id IS NOT NULL;

CREATE TRIGGER payments_transaction_no_delete BEFORE DELETE OR TRUNCATE ON payments_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();

-- Amounts and references never change; status and refund totals move forward only.
CREATE FUNCTION payments_guard_transaction() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    movable text[] := ARRAY['status', 'failure_code', 'refunded_total', 'refunded_points', 'refunded_fee'];
BEGIN
    IF to_jsonb(NEW) - movable IS DISTINCT FROM to_jsonb(OLD) - movable THEN
        RAISE EXCEPTION 'amounts and references of a transaction never change' USING ERRCODE = 'MPS02';
    END IF;
    IF NOT ((OLD.status = NEW.status AND OLD.status IN ('pending', 'completed', 'failed'))
            OR (OLD.status = 'pending' AND NEW.status IN ('completed', 'failed', 'cancelled'))
            OR (OLD.status IN ('completed', 'refunded') AND NEW.status IN ('refunded', 'cancelled'))) THEN
        RAISE EXCEPTION 'a transaction does not go from % to %', OLD.status, NEW.status USING ERRCODE = 'MPS02';
    END IF;
    IF NEW.refunded_total < OLD.refunded_total OR NEW.refunded_points < OLD.refunded_points OR NEW.refunded_fee < OLD.refunded_fee THEN
        RAISE EXCEPTION 'what was refunded is never taken back' USING ERRCODE = 'MPS02';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payments_transaction_guard BEFORE UPDATE ON payments_transaction
    FOR EACH ROW EXECUTE FUNCTION payments_guard_transaction();

-- One answer per (principal, key), kept with the money it speaks of.
CREATE TABLE payments_idempotency (
    scope_id uuid NOT NULL,
    key varchar(255) NOT NULL,
    request_hash bytea NOT NULL,
    status smallint NOT NULL,
    body jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (scope_id, key)
);
CREATE INDEX payments_idempotency_age ON payments_idempotency USING brin (created_at);

-- One unfailed payment per (merchant, order); an order reversed before it was seen is a row without payment.
CREATE TABLE payments_order (
    merchant_id uuid NOT NULL,
    external_order_id varchar(64) NOT NULL,
    tx_id uuid,
    amount numeric(14, 2),
    reversed_at timestamptz,
    refund_tx_id uuid,
    PRIMARY KEY (merchant_id, external_order_id),
    CONSTRAINT payments_order_paid_or_reversed CHECK (
        (tx_id IS NOT NULL AND amount IS NOT NULL) OR reversed_at IS NOT NULL)
);

-- One top-up per (provider, provider's order).
CREATE TABLE payments_providerorder (
    provider varchar(30) NOT NULL,
    provider_order_id varchar(64) NOT NULL,
    tx_id uuid NOT NULL,
    card_id uuid NOT NULL,
    amount numeric(14, 2) NOT NULL,
    PRIMARY KEY (provider, provider_order_id),
    CONSTRAINT payments_providerorder_id_not_empty CHECK (provider_order_id <> '')
);

-- What a shop did and no settlement has claimed: an entry of each completed transaction of a shop, made with it.
-- What a settlement needs is copied here, so that claiming never reads the transactions. One index only: each
-- charge pays for it.
CREATE TABLE payments_unclaimed (
    merchant_id uuid NOT NULL,
    tx_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    type varchar(12) NOT NULL,
    payment_method varchar(20) NOT NULL,
    amount numeric(14, 2) NOT NULL,
    fee numeric(14, 2) NOT NULL,
    PRIMARY KEY (merchant_id, tx_id)
);

-- Enter transactions of shops that took effect; those of no shop stay out. Answers how many were entered.
CREATE FUNCTION payments_enter_unclaimed(p_tx_ids uuid[]) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH entered AS (
        INSERT INTO payments_unclaimed (merchant_id, tx_id, created_at, type, payment_method, amount, fee)
        SELECT t.merchant_id, t.id, t.created_at, t.type, t.payment_method, t.final_amount, t.fee
        FROM unnest(p_tx_ids) AS asked (id) JOIN payments_transaction t USING (id)
        WHERE t.merchant_id IS NOT NULL AND t.status IN ('completed', 'refunded', 'cancelled')
        RETURNING tx_id)
    SELECT count(*) FROM entered
$$;
GRANT EXECUTE ON FUNCTION payments_enter_unclaimed(uuid[]) TO merchant_api, platform_admin;

-- Claim what a shop did before a moment: it leaves the registry, and whoever called now answers for it.
-- Granted to nobody: settlements_generate() calls it as owner.
CREATE FUNCTION payments_claim(p_merchant_id uuid, p_before timestamptz)
RETURNS TABLE (tx_id uuid, type text, payment_method text, amount numeric, fee numeric)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    DELETE FROM payments_unclaimed u WHERE u.merchant_id = p_merchant_id AND u.created_at < p_before
    RETURNING u.tx_id, u.type, u.payment_method, u.amount, u.fee
$$;

-- The next number of a transaction of this type.
CREATE FUNCTION payments_next_number(p_type text) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT CASE p_type WHEN 'payment' THEN 'PAY' WHEN 'refund' THEN 'REF' WHEN 'recharge' THEN 'RCG'
                       WHEN 'adjustment' THEN 'ADJ' WHEN 'cash_out' THEN 'OUT' END
           || lpad(n::text, greatest(10, length(n::text)), '0')
    FROM nextval(CASE p_type
        WHEN 'payment' THEN 'payments_payment_seq'::regclass WHEN 'refund' THEN 'payments_refund_seq'::regclass
        WHEN 'recharge' THEN 'payments_recharge_seq'::regclass WHEN 'adjustment' THEN 'payments_adjustment_seq'::regclass
        WHEN 'cash_out' THEN 'payments_cash_out_seq'::regclass END) AS n
$$;
GRANT EXECUTE ON FUNCTION payments_next_number(text) TO merchant_api, member_app, platform_admin;


-- Wait for whoever holds this key or order, so that what it wrote is seen by the next statement.
CREATE FUNCTION payments_lock_name(p_scope uuid, p_name text) RETURNS void
LANGUAGE sql VOLATILE AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(p_scope::text || p_name, 1))
$$;
GRANT EXECUTE ON FUNCTION payments_lock_name(uuid, text) TO merchant_api, member_app, platform_admin;

-- A payment that waits for its member: the till was answered 202 under its key, the code is burnt, no money moved.
-- The member's word, or the end of the time, replaces the answer.
CREATE TABLE payments_approval (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    merchant_id uuid NOT NULL,
    terminal_id uuid,
    key varchar(255) NOT NULL,
    request_hash bytea NOT NULL,
    card_id uuid NOT NULL,
    card_no varchar(14) NOT NULL,
    member_id uuid NOT NULL,
    voucher_card_id uuid,
    voucher_member_id uuid,
    external_order_id varchar(64) NOT NULL,
    payment_method varchar(20) NOT NULL,
    currency varchar(3) NOT NULL,
    amount numeric(14, 2) NOT NULL,
    final_amount numeric(14, 2) NOT NULL,
    tag jsonb NOT NULL,
    state varchar(10) NOT NULL DEFAULT 'awaiting',
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT payments_approval_one_per_key UNIQUE (merchant_id, key),
    CONSTRAINT payments_approval_state_valid CHECK (state IN ('awaiting', 'approved', 'closed'))
);
CREATE UNIQUE INDEX payments_approval_one_per_order ON payments_approval (merchant_id, external_order_id)
    WHERE state = 'awaiting' AND external_order_id <> '';
CREATE INDEX payments_approval_of_member ON payments_approval (member_id) WHERE state = 'awaiting';
CREATE INDEX payments_approval_due ON payments_approval (expires_at) WHERE state = 'awaiting';

-- What a charge reads of this app: the time, the merchant, and what is stored for its key and its order.
-- One row, always.
CREATE FUNCTION payments_read_charge(p_merchant_id uuid, p_key text, p_order text)
RETURNS TABLE (
    read_at timestamptz, merchant_active boolean, merchant_fee_rate numeric,
    merchant_limit_per_payment numeric, merchant_limit_per_day numeric, merchant_version text, points_issue_id uuid,
    stored_hash bytea, stored_status smallint, stored_body jsonb,
    order_tx_id uuid, order_amount numeric, order_reversed boolean, order_waits jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
    SELECT core_now(), m.status = 'active', m.fee_rate, m.limit_per_payment, m.limit_per_day, m.xmin::text,
           (SELECT id FROM ledger_account WHERE kind = 'points_issue' AND unit = 'PTS'),
           i.request_hash, i.status, i.body,
           o.tx_id, o.amount, o.reversed_at IS NOT NULL,
           (SELECT wi.body FROM payments_approval w
            JOIN payments_idempotency wi ON wi.scope_id = w.merchant_id AND wi.key = w.key
            WHERE w.merchant_id = p_merchant_id AND w.external_order_id = p_order AND w.state = 'awaiting' AND w.external_order_id <> '')
    FROM merchants_merchant m
    LEFT JOIN payments_idempotency i ON i.scope_id = p_merchant_id AND i.key = p_key
    LEFT JOIN payments_order o ON o.merchant_id = p_merchant_id AND o.external_order_id = p_order AND p_order <> ''
    WHERE m.id = p_merchant_id
$$;
GRANT EXECUTE ON FUNCTION payments_read_charge(uuid, text, text) TO merchant_api, platform_admin;

-- Ask the member of a code: burn the codes, answer 202 under the key. False: a race was lost, nothing was written.
CREATE FUNCTION payments_await_member(
    p_merchant_id uuid, p_terminal_id uuid, p_key text, p_request_hash bytea, p_code_id uuid, p_voucher_code_id uuid,
    p_card_id uuid, p_card_no text, p_member_id uuid, p_voucher_card_id uuid, p_voucher_member_id uuid,
    p_order text, p_method text, p_currency text, p_amount numeric, p_final_amount numeric, p_tag jsonb,
    p_status smallint, p_body jsonb, p_expires_at timestamptz,
    p_actor_type text, p_actor text, p_request_id text, p_address text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
BEGIN
    PERFORM payments_lock_name(p_merchant_id, 'key:' || p_key);
    IF p_order <> '' THEN PERFORM payments_lock_name(p_merchant_id, 'order:' || p_order); END IF;
    IF EXISTS (SELECT FROM payments_idempotency i WHERE i.scope_id = p_merchant_id AND i.key = p_key)
       OR EXISTS (SELECT FROM payments_order o WHERE o.merchant_id = p_merchant_id AND o.external_order_id = p_order)
       OR EXISTS (SELECT FROM payments_approval a WHERE a.merchant_id = p_merchant_id AND a.external_order_id = p_order
                  AND a.state = 'awaiting' AND a.external_order_id <> '') THEN
        RETURN false;
    END IF;
    IF NOT cards_burn_code(p_code_id) THEN RETURN false; END IF;
    IF p_voucher_code_id IS NOT NULL AND NOT cards_burn_code(p_voucher_code_id) THEN
        RAISE EXCEPTION 'the voucher code went meanwhile' USING ERRCODE = 'MPS01';
    END IF;
    INSERT INTO payments_approval (
        merchant_id, terminal_id, key, request_hash, card_id, card_no, member_id, voucher_card_id, voucher_member_id,
        external_order_id, payment_method, currency, amount, final_amount, tag, created_at, expires_at)
    VALUES (
        p_merchant_id, p_terminal_id, p_key, p_request_hash, p_card_id, p_card_no, p_member_id, p_voucher_card_id,
        p_voucher_member_id, p_order, p_method, p_currency, p_amount, p_final_amount, p_tag, core_now(), p_expires_at);
    INSERT INTO payments_idempotency (scope_id, key, request_hash, status, body, created_at)
    VALUES (p_merchant_id, p_key, p_request_hash, p_status, p_body, core_now());
    PERFORM audit_record(
        p_actor_type, p_actor, 'PAYMENT_AWAITS_MEMBER', 'card', p_card_no,
        jsonb_strip_nulls(jsonb_build_object(
            'merchant', p_merchant_id, 'amount', p_amount::text, 'final_amount', p_final_amount::text,
            'order', nullif(p_order, ''))), p_request_id, p_address);
    RETURN true;
END $$;
GRANT EXECUTE ON FUNCTION payments_await_member(
    uuid, uuid, text, bytea, uuid, uuid, uuid, text, uuid, uuid, uuid, text, text, text, numeric, numeric, jsonb,
    smallint, jsonb, timestamptz, text, text, text, text) TO merchant_api, platform_admin;

-- End the waiting without a payment: a failed transaction, and its answer in place of the 202.
-- False: somebody else has ended it.
CREATE FUNCTION payments_close_approval(
    p_approval_id uuid, p_failure_code text, p_status smallint, p_body jsonb,
    p_actor_type text, p_actor text, p_request_id text, p_address text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    approval payments_approval;
    payment_no text;
BEGIN
    SELECT * INTO approval FROM payments_approval a WHERE a.id = p_approval_id;
    -- The same order as a charge: the key first.
    PERFORM payments_lock_name(approval.merchant_id, 'key:' || approval.key);
    UPDATE payments_approval a SET state = 'closed' WHERE a.id = p_approval_id AND a.state = 'awaiting';
    IF NOT FOUND THEN RETURN false; END IF;
    payment_no := payments_next_number('payment');
    INSERT INTO payments_transaction (
        tx_no, type, status, failure_code, merchant_id, terminal_id, card_id, card_no, member_id, currency,
        amount, final_amount, payment_method, external_order_id, tag, created_at)
    VALUES (
        payment_no, 'payment', 'failed', p_failure_code, approval.merchant_id, approval.terminal_id, approval.card_id,
        approval.card_no, approval.member_id, approval.currency, approval.amount, approval.amount,
        approval.payment_method, approval.external_order_id, approval.tag, core_now());
    UPDATE payments_idempotency i SET status = p_status, body = p_body
    WHERE i.scope_id = approval.merchant_id AND i.key = approval.key;
    PERFORM audit_record(
        p_actor_type, p_actor, 'PAYMENT_FAILED', 'transaction', payment_no,
        jsonb_strip_nulls(jsonb_build_object(
            'merchant', approval.merchant_id, 'card', approval.card_no, 'amount', approval.amount::text,
            'order', nullif(approval.external_order_id, ''), 'error', p_failure_code)), p_request_id, p_address);
    PERFORM merchants_emit(approval.merchant_id, 'payment.failed', jsonb_build_object(
        'tx_no', payment_no, 'status', 'failed', 'failure_code', p_failure_code, 'external_order_id', nullif(approval.external_order_id, ''),
        'amount', approval.amount::text, 'currency', approval.currency, 'payment_method', approval.payment_method,
        'created_at', to_char(core_now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')));
    RETURN true;
END $$;
GRANT EXECUTE ON FUNCTION payments_close_approval(uuid, text, smallint, jsonb, text, text, text, text)
    TO merchant_api, platform_admin;
GRANT SELECT ON payments_approval TO merchant_api, member_app, platform_admin;

-- What a subject with a daily limit (card, binding, member, shop) has paid on a day, less what was refunded since.
-- A row is made by the first payment that a limit counts, from the payments there are, and kept up from then on.
-- Changing the limit forgets it.
CREATE TABLE payments_spending (
    subject_id uuid NOT NULL,
    day date NOT NULL,
    spent numeric(14, 2) NOT NULL,
    PRIMARY KEY (subject_id, day),
    CONSTRAINT payments_spending_not_negative CHECK (spent >= 0)
);

-- What a subject paid on a day of a time zone, less refunds, by its payments. An id is made a little later than the
-- time its transaction bears, and a day may begin twice, so the ids looked at reach past the day.
CREATE FUNCTION payments_spent_on(p_subject uuid, p_day date, p_zone text) RETURNS numeric
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH span AS (
        SELECT p_day::timestamp AT TIME ZONE p_zone AS start_at, (p_day + 1)::timestamp AT TIME ZONE p_zone AS end_at
    ), paid AS (
        SELECT t.* FROM payments_transaction t WHERE t.card_id = p_subject
        UNION ALL
        SELECT t.* FROM payments_transaction t WHERE t.merchant_id = p_subject
        UNION ALL
        SELECT t.* FROM cards_binding b JOIN payments_transaction t ON t.card_id = b.card_id AND t.member_id = b.member_id
        WHERE b.id = p_subject
        UNION ALL
        -- Whoever paid with a card has had a code for it.
        SELECT t.* FROM cards_paymentcode c JOIN payments_transaction t ON t.card_id = c.card_id AND t.member_id = c.member_id
        WHERE c.member_id = p_subject
    )
    SELECT coalesce(sum(paid.final_amount - paid.refunded_total), 0) FROM paid, span
    WHERE paid.type = 'payment' AND paid.status <> 'failed'
      AND paid.id >= core_uuid_floor(span.start_at - interval '3 hours') AND paid.id < core_uuid_floor(span.end_at + interval '3 hours')
      AND (paid.created_at AT TIME ZONE p_zone)::date = p_day
$$;

-- Lock what subjects have spent today, in the order of their ids, and answer whether the amount fits in each limit.
-- The caller shares the subjects' facts: their limits stand still.
CREATE FUNCTION payments_has_room(
    p_subjects uuid[], p_limits numeric[], p_amount numeric, p_zone text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    today date := (core_now() AT TIME ZONE p_zone)::date;
    fits boolean := true;
    wanted record;
    spent_so_far numeric;
BEGIN
    FOR wanted IN SELECT s.id, s.per_day FROM unnest(p_subjects, p_limits) AS s (id, per_day) ORDER BY s.id LOOP
        SELECT s.spent INTO spent_so_far FROM payments_spending s WHERE s.subject_id = wanted.id AND s.day = today FOR UPDATE;
        IF NOT FOUND THEN
            -- Refunds share this lock until they have committed: each is in the sum below, or finds the row.
            PERFORM pg_advisory_xact_lock(hashtextextended(wanted.id::text, 3));
            INSERT INTO payments_spending (subject_id, day, spent)
            VALUES (wanted.id, today, payments_spent_on(wanted.id, today, p_zone)) ON CONFLICT DO NOTHING;
            SELECT s.spent INTO spent_so_far FROM payments_spending s WHERE s.subject_id = wanted.id AND s.day = today FOR UPDATE;
            DELETE FROM payments_spending s WHERE s.subject_id = wanted.id AND s.day < today - 60;
        END IF;
        fits := fits AND spent_so_far + p_amount <= wanted.per_day;
    END LOOP;
    RETURN fits;
END $$;

-- Give the room of a refund back to the day of its payment. The caller holds the payment's row.
CREATE FUNCTION payments_give_room(p_payment_id uuid, p_amount numeric, p_zone text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    subject record;
BEGIN
    FOR subject IN
        SELECT s.id, (t.created_at AT TIME ZONE p_zone)::date AS day
        FROM payments_transaction t
        LEFT JOIN cards_binding b ON b.card_id = t.card_id AND b.member_id = t.member_id
        CROSS JOIN LATERAL unnest(ARRAY[t.card_id, t.member_id, t.merchant_id, b.id]) AS s (id)
        WHERE t.id = p_payment_id AND s.id IS NOT NULL ORDER BY s.id
    LOOP
        PERFORM pg_advisory_xact_lock_shared(hashtextextended(subject.id::text, 3));
        -- Never below zero: another time zone may since count the payment to another day.
        UPDATE payments_spending s SET spent = greatest(s.spent - p_amount, 0) WHERE s.subject_id = subject.id AND s.day = subject.day;
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION payments_give_room(uuid, numeric, text) TO merchant_api, platform_admin;

-- A changed limit counts from the payments there are; what a binding has counted goes with it.
CREATE FUNCTION payments_forget_spending() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
BEGIN
    DELETE FROM payments_spending s WHERE s.subject_id = OLD.id;
    RETURN NULL;
END $$;
CREATE TRIGGER payments_limit_changed AFTER UPDATE OF limit_per_day ON cards_card
    FOR EACH ROW WHEN (OLD.limit_per_day IS DISTINCT FROM NEW.limit_per_day) EXECUTE FUNCTION payments_forget_spending();
CREATE TRIGGER payments_limit_changed AFTER UPDATE OF limit_per_day ON cards_binding
    FOR EACH ROW WHEN (OLD.limit_per_day IS DISTINCT FROM NEW.limit_per_day) EXECUTE FUNCTION payments_forget_spending();
CREATE TRIGGER payments_binding_gone AFTER DELETE ON cards_binding
    FOR EACH ROW EXECUTE FUNCTION payments_forget_spending();
CREATE TRIGGER payments_limit_changed AFTER UPDATE OF limit_per_day ON members_member
    FOR EACH ROW WHEN (OLD.limit_per_day IS DISTINCT FROM NEW.limit_per_day) EXECUTE FUNCTION payments_forget_spending();
CREATE TRIGGER payments_limit_changed AFTER UPDATE OF limit_per_day ON merchants_merchant
    FOR EACH ROW WHEN (OLD.limit_per_day IS DISTINCT FROM NEW.limit_per_day) EXECUTE FUNCTION payments_forget_spending();

-- The one write of a charge: everything it leaves behind, or nothing.
--
-- The caller has read and priced without a lock, and names in p_facts whose rows that rests on (merchant, card,
-- member, owner, binding). Here the locks are taken, always in this order: facts
-- (shared), key, order, daily limits, accounts, codes; and what was read is compared again. If anything moved, the answer
-- is outcome 'again', nothing was written, and the caller reads and prices anew.
-- Otherwise the code is burnt, and the charge is
--   'completed': money and points posted, the voucher used, the order taken; or
--   'failed': with p_failure_code when the caller had decided so, else LIMIT_EXCEEDED by what was spent today, or
--   INSUFFICIENT_BALANCE by the ledger.
-- Both leave a transaction, an audit event and the stored answer for the key.
-- p_full_body and p_poor_body are the stored answers of a full daily limit and of an insufficient balance; p_body that of the decided outcome, to which
-- tx_no, balance_after and tier are added when completed.
CREATE FUNCTION payments_write_charge(
    p_merchant_id uuid, p_merchant_version text, p_terminal_id uuid, p_key text, p_request_hash bytea, p_order text,
    p_facts uuid[], p_code_hashes bytea[], p_card_version text, p_voucher_hashes bytea[], p_voucher_version text,
    p_currency text, p_amount numeric, p_discount_rate numeric, p_final_amount numeric, p_fee numeric,
    p_method text, p_tag jsonb, p_points integer, p_points_from numeric, p_points_below numeric,
    p_accounts uuid[], p_moves numeric[], p_money_account uuid, p_points_account uuid,
    p_limited uuid[], p_day_limits numeric[], p_zone text, p_approval_id uuid,
    p_failure_code text, p_status smallint, p_body jsonb, p_poor_status smallint, p_full_body jsonb, p_poor_body jsonb,
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
               SELECT FROM payments_order o WHERE o.merchant_id = p_merchant_id AND o.external_order_id = p_order))
       OR (p_order <> '' AND p_approval_id IS NULL AND EXISTS (
               SELECT FROM payments_approval a WHERE a.merchant_id = p_merchant_id AND a.external_order_id = p_order
               AND a.state = 'awaiting' AND a.external_order_id <> ''))
       OR p_merchant_version IS DISTINCT FROM (SELECT m.xmin::text FROM merchants_merchant m WHERE m.id = p_merchant_id) THEN
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
    IF failure = '' AND cardinality(p_limited) > 0 AND NOT payments_has_room(p_limited, p_day_limits, p_final_amount, p_zone) THEN
        failure := 'LIMIT_EXCEEDED';
        answer_status := p_poor_status;
        body := p_full_body;
    END IF;
    IF failure = '' THEN
        -- Also a payment that earns nothing needs the points: its price and its tier rest on them.
        SELECT l.balance INTO points_before FROM ledger_lock_accounts(array_append(p_accounts, p_points_account)) l
        WHERE l.account_id = p_points_account;
    END IF;
    -- The price was made for this span of points; past its end another tier applies.
    IF points_before < p_points_from OR points_before >= p_points_below THEN RETURN; END IF;
    IF NOT cards_burn_code(card.code_id) THEN RETURN; END IF;
    -- From here on something is written: a race lost now takes everything back by an error the caller retries.
    IF voucher_code IS NOT NULL AND voucher_code <> card.code_id AND NOT cards_burn_code(voucher_code) THEN
        RAISE EXCEPTION 'the voucher code went meanwhile' USING ERRCODE = 'MPS01';
    END IF;
    IF p_approval_id IS NOT NULL THEN
        UPDATE payments_approval a SET state = 'approved'
        WHERE a.id = p_approval_id AND a.state = 'awaiting' AND a.expires_at > core_now();
        IF NOT FOUND THEN RAISE EXCEPTION 'the approval ended meanwhile' USING ERRCODE = 'MPS01'; END IF;
    END IF;

    payment_id := core_new_id();
    payment_no := payments_next_number('payment');
    IF failure = '' AND cardinality(p_accounts) > 0 THEN
        SELECT * INTO posted FROM ledger_post('payment', payment_id, p_accounts, p_moves);
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
        IF p_points_account IS NOT NULL THEN tier_now := coalesce(cards_tier_code(points_before + p_points), ''); END IF;
        IF voucher_card IS NOT NULL AND NOT cards_use_voucher(voucher_card, payment_id) THEN
            RAISE EXCEPTION 'the voucher was used meanwhile' USING ERRCODE = 'MPS01';
        END IF;
        IF p_order <> '' THEN
            INSERT INTO payments_order (merchant_id, external_order_id, tx_id, amount)
            VALUES (p_merchant_id, p_order, payment_id, p_amount);
        END IF;
        body := p_body || jsonb_build_object('tx_no', payment_no, 'tier', nullif(tier_now, ''))
             || CASE WHEN balance_left IS NULL THEN '{}' ELSE jsonb_build_object('balance_after', balance_left::text) END;
    ELSE
        outcome := 'failed';
        status_now := 'failed';
        body := coalesce(body, p_body);
        voucher_card := NULL;
    END IF;

    INSERT INTO payments_transaction (
        id, tx_no, type, status, failure_code, merchant_id, terminal_id, card_id, card_no, member_id, currency,
        amount, discount_rate, discount_amount, final_amount, points, fee, tier, balance_after,
        payment_method, external_order_id, voucher_card_id, tag, created_at)
    VALUES (
        payment_id, payment_no, 'payment', status_now, failure, p_merchant_id, p_terminal_id, card.card_id, card.card_no, card.member_id, p_currency,
        p_amount, p_discount_rate, p_amount - p_final_amount, p_final_amount,
        CASE WHEN failure = '' THEN p_points ELSE 0 END, CASE WHEN failure = '' THEN p_fee ELSE 0 END, tier_now, balance_left,
        p_method, p_order, voucher_card, p_tag, core_now());
    IF outcome = 'completed' THEN
        INSERT INTO payments_unclaimed (merchant_id, tx_id, created_at, type, payment_method, amount, fee)
        VALUES (p_merchant_id, payment_id, core_now(), 'payment', p_method, p_final_amount, p_fee);
    END IF;
    PERFORM audit_record(
        p_actor_type, p_actor, CASE outcome WHEN 'completed' THEN 'PAYMENT_COMPLETED' ELSE 'PAYMENT_FAILED' END,
        'transaction', payment_no,
        jsonb_strip_nulls(jsonb_build_object(
            'merchant', p_merchant_id, 'card', card.card_no, 'amount', p_amount::text, 'final_amount', p_final_amount::text,
            'order', nullif(p_order, ''), 'error', nullif(failure, ''))),
        p_request_id, p_address);
    INSERT INTO payments_idempotency (scope_id, key, request_hash, status, body, created_at)
    VALUES (p_merchant_id, p_key, p_request_hash, answer_status, payments_write_charge.body, core_now())
    -- Only the 202 of a payment its member has approved is there before.
    ON CONFLICT (scope_id, key) DO UPDATE SET status = excluded.status, body = excluded.body;
    PERFORM merchants_emit(p_merchant_id, 'payment.' || outcome, CASE outcome WHEN 'completed' THEN body ELSE jsonb_build_object(
        'tx_no', payment_no, 'status', 'failed', 'failure_code', failure, 'external_order_id', nullif(p_order, ''),
        'amount', p_amount::text, 'currency', p_currency, 'payment_method', p_method,
        'created_at', to_char(core_now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) END);
END $$;

GRANT EXECUTE ON FUNCTION payments_write_charge(
    uuid, text, uuid, text, bytea, text, uuid[], bytea[], text, bytea[], text, text, numeric, numeric, numeric, numeric,
    text, jsonb, integer, numeric, numeric, uuid[], numeric[], uuid, uuid, uuid[], numeric[], text, uuid,
    text, smallint, jsonb, smallint, jsonb, jsonb, text, text, text, text) TO merchant_api, platform_admin;

-- Move the months of transactions that are wholly older than a year to the archive, where they stay attached: who
-- looks at all transactions sees them, and a late refund finds its payment. At most p_most, oldest first. Answers
-- those moved, or those that would be.
CREATE FUNCTION payments_archive_transactions(p_most integer, p_dry_run boolean) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog SET lock_timeout = '2s' AS $$
DECLARE
    month record;
BEGIN
    FOR month IN SELECT * FROM core_months_before('payments_transaction', core_now() - interval '1 year') m
                 WHERE m.schema = 'public' LIMIT p_most LOOP
        IF NOT p_dry_run THEN EXECUTE format('ALTER TABLE %s SET SCHEMA archive', month.partition); END IF;
        RETURN NEXT month.name;
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION payments_archive_transactions(integer, boolean) TO platform_admin;

-- Forget answers given more than 30 days ago, at most p_most of them; nobody may forget a younger one. Answers how many.
CREATE FUNCTION payments_purge_idempotency(p_most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH gone AS (
        DELETE FROM payments_idempotency WHERE ctid = ANY (ARRAY(
            SELECT i.ctid FROM payments_idempotency i WHERE i.created_at < core_now() - interval '30 days'
            LIMIT p_most FOR UPDATE SKIP LOCKED)) RETURNING 1
    ) SELECT count(*) FROM gone
$$;
-- How many there are to forget.
CREATE FUNCTION payments_count_old_idempotency() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT count(*) FROM payments_idempotency WHERE created_at < core_now() - interval '30 days'
$$;
GRANT EXECUTE ON FUNCTION payments_purge_idempotency(integer), payments_count_old_idempotency() TO platform_admin;

GRANT SELECT, INSERT ON payments_transaction TO merchant_api, platform_admin;
GRANT SELECT ON payments_transaction TO member_app;
GRANT UPDATE (status, refunded_total, refunded_points, refunded_fee) ON payments_transaction TO merchant_api, platform_admin;
GRANT SELECT, INSERT ON payments_idempotency TO merchant_api, member_app, platform_admin;
GRANT SELECT, INSERT ON payments_order TO merchant_api, platform_admin;
GRANT UPDATE (reversed_at, refund_tx_id) ON payments_order TO merchant_api, platform_admin;
GRANT SELECT, INSERT ON payments_providerorder TO platform_admin;
GRANT SELECT ON payments_unclaimed TO platform_admin;
