-- The smallest UUID whose embedded millisecond is `moment`: a bound for ranges of UUIDv7 ids.
CREATE OR REPLACE FUNCTION core_uuid_floor(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')
            || repeat('0', 20))::uuid
$$;
GRANT EXECUTE ON FUNCTION core_uuid_floor(timestamptz) TO PUBLIC;

-- How far this session writes in the past. Only the owner's own sessions may shift the clock, to
-- post a demonstration's history; for everybody else the setting means nothing.
CREATE OR REPLACE FUNCTION core_clock_shift() RETURNS interval
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN session_user = 'mps_owner'
                THEN coalesce(nullif(current_setting('mps.clock_shift', true), '')::interval,
                              interval '0')
                ELSE interval '0' END
$$;
GRANT EXECUTE ON FUNCTION core_clock_shift() TO PUBLIC;

-- The time of the database transaction: every rule about time asks this, never a client's clock.
CREATE OR REPLACE FUNCTION core_now() RETURNS timestamptz
LANGUAGE sql STABLE AS $$ SELECT now() + core_clock_shift() $$;
GRANT EXECUTE ON FUNCTION core_now() TO PUBLIC;

-- The id of a new append-only row; its time decides the month partition.
CREATE OR REPLACE FUNCTION core_new_id() RETURNS uuid
LANGUAGE sql VOLATILE AS $$ SELECT uuidv7(core_clock_shift()) $$;
GRANT EXECUTE ON FUNCTION core_new_id() TO PUBLIC;
