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
    -- As answered to the till: the tier after the payment, and what was left on the card if its
    -- balance paid.
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
    CONSTRAINT payments_transaction_type_valid
        CHECK (type IN ('payment', 'refund', 'recharge', 'adjustment', 'cash_out')),
    CONSTRAINT payments_transaction_status_valid
        CHECK (status IN ('pending', 'completed', 'failed', 'refunded', 'cancelled')),
    CONSTRAINT payments_transaction_failure_named
        CHECK ((status = 'failed') = (failure_code <> '')),
    CONSTRAINT payments_transaction_amounts_not_negative
        CHECK (amount >= 0 AND final_amount >= 0 AND discount_amount >= 0 AND fee >= 0),
    CONSTRAINT payments_transaction_discount_adds_up
        CHECK (final_amount + discount_amount = amount),
    CONSTRAINT payments_transaction_refunds_within_payment CHECK (
        refunded_total >= 0 AND refunded_total <= final_amount AND refunded_points >= 0
        AND refunded_points <= greatest(points, 0) AND refunded_fee >= 0 AND refunded_fee <= fee),
    CONSTRAINT payments_transaction_refund_has_original
        CHECK (type <> 'refund' OR original_id IS NOT NULL)
) PARTITION BY RANGE (id);

CREATE INDEX payments_transaction_tx_no ON payments_transaction (tx_no);
CREATE INDEX payments_transaction_merchant ON payments_transaction (merchant_id, id);
CREATE INDEX payments_transaction_card ON payments_transaction (card_id, id);
CREATE INDEX payments_transaction_order ON payments_transaction (merchant_id, external_order_id)
    WHERE external_order_id <> '';
CREATE INDEX payments_transaction_original ON payments_transaction (original_id)
    WHERE original_id IS NOT NULL;

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

-- One unfailed payment per (merchant, order); an order reversed before it was seen is a row without
-- payment.
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

-- What a shop did and no settlement has claimed: an entry of each completed transaction of a shop,
-- made with it.
-- What a settlement needs is copied here, so that claiming never reads the transactions. One index
-- only: each charge pays for it.
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

-- A payment that waits for its member: the till was answered 202 under its key, the code is burnt,
-- no money moved.
-- The member's word, or the end of the time, replaces the answer.
CREATE TABLE payments_consent (
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
    CONSTRAINT payments_consent_one_per_key UNIQUE (merchant_id, key),
    CONSTRAINT payments_consent_state_valid CHECK (state IN ('awaiting', 'approved', 'closed'))
);

CREATE UNIQUE INDEX payments_consent_one_per_order
    ON payments_consent (merchant_id, external_order_id)
    WHERE state = 'awaiting' AND external_order_id <> '';

CREATE INDEX payments_consent_of_member ON payments_consent (member_id) WHERE state = 'awaiting';
CREATE INDEX payments_consent_due ON payments_consent (expires_at) WHERE state = 'awaiting';

-- What a subject with a daily limit (card, binding, member, shop) has paid on a day, less what was
-- refunded since.
-- A row is made by the first payment that a limit counts, from the payments there are, and kept up
-- from then on.
-- Changing the limit forgets it.
CREATE TABLE payments_spending (
    subject_id uuid NOT NULL,
    day date NOT NULL,
    spent numeric(14, 2) NOT NULL,
    PRIMARY KEY (subject_id, day),
    CONSTRAINT payments_spending_not_negative CHECK (spent >= 0)
);

-- Members' own top-ups, and the orders of the sandbox that stands in for a provider.

-- What a member asked a provider to take for a card. Money moves once, when the provider says it
-- was paid; only then there is a transaction. So a payment that comes after this was closed here
-- can still be credited.
CREATE TABLE payments_topup (
    id uuid PRIMARY KEY DEFAULT core_new_id(),
    -- Ours, by which the provider names it: random, so that nobody guesses another's.
    order_id varchar(40) NOT NULL,
    provider varchar(20) NOT NULL,
    card_id uuid NOT NULL REFERENCES cards_card (id),
    member_id uuid NOT NULL REFERENCES members_member (id),
    amount numeric(14, 2) NOT NULL,
    currency varchar(3) NOT NULL,
    -- The request that made it: a retry after the provider could not be reached goes on with it.
    idempotency_key varchar(255) NOT NULL,
    request_hash bytea NOT NULL,
    status varchar(12) NOT NULL DEFAULT 'pending',
    failure_code varchar(60) NOT NULL DEFAULT '',
    -- The provider's name of the order, and where it is paid.
    reference varchar(255) NOT NULL DEFAULT '',
    pay_url varchar(4000) NOT NULL DEFAULT '',
    -- What the provider said was paid: its payment, how much, when.
    payment_id varchar(64) NOT NULL DEFAULT '',
    paid_amount numeric(14, 2),
    paid_currency varchar(3) NOT NULL DEFAULT '',
    paid_at timestamptz,
    -- It was paid, or said to be, after it was closed here.
    late boolean NOT NULL DEFAULT false,
    tx_id uuid,
    created_at timestamptz NOT NULL DEFAULT core_now(),
    expires_at timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT payments_topup_order_once UNIQUE (order_id),
    CONSTRAINT payments_topup_credited_by_one UNIQUE (tx_id),
    CONSTRAINT payments_topup_amount_positive CHECK (amount > 0),
    CONSTRAINT payments_topup_status_valid
        CHECK (status IN ('pending', 'completed', 'failed', 'expired', 'cancelled')),
    CONSTRAINT payments_topup_completed_is_credited
        CHECK ((status = 'completed') = (tx_id IS NOT NULL)),
    CONSTRAINT payments_topup_failure_named CHECK ((status = 'failed') = (failure_code <> '')),
    CONSTRAINT payments_topup_closed CHECK ((status = 'pending') = (closed_at IS NULL))
);

CREATE INDEX payments_topup_card ON payments_topup (card_id, id);
CREATE INDEX payments_topup_day ON payments_topup (created_at);
CREATE INDEX payments_topup_due ON payments_topup (expires_at) WHERE status = 'pending';
CREATE INDEX payments_topup_unfinished ON payments_topup (member_id, idempotency_key)
    WHERE status = 'pending';

-- The sandbox's own books, as a provider keeps them: what it was asked to take, and what came of
-- it.
CREATE TABLE payments_sandboxorder (
    order_id varchar(40) PRIMARY KEY,
    amount numeric(14, 2) NOT NULL,
    currency varchar(3) NOT NULL,
    return_path varchar(200) NOT NULL,
    status varchar(12) NOT NULL DEFAULT 'open',
    payment_id varchar(64) NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT core_now(),
    expires_at timestamptz NOT NULL,
    decided_at timestamptz,
    CONSTRAINT payments_sandboxorder_status_valid CHECK (status IN ('open', 'paid', 'cancelled')),
    CONSTRAINT payments_sandboxorder_decided CHECK ((status = 'open') = (decided_at IS NULL)),
    CONSTRAINT payments_sandboxorder_paid CHECK ((status = 'paid') = (payment_id <> ''))
);

CREATE INDEX payments_sandboxorder_day ON payments_sandboxorder (created_at);
