-- Incidents are the console's.

SELECT core_protect(t) FROM unnest(ARRAY['watch_incident', 'watch_progress', 'watch_counter']::regclass[]) AS t;
