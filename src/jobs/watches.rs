//! Watches in the store: one for each session that somebody watches, and not too many.

use jiff::Timestamp;
use sqlx::{query, query_scalar};

use super::access::Opened;
use super::error::StoreError;
use super::job::{Claimed, Job, Kind, Lease, LeasedJob, Line, Wanted};
use super::payload::{Payload, VERSION, Watch};
use super::store::{Store, moment, one};
use super::{JobStore, watch};
use crate::kapso::SessionId;
use crate::slack::Who;

/// Who watches what: there is one watch for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchKey {
    owner: String,
    subject: String,
}

impl WatchKey {
    /// The watch of this person on this session.
    #[must_use]
    pub fn new(who: &Who, session: &SessionId) -> Self {
        let owner = format!("{}/{}", who.home(), who.user);
        Self {
            subject: format!("{owner}/{session}"),
            owner,
        }
    }
}

/// How many watches there may be.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Of one person.
    pub mine: u32,
    /// Of all.
    pub all: u32,
}

/// What came of a wish to watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is watched from now on.
    Added,
    /// It was watched already. The watch goes on with the newer `response_url`, as if it began when that came.
    AlreadyThere,
    /// This person watches as many sessions as one may.
    TooManyOfMine,
    /// All together do.
    TooManyInAll,
}

impl Store {
    /// Stores a watch, first due at `due_at`, unless it is there or there are too many. Whoever works on a watch that
    /// is already there loses the lease: what they know of it is out of date.
    ///
    /// # Errors
    /// The watch may be stored all the same if the connection broke on the way back.
    pub async fn add_watch(&self, watch: &Watch, due_at: Timestamp, caps: Caps) -> Result<Added, StoreError> {
        self.check_file().await?;
        let key = WatchKey::new(&watch.who, &watch.session);
        let job = Job::new(Payload::Watch(watch.clone()), due_at);
        let payload = super::store::json(&job.payload)?;
        let mut transaction = self.pool.begin().await?;
        // One at a time, in any process: the row is locked until the end, so that counting and adding are one.
        query("UPDATE kapso_slack_schema SET version = version")
            .execute(&mut *transaction)
            .await?;
        let renewed = query(
            "UPDATE kapso_slack_jobs SET version = $2, due_at = $3, created_at = $4, payload = $5,
                 leased_by = '', leased_until = 0
             WHERE subject = $1 AND created_at <= $4",
        )
        .bind(key.subject.clone())
        .bind(VERSION)
        .bind(due_at.as_millisecond())
        .bind(job.created_at.as_millisecond())
        .bind(payload.clone())
        .execute(&mut *transaction)
        .await;
        if one(renewed)? {
            transaction.commit().await?;
            return Ok(Added::AlreadyThere);
        }
        // A command that is carried out again after a crash may be older than the watch.
        let newer: i64 = query_scalar("SELECT count(*) FROM kapso_slack_jobs WHERE subject = $1")
            .bind(key.subject.clone())
            .fetch_one(&mut *transaction)
            .await?;
        if newer > 0 {
            return Ok(Added::AlreadyThere);
        }
        let mine: i64 = query_scalar("SELECT count(*) FROM kapso_slack_jobs WHERE owner = $1")
            .bind(key.owner.clone())
            .fetch_one(&mut *transaction)
            .await?;
        let all: i64 = query_scalar("SELECT count(*) FROM kapso_slack_jobs WHERE kind = $1")
            .bind(Kind::Watch.name())
            .fetch_one(&mut *transaction)
            .await?;
        if mine >= i64::from(caps.mine) {
            return Ok(Added::TooManyOfMine);
        }
        if all >= i64::from(caps.all) {
            return Ok(Added::TooManyInAll);
        }
        query(
            "INSERT INTO kapso_slack_jobs
                 (id, kind, version, subject, owner, session, due_at, created_at, leased_by, leased_until, attempts, payload)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', 0, 0, $9)",
        )
        .bind(job.id.0)
        .bind(Kind::Watch.name())
        .bind(VERSION)
        .bind(key.subject)
        .bind(key.owner)
        .bind(watch.session.as_str().to_owned())
        .bind(due_at.as_millisecond())
        .bind(job.created_at.as_millisecond())
        .bind(payload)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Added::Added)
    }

    /// When the `response_url` of a watch came; none if there is no such watch.
    ///
    /// # Errors
    /// Then nobody knows.
    pub async fn watch_began(&self, key: &WatchKey) -> Result<Option<Timestamp>, StoreError> {
        let row = query("SELECT created_at FROM kapso_slack_jobs WHERE subject = $1")
            .bind(key.subject.clone())
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| moment(&row, "created_at")).transpose()
    }

    /// Ends a watch; false if there was none. Whoever works on it finds its lease lost before posting.
    ///
    /// # Errors
    /// The watch may still be there.
    pub async fn unwatch(&self, key: &WatchKey) -> Result<bool, StoreError> {
        let unwatch = query("DELETE FROM kapso_slack_jobs WHERE subject = $1").bind(key.subject.clone());
        one(unwatch.execute(&self.pool).await)
    }
}

impl JobStore {
    /// Stores a watch; none if the store does not work, and then nobody is to be told that it began.
    pub async fn watch(&self, watch: &Watch) -> Option<Added> {
        let store = self.access.opened()?.store;
        let due_at = watch::first_look(watch, self.clock.now());
        self.asked(store.add_watch(watch, due_at, watch::CAPS)).await.ok()
    }

    /// Ends a watch; none if the store does not work, else whether there was one.
    pub async fn unwatch(&self, key: &WatchKey) -> Option<bool> {
        self.asked(self.access.opened()?.store.unwatch(key)).await.ok()
    }

    /// Until when somebody watches a session, as far as the store says so.
    pub async fn watched_until(&self, key: &WatchKey) -> Option<Timestamp> {
        let began = self.asked(self.access.opened()?.store.watch_began(key)).await;
        Some(began.ok()?? + watch::GOODBYE)
    }

    /// How many watches there are, and how many are due.
    pub async fn watches(&self, now: Timestamp) -> Option<Line> {
        let owed = self.asked(self.access.opened()?.store.owed(now)).await;
        Some(owed.ok()?.watches)
    }

    /// Leases watches.
    pub async fn claim_watches(&self, wanted: &Wanted<'_>, now: Timestamp) -> Claimed {
        self.claims(wanted, now).await
    }

    /// Has a watch wait, with what it knows now. Should this fail, its lease runs out, and it is as it was.
    pub async fn rearm(&self, lease: &Lease, watch: Watch, until: Timestamp) {
        if let Some(Opened { store, .. }) = self.access.opened() {
            let _ = self.asked(store.rearm(lease, &Payload::Watch(watch), until)).await;
        }
    }

    /// Gives a lease back, with the job as it is.
    pub async fn release(&self, held: &LeasedJob) {
        if let Some(Opened { store, .. }) = self.access.opened() {
            let _ = self.asked(store.release(&held.lease)).await;
        }
    }
}
