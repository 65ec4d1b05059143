-- What was asked for never changes; what was credited stays so.
CREATE OR REPLACE FUNCTION payments_guard_top_up() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    movable text[] := ARRAY[
        'status', 'failure_code', 'reference', 'pay_url', 'payment_id', 'paid_amount',
                            'paid_currency', 'paid_at', 'late', 'tx_id', 'closed_at'];
BEGIN
    IF to_jsonb(NEW) - movable IS DISTINCT FROM to_jsonb(OLD) - movable THEN
        RAISE EXCEPTION 'what a top-up was asked for never changes' USING ERRCODE = 'MPS02';
    END IF;
    IF OLD.status = 'completed' OR (OLD.status <> NEW.status AND OLD.status <> 'pending'
                                    AND NEW.status NOT IN ('completed', 'failed')) THEN
        RAISE EXCEPTION 'a top-up does not go from % to %', OLD.status, NEW.status
            USING ERRCODE = 'MPS02';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER payments_topup_guard BEFORE UPDATE ON payments_topup
    FOR EACH ROW EXECUTE FUNCTION payments_guard_top_up();
CREATE OR REPLACE TRIGGER payments_topup_no_delete BEFORE DELETE OR TRUNCATE ON payments_topup
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();
GRANT SELECT ON payments_topup TO member_app, platform_admin;
GRANT INSERT (
    order_id, provider, card_id, member_id, amount, currency, idempotency_key, request_hash,
    expires_at)
    ON payments_topup TO member_app;
GRANT UPDATE (
    status, failure_code, reference, pay_url, payment_id, paid_amount, paid_currency, paid_at, late,
    tx_id, closed_at) ON payments_topup TO platform_admin;
GRANT SELECT ON payments_sandboxorder TO platform_admin;
GRANT INSERT (order_id, amount, currency, return_path, expires_at) ON payments_sandboxorder
    TO platform_admin;
GRANT UPDATE (status, payment_id, decided_at) ON payments_sandboxorder TO platform_admin;
