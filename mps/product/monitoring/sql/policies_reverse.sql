SELECT core_unprotect(t) FROM unnest(ARRAY['watch_incident', 'watch_progress', 'watch_counter']::regclass[]) AS t;
