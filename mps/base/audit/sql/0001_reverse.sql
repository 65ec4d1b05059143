DROP VIEW report.audit_events;
DROP FUNCTION audit_record(text, text, text, text, text, jsonb, text, text);
DROP TABLE audit_unsealed;
DROP TABLE audit_event;
