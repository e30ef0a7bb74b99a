-- Runs on SQLite and PostgreSQL alike. Never edit a migration that was shipped: add the next.
-- The tables carry the service's name, since a PostgreSQL database may be shared with others.

CREATE TABLE kapso_slack_jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    -- How the payload is written. A process leaves alone what it cannot read.
    version BIGINT NOT NULL,
    -- Who watches what, who watches, and what is watched: null for jobs that are no watch.
    subject TEXT UNIQUE,
    owner TEXT,
    session TEXT,
    due_at BIGINT NOT NULL,
    -- When its response_url came.
    created_at BIGINT NOT NULL,
    -- A lease belongs to one claim, not to one process: attempts tells the claims of one process apart.
    leased_by TEXT NOT NULL,
    leased_until BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    payload TEXT NOT NULL
);

CREATE INDEX kapso_slack_jobs_due ON kapso_slack_jobs (kind, due_at);

CREATE INDEX kapso_slack_jobs_owner ON kapso_slack_jobs (owner);

CREATE TABLE kapso_slack_creations (
    trigger_hash TEXT PRIMARY KEY,
    subject_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Null while nobody knows what came of it.
    outcome TEXT
);

CREATE INDEX kapso_slack_creations_subject ON kapso_slack_creations (subject_hash, created_at);
