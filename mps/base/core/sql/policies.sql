-- Close a table to everybody but its owner and the console, whatever they are granted. Its app then
-- says who else sees which rows.
CREATE OR REPLACE FUNCTION core_protect(p_table regclass) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_catalog AS $$
DECLARE
    name text := (SELECT relname FROM pg_class WHERE oid = p_table);
BEGIN
    IF NOT (SELECT relrowsecurity AND relforcerowsecurity FROM pg_class WHERE oid = p_table) THEN
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_table);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', p_table);
    END IF;
    EXECUTE format('DROP POLICY IF EXISTS %I ON %s', name || '_owner', p_table);
    EXECUTE format(
        'CREATE POLICY %I ON %s TO mps_owner USING (true) WITH CHECK (true)', name || '_owner',
        p_table);
    EXECUTE format('DROP POLICY IF EXISTS %I ON %s', name || '_platform', p_table);
    EXECUTE format(
        'CREATE POLICY %I ON %s TO platform_admin USING (true) WITH CHECK (true)',
        name || '_platform', p_table);
END $$;

-- Job runs, counted guesses and the list of applied files: the console sees them, and nobody else.

SELECT core_protect(t)
FROM unnest(ARRAY['core_jobrun', 'core_guess', 'core_sqlfile']::regclass[]) t;
