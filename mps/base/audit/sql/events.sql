CREATE OR REPLACE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();

CREATE OR REPLACE FUNCTION audit_record(
    p_actor_type text, p_actor text, p_action text, p_object_type text, p_object_id text,
    p_context jsonb, p_request_id text, p_address text) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH event AS (
        INSERT INTO audit_event (
            happened_at, actor_type, actor, action, object_type, object_id, context, request_id,
            address)
        VALUES (clock_timestamp() + core_clock_shift(), p_actor_type, p_actor, p_action,
                p_object_type, p_object_id,
                p_context, p_request_id, p_address)
        RETURNING id
    ) INSERT INTO audit_unsealed (event_id) SELECT id FROM event RETURNING event_id
$$;
GRANT EXECUTE ON FUNCTION audit_record(text, text, text, text, text, jsonb, text, text)
    TO mps_web, merchant_api, member_app, platform_admin;
GRANT SELECT ON audit_event TO platform_admin;

CREATE OR REPLACE VIEW report.audit_events WITH (security_barrier) AS
    SELECT id AS event_id, happened_at, actor_type, actor, action, object_type, object_id, context,
           request_id, address
    FROM audit_event;
GRANT SELECT ON report.audit_events TO mps_report;
