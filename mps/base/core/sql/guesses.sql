-- Count one attempt against several limits: all, or none if one is used up. Returns the
-- milliseconds to wait then, 0 if it was counted. The keys come sorted, so that two who count the
-- same wait for each other in one order; the clock is read when the locks are held.
CREATE OR REPLACE FUNCTION core_count_guesses(
    p_keys text[], p_limits integer[], p_windows integer[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
DECLARE
    this_moment timestamptz;
    counted timestamptz[];
    wait numeric := 0;
BEGIN
    FOR n IN 1 .. cardinality(p_keys) LOOP
        INSERT INTO core_guess (key, forget_at)
        VALUES (p_keys[n], clock_timestamp() + make_interval(secs => p_windows[n]))
        ON CONFLICT (key) DO UPDATE SET forget_at = excluded.forget_at;
    END LOOP;
    this_moment := clock_timestamp();
    FOR n IN 1 .. cardinality(p_keys) LOOP
        UPDATE core_guess SET made_at = ARRAY(
            SELECT made FROM unnest(made_at) AS made
            WHERE made > this_moment - make_interval(secs => p_windows[n]) ORDER BY made)
        WHERE key = p_keys[n] RETURNING made_at INTO counted;
        IF cardinality(counted) >= p_limits[n] THEN
            wait := greatest(wait, 1, ceil(1000 * extract(epoch FROM
                counted[cardinality(counted) - p_limits[n] + 1]
                + make_interval(secs => p_windows[n]) - this_moment)));
        END IF;
    END LOOP;
    IF wait = 0 THEN
        UPDATE core_guess SET made_at = made_at || this_moment WHERE key = ANY (p_keys);
    END IF;
    -- Last, and waiting for nobody: whoever holds these waits for none of ours.
    DELETE FROM core_guess WHERE key IN (
        SELECT key FROM core_guess WHERE forget_at < this_moment LIMIT 10 FOR UPDATE SKIP LOCKED);
    RETURN wait;
END $$;
GRANT EXECUTE ON FUNCTION core_count_guesses(text[], integer[], integer[]) TO mps_web;

-- Take back what was counted last under each of these.
CREATE OR REPLACE FUNCTION core_give_guesses_back(p_keys text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH locked AS (SELECT key FROM core_guess WHERE key = ANY (p_keys) ORDER BY key FOR UPDATE)
    UPDATE core_guess SET made_at = made_at[:cardinality(made_at) - 1] FROM locked
    WHERE core_guess.key = locked.key
$$;
GRANT EXECUTE ON FUNCTION core_give_guesses_back(text[]) TO mps_web;
