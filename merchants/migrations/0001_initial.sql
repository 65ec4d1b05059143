-- Outgoing webhooks: where a shop wants to hear of what happens, what happened, and how telling it
-- went.

CREATE TABLE merchants_webhookendpoint (
    id uuid PRIMARY KEY DEFAULT core_new_id(),
    merchant_id uuid NOT NULL REFERENCES merchants_merchant (id),
    url varchar(500) NOT NULL,
    description varchar(200) NOT NULL DEFAULT '',
    -- Which types of events; empty: all.
    events text[] NOT NULL DEFAULT '{}',
    enabled boolean NOT NULL DEFAULT true,
    disabled_reason varchar(200) NOT NULL DEFAULT '',
    -- The secret itself is nowhere: it is made of these, the id and a key that is not in the
    -- database.
    secret_version integer NOT NULL DEFAULT 1,
    secret_key_id varchar(20) NOT NULL,
    -- The secret before, which signs too until then.
    old_secret_version integer,
    old_secret_key_id varchar(20) NOT NULL DEFAULT '',
    old_secret_until timestamptz,
    -- Since when nothing has reached it; NULL: the last attempt did.
    failing_since timestamptz,
    created_at timestamptz NOT NULL DEFAULT core_now(),
    -- Endpoints are never removed: a charge may be writing a delivery to one.
    deleted_at timestamptz,
    CONSTRAINT merchants_webhookendpoint_disabled_explained
        CHECK (enabled = (disabled_reason = '')),
    CONSTRAINT merchants_webhookendpoint_deleted_disabled CHECK (deleted_at IS NULL OR NOT enabled),
    CONSTRAINT merchants_webhookendpoint_secret_version_positive CHECK (secret_version > 0)
);

CREATE INDEX merchants_webhookendpoint_merchant ON merchants_webhookendpoint (merchant_id, id);

-- What each charge looks at.
CREATE INDEX merchants_webhookendpoint_enabled ON merchants_webhookendpoint (merchant_id)
    WHERE enabled;

-- The outbox. The id is the webhook's: the same at every attempt and for every endpoint. No foreign
-- keys out of this and the next table, as each charge writes them; see docs/adr/0004.
CREATE TABLE merchants_webhookevent (
    id uuid PRIMARY KEY DEFAULT core_new_id(),
    merchant_id uuid NOT NULL,
    type varchar(40) NOT NULL,
    -- The event's `data`: the object as the API shows it.
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT core_now()
);
CREATE TABLE merchants_webhookdelivery (
    id uuid PRIMARY KEY DEFAULT core_new_id(),
    event_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    state varchar(10) NOT NULL DEFAULT 'pending',
    attempts integer NOT NULL DEFAULT 0,
    -- While an attempt is under way: when it is taken for lost.
    next_attempt_at timestamptz NOT NULL DEFAULT core_now(),
    give_up_at timestamptz NOT NULL DEFAULT core_now() + interval '3 days',
    last_attempt_at timestamptz,
    -- The HTTP status of the last answer; NULL: there was none.
    last_status smallint,
    last_error varchar(100) NOT NULL DEFAULT '',
    delivered_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT core_now(),
    CONSTRAINT merchants_webhookdelivery_once UNIQUE (event_id, endpoint_id),
    CONSTRAINT merchants_webhookdelivery_state_valid
        CHECK (state IN ('pending', 'delivered', 'failed')),
    CONSTRAINT merchants_webhookdelivery_delivered
        CHECK ((state = 'delivered') = (delivered_at IS NOT NULL))
);

CREATE INDEX merchants_webhookdelivery_endpoint ON merchants_webhookdelivery (endpoint_id, id);
CREATE INDEX merchants_webhookdelivery_due
    ON merchants_webhookdelivery (endpoint_id, next_attempt_at) WHERE state = 'pending';
