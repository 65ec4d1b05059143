-- Random bytes do not compress.
ALTER TABLE audit_seal
    ALTER COLUMN event_ids SET STORAGE EXTERNAL,
    ALTER COLUMN event_hashes SET STORAGE EXTERNAL;

CREATE OR REPLACE TRIGGER audit_seal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seal
    FOR EACH STATEMENT EXECUTE FUNCTION core_refuse_change();

-- What the chain begins with.
CREATE OR REPLACE FUNCTION audit_genesis() RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT decode(repeat('00', 32), 'hex') $$;
GRANT EXECUTE ON FUNCTION audit_genesis() TO platform_admin;

CREATE OR REPLACE FUNCTION audit_micros(moment timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (extract(epoch FROM moment) * 1000000)::bigint
$$;
GRANT EXECUTE ON FUNCTION audit_micros(timestamptz) TO platform_admin;

-- Every column of an event in one form only, whatever the session's settings: a JSON array, time in
-- microseconds since 1970 UTC, the context as jsonb writes it.
CREATE OR REPLACE FUNCTION audit_event_hash(event audit_event) RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(convert_to(jsonb_build_array(
        'mps-audit-event-1', event.id, audit_micros(event.happened_at), event.actor_type,
        event.actor, event.action, event.object_type, event.object_id, event.context,
        event.request_id, event.address)::text, 'UTF8'))
$$;
GRANT EXECUTE ON FUNCTION audit_event_hash(audit_event) TO platform_admin;

CREATE OR REPLACE FUNCTION audit_seal_digest(
    previous bytea, number bigint, sealed_at timestamptz, event_ids uuid[], event_hashes bytea[])
RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(convert_to('mps-audit-seal-1', 'UTF8') || previous || int8send(number)
                  || int8send(audit_micros(sealed_at)) || int8send(cardinality(event_ids))
                  || string_agg(uuid_send(id) || hash, ''::bytea ORDER BY place))
    FROM unnest(event_ids, event_hashes) WITH ORDINALITY AS member (id, hash, place)
$$;
GRANT EXECUTE ON FUNCTION audit_seal_digest(bytea, bigint, timestamptz, uuid[], bytea[])
    TO platform_admin;

-- Seal at most `p_limit` committed events that are in no seal yet; return how many there were. One
-- sealer at a time: the second waits, and then sees what the first has done. A line whose event is
-- gone stays behind, for verify_audit to find. Few events are looked up among many, always by their
-- key: without statistics of the ever-changing list the planner must not think of reading the whole
-- log.
CREATE OR REPLACE FUNCTION audit_seal_events(p_limit integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    sealed integer;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('', core_lock_space('audit_seal')));
    WITH taken AS (
        DELETE FROM audit_unsealed
        WHERE ctid = ANY (ARRAY(
            SELECT line.ctid FROM audit_unsealed line
            WHERE EXISTS (SELECT FROM audit_event event WHERE event.id = line.event_id)
            LIMIT p_limit))
        RETURNING event_id
    ), batch AS (
        SELECT count(*)::integer AS count, array_agg(event.id ORDER BY event.id) AS ids,
               array_agg(audit_event_hash(event) ORDER BY event.id) AS hashes
        FROM taken JOIN audit_event event ON event.id = taken.event_id
    ), last AS (
        SELECT coalesce(max(number), 0) AS number,
               coalesce((SELECT digest FROM audit_seal ORDER BY number DESC LIMIT 1),
                        audit_genesis()) AS digest
        FROM audit_seal
    ), made AS (
        INSERT INTO audit_seal (
            number, previous_digest, digest, count, first_event_id, last_event_id, event_ids,
                                event_hashes, sealed_at)
        SELECT last.number + 1, last.digest,
               audit_seal_digest(
                   previous => last.digest, number => last.number + 1, sealed_at => core_now(),
                   event_ids => batch.ids, event_hashes => batch.hashes),
               batch.count, batch.ids[1], batch.ids[batch.count], batch.ids, batch.hashes,
               core_now()
        FROM batch, last WHERE batch.count > 0
        RETURNING count
    ) SELECT coalesce((SELECT count FROM made), 0) INTO sealed;
    RETURN sealed;
END $$;
GRANT EXECUTE ON FUNCTION audit_seal_events(integer) TO platform_admin;

-- What is wrong with these seals and the events they hold, in the chain's order; nothing, if they
-- are as sealed. `place` 0 is the seal itself.
CREATE OR REPLACE FUNCTION audit_check_seals(p_from bigint, p_to bigint)
RETURNS TABLE (seal bigint, place bigint, event_id uuid, wrong text)
LANGUAGE sql STABLE SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    WITH looked_at AS MATERIALIZED (
        SELECT this.*,
               coalesce(before.digest, CASE this.number WHEN 1 THEN audit_genesis() END) AS before
        FROM audit_seal this LEFT JOIN audit_seal before ON before.number = this.number - 1
        WHERE this.number BETWEEN p_from AND p_to
    ), seals AS (
        SELECT number, 0::bigint AS place, NULL::uuid AS event_id,
               CASE WHEN before IS NULL THEN 'the seal before it is missing'
                    WHEN previous_digest <> before THEN 'it does not follow the seal before it'
                    WHEN (first_event_id, last_event_id) <> (event_ids[1], event_ids[count])
                      OR digest <> audit_seal_digest(
                          previous => previous_digest, number => number, sealed_at => sealed_at,
                          event_ids => event_ids, event_hashes => event_hashes)
                    THEN 'the seal was changed' END AS wrong
        FROM looked_at
    ), events AS (
        SELECT looked_at.number, member.place, member.id,
               CASE WHEN event.id IS NULL THEN 'the event is missing'
                    ELSE 'the event was changed' END
        FROM looked_at
        CROSS JOIN LATERAL unnest(event_ids, event_hashes)
            WITH ORDINALITY AS member (id, hash, place)
        LEFT JOIN audit_event event ON event.id = member.id
        WHERE event.id IS NULL OR audit_event_hash(event) <> member.hash
    )
    SELECT * FROM seals WHERE wrong IS NOT NULL UNION ALL SELECT * FROM events ORDER BY 1, 2
$$;
GRANT EXECUTE ON FUNCTION audit_check_seals(bigint, bigint) TO platform_admin;

-- Events from this id on that are neither sealed nor waiting for it, and lines that wait for an
-- event that is gone.
CREATE OR REPLACE FUNCTION audit_check_unsealed(p_from uuid)
RETURNS TABLE (event_id uuid, wrong text)
LANGUAGE sql STABLE AS $$
    SELECT event.id, 'the event is in no seal, and does not wait for one' FROM audit_event event
    WHERE event.id >= p_from AND NOT EXISTS (
        SELECT FROM (SELECT unnest(event_ids) AS id FROM audit_seal WHERE last_event_id >= p_from
                     UNION ALL SELECT line.event_id FROM audit_unsealed line) known
        WHERE known.id = event.id)
    UNION ALL
    SELECT line.event_id, 'the event is missing' FROM audit_unsealed line
    WHERE NOT EXISTS (SELECT FROM audit_event event WHERE event.id = line.event_id)
    ORDER BY 1
$$;
GRANT EXECUTE ON FUNCTION audit_check_unsealed(uuid) TO platform_admin;

-- No member's or merchant's data beyond what audit_event holds: the platform sees all rows, nobody
-- else any.
GRANT SELECT ON audit_seal, audit_unsealed TO platform_admin;
