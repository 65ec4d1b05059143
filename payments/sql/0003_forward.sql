-- Members' own top-ups, and the orders of the sandbox that stands in for a provider.

-- What a member asked a provider to take for a card. Money moves once, when the provider says it was paid; only then
-- there is a transaction. So a payment that comes after this was closed here can still be credited.
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
    CONSTRAINT payments_topup_status_valid CHECK (status IN ('pending', 'completed', 'failed', 'expired', 'cancelled')),
    CONSTRAINT payments_topup_completed_is_credited CHECK ((status = 'completed') = (tx_id IS NOT NULL)),
    CONSTRAINT payments_topup_failure_named CHECK ((status = 'failed') = (failure_code <> '')),
    CONSTRAINT payments_topup_closed CHECK ((status = 'pending') = (closed_at IS NULL))
);
CREATE INDEX payments_topup_card ON payments_topup (card_id, id);
CREATE INDEX payments_topup_day ON payments_topup (created_at);
CREATE INDEX payments_topup_due ON payments_topup (expires_at) WHERE status = 'pending';
CREATE INDEX payments_topup_unfinished ON payments_topup (member_id, idempotency_key) WHERE status = 'pending';

-- What was asked for never changes; what was credited stays so.
CREATE FUNCTION payments_guard_top_up() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    movable text[] := ARRAY['status', 'failure_code', 'reference', 'pay_url', 'payment_id', 'paid_amount',
                            'paid_currency', 'paid_at', 'late', 'tx_id', 'closed_at'];
BEGIN
    IF to_jsonb(NEW) - movable IS DISTINCT FROM to_jsonb(OLD) - movable THEN
        RAISE EXCEPTION 'what a top-up was asked for never changes' USING ERRCODE = 'MPS02';
    END IF;
    IF OLD.status = 'completed' OR (OLD.status <> NEW.status AND OLD.status <> 'pending'
                                    AND NEW.status NOT IN ('completed', 'failed')) THEN
        RAISE EXCEPTION 'a top-up does not go from % to %', OLD.status, NEW.status USING ERRCODE = 'MPS02';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER payments_topup_guard BEFORE UPDATE ON payments_topup
    FOR EACH ROW EXECUTE FUNCTION payments_guard_top_up();
CREATE TRIGGER payments_topup_no_delete BEFORE DELETE OR TRUNCATE ON payments_topup
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();

-- A member sees the top-ups of cards they are bound to, and asks for their own; nothing else of it is theirs to
-- write: no token credits. Shops see none. The platform sees all, and writes what the provider says.
ALTER TABLE payments_topup ENABLE ROW LEVEL SECURITY;
ALTER TABLE payments_topup FORCE ROW LEVEL SECURITY;
CREATE POLICY payments_topup_owner ON payments_topup TO mps_owner USING (true);
CREATE POLICY payments_topup_platform ON payments_topup TO platform_admin USING (true);
CREATE POLICY payments_topup_member ON payments_topup FOR SELECT TO member_app
    USING (card_id IN (SELECT b.card_id FROM cards_binding b WHERE b.member_id = core_principal_id()));
CREATE POLICY payments_topup_asked ON payments_topup FOR INSERT TO member_app
    WITH CHECK (member_id = core_principal_id()
                AND card_id IN (SELECT b.card_id FROM cards_binding b WHERE b.member_id = core_principal_id()));
GRANT SELECT ON payments_topup TO member_app, platform_admin;
GRANT INSERT (order_id, provider, card_id, member_id, amount, currency, idempotency_key, request_hash, expires_at)
    ON payments_topup TO member_app;
GRANT UPDATE (status, failure_code, reference, pay_url, payment_id, paid_amount, paid_currency, paid_at, late, tx_id,
              closed_at) ON payments_topup TO platform_admin;

-- The sandbox's own books, as a provider keeps them: what it was asked to take, and what came of it.
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

-- No member's or shop's data: the platform, which plays the provider here, sees all rows, nobody else any.
ALTER TABLE payments_sandboxorder ENABLE ROW LEVEL SECURITY;
ALTER TABLE payments_sandboxorder FORCE ROW LEVEL SECURITY;
CREATE POLICY payments_sandboxorder_owner ON payments_sandboxorder TO mps_owner USING (true);
CREATE POLICY payments_sandboxorder_platform ON payments_sandboxorder TO platform_admin USING (true);
GRANT SELECT ON payments_sandboxorder TO platform_admin;
GRANT INSERT (order_id, amount, currency, return_path, expires_at) ON payments_sandboxorder TO platform_admin;
GRANT UPDATE (status, payment_id, decided_at) ON payments_sandboxorder TO platform_admin;
