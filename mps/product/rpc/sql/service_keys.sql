-- Who holds this service key, if it may act now. Run outside any principal's scope.
CREATE OR REPLACE FUNCTION rpc_authenticate_service(p_key_id uuid, p_secret_hash bytea)
RETURNS TABLE (service_key_id uuid, name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    SELECT id, name FROM rpc_servicekey
    WHERE id = p_key_id AND secret_hash = p_secret_hash AND revoked_at IS NULL
$$;
GRANT EXECUTE ON FUNCTION rpc_authenticate_service(uuid, bytea) TO mps_web;
GRANT SELECT, INSERT ON rpc_servicekey TO platform_admin;
GRANT UPDATE (revoked_at) ON rpc_servicekey TO platform_admin;
