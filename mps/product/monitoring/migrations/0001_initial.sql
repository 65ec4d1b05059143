-- How far counting and reconciling have come: one row.
CREATE TABLE monitoring_progress (
    one boolean PRIMARY KEY DEFAULT true CONSTRAINT monitoring_progress_one_row CHECK (one),
    began_at timestamptz NOT NULL DEFAULT core_now(),
    counted_to timestamptz NOT NULL,
    reconciled_to timestamptz NOT NULL,
    next_slice smallint NOT NULL DEFAULT 0
);

-- Counters count from now on; the first reconciliation looks at everything there is.
INSERT INTO monitoring_progress (counted_to, reconciled_to)
VALUES (date_trunc('milliseconds', core_now()), 'epoch');

-- What was counted up to `counted_to`.
CREATE TABLE monitoring_counter (
    metric varchar(40) NOT NULL,
    label varchar(60) NOT NULL,
    total bigint NOT NULL,
    PRIMARY KEY (metric, label)
);

-- Live codes by their end, so that those which ran out lately are found however many there are.
-- Burning a code moves neither this nor any other indexed column.
CREATE INDEX monitoring_code_expiry ON cards_paymentcode (expires_at);
