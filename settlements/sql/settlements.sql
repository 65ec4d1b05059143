-- Figures never change; states go forward only.
CREATE OR REPLACE FUNCTION settlements_guard_settlement() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    movable text[] := ARRAY[
        'status', 'approved_at', 'approved_by', 'paid_at', 'payout_reference', 'failure_reason',
        'carried_to_id'];
BEGIN
    IF to_jsonb(NEW) - movable IS DISTINCT FROM to_jsonb(OLD) - movable THEN
        RAISE EXCEPTION 'the figures of a settlement never change' USING ERRCODE = 'MPS02';
    END IF;
    IF NEW.status <> OLD.status
       AND (OLD.status, NEW.status) NOT IN (
           ('pending', 'settled'), ('settled', 'paid'), ('pending', 'failed'),
           ('settled', 'failed')) THEN
        RAISE EXCEPTION 'a settlement does not go from % to %', OLD.status, NEW.status
            USING ERRCODE = 'MPS02';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER settlements_settlement_guard BEFORE UPDATE ON settlements_settlement
    FOR EACH ROW EXECUTE FUNCTION settlements_guard_settlement();
CREATE OR REPLACE TRIGGER settlements_settlement_no_delete
    BEFORE DELETE OR TRUNCATE ON settlements_settlement
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();
CREATE OR REPLACE TRIGGER settlements_line_no_update BEFORE UPDATE OR TRUNCATE ON settlements_line
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();

-- Whoever generates, approves, pays or fails a shop's settlement does it alone. Charges do not wait
-- for this.
CREATE OR REPLACE FUNCTION settlements_lock(p_merchant_id uuid) RETURNS void
LANGUAGE sql VOLATILE AS $$
    SELECT pg_advisory_xact_lock(
        hashtextextended(p_merchant_id::text, public.core_lock_space('settlements')))
$$;
GRANT EXECUTE ON FUNCTION settlements_lock(uuid) TO platform_admin;

-- Settle what a shop did before p_end and no settlement has claimed, however long ago it was.
-- A period that was settled before answers its settlement again, made is false; nothing to settle
-- answers NULL.
-- What began before p_end and commits later stays in the registry for the next run.
CREATE OR REPLACE FUNCTION settlements_generate(
    p_merchant_id uuid, p_mode text, p_start timestamptz, p_end timestamptz, p_currency text,
    OUT settlement_id uuid, OUT made boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog SET work_mem = '64MB' AS $$
DECLARE
    new_id uuid;
    sums record;
    debt numeric;
BEGIN
    made := false;
    PERFORM settlements_lock(p_merchant_id);
    -- Under the lock: each statement sees what committed while it waited.
    SELECT s.id INTO settlement_id FROM settlements_settlement s
    WHERE s.merchant_id = p_merchant_id AND s.mode = p_mode AND s.period_start = p_start
      AND s.period_end = p_end;
    IF FOUND THEN RETURN; END IF;

    new_id := core_new_id();
    WITH line AS (
        INSERT INTO settlements_line (tx_id, settlement_id, gross, refund, cash_topup, fee)
        SELECT c.tx_id, new_id,
               -- Money that was paid outside is the shop's already: listed, not owed, no fee.
               CASE WHEN c.type = 'payment' AND c.payment_method = 'balance' THEN c.amount
                    ELSE 0 END,
               CASE WHEN c.type = 'refund' AND c.payment_method = 'balance' THEN c.amount
                    ELSE 0 END,
               -- Cash the shop took for a card, and what it gave back when it reversed that.
               CASE c.type WHEN 'recharge' THEN c.amount WHEN 'adjustment' THEN -c.amount
                           ELSE 0 END,
               CASE WHEN c.payment_method <> 'balance' THEN 0 WHEN c.type = 'payment' THEN c.fee
                    WHEN c.type = 'refund' THEN -c.fee ELSE 0 END
        FROM payments_claim(p_merchant_id, p_end) c
        RETURNING gross, refund, cash_topup, fee)
    SELECT count(*) AS n, sum(gross) AS gross, sum(refund) AS refunds,
           sum(cash_topup) AS cash_topups, sum(fee) AS fee
    INTO sums FROM line;
    IF sums.n = 0 THEN RETURN; END IF;

    SELECT coalesce(sum(s.net), 0) INTO debt FROM settlements_settlement s
    WHERE s.merchant_id = p_merchant_id AND s.net < 0 AND s.carried_to_id IS NULL
      AND s.status <> 'failed';
    INSERT INTO settlements_settlement (
        id, merchant_id, mode, period_start, period_end, currency, gross, refunds, cash_topups, fee,
        carried_in, net, tx_count)
    VALUES (
        new_id, p_merchant_id, p_mode, p_start, p_end, p_currency, sums.gross, sums.refunds,
        sums.cash_topups, sums.fee, debt,
        sums.gross - sums.refunds - sums.cash_topups - sums.fee + debt, sums.n);
    IF debt < 0 THEN
        UPDATE settlements_settlement s SET carried_to_id = new_id
        WHERE s.merchant_id = p_merchant_id AND s.net < 0 AND s.carried_to_id IS NULL
          AND s.status <> 'failed' AND s.id <> new_id;
    END IF;
    settlement_id := new_id;
    made := true;
END $$;
GRANT EXECUTE ON FUNCTION settlements_generate(uuid, text, timestamptz, timestamptz, text)
    TO platform_admin;

-- Give up the claims of a settlement that failed, and the debts it took over: the next run takes
-- them.
CREATE OR REPLACE FUNCTION settlements_release(p_settlement_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    released uuid[];
BEGIN
    IF NOT EXISTS (SELECT FROM settlements_settlement s
                   WHERE s.id = p_settlement_id AND s.status = 'failed') THEN
        RAISE EXCEPTION 'only a failed settlement gives up its claims' USING ERRCODE = 'MPS02';
    END IF;
    WITH gone AS (DELETE FROM settlements_line l WHERE l.settlement_id = p_settlement_id
                  RETURNING l.tx_id)
    SELECT array_agg(tx_id) INTO released FROM gone;
    PERFORM payments_enter_unclaimed(released);
    UPDATE settlements_settlement SET carried_to_id = NULL WHERE carried_to_id = p_settlement_id;
END $$;
GRANT EXECUTE ON FUNCTION settlements_release(uuid) TO platform_admin;
GRANT SELECT ON settlements_settlement, settlements_line TO merchant_api, platform_admin;
GRANT UPDATE (status, approved_at, approved_by, paid_at, payout_reference, failure_reason)
    ON settlements_settlement TO platform_admin;
