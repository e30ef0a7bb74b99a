//! One command creates one session.
//!
//! Before the request to Kapso, the command's idempotency key is stored. A command with the same key (a replay, a resumed
//! job, another process) gets the outcome of the first, and makes no request. A second command for the same subject (one
//! person and one phone) within a minute needs a confirmation.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;
use sqlx::{Row, query};
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::db::{AdvisoryLock, Database, DatabaseError, QUERY_TIMEOUT, StoreConnection, affected_one};
use crate::kapso::SessionId;

/// A second command for the same subject within this needs a confirmation.
const CONFIRM_WITHIN: SignedDuration = SignedDuration::from_secs(60);
/// How long a creation with an unknown outcome counts as running: as long as the database and Kapso may take together.
const RUNNING_FOR: SignedDuration = SignedDuration::from_secs(10);
/// How often a repeated command checks for the outcome of the first.
const OUTCOME_POLL: Duration = Duration::from_millis(250);
/// How long a write that timed out may still take effect: longer than the server's statement timeout.
const LATE_WRITE: SignedDuration = SignedDuration::from_secs(10);
/// Most keys remembered of writes that may still take effect; the oldest are forgotten first. A repeated command is then
/// told that its outcome is not known.
const LATE_WRITES_MAX: usize = 1_000;
/// How long keys are stored. A command can be replayed for the five minutes that its signature is valid, and a stored
/// job for 30 minutes; a confirmation is valid for as long as its key is stored.
const RETENTION: SignedDuration = SignedDuration::from_hours(24);

/// Whether a command may request a session from Kapso.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginOutcome {
    /// It is the first with this key, and may.
    First,
    /// It may not without a confirmation. If another command created something for the same subject within a minute, this
    /// is the latest.
    NeedsConfirmation(Option<Creation>),
    /// There was a command with this key before. This one may not.
    Repeated(Creation),
    /// Its confirmation refers to no stored question. It may not.
    UnknownConfirmation,
}

/// Whether a command may create something for a subject for which something was just created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation<'a> {
    /// Not if the earlier creation began at or after this time.
    NeededSince(Timestamp),
    /// Not in any case; an earlier creation that began at or after this time is reported.
    Needed(Timestamp),
    /// Yes: the person confirmed the command with this key, which must still be stored. It is older than the
    /// confirmation's own key and is deleted first, so that a confirmation is valid once.
    Of(&'a str),
}

/// A creation that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// When.
    pub began_at: Timestamp,
    /// Its outcome; `None` while unknown, because it is running or its process has ended.
    pub outcome: Option<CreationOutcome>,
}

/// The outcome of a creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreationOutcome {
    /// This session was created.
    Created(SessionId),
    /// Nothing was created.
    NotCreated,
    /// Unknown for ever: the response was lost.
    Unknown,
    /// Nothing was created: a confirmation is needed.
    ConfirmationNeeded,
}

impl CreationOutcome {
    /// As stored. No session id is one of these words.
    fn to_text(&self) -> String {
        match self {
            Self::Created(id) => id.to_string(),
            Self::NotCreated => "!nothing".to_owned(),
            Self::Unknown => "!unsure".to_owned(),
            Self::ConfirmationNeeded => "!asked".to_owned(),
        }
    }

    /// Parses the stored text. A text of a later version counts as unknown.
    fn parse(text: &str) -> Self {
        match text {
            "!nothing" => Self::NotCreated,
            "!asked" => Self::ConfirmationNeeded,
            id => SessionId::parse(id).map_or(Self::Unknown, Self::Created),
        }
    }
}

