-- What the platform owes a shop for a period, and the transactions that make it up.

CREATE TABLE settlements_settlement (
    id uuid PRIMARY KEY DEFAULT core_new_id(),
    merchant_id uuid NOT NULL REFERENCES merchants_merchant (id),
    mode varchar(10) NOT NULL,
    -- [start, end)
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    currency varchar(3) NOT NULL,
    -- Sums of the lines; only what the platform holds. Refunds and cash top-ups are positive and taken off.
    gross numeric(14, 2) NOT NULL,
    refunds numeric(14, 2) NOT NULL,
    cash_topups numeric(14, 2) NOT NULL,
    fee numeric(14, 2) NOT NULL,
    -- What earlier settlements came short of, zero or negative.
    carried_in numeric(14, 2) NOT NULL,
    net numeric(14, 2) NOT NULL,
    tx_count integer NOT NULL,
    status varchar(10) NOT NULL DEFAULT 'pending',
    created_at timestamptz NOT NULL DEFAULT core_now(),
    approved_at timestamptz,
    approved_by varchar(80) NOT NULL DEFAULT '',
    paid_at timestamptz,
    payout_reference varchar(100) NOT NULL DEFAULT '',
    failure_reason varchar(200) NOT NULL DEFAULT '',
    -- The settlement that took a negative net over. One place for it: it is carried once.
    carried_to_id uuid REFERENCES settlements_settlement (id),
    CONSTRAINT settlements_settlement_once UNIQUE (merchant_id, mode, period_start, period_end),
    CONSTRAINT settlements_settlement_mode_valid CHECK (mode IN ('realtime', 't_plus_1', 'monthly')),
    CONSTRAINT settlements_settlement_period_ordered CHECK (period_start < period_end),
    CONSTRAINT settlements_settlement_status_valid CHECK (status IN ('pending', 'settled', 'paid', 'failed')),
    CONSTRAINT settlements_settlement_net_adds_up CHECK (net = gross - refunds - cash_topups - fee + carried_in),
    CONSTRAINT settlements_settlement_sums_not_negative CHECK (gross >= 0 AND refunds >= 0),
    CONSTRAINT settlements_settlement_carries_debt CHECK (carried_in <= 0),
    CONSTRAINT settlements_settlement_has_lines CHECK (tx_count > 0),
    CONSTRAINT settlements_settlement_approved CHECK (status NOT IN ('settled', 'paid') OR approved_at IS NOT NULL),
    CONSTRAINT settlements_settlement_paid CHECK ((status = 'paid') = (paid_at IS NOT NULL)),
    CONSTRAINT settlements_settlement_debt_never_paid CHECK (status <> 'paid' OR net >= 0),
    CONSTRAINT settlements_settlement_failure_explained CHECK ((status = 'failed') = (failure_reason <> '')),
    CONSTRAINT settlements_settlement_only_debt_carried CHECK (carried_to_id IS NULL OR (net < 0 AND status IN ('pending', 'settled')))
);
CREATE INDEX settlements_settlement_merchant ON settlements_settlement (merchant_id, id);
CREATE INDEX settlements_settlement_debt ON settlements_settlement (merchant_id)
    WHERE net < 0 AND carried_to_id IS NULL AND status <> 'failed';
-- What is not paid yet, for the console.
CREATE INDEX settlements_settlement_unpaid ON settlements_settlement (status) WHERE status IN ('pending', 'settled');
CREATE INDEX settlements_settlement_carried_to ON settlements_settlement (carried_to_id) WHERE carried_to_id IS NOT NULL;

-- The claim of one transaction: there is one at most. Written by settlements_generate() only, so the
-- settlement is there without a foreign key's check of each line.
CREATE TABLE settlements_line (
    tx_id uuid PRIMARY KEY,
    settlement_id uuid NOT NULL,
    gross numeric(14, 2) NOT NULL,
    refund numeric(14, 2) NOT NULL,
    cash_topup numeric(14, 2) NOT NULL,
    fee numeric(14, 2) NOT NULL
);
-- A settlement's lines are written together, and its id tells its time: a few bytes for each 16 pages find them, at
-- next to no cost for a run over very many.
CREATE INDEX settlements_line_settlement ON settlements_line USING brin (settlement_id)
    WITH (pages_per_range = 16, autosummarize = on);

