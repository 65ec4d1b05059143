-- The spaces of advisory locks: the seed with which what is locked is hashed, so that a shop's id
-- as a fact and the same id for its settlements are two locks. One space for each purpose; who
-- takes them is listed in docs/architecture.md (Lock order). The name is always a constant, which
-- the planner replaces by the number: it costs nothing when the lock is taken.
--
-- During an upgrade the processes of two releases have to wait for each other. So from the release
-- of 1.0.0 on, a number changes by an ADR only, and a new purpose gets a new number.
CREATE OR REPLACE FUNCTION core_lock_space(p_name text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE p_name
        WHEN 'fact' THEN 0
        WHEN 'payment_name' THEN 1
        WHEN 'settlements' THEN 2
        WHEN 'spending' THEN 3
        WHEN 'webhook_endpoints' THEN 4
        WHEN 'audit_seal' THEN 5
        -- Another name is a mistake. It ends here: NULL would lock nothing.
        ELSE ('no lock space is named ' || p_name)::bigint
    END
$$;
GRANT EXECUTE ON FUNCTION core_lock_space(text) TO PUBLIC;
