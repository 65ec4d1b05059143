-- Let nobody else open an endpoint for a shop until the database transaction ends.
CREATE OR REPLACE FUNCTION merchants_lock_endpoints(p_merchant_id uuid) RETURNS void
LANGUAGE sql VOLATILE AS $$
    SELECT pg_advisory_xact_lock(
        hashtextextended(p_merchant_id::text, public.core_lock_space('webhook_endpoints')))
$$;
GRANT EXECUTE ON FUNCTION merchants_lock_endpoints(uuid) TO merchant_api, platform_admin;

-- Tell a shop of something, in the caller's database transaction. Nothing is written when no
-- endpoint wants it: every charge calls this, and most shops have none. It waits for nobody.
CREATE OR REPLACE FUNCTION merchants_emit(p_merchant_id uuid, p_type text, p_data jsonb)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    wanted uuid[];
    event uuid;
BEGIN
    SELECT array_agg(e.id) INTO wanted FROM merchants_webhookendpoint e
    WHERE e.merchant_id = p_merchant_id AND e.enabled
      AND (e.events = '{}' OR p_type = ANY (e.events));
    IF wanted IS NULL THEN RETURN; END IF;
    INSERT INTO merchants_webhookevent (merchant_id, type, payload)
    VALUES (p_merchant_id, p_type, p_data)
    RETURNING id INTO event;
    INSERT INTO merchants_webhookdelivery (event_id, endpoint_id) SELECT event, unnest(wanted);
END $$;
GRANT EXECUTE ON FUNCTION merchants_emit(uuid, text, jsonb) TO merchant_api, platform_admin;

-- The same for one endpoint that asks for a sign of life. Answers the delivery.
CREATE OR REPLACE FUNCTION merchants_emit_ping(p_endpoint_id uuid) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH event AS (
        INSERT INTO merchants_webhookevent (merchant_id, type, payload)
        SELECT e.merchant_id, 'ping', jsonb_build_object('endpoint_id', e.id)
        FROM merchants_webhookendpoint e WHERE e.id = p_endpoint_id AND e.enabled
        RETURNING id
    ) INSERT INTO merchants_webhookdelivery (event_id, endpoint_id)
    SELECT event.id, p_endpoint_id FROM event RETURNING id
$$;
GRANT EXECUTE ON FUNCTION merchants_emit_ping(uuid) TO merchant_api, platform_admin;

-- How long to wait after so many attempts have failed.
CREATE OR REPLACE FUNCTION merchants_webhook_backoff(p_attempts integer) RETURNS interval
LANGUAGE sql IMMUTABLE AS $$
    SELECT (ARRAY['5 s', '30 s', '2 min', '10 min', '30 min', '1 h', '3 h', '6 h']
            ::interval[])[least(p_attempts, 8)]
$$;

-- Take deliveries that are due, for one worker, for as long as the lease: at most p_most, at most
-- p_each of an endpoint, none of those in p_leave. Of endpoints that fail one each, p_failing in
-- all, after the others. A worker that dies gives its own back when the lease runs out. Which
-- endpoints come first is a matter of chance, so that none starves another.
CREATE OR REPLACE FUNCTION merchants_claim_deliveries(
    p_most integer, p_each integer, p_failing integer, p_leave uuid[], p_lease_seconds integer)
