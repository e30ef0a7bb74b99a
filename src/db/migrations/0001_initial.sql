-- Runs on SQLite and PostgreSQL alike. Never edit a released migration: add the next file.
-- The tables carry the service's name because a PostgreSQL database may be shared with other programs.
-- All times are Unix milliseconds.

CREATE TABLE kapso_slack_jobs (
    id TEXT PRIMARY KEY,
    -- Which payload type this is: 'late_reply', 'notification', 'watch'.
    kind TEXT NOT NULL,
    -- Schema version of the payload. A process leaves alone what it cannot read.
    version BIGINT NOT NULL,
    -- At most one job has this key; null for jobs that have none.
    unique_key TEXT UNIQUE,
    -- Whose quota the job counts against.
    owner TEXT,
    -- What the job is about: jobs can be claimed by topic.
    topic TEXT,
    due_at BIGINT NOT NULL,
    -- When the job's response_url was received.
    created_at BIGINT NOT NULL,
    -- A lease belongs to one claim, not to one process: attempts tells the claims of one process apart.
    leased_by TEXT NOT NULL,
    leased_until BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    -- JSON
    payload TEXT NOT NULL
);

CREATE INDEX kapso_slack_jobs_due ON kapso_slack_jobs (kind, due_at);

CREATE INDEX kapso_slack_jobs_owner ON kapso_slack_jobs (owner);

CREATE INDEX kapso_slack_jobs_topic ON kapso_slack_jobs (topic);

CREATE TABLE kapso_slack_idempotency_keys (
    key_hash TEXT PRIMARY KEY,
    subject_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- A session id, or a word that begins with '!'; null while the outcome is unknown.
    outcome TEXT
);

CREATE INDEX kapso_slack_idempotency_keys_subject ON kapso_slack_idempotency_keys (subject_hash, created_at);
