//! Creations in the store: which commands have asked Kapso to create something, so that none asks twice.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use sqlx::{Row, query};

use super::error::StoreError;
use super::store::{Store, one};

/// Whether a command may ask Kapso to create something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is the first to say so, and must ask.
    First,
    /// It has asked before, and must not ask again.
    Again {
        /// What came of it; `None` while nobody knows.
        outcome: Option<String>,
    },
}

/// A creation that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// When.
    pub created_at: Timestamp,
    /// What came of it; `None` while nobody knows.
    pub outcome: Option<String>,
}

/// Stands for `parts` where they are only to be recognised: no two lists of parts share one.
#[must_use]
pub fn fingerprint(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

impl Store {
    /// Writes down, before it asks, that the command with this fingerprint asks Kapso to create something.
    ///
    /// # Errors
    /// Then nobody knows, and it must not ask.
    pub async fn begin_creation(&self, trigger: &str, subject: &str, now: Timestamp) -> Result<Begun, StoreError> {
        self.check_file().await?;
        let begin = query(
            "INSERT INTO kapso_slack_creations (trigger_hash, subject_hash, created_at) VALUES ($1, $2, $3)
             ON CONFLICT DO NOTHING",
        );
        let begin = begin.bind(trigger.to_owned()).bind(subject.to_owned());
        if one(begin.bind(now.as_millisecond()).execute(&self.pool).await)? {
            return Ok(Begun::First);
        }
        let row = query("SELECT outcome FROM kapso_slack_creations WHERE trigger_hash = $1")
            .bind(trigger.to_owned())
            .fetch_optional(&self.pool)
            .await?;
        let outcome = row.map(|row| row.try_get("outcome")).transpose()?.flatten();
        Ok(Begun::Again { outcome })
    }

    /// Writes down what came of it. False if it was never begun, or forgotten.
    ///
    /// # Errors
    /// What came of it stays unknown.
    pub async fn finish_creation(&self, trigger: &str, outcome: &str) -> Result<bool, StoreError> {
        let finish = query("UPDATE kapso_slack_creations SET outcome = $2 WHERE trigger_hash = $1");
        let finish = finish.bind(trigger.to_owned()).bind(outcome.to_owned());
        one(finish.execute(&self.pool).await)
    }

    /// The latest creation for the same subject, such as one person and one phone number, since then.
    ///
    /// # Errors
    /// Then nobody knows.
    pub async fn recent_creation(&self, subject: &str, since: Timestamp) -> Result<Option<Creation>, StoreError> {
        let row = query(
            "SELECT created_at, outcome FROM kapso_slack_creations WHERE subject_hash = $1 AND created_at >= $2
             ORDER BY created_at DESC, trigger_hash LIMIT 1",
        )
        .bind(subject.to_owned())
        .bind(since.as_millisecond())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(Creation {
            created_at: super::store::moment(&row, "created_at")?,
            outcome: row.try_get("outcome")?,
        }))
    }

    /// Forgets the creations from before then, and says how many there were.
    ///
    /// # Errors
    /// To be called again later anyway.
    pub async fn forget_creations(&self, before: Timestamp) -> Result<u64, StoreError> {
        let forget = query("DELETE FROM kapso_slack_creations WHERE created_at < $1").bind(before.as_millisecond());
        Ok(forget.execute(&self.pool).await?.rows_affected())
    }
}
