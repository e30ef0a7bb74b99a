//! Keeps jobs, and gives each lease exactly once.
//!
//! Every time comes from the caller's clock, never from the database's. Every operation may be slow: callers bound it.
//! An operation whose caller gave up may still take effect: after an `add` that did not answer in time, the job may
//! be there all the same, under the name its caller knows (see [`Store::forget`]).

use jiff::{SignedDuration, Timestamp};
use sqlx::any::{AnyArguments, AnyQueryResult, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyPool, Row, query, raw_sql};

use super::error::StoreError;
use super::job::{Claimed, Job, JobId, Kind, Lease, LeasedJob, Line, QueueStats, Wanted, Worker};
use super::open::File;
use super::payload::{Payload, VERSION};
use crate::kapso::SessionId;

/// The claim, with what locks the rows that were chosen.
///
/// The lease is tested twice, when rows are chosen and when they are taken, so that a row that somebody else took in
/// between is left alone. Without a lock, PostgreSQL has all who claim together choose the same rows, and all but one
/// go away empty-handed; `SKIP LOCKED` gives each rows of its own. SQLite has one writer and no such clause.
macro_rules! claim {
    ($lock:literal) => {
        concat!(
            "WITH due AS MATERIALIZED (
                 SELECT id FROM kapso_slack_jobs
                 WHERE kind = $1 AND version <= $2 AND due_at <= $3 AND leased_until <= $4
                     AND created_at <= $8 AND ($9 = '' OR $9 LIKE '%,' || session || ',%')
                 ORDER BY due_at, id LIMIT $5 ",
            $lock,
            ")
             UPDATE kapso_slack_jobs SET leased_by = $6, leased_until = $7, attempts = attempts + 1
             WHERE id IN (SELECT id FROM due) AND leased_until <= $4
             RETURNING id, due_at, created_at, attempts, payload"
        )
    };
}

/// Where what is owed is kept: a SQLite file of one process, or a PostgreSQL database that several share.
#[derive(Clone, Debug)]
pub struct Store {
    pub(super) pool: AnyPool,
    /// The file, to be told from one that takes its place.
    pub(super) file: Option<File>,
    /// Whether the file was made when it was opened.
    pub(super) is_new: bool,
    /// Whether other processes claim too.
    pub(super) shared: bool,
}