-- Figures never change; states go forward only.
CREATE FUNCTION settlements_guard_settlement() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    movable text[] := ARRAY['status', 'approved_at', 'approved_by', 'paid_at', 'payout_reference', 'failure_reason', 'carried_to_id'];
BEGIN
    IF to_jsonb(NEW) - movable IS DISTINCT FROM to_jsonb(OLD) - movable THEN
        RAISE EXCEPTION 'the figures of a settlement never change' USING ERRCODE = 'MPS02';
    END IF;
    IF NEW.status <> OLD.status
       AND (OLD.status, NEW.status) NOT IN (('pending', 'settled'), ('settled', 'paid'), ('pending', 'failed'), ('settled', 'failed')) THEN
        RAISE EXCEPTION 'a settlement does not go from % to %', OLD.status, NEW.status USING ERRCODE = 'MPS02';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER settlements_settlement_guard BEFORE UPDATE ON settlements_settlement
    FOR EACH ROW EXECUTE FUNCTION settlements_guard_settlement();
CREATE TRIGGER settlements_settlement_no_delete BEFORE DELETE OR TRUNCATE ON settlements_settlement
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();
CREATE TRIGGER settlements_line_no_update BEFORE UPDATE OR TRUNCATE ON settlements_line
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();

-- Whoever generates, approves, pays or fails a shop's settlement does it alone. Charges do not wait for this.
CREATE FUNCTION settlements_lock(p_merchant_id uuid) RETURNS void
LANGUAGE sql VOLATILE AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(p_merchant_id::text, 2))
$$;
GRANT EXECUTE ON FUNCTION settlements_lock(uuid) TO platform_admin;

