-- What the platform owes a shop for a period, and the transactions that make it up.

CREATE TABLE settlements_settlement (
    id uuid PRIMARY KEY DEFAULT core_new_id(),
    merchant_id uuid NOT NULL REFERENCES merchants_merchant (id),
    mode varchar(10) NOT NULL,
    -- [start, end)
    period_start timestamptz NOT NULL,
    period_end timestamptz NOT NULL,
    currency varchar(3) NOT NULL,
    -- Sums of the lines; only what the platform holds. Refunds and cash top-ups are positive and
    -- taken off.
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
    CONSTRAINT settlements_settlement_mode_valid
        CHECK (mode IN ('realtime', 't_plus_1', 'monthly')),
    CONSTRAINT settlements_settlement_period_ordered CHECK (period_start < period_end),
    CONSTRAINT settlements_settlement_status_valid
        CHECK (status IN ('pending', 'settled', 'paid', 'failed')),
    CONSTRAINT settlements_settlement_net_adds_up
        CHECK (net = gross - refunds - cash_topups - fee + carried_in),
    CONSTRAINT settlements_settlement_sums_not_negative CHECK (gross >= 0 AND refunds >= 0),
    CONSTRAINT settlements_settlement_carries_debt CHECK (carried_in <= 0),
    CONSTRAINT settlements_settlement_has_lines CHECK (tx_count > 0),
    CONSTRAINT settlements_settlement_approved
        CHECK (status NOT IN ('settled', 'paid') OR approved_at IS NOT NULL),
    CONSTRAINT settlements_settlement_paid CHECK ((status = 'paid') = (paid_at IS NOT NULL)),
    CONSTRAINT settlements_settlement_debt_never_paid CHECK (status <> 'paid' OR net >= 0),
    CONSTRAINT settlements_settlement_failure_explained
        CHECK ((status = 'failed') = (failure_reason <> '')),
    CONSTRAINT settlements_settlement_only_debt_carried
        CHECK (carried_to_id IS NULL OR (net < 0 AND status IN ('pending', 'settled')))
);

CREATE INDEX settlements_settlement_merchant ON settlements_settlement (merchant_id, id);
CREATE INDEX settlements_settlement_debt ON settlements_settlement (merchant_id)
    WHERE net < 0 AND carried_to_id IS NULL AND status <> 'failed';

-- What is not paid yet, for the console.
CREATE INDEX settlements_settlement_unpaid ON settlements_settlement (status)
    WHERE status IN ('pending', 'settled');
CREATE INDEX settlements_settlement_carried_to ON settlements_settlement (carried_to_id)
    WHERE carried_to_id IS NOT NULL;

-- The claim of one transaction: there is one at most. Written by settlements_generate() only, so
-- the settlement is there without a foreign key's check of each line.
CREATE TABLE settlements_line (
    tx_id uuid PRIMARY KEY,
    settlement_id uuid NOT NULL,
    gross numeric(14, 2) NOT NULL,
    refund numeric(14, 2) NOT NULL,
    cash_topup numeric(14, 2) NOT NULL,
    fee numeric(14, 2) NOT NULL
);

-- A settlement's lines are written together, and its id tells its time: a few bytes for each 16
-- pages find them, at next to no cost for a run over very many.
CREATE INDEX settlements_line_settlement ON settlements_line USING brin (settlement_id)
    WITH (pages_per_range = 16, autosummarize = on);
