CREATE OR REPLACE FUNCTION core_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'MPS02';
END $$;

-- Facts a charge reads without a row lock (card, member, merchant, binding, terminal) are guarded
-- by transaction-level advisory locks: a charge shares them, whoever changes such a row takes them
-- alone.
-- Sharing them costs no write, so a busy merchant is no hot row.
CREATE OR REPLACE FUNCTION core_share_fact(fact uuid) RETURNS void
LANGUAGE sql VOLATILE AS $$
    SELECT pg_advisory_xact_lock_shared(
        hashtextextended(fact::text, public.core_lock_space('fact')))
$$;

CREATE OR REPLACE FUNCTION core_take_fact(fact uuid) RETURNS void
LANGUAGE sql VOLATILE AS $$
    SELECT pg_advisory_xact_lock(hashtextextended(fact::text, public.core_lock_space('fact')))
$$;
GRANT EXECUTE ON FUNCTION core_share_fact(uuid), core_take_fact(uuid) TO PUBLIC;

CREATE OR REPLACE FUNCTION core_change_fact() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    PERFORM public.core_take_fact(OLD.id);
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
