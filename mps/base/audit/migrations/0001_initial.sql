-- Who did what to what, success or refusal. Appended by audit_record(), changed by nobody.

CREATE TABLE audit_event (
    id uuid NOT NULL DEFAULT core_new_id(),
    happened_at timestamptz NOT NULL,
    actor_type varchar(20) NOT NULL,
    actor varchar(80) NOT NULL,
    action varchar(60) NOT NULL,
    object_type varchar(40) NOT NULL,
    object_id varchar(80) NOT NULL,
    context jsonb NOT NULL,
    request_id varchar(64) NOT NULL,
    address varchar(45) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT audit_event_actor_type_valid CHECK (
        actor_type IN (
            'anonymous', 'member', 'terminal', 'service', 'staff', 'merchant_user', 'system')),
    CONSTRAINT audit_event_action_named CHECK (action ~ '^[A-Z][A-Z_]+$')
) PARTITION BY RANGE (id);

CREATE INDEX audit_event_object ON audit_event (object_id, id);
CREATE INDEX audit_event_action ON audit_event (action, id);

-- Events that are in no seal yet. An event and its line here commit together, however late: whoever
-- seals finds all there is, at a cost that grows with the unsealed only. No index, so that a line
-- costs next to nothing; the sealer takes whole batches.
CREATE TABLE audit_unsealed (event_id uuid NOT NULL);

-- The hash chain over the audit log. A seal names the events it holds, the hash of each, and the
-- digest of the seal before it: whoever alters, removes or adds an event, or a seal, breaks it.

CREATE TABLE audit_seal (
    number bigint PRIMARY KEY,
    previous_digest bytea NOT NULL,
    digest bytea NOT NULL UNIQUE,
    count integer NOT NULL,
    first_event_id uuid NOT NULL,
    last_event_id uuid NOT NULL,
    event_ids uuid[] NOT NULL,
    event_hashes bytea[] NOT NULL,
    sealed_at timestamptz NOT NULL,
    CONSTRAINT audit_seal_numbered CHECK (number > 0),
    CONSTRAINT audit_seal_counted CHECK (
        count > 0 AND count = cardinality(event_ids) AND count = cardinality(event_hashes)),
    CONSTRAINT audit_seal_digests_whole
        CHECK (octet_length(previous_digest) = 32 AND octet_length(digest) = 32)
);

CREATE INDEX audit_seal_last_event ON audit_seal (last_event_id);
