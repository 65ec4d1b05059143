-- The log is the console's to see; everybody writes it by audit_record().

SELECT core_protect(t)
FROM unnest(ARRAY['audit_event', 'audit_seal', 'audit_unsealed']::regclass[]) t;
