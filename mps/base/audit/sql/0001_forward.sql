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
        actor_type IN ('anonymous', 'member', 'terminal', 'service', 'staff', 'merchant_user', 'system')),
    CONSTRAINT audit_event_action_named CHECK (action ~ '^[A-Z][A-Z_]+$')
) PARTITION BY RANGE (id);
CREATE INDEX audit_event_object ON audit_event (object_id, id);
CREATE INDEX audit_event_action ON audit_event (action, id);

CREATE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();

-- Events that are in no seal yet. An event and its line here commit together, however late: whoever seals
-- finds all there is, at a cost that grows with the unsealed only. No index, so that a line costs next to
-- nothing; the sealer takes whole batches.
CREATE TABLE audit_unsealed (event_id uuid NOT NULL);

CREATE FUNCTION audit_record(
    p_actor_type text, p_actor text, p_action text, p_object_type text, p_object_id text,
    p_context jsonb, p_request_id text, p_address text) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH event AS (
        INSERT INTO audit_event (happened_at, actor_type, actor, action, object_type, object_id, context, request_id, address)
        VALUES (clock_timestamp() + core_clock_shift(), p_actor_type, p_actor, p_action, p_object_type, p_object_id,
                p_context, p_request_id, p_address)
        RETURNING id
    ) INSERT INTO audit_unsealed (event_id) SELECT id FROM event RETURNING event_id
$$;
GRANT EXECUTE ON FUNCTION audit_record(text, text, text, text, text, jsonb, text, text)
    TO mps_web, merchant_api, member_app, platform_admin;
GRANT SELECT ON audit_event TO platform_admin;

CREATE VIEW report.audit_events WITH (security_barrier) AS
    SELECT id AS event_id, happened_at, actor_type, actor, action, object_type, object_id, context, request_id, address
    FROM audit_event;
GRANT SELECT ON report.audit_events TO mps_report;
