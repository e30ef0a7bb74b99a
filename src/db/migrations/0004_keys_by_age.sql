-- For deleting expired keys, which happens every minute.
CREATE INDEX kapso_slack_idempotency_keys_created ON kapso_slack_idempotency_keys (created_at);