/// A hash that identifies `parts` without storing them. Different lists have different hashes.
#[must_use]
pub fn fingerprint(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// Deletes keys from before a time. Public, because a test looks at how it is executed.
pub const DELETE_KEYS: &str = "DELETE FROM kapso_slack_idempotency_keys WHERE created_at < $1";

/// Queries over the table of idempotency keys.
#[derive(Clone, Debug)]
pub struct KeyRows {
    database: Database,
}

impl KeyRows {
    /// The keys in this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Stores, before the request is made, that the command with this key creates something for `subject`, if its
    /// `confirmation` allows that.
    ///
    /// # Errors
    /// Whether the key is stored is unknown, and the request must not be made.
    pub async fn begin(
        &self,
        key: &str,
        subject: &str,
        now: Timestamp,
        confirmation: Confirmation<'_>,
    ) -> Result<BeginOutcome, DatabaseError> {
        self.database.check_file().await?;
        let mut transaction = self.database.begin_exclusive(AdvisoryLock::IdempotencyKeys).await?;
        let known = query("SELECT created_at, outcome FROM kapso_slack_idempotency_keys WHERE key_hash = $1")
            .bind(key.to_owned())
            .fetch_optional(&mut *transaction)
            .await?;
        let known = known.as_ref().map(creation).transpose()?;
        let recent = match confirmation {
            Confirmation::NeededSince(since) | Confirmation::Needed(since) => {
                let recent = query(
                    "SELECT created_at, outcome FROM kapso_slack_idempotency_keys
                     WHERE subject_hash = $1 AND created_at >= $2
                         AND (outcome IS NULL OR outcome NOT IN ('!nothing', '!asked'))
                     ORDER BY created_at DESC, key_hash LIMIT 1",
                );
                let recent = recent.bind(subject.to_owned()).bind(since.as_millisecond());
                recent.fetch_optional(&mut *transaction).await?
            }
            Confirmation::Of(question) if known.is_none() => {
                let stored_question = query(
                    "SELECT key_hash FROM kapso_slack_idempotency_keys
                     WHERE key_hash = $1 AND subject_hash = $2 AND outcome = '!asked'",
                );
                let stored_question = stored_question.bind(question.to_owned()).bind(subject.to_owned());
                if stored_question.fetch_optional(&mut *transaction).await?.is_none() {
                    return Ok(BeginOutcome::UnknownConfirmation);
                }
                None
            }
            Confirmation::Of(_) => None,
        };
        let recent = recent.as_ref().map(creation).transpose()?;
        let must_ask = recent.is_some() || matches!(confirmation, Confirmation::Needed(_));
        match known {
            Some(known) if must_ask && known.outcome == Some(CreationOutcome::ConfirmationNeeded) => {
                return Ok(BeginOutcome::NeedsConfirmation(recent));
            }
            Some(known) => return Ok(BeginOutcome::Repeated(known)),
            None => {}
        }
        query(
            "INSERT INTO kapso_slack_idempotency_keys (key_hash, subject_hash, created_at, outcome)
             VALUES ($1, $2, $3, $4)",
        )
        .bind(key.to_owned())
        .bind(subject.to_owned())
        .bind(now.as_millisecond())
        .bind(must_ask.then(|| CreationOutcome::ConfirmationNeeded.to_text()))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(if must_ask {
            BeginOutcome::NeedsConfirmation(recent)
        } else {
            BeginOutcome::First
        })
    }

    /// Stores the outcome. False if the key is not stored.
    ///
    /// # Errors
    /// The outcome stays unknown.
    pub async fn finish(&self, key: &str, outcome: &CreationOutcome) -> Result<bool, DatabaseError> {
        let finish = query("UPDATE kapso_slack_idempotency_keys SET outcome = $2 WHERE key_hash = $1");
        let finish = finish.bind(key.to_owned()).bind(outcome.to_text());
        affected_one(finish.execute(self.database.pool()).await)
    }

    /// Stores that nothing was created for a key that was inserted at `began_at` and has no outcome. False if there is no
    /// such key.
    ///
    /// # Errors
    /// The outcome stays unknown.
    pub async fn cancel(&self, key: &str, began_at: Timestamp) -> Result<bool, DatabaseError> {
        let cancel = query(
            "UPDATE kapso_slack_idempotency_keys SET outcome = $3
             WHERE key_hash = $1 AND created_at = $2 AND outcome IS NULL",
        );
        let cancel = cancel
            .bind(key.to_owned())
            .bind(began_at.as_millisecond())
            .bind(CreationOutcome::NotCreated.to_text());
        affected_one(cancel.execute(self.database.pool()).await)
    }

    /// Deletes keys from before then, and returns how many there were.
    ///
    /// # Errors
    /// Call it again later.
    pub async fn delete_created_before(&self, before: Timestamp) -> Result<u64, DatabaseError> {
        let delete = query(DELETE_KEYS).bind(before.as_millisecond());
        Ok(delete.execute(self.database.pool()).await?.rows_affected())
    }
}

fn creation(row: &AnyRow) -> Result<Creation, DatabaseError> {
    let outcome: Option<String> = row.try_get("outcome")?;
    let began_at = Timestamp::from_millisecond(row.try_get("created_at")?)
        .map_err(|_| DatabaseError::Other("column created_at contains no time".to_owned()))?;
    Ok(Creation {
        began_at,
        outcome: outcome.as_deref().map(CreationOutcome::parse),
    })
}

/// The idempotency keys as commands use them.
#[derive(Clone)]
pub struct IdempotencyKeys {
    connection: Arc<StoreConnection>,
    clock: Clock,
    /// Keys whose insertion failed and may still take effect, and since when: nothing was created for them.
    late_writes: Arc<Mutex<Vec<(String, Timestamp)>>>,
}

impl IdempotencyKeys {
    /// The keys in the database of this connection.
    #[must_use]
    pub fn new(connection: Arc<StoreConnection>, clock: Clock) -> Self {
        Self {
            connection,
            clock,
            late_writes: Arc::default(),
        }
    }

    /// Stores, before the request is made, that the command with this key creates something for `subject`. If something was
    /// created for the subject within a minute, it must confirm the command with the key `confirms`. A repeated command
    /// waits for the outcome of the first.
    ///
    /// # Errors
    /// The database does not work, and the request must not be made.
    pub async fn begin(&self, key: &str, subject: &str, confirms: Option<&str>) -> Result<BeginOutcome, DatabaseError> {
        let since = self.clock.now() - CONFIRM_WITHIN;
        let confirmation = confirms.map_or(Confirmation::NeededSince(since), Confirmation::Of);
        self.begin_with(key, subject, confirmation).await
    }

    /// Stores that the command with this key asks whether to create something for `subject`. Its outcome is
    /// [`BeginOutcome::NeedsConfirmation`], unless the key belongs to another command.
    ///
    /// # Errors
    /// The database does not work, and nothing can be confirmed.
    pub async fn ask(&self, key: &str, subject: &str) -> Result<BeginOutcome, DatabaseError> {
        let since = self.clock.now() - CONFIRM_WITHIN;
        self.begin_with(key, subject, Confirmation::Needed(since)).await
    }

    async fn begin_with(
        &self,
        key: &str,
        subject: &str,
        confirmation: Confirmation<'_>,
    ) -> Result<BeginOutcome, DatabaseError> {
        let rows = self.rows()?;
        let now = self.clock.now();
        let give_up = Instant::now() + RUNNING_FOR.unsigned_abs();
        loop {
            self.settle_late_writes(&rows).await;
            let beginning = rows.begin(key, subject, now, confirmation);
            let outcome = self.connection.run(QUERY_TIMEOUT, beginning).await;
            let outcome = outcome.inspect_err(|_| self.remember_late_write(key, now))?;
            match &outcome {
                BeginOutcome::Repeated(Creation {
                    began_at,
                    outcome: None,
                }) if self.clock.now().duration_since(*began_at) < RUNNING_FOR && Instant::now() < give_up => {
                    sleep(OUTCOME_POLL).await;
                }
                _ => return Ok(outcome),
            }
        }
    }

    /// Stores the outcome. If that fails, it stays unknown.
    pub async fn finish(&self, key: &str, outcome: &CreationOutcome) {
        if let Ok(rows) = self.rows() {
            let _ = self.connection.run(QUERY_TIMEOUT, rows.finish(key, outcome)).await;
        }
    }

    /// Deletes keys that are no longer needed.
    pub async fn delete_expired(&self, now: Timestamp) {
        if let Ok(rows) = self.rows() {
            let deleting = rows.delete_created_before(now - RETENTION);
            let _ = self.connection.run(QUERY_TIMEOUT, deleting).await;
        }
    }

    /// Stores that nothing was created for keys whose insertion failed and took effect all the same. Stops at the first
    /// error, so that nobody waits for more than one query.
    async fn settle_late_writes(&self, rows: &KeyRows) {
        let late_writes = self.late_writes().clone();
        for late_write in late_writes {
            let (key, began_at) = &late_write;
            let Ok(was_stored) = self.connection.run(QUERY_TIMEOUT, rows.cancel(key, *began_at)).await else {
                return;
            };
            let is_over = self.clock.now().duration_since(*began_at).abs() >= LATE_WRITE;
            if was_stored || is_over {
                self.late_writes().retain(|other| *other != late_write);
            }
        }
    }

    fn remember_late_write(&self, key: &str, began_at: Timestamp) {
        let mut late_writes = self.late_writes();
        if late_writes.len() >= LATE_WRITES_MAX {
            late_writes.remove(0);
        }
        late_writes.push((key.to_owned(), began_at));
    }

    fn late_writes(&self) -> MutexGuard<'_, Vec<(String, Timestamp)>> {
        self.late_writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rows(&self) -> Result<KeyRows, DatabaseError> {
        let opened = self.connection.opened().ok_or(DatabaseError::NotOpen)?;
        Ok(KeyRows::new(opened.database))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_failed_writes_are_bounded() {
        let clock = Clock::system();
        let keys = IdempotencyKeys::new(Arc::new(StoreConnection::new(|| ())), clock.clone());
        for number in 0..=LATE_WRITES_MAX {
            keys.remember_late_write(&format!("key-{number}"), clock.now());
        }
        let late_writes = keys.late_writes();
        assert_eq!(late_writes.len(), LATE_WRITES_MAX);
        assert_eq!(late_writes.first().map(|(key, _)| key.as_str()), Some("key-1"));
    }
}
