-- The alias of the Kapso project that the job is about; empty if the project has none.
ALTER TABLE kapso_slack_jobs ADD COLUMN project TEXT NOT NULL DEFAULT '';