impl Store {
    /// Stores a job, leased until then to that worker if there is one.
    ///
    /// # Errors
    /// The job may be stored all the same if the connection broke on the way back.
    pub async fn add(&self, job: &Job, lease: Option<(&Worker, Timestamp)>) -> Result<Option<Lease>, StoreError> {
        self.check_file().await?;
        let (leased_by, leased_until, attempts) = match lease {
            Some((worker, until)) => (worker.0.clone(), until.as_millisecond(), 1),
            None => (String::new(), 0, i64::from(job.attempts)),
        };
        query(
            "INSERT INTO kapso_slack_jobs
                 (id, kind, version, due_at, created_at, leased_by, leased_until, attempts, payload)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(job.id.0.clone())
        .bind(job.kind().name())
        .bind(VERSION)
        .bind(job.due_at.as_millisecond())
        .bind(job.created_at.as_millisecond())
        .bind(leased_by)
        .bind(leased_until)
        .bind(attempts)
        .bind(json(&job.payload)?)
        .execute(&self.pool)
        .await?;
        Ok(lease.map(|(worker, _)| Lease {
            job: job.id.clone(),
            worker: worker.clone(),
            attempt: attempts,
        }))
    }

    /// Leases jobs that nobody has a lease on now, the longest due first. To nobody else, as long as the lease is
    /// renewed in time.
    ///
    /// # Errors
    /// Leases may have been given all the same; they run out.
    pub async fn claim(
        &self,
        wanted: &Wanted<'_>,
        worker: &Worker,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claimed, StoreError> {
        self.check_file().await?;
        let kind = wanted.kind;
        let claim = if self.shared {
            claim!("FOR UPDATE SKIP LOCKED")
        } else {
            claim!("")
        };
        let rows = query(claim)
            .bind(kind.name())
            .bind(VERSION)
            .bind(wanted.due_by.as_millisecond())
            .bind(now.as_millisecond())
            .bind(i64::from(wanted.limit))
            .bind(worker.0.clone())
            .bind(until.as_millisecond())
            .bind(wanted.created_by.as_millisecond())
            .bind(wanted.sessions.map(listed).unwrap_or_default())
            .fetch_all(&self.pool)
            .await?;
        let mut claimed = Claimed::default();
        for row in rows {
            let lease = Lease {
                job: JobId(row.try_get("id")?),
                worker: worker.clone(),
                attempt: row.try_get("attempts")?,
            };
            let Ok(payload) = Payload::from_json(kind, row.try_get("payload")?) else {
                claimed.unreadable.push(lease);
                continue;
            };
            let job = Job {
                id: lease.job.clone(),
                due_at: moment(&row, "due_at")?,
                created_at: moment(&row, "created_at")?,
                attempts: u32::try_from(lease.attempt).unwrap_or(u32::MAX),
                payload,
            };
            claimed.jobs.push(LeasedJob { job, lease });
        }
        claimed.jobs.sort_by_key(|held| held.job.due_at);
        Ok(claimed)
    }

    /// Holds on to a lease until then; false if it was lost, and then nothing must be posted for it. A lease that ran
    /// out but that nobody took since is still its holder's.
    ///
    /// # Errors
    /// Then nobody knows, and nothing must be posted either.
    pub async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<bool, StoreError> {
        let renew = by_holder(
            "UPDATE kapso_slack_jobs SET leased_until = $4 WHERE id = $1 AND leased_by = $2 AND attempts = $3",
            lease,
        );
        one(renew.bind(until.as_millisecond()).execute(&self.pool).await)
    }

    /// Holds on to a lease like [`Store::renew`], and writes down how far the work has come: before a post, that the
    /// `response_url` takes one less.
    ///
    /// # Errors
    /// Then nobody knows, and nothing must be posted.
    pub async fn save(&self, lease: &Lease, payload: &Payload, until: Timestamp) -> Result<bool, StoreError> {
        let save = by_holder(
            "UPDATE kapso_slack_jobs SET leased_until = $4, payload = $5, version = $6
             WHERE id = $1 AND leased_by = $2 AND attempts = $3",
            lease,
        );
        let save = save.bind(until.as_millisecond()).bind(json(payload)?).bind(VERSION);
        one(save.execute(&self.pool).await)
    }

    /// Gives a lease back, the job as it is: anybody can claim it at once. False if the lease was lost.
    ///
    /// # Errors
    /// The lease runs out by itself.
    pub async fn release(&self, lease: &Lease) -> Result<bool, StoreError> {
        let release = by_holder(
            "UPDATE kapso_slack_jobs SET leased_by = '', leased_until = 0
             WHERE id = $1 AND leased_by = $2 AND attempts = $3",
            lease,
        );
        one(release.execute(&self.pool).await)
    }

    /// Gives a lease back with what is to be done next, and when. False, and nothing changed, if the lease was lost.
    ///
    /// # Errors
    /// The lease runs out by itself, and the job is as it was.
    pub async fn rearm(&self, lease: &Lease, payload: &Payload, due_at: Timestamp) -> Result<bool, StoreError> {
        let rearm = by_holder(
            "UPDATE kapso_slack_jobs SET leased_by = '', leased_until = 0, due_at = $4, payload = $5, version = $6
             WHERE id = $1 AND leased_by = $2 AND attempts = $3",
            lease,
        );
        let rearm = rearm.bind(due_at.as_millisecond()).bind(json(payload)?).bind(VERSION);
        one(rearm.execute(&self.pool).await)
    }

    /// Deletes a job that is done, or lost. False if the lease was lost: a watch may have got a newer `response_url`
    /// in the meantime, which is news to its holder.
    ///
    /// # Errors
    /// The job is still there, and will be done again.
    pub async fn finish(&self, lease: &Lease) -> Result<bool, StoreError> {
        let finish = by_holder(
            "DELETE FROM kapso_slack_jobs WHERE id = $1 AND leased_by = $2 AND attempts = $3",
            lease,
        );
        one(finish.execute(&self.pool).await)
    }

    /// Deletes a job whoever works on it: one whose answer was delivered, by whatever way. True if it was there.
    /// Whoever held it finds its lease lost before posting.
    ///
    /// # Errors
    /// The job may still be there.
    pub async fn forget(&self, job: &JobId) -> Result<bool, StoreError> {
        let forget = query("DELETE FROM kapso_slack_jobs WHERE id = $1").bind(job.0.clone());
        one(forget.execute(&self.pool).await)
    }

    /// What the store holds, and with it whether it works at all.
    ///
    /// # Errors
    /// It does not.
    pub async fn owed(&self, now: Timestamp) -> Result<QueueStats, StoreError> {
        self.check_file().await?;
        let rows = query(
            "SELECT kind, count(*) AS jobs,
                 count(DISTINCT CASE WHEN due_at <= $2 AND leased_until <= $2 THEN COALESCE(session, id) END) AS due,
                 min(CASE WHEN leased_until > due_at THEN leased_until ELSE due_at END) AS next
             FROM kapso_slack_jobs WHERE version <= $1 GROUP BY kind",
        )
        .bind(VERSION)
        .bind(now.as_millisecond())
        .fetch_all(&self.pool)
        .await?;
        let mut owed = QueueStats::default();
        for row in rows {
            let kind: &str = row.try_get("kind")?;
            let line = match kind {
                kind if kind == Kind::Late.name() => &mut owed.late,
                kind if kind == Kind::Watch.name() => &mut owed.watches,
                _ => continue,
            };
            let number = |name| {
                row.try_get::<i64, _>(name)
                    .map(|count| u64::try_from(count).unwrap_or(0))
            };
            *line = Line {
                count: number("jobs")?,
                due: number("due")?,
                due_in: Some(moment(&row, "next")?.duration_since(now).max(SignedDuration::ZERO)),
            };
        }
        Ok(owed)
    }

    /// Deletes jobs from before then, whose `response_url` Slack takes no longer, and says how many there were. What
    /// is deleted leaves the file too, which otherwise shows it for a while.
    ///
    /// # Errors
    /// To be called again later anyway.
    pub async fn tidy(&self, before: Timestamp) -> Result<u64, StoreError> {
        let old = query("DELETE FROM kapso_slack_jobs WHERE created_at < $1").bind(before.as_millisecond());
        let lost = old.execute(&self.pool).await?.rows_affected();
        if !self.shared {
            raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await?;
        }
        Ok(lost)
    }

    /// Whether what is stored is still there when this process is gone.
    #[must_use]
    pub fn outlives_the_process(&self) -> bool {
        self.file.is_some() || self.shared
    }

    pub(super) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    /// Lets go of the database. What is asked of the store afterwards fails.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Between commas, to be found by `LIKE`. An id's `_` stands for any character there, so a few ids too many are found.
fn listed(sessions: &[SessionId]) -> String {
    let mut list = ",".to_owned();
    for session in sessions {
        list.push_str(session.as_str());
        list.push(',');
    }
    list
}

/// A statement whose first three parameters say that the lease is good.
fn by_holder(sql: &'static str, lease: &Lease) -> Query<'static, Any, AnyArguments> {
    query(sql)
        .bind(lease.job.0.clone())
        .bind(lease.worker.0.clone())
        .bind(lease.attempt)
}

pub(super) fn json(payload: &Payload) -> Result<String, StoreError> {
    payload
        .to_json()
        .map_err(|_| StoreError::Other("the job cannot be written down".to_owned()))
}

pub(super) fn moment(row: &AnyRow, column: &str) -> Result<Timestamp, StoreError> {
    let ms = row.try_get(column)?;
    Timestamp::from_millisecond(ms).map_err(|_| StoreError::Other(format!("column {column} holds no time")))
}

/// Whether the one row was there that was meant.
pub(super) fn one(done: Result<AnyQueryResult, sqlx::Error>) -> Result<bool, StoreError> {
    Ok(done?.rows_affected() == 1)
}
