SELECT core_unprotect(t) FROM unnest(ARRAY['audit_event', 'audit_seal', 'audit_unsealed']::regclass[]) AS t;
