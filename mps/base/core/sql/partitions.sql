-- Create the partition of `parent` for the month of `month`, if it is not there yet.
-- It is built beside the table and then attached: the parent is never locked against its users.
CREATE OR REPLACE FUNCTION make_partition(parent regclass, month date) RETURNS boolean
LANGUAGE plpgsql SET search_path = public, pg_catalog AS $$
DECLARE
    first_day date := date_trunc('month', month)::date;
    parent_name text := (SELECT relname FROM pg_class WHERE oid = parent);
    child text := parent_name || to_char(first_day, '"_y"YYYY"m"MM');
    statement_trigger record;
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
    EXECUTE format(
        'ALTER TABLE %s ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', parent, child,
                   core_uuid_floor(first_day::timestamp AT TIME ZONE 'UTC'),
                   core_uuid_floor((first_day + interval '1 month')::timestamp AT TIME ZONE 'UTC'));
    RETURN true;
END $$;

-- Give every partition the statement triggers of its table as they are now. They are not inherited:
-- a partition has the text of the day it was made. Only what differs is made anew. Run by `migrate`
-- after the files of SQL.
CREATE OR REPLACE FUNCTION core_refresh_partitions() RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    made integer := 0;
    missing record;
BEGIN
    FOR missing IN
        SELECT wanted.definition
        FROM pg_inherits i
        JOIN pg_partitioned_table p ON p.partrelid = i.inhparent
        JOIN pg_trigger t ON t.tgrelid = i.inhparent AND NOT t.tgisinternal AND t.tgtype & 1 = 0
        CROSS JOIN LATERAL (
            SELECT regexp_replace(pg_get_triggerdef(t.oid), '^CREATE TRIGGER (.*?) ON (\S+) ',
                                  format('CREATE TRIGGER \1 ON %s ',
                                         i.inhrelid::regclass)) AS definition) wanted
        WHERE NOT EXISTS (
            SELECT FROM pg_trigger own
            WHERE own.tgrelid = i.inhrelid AND own.tgname = t.tgname
              AND pg_get_triggerdef(own.oid) = wanted.definition)
        ORDER BY 1
    LOOP
        EXECUTE replace(missing.definition, 'CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER');
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

-- Make the partitions of every partitioned table from `months_back` ago to `months_ahead` on; count
-- the new ones.
CREATE OR REPLACE FUNCTION ensure_partitions(months_back integer, months_ahead integer)
RETURNS integer
LANGUAGE plpgsql SET search_path = public, pg_catalog AS $$
DECLARE
    made integer := 0;
    parent regclass;
    n integer;
BEGIN
    FOR parent IN
        SELECT partrelid::regclass FROM pg_partitioned_table JOIN pg_class c ON c.oid = partrelid
        WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1
    LOOP
        FOR n IN -months_back .. months_ahead LOOP
            IF make_partition(
                parent, ((now() AT TIME ZONE 'UTC')::date + make_interval(months => n))::date) THEN
                made := made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;

-- The daily job's way to do that: the web login owns nothing, and may not choose which months.
CREATE OR REPLACE FUNCTION core_make_partitions() RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT ensure_partitions(0, 4)
$$;
GRANT EXECUTE ON FUNCTION core_make_partitions() TO platform_admin;

-- The month partitions of `parent` that lie wholly before `moment`, oldest first, wherever they
-- were moved.
-- For the owner's functions, which act on them.
CREATE OR REPLACE FUNCTION core_months_before(parent regclass, moment timestamptz)
RETURNS TABLE (partition regclass, name text, schema text)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
    SELECT c.oid::regclass, c.relname::text, n.nspname::text
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.inhparent = parent
      AND (to_date(right(c.relname, 7), 'YYYY"m"MM') + interval '1 month')::timestamp
          AT TIME ZONE 'UTC' <= moment
    ORDER BY c.relname
$$;

-- How many whole months ahead, without a gap, every partitioned table is ready for; -1 when this
-- month is missing.
CREATE OR REPLACE FUNCTION partition_months_ahead() RETURNS integer
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT min(ahead)::integer FROM (
        SELECT (SELECT coalesce(min(n), 25) - 1 FROM generate_series(0, 24) n
                WHERE NOT EXISTS (
                    SELECT FROM pg_inherits i JOIN pg_class month ON month.oid = i.inhrelid
                    WHERE i.inhparent = p.partrelid AND month.relname = c.relname || to_char(
                        date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n),
                        '"_y"YYYY"m"MM'))
               ) AS ahead
        FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
        WHERE c.relnamespace = 'public'::regnamespace) tables
$$;
GRANT EXECUTE ON FUNCTION partition_months_ahead() TO mps_web, platform_admin;
