REVOKE SELECT ON audit_unsealed FROM platform_admin;
DROP FUNCTION audit_check_unsealed(uuid);
DROP FUNCTION audit_check_seals(bigint, bigint);
DROP FUNCTION audit_seal_events(integer);
DROP FUNCTION audit_seal_digest(bytea, bigint, timestamptz, uuid[], bytea[]);
DROP FUNCTION audit_event_hash(audit_event);
DROP FUNCTION audit_micros(timestamptz);
DROP FUNCTION audit_genesis();
-- What was sealed waits again.
INSERT INTO audit_unsealed (event_id) SELECT unnest(event_ids) FROM audit_seal;
DROP TABLE audit_seal;
