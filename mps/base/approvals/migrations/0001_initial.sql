-- What one of the staff asked for and another has to agree to.

CREATE TABLE approvals_approval (
    id uuid PRIMARY KEY DEFAULT core_new_id(),
    act varchar(120) NOT NULL,
    subject varchar(200) NOT NULL,
    payload jsonb NOT NULL,
    payload_hash varchar(64) NOT NULL,
    reason varchar(200) NOT NULL,
    maker_id integer NOT NULL REFERENCES auth_user,
    created_at timestamptz NOT NULL DEFAULT core_now(),
    expires_at timestamptz NOT NULL,
    state varchar(10) NOT NULL,
    checker_id integer REFERENCES auth_user,
    decided_at timestamptz,
    result varchar(1000) NOT NULL,
    CONSTRAINT approvals_approval_state_valid CHECK (
        state IN ('requested', 'approved', 'rejected', 'expired', 'done', 'failed')),
    CONSTRAINT approvals_approval_hash_valid CHECK (payload_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT approvals_approval_expires_later CHECK (expires_at > created_at),
    CONSTRAINT approvals_approval_decided CHECK ((decided_at IS NULL) = (state = 'requested')),
    CONSTRAINT approvals_approval_by_somebody
        CHECK ((checker_id IS NULL) = (state IN ('requested', 'expired'))),
    -- Four eyes. Whoever asked may withdraw, which is a rejection.
    CONSTRAINT approvals_approval_four_eyes CHECK (checker_id <> maker_id OR state = 'rejected')
);

CREATE INDEX approvals_approval_waiting ON approvals_approval (expires_at)
    WHERE state = 'requested';
CREATE INDEX approvals_approval_maker ON approvals_approval (maker_id);
CREATE INDEX approvals_approval_checker ON approvals_approval (checker_id);
