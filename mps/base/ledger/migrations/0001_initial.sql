-- Double entry. One writer: ledger_post(). Nobody holds INSERT, UPDATE or DELETE on these tables.

CREATE TABLE ledger_account (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    kind varchar(20) NOT NULL,
    unit varchar(3) NOT NULL,
    -- Kept only where it must be checked (card money, card points); other accounts are the sum of
    -- their entries.
    balance numeric(14, 2),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ledger_account_kind_valid CHECK (kind IN (
        'card_money', 'card_points', 'merchant', 'clearing', 'unclaimed', 'points_issue', 'fee',
        'adjustment')),
    CONSTRAINT ledger_account_unit_valid CHECK (unit ~ '^[A-Z]{3}$'),
    CONSTRAINT ledger_account_points_unit
        CHECK ((unit = 'PTS') = (kind IN ('card_points', 'points_issue'))),
    CONSTRAINT ledger_account_balance_kept
        CHECK ((balance IS NOT NULL) = (kind IN ('card_money', 'card_points'))),
    -- A backstop: ledger_post() refuses an overdraft before this is reached.
    CONSTRAINT ledger_account_balance_not_negative CHECK (balance >= 0)
) WITH (fillfactor = 80);

-- The platform has exactly one account of each of these kinds and unit.
CREATE UNIQUE INDEX ledger_account_one_of_platform ON ledger_account (kind, unit)
    WHERE kind IN ('clearing', 'unclaimed', 'points_issue', 'fee', 'adjustment');

INSERT INTO ledger_account (kind, unit) VALUES ('points_issue', 'PTS');

CREATE TABLE ledger_posting (
    id uuid NOT NULL DEFAULT core_new_id(),
    kind varchar(20) NOT NULL,
    -- What this is about, in the words of whoever posted it; the ledger does not look inside.
    reference uuid NOT NULL,
    posted_at timestamptz NOT NULL,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);

CREATE INDEX ledger_posting_reference ON ledger_posting (reference);

CREATE TABLE ledger_entry (
    id uuid NOT NULL DEFAULT core_new_id(),
    posting_id uuid NOT NULL,
    account_id uuid NOT NULL,
    amount numeric(14, 2) NOT NULL,
    balance_after numeric(14, 2),
    PRIMARY KEY (id),
    CONSTRAINT ledger_entry_amount_not_zero CHECK (amount <> 0),
    CONSTRAINT ledger_entry_balance_after_not_negative CHECK (balance_after >= 0)
) PARTITION BY RANGE (id);

CREATE INDEX ledger_entry_account ON ledger_entry (account_id, id);
CREATE INDEX ledger_entry_posting ON ledger_entry (posting_id);
