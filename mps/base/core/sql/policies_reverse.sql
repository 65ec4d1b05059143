SELECT core_unprotect(t) FROM unnest(ARRAY['core_jobrun', 'core_guess']::regclass[]) AS t;
