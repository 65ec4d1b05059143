CREATE OR REPLACE TRIGGER payments_transaction_no_delete
    BEFORE DELETE OR TRUNCATE ON payments_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();

-- Amounts and references never change; status and refund totals move forward only.
CREATE OR REPLACE FUNCTION payments_guard_transaction() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    movable text[] := ARRAY[
        'status', 'failure_code', 'refunded_total', 'refunded_points', 'refunded_fee'];
BEGIN
    IF to_jsonb(NEW) - movable IS DISTINCT FROM to_jsonb(OLD) - movable THEN
        RAISE EXCEPTION 'amounts and references of a transaction never change'
            USING ERRCODE = 'MPS02';
    END IF;
    IF NOT ((OLD.status = NEW.status AND OLD.status IN ('pending', 'completed', 'failed'))
            OR (OLD.status = 'pending' AND NEW.status IN ('completed', 'failed', 'cancelled'))
            OR (OLD.status IN ('completed', 'refunded')
                AND NEW.status IN ('refunded', 'cancelled'))) THEN
        RAISE EXCEPTION 'a transaction does not go from % to %', OLD.status, NEW.status
            USING ERRCODE = 'MPS02';
    END IF;
    IF NEW.refunded_total < OLD.refunded_total OR NEW.refunded_points < OLD.refunded_points
       OR NEW.refunded_fee < OLD.refunded_fee THEN
        RAISE EXCEPTION 'what was refunded is never taken back' USING ERRCODE = 'MPS02';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER payments_transaction_guard BEFORE UPDATE ON payments_transaction
    FOR EACH ROW EXECUTE FUNCTION payments_guard_transaction();

-- Enter transactions of shops that took effect; those of no shop stay out. Answers how many were
-- entered.
CREATE OR REPLACE FUNCTION payments_enter_unclaimed(p_tx_ids uuid[]) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH entered AS (
        INSERT INTO payments_unclaimed (
            merchant_id, tx_id, created_at, type, payment_method, amount, fee)
        SELECT t.merchant_id, t.id, t.created_at, t.type, t.payment_method, t.final_amount, t.fee
        FROM unnest(p_tx_ids) AS asked (id) JOIN payments_transaction t USING (id)
        WHERE t.merchant_id IS NOT NULL AND t.status IN ('completed', 'refunded', 'cancelled')
        RETURNING tx_id)
    SELECT count(*) FROM entered
$$;
GRANT EXECUTE ON FUNCTION payments_enter_unclaimed(uuid[]) TO merchant_api, platform_admin;

-- Claim what a shop did before a moment: it leaves the registry, and whoever called now answers for
-- it.
-- Granted to nobody: settlements_generate() calls it as owner.
CREATE OR REPLACE FUNCTION payments_claim(p_merchant_id uuid, p_before timestamptz)
RETURNS TABLE (tx_id uuid, type text, payment_method text, amount numeric, fee numeric)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    DELETE FROM payments_unclaimed u WHERE u.merchant_id = p_merchant_id AND u.created_at < p_before
    RETURNING u.tx_id, u.type, u.payment_method, u.amount, u.fee
$$;

-- The next number of a transaction of this type.
CREATE OR REPLACE FUNCTION payments_next_number(p_type text) RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT CASE p_type WHEN 'payment' THEN 'PAY' WHEN 'refund' THEN 'REF' WHEN 'recharge' THEN 'RCG'
                       WHEN 'adjustment' THEN 'ADJ' WHEN 'cash_out' THEN 'OUT' END
           || lpad(n::text, greatest(10, length(n::text)), '0')
    FROM nextval(CASE p_type
        WHEN 'payment' THEN 'payments_payment_seq'::regclass
        WHEN 'refund' THEN 'payments_refund_seq'::regclass
        WHEN 'recharge' THEN 'payments_recharge_seq'::regclass
        WHEN 'adjustment' THEN 'payments_adjustment_seq'::regclass
        WHEN 'cash_out' THEN 'payments_cash_out_seq'::regclass END) AS n
$$;
GRANT EXECUTE ON FUNCTION payments_next_number(text) TO merchant_api, member_app, platform_admin;

-- Wait for whoever holds this key or order, so that what it wrote is seen by the next statement.
CREATE OR REPLACE FUNCTION payments_lock_name(p_scope uuid, p_name text) RETURNS void
LANGUAGE sql VOLATILE AS $$
    SELECT pg_advisory_xact_lock(
        hashtextextended(p_scope::text || p_name, public.core_lock_space('payment_name')))
$$;
GRANT EXECUTE ON FUNCTION payments_lock_name(uuid, text)
    TO merchant_api, member_app, platform_admin;
GRANT SELECT ON payments_consent TO merchant_api, member_app, platform_admin;
GRANT SELECT, INSERT ON payments_transaction TO merchant_api, platform_admin;
GRANT SELECT ON payments_transaction TO member_app;
GRANT UPDATE (status, refunded_total, refunded_points, refunded_fee) ON payments_transaction
    TO merchant_api, platform_admin;
GRANT SELECT, INSERT ON payments_idempotency TO merchant_api, member_app, platform_admin;
GRANT SELECT, INSERT ON payments_order TO merchant_api, platform_admin;
GRANT UPDATE (reversed_at, refund_tx_id) ON payments_order TO merchant_api, platform_admin;
GRANT SELECT, INSERT ON payments_providerorder TO platform_admin;
GRANT SELECT ON payments_unclaimed TO platform_admin;