-- Settle what a shop did before p_end and no settlement has claimed, however long ago it was.
-- A period that was settled before answers its settlement again, made is false; nothing to settle answers NULL.
-- What began before p_end and commits later stays in the registry for the next run.
CREATE FUNCTION settlements_generate(
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
    WHERE s.merchant_id = p_merchant_id AND s.mode = p_mode AND s.period_start = p_start AND s.period_end = p_end;
    IF FOUND THEN RETURN; END IF;

    new_id := core_new_id();
    WITH line AS (
        INSERT INTO settlements_line (tx_id, settlement_id, gross, refund, cash_topup, fee)
        SELECT c.tx_id, new_id,
               -- Money that was paid outside is the shop's already: listed, not owed, no fee.
               CASE WHEN c.type = 'payment' AND c.payment_method = 'balance' THEN c.amount ELSE 0 END,
               CASE WHEN c.type = 'refund' AND c.payment_method = 'balance' THEN c.amount ELSE 0 END,
               -- Cash the shop took for a card, and what it gave back when it reversed that.
               CASE c.type WHEN 'recharge' THEN c.amount WHEN 'adjustment' THEN -c.amount ELSE 0 END,
               CASE WHEN c.payment_method <> 'balance' THEN 0 WHEN c.type = 'payment' THEN c.fee
                    WHEN c.type = 'refund' THEN -c.fee ELSE 0 END
        FROM payments_claim(p_merchant_id, p_end) c
        RETURNING gross, refund, cash_topup, fee)
    SELECT count(*) AS n, sum(gross) AS gross, sum(refund) AS refunds, sum(cash_topup) AS cash_topups, sum(fee) AS fee
    INTO sums FROM line;
    IF sums.n = 0 THEN RETURN; END IF;

    SELECT coalesce(sum(s.net), 0) INTO debt FROM settlements_settlement s
    WHERE s.merchant_id = p_merchant_id AND s.net < 0 AND s.carried_to_id IS NULL AND s.status <> 'failed';
    INSERT INTO settlements_settlement (
        id, merchant_id, mode, period_start, period_end, currency, gross, refunds, cash_topups, fee, carried_in, net, tx_count)
    VALUES (
        new_id, p_merchant_id, p_mode, p_start, p_end, p_currency, sums.gross, sums.refunds, sums.cash_topups, sums.fee, debt,
        sums.gross - sums.refunds - sums.cash_topups - sums.fee + debt, sums.n);
    IF debt < 0 THEN
        UPDATE settlements_settlement s SET carried_to_id = new_id
        WHERE s.merchant_id = p_merchant_id AND s.net < 0 AND s.carried_to_id IS NULL AND s.status <> 'failed' AND s.id <> new_id;
    END IF;
    settlement_id := new_id;
    made := true;
END $$;
GRANT EXECUTE ON FUNCTION settlements_generate(uuid, text, timestamptz, timestamptz, text) TO platform_admin;

-- Give up the claims of a settlement that failed, and the debts it took over: the next run takes them.
CREATE FUNCTION settlements_release(p_settlement_id uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    released uuid[];
BEGIN
    IF NOT EXISTS (SELECT FROM settlements_settlement s WHERE s.id = p_settlement_id AND s.status = 'failed') THEN
        RAISE EXCEPTION 'only a failed settlement gives up its claims' USING ERRCODE = 'MPS02';
    END IF;
    WITH gone AS (DELETE FROM settlements_line l WHERE l.settlement_id = p_settlement_id RETURNING l.tx_id)
    SELECT array_agg(tx_id) INTO released FROM gone;
    PERFORM payments_enter_unclaimed(released);
    UPDATE settlements_settlement SET carried_to_id = NULL WHERE carried_to_id = p_settlement_id;
END $$;
GRANT EXECUTE ON FUNCTION settlements_release(uuid) TO platform_admin;

ALTER TABLE settlements_settlement ENABLE ROW LEVEL SECURITY;
ALTER TABLE settlements_settlement FORCE ROW LEVEL SECURITY;
CREATE POLICY settlements_settlement_owner ON settlements_settlement TO mps_owner USING (true);
CREATE POLICY settlements_settlement_platform ON settlements_settlement TO platform_admin USING (true);
CREATE POLICY settlements_settlement_shop ON settlements_settlement FOR SELECT TO merchant_api
    USING (merchant_id = core_principal_id());
ALTER TABLE settlements_line ENABLE ROW LEVEL SECURITY;
ALTER TABLE settlements_line FORCE ROW LEVEL SECURITY;
CREATE POLICY settlements_line_owner ON settlements_line TO mps_owner USING (true);
CREATE POLICY settlements_line_platform ON settlements_line FOR SELECT TO platform_admin USING (true);
CREATE POLICY settlements_line_shop ON settlements_line FOR SELECT TO merchant_api
    USING (settlement_id IN (SELECT s.id FROM settlements_settlement s WHERE s.merchant_id = core_principal_id()));

GRANT SELECT ON settlements_settlement, settlements_line TO merchant_api, platform_admin;
GRANT UPDATE (status, approved_at, approved_by, paid_at, payout_reference, failure_reason)
    ON settlements_settlement TO platform_admin;

-- Made here, above the apps it shows: a transaction's settlement is one of its columns.
CREATE VIEW report.transactions WITH (security_barrier) AS
    SELECT t.id AS tx_id, t.tx_no, t.type, t.status, nullif(t.failure_code, '') AS failure_code, t.card_id,
           t.card_no, m.number AS member_no, s.code AS merchant_code, t.terminal_id, t.currency, t.amount,
           t.discount_rate, t.final_amount, t.points, nullif(t.payment_method, '') AS payment_method,
           nullif(t.external_order_id, '') AS external_order_id,
           (SELECT o.tx_no FROM payments_transaction o WHERE o.id = t.original_id) AS original_tx_no,
           l.settlement_id, t.created_at
    FROM payments_transaction t
    JOIN members_member m ON m.id = t.member_id
    LEFT JOIN merchants_merchant s ON s.id = t.merchant_id
    LEFT JOIN settlements_line l ON l.tx_id = t.id;
GRANT SELECT ON report.transactions TO mps_report;

CREATE VIEW report.settlements WITH (security_barrier) AS
    SELECT s.id AS settlement_id, m.code AS merchant_code, s.mode, s.period_start, s.period_end, s.gross, s.refunds,
           s.cash_topups, s.fee, s.carried_in, s.net, s.tx_count, s.status
    FROM settlements_settlement s JOIN merchants_merchant m ON m.id = s.merchant_id;
GRANT SELECT ON report.settlements TO mps_report;
