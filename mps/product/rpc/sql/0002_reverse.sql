DROP FUNCTION rpc_authenticate_service(uuid, bytea);
