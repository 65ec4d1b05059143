-- What jobs and guesses left is the console's to see, and nobody else's.

SELECT core_protect(t) FROM unnest(ARRAY['core_jobrun', 'core_guess']::regclass[]) AS t;
