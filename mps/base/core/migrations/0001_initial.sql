-- What every app's SQL leans on: ids that carry their time, month partitions, append-only guards.

CREATE SCHEMA IF NOT EXISTS report;
CREATE SCHEMA IF NOT EXISTS archive;

-- A function is callable only by whom it is granted to.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO mps_backup;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO mps_backup;

-- Runs of jobs. A running one holds a lease that its process renews; nothing is locked, no session
-- is bound.

CREATE TABLE core_jobrun (
    id uuid PRIMARY KEY DEFAULT core_new_id(),
    name varchar(80) NOT NULL,
    started_at timestamptz NOT NULL DEFAULT core_now(),
    -- Past it a running one is taken for dead, and the next run supersedes it.
    lease_until timestamptz NOT NULL,
    finished_at timestamptz,
    outcome varchar(10) NOT NULL DEFAULT 'running',
    result jsonb,
    -- The class of the error; what it said may hold what is nobody's business.
    error varchar(80) NOT NULL DEFAULT '',
    CONSTRAINT core_jobrun_outcome_valid
        CHECK (outcome IN ('running', 'ok', 'failed', 'unfinished')),
    CONSTRAINT core_jobrun_finished
        CHECK ((finished_at IS NOT NULL) = (outcome IN ('ok', 'failed'))),
    CONSTRAINT core_jobrun_result_short CHECK (length(result::text) <= 2000)
);

-- One of a name runs at a time.
CREATE UNIQUE INDEX core_jobrun_running ON core_jobrun (name) WHERE outcome = 'running';

CREATE INDEX core_jobrun_name ON core_jobrun (name, id);

-- Guesses, counted here while Redis is away. Nothing is lost if it is: unlogged, and forgotten at a
-- crash.

CREATE UNLOGGED TABLE core_guess (
    key varchar(100) PRIMARY KEY,
    -- When each was made, oldest first.
    made_at timestamptz[] NOT NULL DEFAULT '{}',
    forget_at timestamptz NOT NULL
);

CREATE INDEX core_guess_forget ON core_guess (forget_at);

-- Which text of each repeatable file of SQL (functions, triggers, policies, views, grants) the
-- database has.
CREATE TABLE core_sqlfile (
    app varchar(40) NOT NULL,
    name varchar(60) NOT NULL,
    -- SHA-256 of the text that was applied last.
    sha256 bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, name),
    CONSTRAINT core_sqlfile_hash_whole CHECK (length(sha256) = 32)
);
