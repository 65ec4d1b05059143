-- What every app's SQL leans on: ids that carry their time, month partitions, append-only guards.

CREATE SCHEMA IF NOT EXISTS report;
CREATE SCHEMA IF NOT EXISTS archive;
GRANT USAGE ON SCHEMA report TO mps_report, mps_backup;
GRANT USAGE ON SCHEMA public, archive TO mps_backup;
GRANT USAGE ON SCHEMA public TO mps_web, merchant_api, member_app, platform_admin;
-- A function is callable only by whom it is granted to.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO mps_backup;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO mps_backup;
-- The frameworks' tables that were made before.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO mps_backup;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO mps_backup;

-- The smallest UUID whose embedded millisecond is `moment`: a bound for ranges of UUIDv7 ids.
CREATE FUNCTION core_uuid_floor(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
GRANT EXECUTE ON FUNCTION core_uuid_floor(timestamptz) TO PUBLIC;

-- How far this session writes in the past. Only the owner's own sessions may shift the clock, to post a
-- demonstration's history; for everybody else the setting means nothing.
CREATE FUNCTION core_clock_shift() RETURNS interval
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN session_user = 'mps_owner'
                THEN coalesce(nullif(current_setting('mps.clock_shift', true), '')::interval, interval '0')
                ELSE interval '0' END
$$;
GRANT EXECUTE ON FUNCTION core_clock_shift() TO PUBLIC;

-- The time of the database transaction: every rule about time asks this, never a client's clock.
CREATE FUNCTION core_now() RETURNS timestamptz
LANGUAGE sql STABLE AS $$ SELECT now() + core_clock_shift() $$;
GRANT EXECUTE ON FUNCTION core_now() TO PUBLIC;

-- The id of a new append-only row; its time decides the month partition.
CREATE FUNCTION core_new_id() RETURNS uuid
LANGUAGE sql VOLATILE AS $$ SELECT uuidv7(core_clock_shift()) $$;
GRANT EXECUTE ON FUNCTION core_new_id() TO PUBLIC;

-- Who is asking, set once per database transaction by principal_scope; NULL outside one.
-- nullif: after a transaction-local setting ends, current_setting() gives '' rather than NULL.
CREATE FUNCTION core_principal_id() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('mps.principal_id', true), '')::uuid
$$;
GRANT EXECUTE ON FUNCTION core_principal_id() TO PUBLIC;

CREATE FUNCTION core_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'MPS02';
END $$;

-- Facts a charge reads without a row lock (card, member, merchant, binding, terminal) are guarded by
-- transaction-level advisory locks: a charge shares them, whoever changes such a row takes them alone.
-- Sharing them costs no write, so a busy merchant is no hot row.
CREATE FUNCTION core_share_fact(fact uuid) RETURNS void
LANGUAGE sql VOLATILE AS $$
    SELECT pg_advisory_xact_lock_shared(hashtextextended(fact::text, 0))
$$;
GRANT EXECUTE ON FUNCTION core_share_fact(uuid) TO PUBLIC;

CREATE FUNCTION core_change_fact() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(OLD.id::text, 0));
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;

-- Create the partition of `parent` for the month of `month`, if it is not there yet.
-- It is built beside the table and then attached: the parent is never locked against its users.
CREATE FUNCTION make_partition(parent regclass, month date) RETURNS boolean
LANGUAGE plpgsql SET search_path = public, pg_catalog AS $$
DECLARE
    first_day date := date_trunc('month', month)::date;
    parent_name text := (SELECT relname FROM pg_class WHERE oid = parent);
    child text := parent_name || to_char(first_day, '"_y"YYYY"m"MM');
    statement_trigger record;
    setting record;
