-- Who is asking, set once per database transaction by principal_scope; NULL outside one.
-- nullif: after a transaction-local setting ends, current_setting() gives '' rather than NULL.
CREATE OR REPLACE FUNCTION core_principal_id() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('mps.principal_id', true), '')::uuid
$$;
GRANT EXECUTE ON FUNCTION core_principal_id() TO PUBLIC;
