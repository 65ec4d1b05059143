DROP FUNCTION core_purge_job_runs();
DROP FUNCTION core_finish_job(uuid, jsonb, text);
DROP FUNCTION core_keep_job(uuid, integer);
DROP FUNCTION core_start_job(text, integer);
DROP TABLE core_jobrun;