BEGIN
    IF EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent = parent AND c.relname = child) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE %s INCLUDING ALL)', child, parent);
    EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC', child);
    -- Nobody is granted the partition itself, so nobody goes round the parent's policies.
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', child);
    FOR statement_trigger IN
        SELECT tgname, pg_get_triggerdef(oid) AS definition FROM pg_trigger
        WHERE tgrelid = parent AND NOT tgisinternal AND tgtype & 1 = 0
    LOOP
        EXECUTE regexp_replace(statement_trigger.definition,
                               ' ON (\S+) ', format(' ON public.%I ', child));
    END LOOP;
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', parent, child,
                   core_uuid_floor(first_day::timestamp AT TIME ZONE 'UTC'),
                   core_uuid_floor((first_day + interval '1 month')::timestamp AT TIME ZONE 'UTC'));
    RETURN true;
END $$;

-- Make the partitions of every partitioned table from `months_back` ago to `months_ahead` on; count the new ones.
CREATE FUNCTION ensure_partitions(months_back integer, months_ahead integer) RETURNS integer
LANGUAGE plpgsql SET search_path = public, pg_catalog AS $$
DECLARE
    made integer := 0;
    parent regclass;
    n integer;
BEGIN
    FOR parent IN SELECT partrelid::regclass FROM pg_partitioned_table JOIN pg_class c ON c.oid = partrelid
                  WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1 LOOP
        FOR n IN -months_back .. months_ahead LOOP
            IF make_partition(parent, ((now() AT TIME ZONE 'UTC')::date + make_interval(months => n))::date) THEN
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- The daily job's way to do that: the web login owns nothing, and may not choose which months.
CREATE FUNCTION core_make_partitions() RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$ SELECT ensure_partitions(0, 4) $$;
GRANT EXECUTE ON FUNCTION core_make_partitions() TO platform_admin;

-- The month partitions of `parent` that lie wholly before `moment`, oldest first, wherever they were moved.
-- For the owner's functions, which act on them.
CREATE FUNCTION core_months_before(parent regclass, moment timestamptz)
RETURNS TABLE (partition regclass, name text, schema text)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT c.oid::regclass, c.relname::text, n.nspname::text
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.inhparent = parent
      AND (to_date(right(c.relname, 7), 'YYYY"m"MM') + interval '1 month')::timestamp AT TIME ZONE 'UTC' <= moment
    ORDER BY c.relname
$$;

-- Close a table to everybody but its owner and the console, whatever they are granted. Its app then says who else
-- sees which rows.
CREATE FUNCTION core_protect(p_table regclass) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_catalog AS $$
DECLARE
    name text := (SELECT relname FROM pg_class WHERE oid = p_table);
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', p_table);
    EXECUTE format('CREATE POLICY %I ON %s TO mps_owner USING (true) WITH CHECK (true)', name || '_owner', p_table);
    EXECUTE format('CREATE POLICY %I ON %s TO platform_admin USING (true) WITH CHECK (true)', name || '_platform', p_table);
END $$;

-- The reverse.
CREATE FUNCTION core_unprotect(p_table regclass) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_catalog AS $$
DECLARE
    policy record;
BEGIN
    FOR policy IN SELECT polname FROM pg_policy WHERE polrelid = p_table LOOP
        EXECUTE format('DROP POLICY %I ON %s', policy.polname, p_table);
    END LOOP;
    EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', p_table);
    EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', p_table);
END $$;

-- How many whole months ahead, without a gap, every partitioned table is ready for; -1 when this month is missing.
CREATE FUNCTION partition_months_ahead() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT min(ahead)::integer FROM (
        SELECT (SELECT coalesce(min(n), 25) - 1 FROM generate_series(0, 24) n
                WHERE NOT EXISTS (
                    SELECT FROM pg_inherits i JOIN pg_class month ON month.oid = i.inhrelid
                    WHERE i.inhparent = p.partrelid AND month.relname = c.relname || to_char(
                        date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n), '"_y"YYYY"m"MM'))
               ) AS ahead
        FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
        WHERE c.relnamespace = 'public'::regnamespace) tables
$$;
GRANT EXECUTE ON FUNCTION partition_months_ahead() TO mps_web, platform_admin;

-- Which migrations were applied; /readyz compares them with the code's.
GRANT SELECT ON django_migrations TO mps_web;
