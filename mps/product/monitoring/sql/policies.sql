-- Incidents are the console's.

SELECT core_protect(t)
FROM unnest(
    ARRAY['monitoring_incident', 'monitoring_progress', 'monitoring_counter']::regclass[]) t;
