-- Ask the member of a code: burn the codes, answer 202 under the key. False: a race was lost,
-- nothing was written.
CREATE OR REPLACE FUNCTION payments_await_member(
    p_merchant_id uuid, p_terminal_id uuid, p_key text, p_request_hash bytea, p_code_id uuid,
    p_voucher_code_id uuid, p_card_id uuid, p_card_no text, p_member_id uuid,
    p_voucher_card_id uuid, p_voucher_member_id uuid, p_order text, p_method text,
    p_currency text, p_amount numeric, p_final_amount numeric, p_tag jsonb,
    p_status smallint, p_body jsonb, p_expires_at timestamptz,
    p_actor_type text, p_actor text, p_request_id text, p_address text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
BEGIN
    PERFORM payments_lock_name(p_merchant_id, 'key:' || p_key);
    IF p_order <> '' THEN PERFORM payments_lock_name(p_merchant_id, 'order:' || p_order); END IF;
    IF EXISTS (SELECT FROM payments_idempotency i
               WHERE i.scope_id = p_merchant_id AND i.key = p_key)
       OR EXISTS (SELECT FROM payments_order o
                  WHERE o.merchant_id = p_merchant_id AND o.external_order_id = p_order)
       OR EXISTS (SELECT FROM payments_consent a
                  WHERE a.merchant_id = p_merchant_id AND a.external_order_id = p_order
                  AND a.state = 'awaiting' AND a.external_order_id <> '') THEN
        RETURN false;
    END IF;
    IF NOT cards_burn_code(p_code_id) THEN RETURN false; END IF;
    IF p_voucher_code_id IS NOT NULL AND NOT cards_burn_code(p_voucher_code_id) THEN
        RAISE EXCEPTION 'the voucher code went meanwhile' USING ERRCODE = 'MPS01';
    END IF;
    INSERT INTO payments_consent (
        merchant_id, terminal_id, key, request_hash, card_id, card_no, member_id, voucher_card_id,
        voucher_member_id, external_order_id, payment_method, currency, amount, final_amount, tag,
        created_at, expires_at)
    VALUES (
        p_merchant_id, p_terminal_id, p_key, p_request_hash, p_card_id, p_card_no, p_member_id,
        p_voucher_card_id, p_voucher_member_id, p_order, p_method, p_currency, p_amount,
        p_final_amount, p_tag, core_now(), p_expires_at);
    INSERT INTO payments_idempotency (scope_id, key, request_hash, status, body, created_at)
    VALUES (p_merchant_id, p_key, p_request_hash, p_status, p_body, core_now());
    PERFORM audit_record(
        p_actor_type => p_actor_type, p_actor => p_actor, p_action => 'PAYMENT_AWAITS_MEMBER',
        p_object_type => 'card', p_object_id => p_card_no,
        p_context => jsonb_strip_nulls(jsonb_build_object(
            'merchant', p_merchant_id, 'amount', p_amount::text,
            'final_amount', p_final_amount::text, 'order', nullif(p_order, ''))),
        p_request_id => p_request_id, p_address => p_address);
    RETURN true;
END $$;
GRANT EXECUTE ON FUNCTION payments_await_member(
    uuid, uuid, text, bytea, uuid, uuid, uuid, text, uuid, uuid, uuid, text, text, text, numeric,
    numeric, jsonb, smallint, jsonb, timestamptz, text, text, text, text)
    TO merchant_api, platform_admin;

-- End the waiting without a payment: a failed transaction, and its answer in place of the 202.
-- False: somebody else has ended it.
CREATE OR REPLACE FUNCTION payments_close_consent(
    p_approval_id uuid, p_failure_code text, p_status smallint, p_body jsonb,
    p_actor_type text, p_actor text, p_request_id text, p_address text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    approval payments_consent;
    payment_no text;
BEGIN
    SELECT * INTO approval FROM payments_consent a WHERE a.id = p_approval_id;
    -- The same order as a charge: the key first.
    PERFORM payments_lock_name(approval.merchant_id, 'key:' || approval.key);
    UPDATE payments_consent a SET state = 'closed'
    WHERE a.id = p_approval_id AND a.state = 'awaiting';
    IF NOT FOUND THEN RETURN false; END IF;
    payment_no := payments_next_number('payment');
    INSERT INTO payments_transaction (
        tx_no, type, status, failure_code, merchant_id, terminal_id, card_id, card_no, member_id,
        currency, amount, final_amount, payment_method, external_order_id, tag, created_at)
    VALUES (
        payment_no, 'payment', 'failed', p_failure_code, approval.merchant_id, approval.terminal_id,
        approval.card_id, approval.card_no, approval.member_id, approval.currency, approval.amount,
        approval.amount, approval.payment_method, approval.external_order_id, approval.tag,
        core_now());
    UPDATE payments_idempotency i SET status = p_status, body = p_body
    WHERE i.scope_id = approval.merchant_id AND i.key = approval.key;
    PERFORM audit_record(
        p_actor_type => p_actor_type, p_actor => p_actor, p_action => 'PAYMENT_FAILED',
        p_object_type => 'transaction', p_object_id => payment_no,
        p_context => jsonb_strip_nulls(jsonb_build_object(
            'merchant', approval.merchant_id, 'card', approval.card_no,
            'amount', approval.amount::text, 'order', nullif(approval.external_order_id, ''),
            'error', p_failure_code)),
        p_request_id => p_request_id, p_address => p_address);
    PERFORM merchants_emit(approval.merchant_id, 'payment.failed', jsonb_build_object(
        'tx_no', payment_no, 'status', 'failed', 'failure_code', p_failure_code,
        'external_order_id', nullif(approval.external_order_id, ''),
        'amount', approval.amount::text, 'currency', approval.currency,
        'payment_method', approval.payment_method, 'created_at',
        to_char(core_now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')));
    RETURN true;
END $$;
GRANT EXECUTE
    ON FUNCTION payments_close_consent(uuid, text, smallint, jsonb, text, text, text, text)
    TO merchant_api, platform_admin;
