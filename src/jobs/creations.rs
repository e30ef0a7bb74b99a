//! Creations in the store: which commands have asked Kapso to create something, so that none asks twice.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;
use sqlx::{Row, query};
use tokio::time::{Instant, sleep};

use super::JobStore;
use super::access::Opened;
use super::error::StoreError;
use super::store::{Store, one};
use crate::kapso::SessionId;

/// Who asks for the same again within this is asked first whether they mean it.
const SAME_AGAIN: SignedDuration = SignedDuration::from_secs(60);
/// A creation that nobody knows the outcome of is under way for as long as this: as long as the store and Kapso are given together.
const UNDER_WAY: SignedDuration = SignedDuration::from_secs(10);
/// How often whoever comes second looks for the outcome.
const LOOKING: Duration = Duration::from_millis(250);

/// Whether a command may ask Kapso to create something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeginOutcome {
    /// It is the first to say so, and must ask.
    First,
    /// Another command has asked for the same a moment ago. This one must not ask: whoever typed it is asked first.
    Recent(Creation),
    /// It was here before, and must not ask again.
    Again(Creation),
    /// It answers a question that nobody was asked, or that is forgotten. This one must not ask.
    Unasked,
}

/// Why a command may ask for what another has asked for a moment ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation<'a> {
    /// It may not, if it has done so since then: whoever typed it is asked first.
    AskSince(Timestamp),
    /// They said yes when they were asked about the command with this fingerprint. The question is forgotten before
    /// the yes is, so that a yes is good once.
    To(&'a str),
}

/// A creation that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// When.
    pub begun_at: Timestamp,
    /// What came of it; `None` while nobody knows, because it is under way or its process has ended.
    pub outcome: Option<Created>,
}

/// What came of a creation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// This session.
    Session(SessionId),
    /// Nothing, for sure.
    Nothing,
    /// Nobody knows, and nobody will: the answer was lost.
    Unsure,
    /// Nothing: whoever typed it was asked first whether they mean it.
    Asked,
}

impl Created {
    /// As it stands in the store. No id is one of these words.
    fn to_text(&self) -> String {
        match self {
            Self::Session(id) => id.to_string(),
            Self::Nothing => "!nothing".to_owned(),
            Self::Unsure => "!unsure".to_owned(),
            Self::Asked => "!asked".to_owned(),
        }
    }

