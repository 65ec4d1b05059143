-- Begin a run: its id, or NULL if one is running. One whose lease ran out is left behind as
-- unfinished.
CREATE OR REPLACE FUNCTION core_start_job(p_name text, p_lease_seconds integer) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    UPDATE core_jobrun SET outcome = 'unfinished'
    WHERE name = p_name AND outcome = 'running' AND lease_until <= core_now();
    INSERT INTO core_jobrun (name, lease_until)
    VALUES (p_name, core_now() + make_interval(secs => p_lease_seconds))
    ON CONFLICT (name) WHERE outcome = 'running' DO NOTHING RETURNING id
$$;
GRANT EXECUTE ON FUNCTION core_start_job(text, integer) TO platform_admin;

-- Renew a run's lease; false if it was superseded.
CREATE OR REPLACE FUNCTION core_keep_job(p_id uuid, p_lease_seconds integer) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH kept AS (
        UPDATE core_jobrun SET lease_until = core_now() + make_interval(secs => p_lease_seconds)
        WHERE id = p_id AND outcome = 'running' RETURNING 1
    ) SELECT EXISTS (SELECT FROM kept)
$$;
GRANT EXECUTE ON FUNCTION core_keep_job(uuid, integer) TO platform_admin;

-- End a run; false if it was superseded meanwhile: then it stays unfinished.
CREATE OR REPLACE FUNCTION core_finish_job(p_id uuid, p_result jsonb, p_error text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH finished AS (
        UPDATE core_jobrun
        SET outcome = CASE p_error WHEN '' THEN 'ok' ELSE 'failed' END, finished_at = core_now(),
            result = p_result, error = p_error
        WHERE id = p_id AND outcome = 'running' RETURNING 1
    ) SELECT EXISTS (SELECT FROM finished)
$$;
GRANT EXECUTE ON FUNCTION core_finish_job(uuid, jsonb, text) TO platform_admin;

-- Forget runs that began more than 90 days ago, and after a week those that went well: one job
-- runs every ten seconds. The newest of each job stays.
CREATE OR REPLACE FUNCTION core_purge_job_runs() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_catalog AS $$
    WITH gone AS (
        DELETE FROM core_jobrun AS run
        WHERE started_at < core_now()
            - CASE outcome WHEN 'ok' THEN interval '7 days' ELSE interval '90 days' END
            AND outcome <> 'running'
            AND EXISTS (SELECT FROM core_jobrun AS later
                        WHERE later.name = run.name AND later.id > run.id)
        RETURNING 1
    ) SELECT count(*) FROM gone
$$;
GRANT EXECUTE ON FUNCTION core_purge_job_runs() TO platform_admin;

-- No member's or merchant's data: the platform sees all rows, nobody else any.
GRANT SELECT ON core_jobrun TO platform_admin;