RETURNS TABLE (
    delivery_id uuid, attempt integer, event_id uuid, event_type text, payload jsonb,
    happened_at timestamptz, endpoint_id uuid, url text, is_failing boolean, secret_version integer,
    secret_key_id text, old_secret_version integer, old_secret_key_id text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    -- The endpoints with something pending, one look-up each, however much that is.
    WITH RECURSIVE waiting AS (
        (SELECT d.endpoint_id AS id FROM merchants_webhookdelivery d WHERE d.state = 'pending'
         ORDER BY 1 LIMIT 1)
        UNION ALL
        SELECT (SELECT d.endpoint_id FROM merchants_webhookdelivery d
                WHERE d.state = 'pending' AND d.endpoint_id > w.id ORDER BY 1 LIMIT 1)
        FROM waiting w WHERE w.id IS NOT NULL
    ), due AS (
        SELECT d.id, e.failing_since IS NOT NULL AS failing, random() AS chance
        FROM waiting w
        JOIN merchants_webhookendpoint e ON e.id = w.id AND e.enabled AND e.id <> ALL (p_leave)
        CROSS JOIN LATERAL (
            SELECT d.id FROM merchants_webhookdelivery d
            WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.next_attempt_at <= core_now()
            ORDER BY d.next_attempt_at
            LIMIT CASE WHEN e.failing_since IS NULL THEN p_each ELSE 1 END) d
    ), chosen AS (
        SELECT r.id
        FROM (SELECT d.*, row_number() OVER (PARTITION BY d.failing ORDER BY d.chance) AS n
              FROM due d) r
        WHERE NOT r.failing OR r.n <= p_failing ORDER BY r.failing, r.chance LIMIT p_most
    ), held AS (
        -- What another worker has taken meanwhile is left to it.
        SELECT d.id FROM merchants_webhookdelivery d
        WHERE d.id IN (SELECT c.id FROM chosen c) AND d.state = 'pending'
          AND d.next_attempt_at <= core_now()
        FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE merchants_webhookdelivery d
        SET attempts = d.attempts + 1, last_attempt_at = core_now(),
            next_attempt_at = core_now() + make_interval(secs => p_lease_seconds)
        FROM held WHERE d.id = held.id
        RETURNING d.id, d.attempts, d.event_id, d.endpoint_id
    )
    SELECT t.id, t.attempts, v.id, v.type, v.payload, v.created_at, e.id, e.url,
           e.failing_since IS NOT NULL, e.secret_version, e.secret_key_id,
           CASE WHEN e.old_secret_until > core_now() THEN e.old_secret_version END,
           e.old_secret_key_id
    FROM taken t JOIN merchants_webhookevent v ON v.id = t.event_id
    JOIN merchants_webhookendpoint e ON e.id = t.endpoint_id
$$;
GRANT EXECUTE ON FUNCTION merchants_claim_deliveries(integer, integer, integer, uuid[], integer)
    TO platform_admin;

-- Write down how an attempt went. One that lost its lease to another changes nothing. Answers
-- whether the endpoint, which nothing has reached for 3 days, was disabled by this.
CREATE OR REPLACE FUNCTION merchants_finish_delivery(
    p_delivery_id uuid, p_endpoint_id uuid, p_attempt integer, p_delivered boolean,
    p_status integer, p_error text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    given_up boolean;
BEGIN
    -- The endpoint before its deliveries, as whoever disables it does.
    PERFORM FROM merchants_webhookendpoint e WHERE e.id = p_endpoint_id FOR NO KEY UPDATE;
    UPDATE merchants_webhookdelivery d SET
        state = CASE WHEN p_delivered THEN 'delivered'
                     WHEN core_now() >= d.give_up_at THEN 'failed' ELSE 'pending' END,
        delivered_at = CASE WHEN p_delivered THEN core_now() END,
        next_attempt_at = least(
            core_now() + merchants_webhook_backoff(d.attempts), greatest(d.give_up_at, core_now())),
        last_status = p_status, last_error = p_error
    WHERE d.id = p_delivery_id AND d.endpoint_id = p_endpoint_id AND d.attempts = p_attempt
      AND d.state = 'pending';
    IF NOT FOUND THEN RETURN false; END IF;
    IF p_delivered THEN
        UPDATE merchants_webhookendpoint e SET failing_since = NULL
        WHERE e.id = p_endpoint_id AND e.failing_since IS NOT NULL;
        RETURN false;
    END IF;
    UPDATE merchants_webhookendpoint e SET failing_since = core_now()
    WHERE e.id = p_endpoint_id AND e.failing_since IS NULL;
    UPDATE merchants_webhookendpoint e
    SET enabled = false, disabled_reason = 'Nothing has reached it for 3 days.'
    WHERE e.id = p_endpoint_id AND e.enabled AND e.failing_since <= core_now() - interval '3 days';
    given_up := FOUND;
    IF given_up THEN PERFORM merchants_hold_deliveries(p_endpoint_id); END IF;
    RETURN given_up;
END $$;
GRANT EXECUTE ON FUNCTION merchants_finish_delivery(uuid, uuid, integer, boolean, integer, text)
    TO platform_admin;

-- Give up what waits for an endpoint that is disabled, so that nobody looks at it in vain.
CREATE OR REPLACE FUNCTION merchants_hold_deliveries(p_endpoint_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    UPDATE merchants_webhookdelivery d SET state = 'failed', last_error = 'endpoint disabled'
    WHERE d.endpoint_id = p_endpoint_id AND d.state = 'pending'
      AND NOT (SELECT e.enabled FROM merchants_webhookendpoint e WHERE e.id = p_endpoint_id)
$$;

-- And the way back, for what is not too old.
CREATE OR REPLACE FUNCTION merchants_release_deliveries(p_endpoint_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    UPDATE merchants_webhookdelivery d
    SET state = 'pending', attempts = 0, next_attempt_at = core_now()
    WHERE d.endpoint_id = p_endpoint_id AND d.state = 'failed'
      AND d.last_error = 'endpoint disabled'
      AND d.give_up_at > core_now()
      AND (SELECT e.enabled FROM merchants_webhookendpoint e WHERE e.id = p_endpoint_id)
$$;
GRANT EXECUTE ON FUNCTION merchants_hold_deliveries(uuid), merchants_release_deliveries(uuid)
    TO merchant_api, platform_admin;

-- Send a delivery again, whatever came of it before, for another 3 days. False: it is under way, or
-- its endpoint disabled.
CREATE OR REPLACE FUNCTION merchants_resend_delivery(p_delivery_id uuid) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH again AS (
        UPDATE merchants_webhookdelivery d
        SET state = 'pending', attempts = 0, next_attempt_at = core_now(),
            give_up_at = core_now() + interval '3 days', delivered_at = NULL
        FROM merchants_webhookendpoint e
        WHERE d.id = p_delivery_id AND d.state <> 'pending' AND e.id = d.endpoint_id AND e.enabled
        RETURNING 1
    ) SELECT EXISTS (SELECT FROM again)
$$;
GRANT EXECUTE ON FUNCTION merchants_resend_delivery(uuid) TO platform_admin;

-- Events older than 30 days that wait for nothing. Their ids hold their time.
CREATE OR REPLACE FUNCTION merchants_old_webhooks() RETURNS SETOF uuid
LANGUAGE sql STABLE SET search_path = public, pg_catalog AS $$
    SELECT v.id FROM merchants_webhookevent v
    WHERE v.id < core_uuid_floor(core_now() - interval '30 days')
      AND NOT EXISTS (SELECT FROM merchants_webhookdelivery d
                      JOIN merchants_webhookendpoint e ON e.id = d.endpoint_id
                      WHERE d.event_id = v.id AND d.state = 'pending' AND e.enabled)
    ORDER BY v.id
$$;

-- Forget them with their deliveries, at most p_most. Answers how many.
CREATE OR REPLACE FUNCTION merchants_purge_webhooks(p_most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH old AS (
        SELECT v.id FROM merchants_webhookevent v
        WHERE v.id IN (SELECT o.id FROM merchants_old_webhooks() AS o (id)
                       LIMIT p_most)
        FOR UPDATE SKIP LOCKED
    ), deliveries AS (
        DELETE FROM merchants_webhookdelivery d USING old WHERE d.event_id = old.id
    ), gone AS (
        DELETE FROM merchants_webhookevent v USING old WHERE v.id = old.id RETURNING 1
    ) SELECT count(*) FROM gone
$$;

CREATE OR REPLACE FUNCTION merchants_count_old_webhooks() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT count(*) FROM merchants_old_webhooks()
$$;
GRANT EXECUTE ON FUNCTION merchants_purge_webhooks(integer), merchants_count_old_webhooks()
    TO platform_admin;

-- A shop sees and changes its own endpoints and sees its own events and deliveries; members see
-- nothing of it.
GRANT SELECT ON merchants_webhookendpoint, merchants_webhookevent, merchants_webhookdelivery
    TO merchant_api, platform_admin;
GRANT INSERT ON merchants_webhookendpoint TO merchant_api, platform_admin;
GRANT UPDATE (
    url, description, events, enabled, disabled_reason, secret_version, secret_key_id,
    old_secret_version, old_secret_key_id, old_secret_until, failing_since, deleted_at)
    ON merchants_webhookendpoint TO merchant_api, platform_admin;