    /// Reads it; what a later version has written is nothing to rely on.
    fn parse(text: &str) -> Self {
        match text {
            "!nothing" => Self::Nothing,
            "!asked" => Self::Asked,
            id => SessionId::parse(id).map_or(Self::Unsure, Self::Session),
        }
    }
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
    /// Writes down, before it asks, that the command with the fingerprint `trigger` asks Kapso to create something for
    /// `subject`, such as one person and one phone number. Not without `consent`, unless what another has asked for has
    /// come to nothing.
    ///
    /// # Errors
    /// Then nobody knows, and it must not ask.
    pub async fn begin_creation(
        &self,
        trigger: &str,
        subject: &str,
        now: Timestamp,
        consent: Confirmation<'_>,
    ) -> Result<BeginOutcome, StoreError> {
        self.check_file().await?;
        let mut transaction = self.pool.begin().await?;
        // One at a time, in any process: the row is locked until the end, so that looking and adding are one.
        query("UPDATE kapso_slack_schema SET version = version")
            .execute(&mut *transaction)
            .await?;
        let known = query("SELECT created_at, outcome FROM kapso_slack_creations WHERE trigger_hash = $1")
            .bind(trigger.to_owned())
            .fetch_optional(&mut *transaction)
            .await?;
        let known = known.as_ref().map(creation).transpose()?;
        let recent = match consent {
            Confirmation::AskSince(since) => {
                let recent = query(
                    "SELECT created_at, outcome FROM kapso_slack_creations
                     WHERE subject_hash = $1 AND created_at >= $2
                         AND (outcome IS NULL OR outcome NOT IN ('!nothing', '!asked'))
                     ORDER BY created_at DESC, trigger_hash LIMIT 1",
                );
                let recent = recent.bind(subject.to_owned()).bind(since.as_millisecond());
                recent.fetch_optional(&mut *transaction).await?
            }
            Confirmation::To(question) if known.is_none() => {
                let asked = query(
                    "SELECT trigger_hash FROM kapso_slack_creations
                     WHERE trigger_hash = $1 AND subject_hash = $2 AND outcome = '!asked'",
                );
                let asked = asked.bind(question.to_owned()).bind(subject.to_owned());
                if asked.fetch_optional(&mut *transaction).await?.is_none() {
                    return Ok(BeginOutcome::Unasked);
                }
                None
            }
            Confirmation::To(_) => None,
        };
        let recent = recent.as_ref().map(creation).transpose()?;
        match (known, recent.clone()) {
            (Some(asked), Some(recent)) if asked.outcome == Some(Created::Asked) => {
                return Ok(BeginOutcome::Recent(recent));
            }
            (Some(known), _) => return Ok(BeginOutcome::Again(known)),
            (None, _) => {}
        }
        query(
            "INSERT INTO kapso_slack_creations (trigger_hash, subject_hash, created_at, outcome)
             VALUES ($1, $2, $3, $4)",
        )
        .bind(trigger.to_owned())
        .bind(subject.to_owned())
        .bind(now.as_millisecond())
        .bind(recent.is_some().then(|| Created::Asked.to_text()))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(recent.map_or(BeginOutcome::First, BeginOutcome::Recent))
    }

    /// Writes down what came of it. False if it was never begun, or forgotten.
    ///
    /// # Errors
    /// What came of it stays unknown.
    pub async fn finish_creation(&self, trigger: &str, outcome: &Created) -> Result<bool, StoreError> {
        let finish = query("UPDATE kapso_slack_creations SET outcome = $2 WHERE trigger_hash = $1");
        let finish = finish.bind(trigger.to_owned()).bind(outcome.to_text());
        one(finish.execute(&self.pool).await)
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

fn creation(row: &AnyRow) -> Result<Creation, StoreError> {
    let outcome: Option<String> = row.try_get("outcome")?;
    Ok(Creation {
        begun_at: super::store::moment(row, "created_at")?,
        outcome: outcome.as_deref().map(Created::parse),
    })
}

impl JobStore {
    /// Writes down, before it asks, that the command with the fingerprint `trigger` asks Kapso to create something;
    /// unless it `answers` a question, not if it was asked for a moment ago. Whoever comes second waits for the outcome
    /// of the first. `None` if the store does not work: then nobody must ask.
    pub async fn begin_creation(&self, trigger: &str, subject: &str, answers: Option<&str>) -> Option<BeginOutcome> {
        let Opened { store, .. } = self.access.opened()?;
        let now = self.clock.now();
        let consent = answers.map_or(Confirmation::AskSince(now - SAME_AGAIN), Confirmation::To);
        let give_up = Instant::now() + UNDER_WAY.unsigned_abs();
        loop {
            let beginning = store.begin_creation(trigger, subject, now, consent);
            let begun = self.asked(beginning).await.ok()?;
            match &begun {
                BeginOutcome::Again(Creation {
                    begun_at,
                    outcome: None,
                }) if self.clock.now().duration_since(*begun_at) < UNDER_WAY && Instant::now() < give_up => {
                    sleep(LOOKING).await;
                }
                _ => return Some(begun),
            }
        }
    }

    /// Writes down what came of it. Should that fail, nobody will know.
    pub async fn finish_creation(&self, trigger: &str, outcome: &Created) {
        if let Some(Opened { store, .. }) = self.access.opened() {
            let _ = self.asked(store.finish_creation(trigger, outcome)).await;
        }
    }
}
