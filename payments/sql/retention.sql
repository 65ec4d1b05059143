-- Move the months of transactions that are wholly older than a year to the archive, where they stay
-- attached: who looks at all transactions sees them, and a late refund finds its payment. At most
-- p_most, oldest first. Answers those moved, or those that would be.
CREATE OR REPLACE FUNCTION payments_archive_transactions(p_most integer, p_dry_run boolean)
RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_catalog SET lock_timeout = '2s' AS $$
DECLARE
    month record;
BEGIN
    FOR month IN
        SELECT * FROM core_months_before('payments_transaction', core_now() - interval '1 year') m
        WHERE m.schema = 'public' LIMIT p_most
    LOOP
        IF NOT p_dry_run THEN
            EXECUTE format('ALTER TABLE %s SET SCHEMA archive', month.partition);
        END IF;
        RETURN NEXT month.name;
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION payments_archive_transactions(integer, boolean) TO platform_admin;

-- Forget answers given more than 30 days ago, at most p_most of them; nobody may forget a younger
-- one. Answers how many.
CREATE OR REPLACE FUNCTION payments_purge_idempotency(p_most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH gone AS (
        DELETE FROM payments_idempotency WHERE ctid = ANY (ARRAY(
            SELECT i.ctid FROM payments_idempotency i
            WHERE i.created_at < core_now() - interval '30 days'
            LIMIT p_most FOR UPDATE SKIP LOCKED)) RETURNING 1
    ) SELECT count(*) FROM gone
$$;

-- How many there are to forget.
CREATE OR REPLACE FUNCTION payments_count_old_idempotency() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT count(*) FROM payments_idempotency WHERE created_at < core_now() - interval '30 days'
$$;
GRANT EXECUTE ON FUNCTION payments_purge_idempotency(integer), payments_count_old_idempotency()
    TO platform_admin;
