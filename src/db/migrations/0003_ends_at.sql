-- When a job ends that may last longer than its response_url: a watch with direct messages, and its notifications. Null
-- for all others.
ALTER TABLE kapso_slack_jobs ADD COLUMN ends_at BIGINT;
