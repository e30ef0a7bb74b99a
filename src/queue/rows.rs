//! The table of jobs. A lease is given to one worker at a time.
//!
//! Every time comes from the caller's clock, never from the database's. Every query may be slow: callers bound it. A
//! query whose caller gave up may still take effect: after an `insert` that did not answer in time, the job may be
//! stored, under the id its caller knows (see [`JobRows::delete_by_id`]).

use jiff::{SignedDuration, Timestamp};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row, Transaction, query, query_scalar};

use super::job::{
    ClaimFilter, Claimed, ClaimedJob, Job, JobId, JobKeys, Lease, Payload, ProjectFilter, QueueStats, WorkerId,
};
use crate::db::{AdvisoryLock, Database, DatabaseError, affected_one};

/// The claim, in two dialects.
///
/// The lease is tested twice, when rows are selected and when they are updated, so that a row that another worker claimed
/// in between is not changed. Without a lock, all PostgreSQL workers that claim together choose the same rows, and all but
/// one get nothing; `SKIP LOCKED` gives each rows of its own. SQLite has one writer and no such clause.
macro_rules! claim {
    ($values_of_9:literal, $values_of_12:literal, $values_of_13:literal, $lock:literal) => {
        concat!(
            "WITH due AS MATERIALIZED (
                 SELECT id FROM kapso_slack_jobs
                 WHERE kind = $1 AND version <= $2 AND (due_at <= $3 OR due_at > $10)
                     AND (leased_until <= $4 OR leased_until > $11) AND created_at > $15
                     AND CASE WHEN ends_at IS NULL THEN created_at <= $8 ELSE ends_at <= $14 END AND ($9 IS NULL OR topic IN (",
            $values_of_9,
            ")) AND ($12 IS NULL OR project IN (",
            $values_of_12,
            ")) AND ($13 IS NULL OR project NOT IN (",
            $values_of_13,
            "))
                 ORDER BY due_at, id LIMIT $5 ",
            $lock,
            ")
             UPDATE kapso_slack_jobs SET leased_by = $6, leased_until = $7, attempts = attempts + 1
             WHERE id IN (SELECT id FROM due) AND (leased_until <= $4 OR leased_until > $11)
             RETURNING id, due_at, created_at, attempts, payload"
        )
    };
}

/// The claim on SQLite. Public, because a test looks at how it is executed.
pub const CLAIM_SQLITE: &str = claim!(
    "SELECT value FROM json_each($9)",
    "SELECT value FROM json_each($12)",
    "SELECT value FROM json_each($13)",
    ""
);
/// The claim on PostgreSQL.
pub const CLAIM_POSTGRES: &str = claim!(
    "SELECT jsonb_array_elements_text($9::jsonb)",
    "SELECT jsonb_array_elements_text($12::jsonb)",
    "SELECT jsonb_array_elements_text($13::jsonb)",
    "FOR UPDATE SKIP LOCKED"
);

/// The counts, in two dialects.
macro_rules! stats {
    ($values_of_6:literal) => {
        concat!(
            "SELECT count(*) AS jobs,
                 count(DISTINCT CASE WHEN (due_at <= $3 OR due_at > $4) AND (leased_until <= $3 OR leased_until > $5)
                     THEN COALESCE(topic, id) END) AS due,
                 min(CASE WHEN leased_until > due_at THEN leased_until ELSE due_at END) AS next
             FROM kapso_slack_jobs WHERE kind = $1 AND version <= $2 AND ($6 IS NULL OR project IN (",
            $values_of_6,
            "))"
        )
    };
}

const STATS_SQLITE: &str = stats!("SELECT value FROM json_each($6)");
const STATS_POSTGRES: &str = stats!("SELECT jsonb_array_elements_text($6::jsonb)");

/// No lease is longer.
const LONGEST_LEASE: SignedDuration = SignedDuration::from_mins(1);

/// How many jobs with keys there may be.
#[derive(Clone, Copy, Debug)]
pub struct Quota {
    /// Of one owner.
    pub per_owner: u32,
    /// Of one kind and one project.
    pub total: u32,
}

/// The result of storing a job that has a unique key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upserted {
    /// It was inserted.
    Inserted,
    /// A job with this key existed. It has the newer payload now, and its worker has lost the lease.
    Replaced,
    /// A newer job with this key exists, and is not changed.
    Older,
    /// Its owner has as many jobs as allowed.
    OwnerQuotaReached,
    /// There are as many jobs of this kind and project as allowed.
    TotalQuotaReached,
}

/// Queries over the table of jobs.
#[derive(Clone, Debug)]
pub struct JobRows {
    database: Database,
}

impl JobRows {
    /// The jobs in this database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// The database that contains the rows.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Checks that the rows are in the file that a restart would open.
    ///
    /// # Errors
    /// The file was deleted or replaced.
    pub async fn check_file(&self) -> Result<(), DatabaseError> {
        self.database.check_file().await
    }

    /// Stores a job, leased to `lease.0` until `lease.1` if that is given.
    ///
    /// # Errors
    /// The job may still be stored if the connection broke before the answer.
    pub async fn insert<P: Payload>(
        &self,
        job: &Job<P>,
        lease: Option<(&WorkerId, Timestamp)>,
    ) -> Result<Option<Lease>, DatabaseError> {
        self.database.check_file().await?;
        let (leased_by, leased_until, attempts) = match lease {
            Some((worker, until)) => (worker.0.clone(), until.as_millisecond(), 1),
            None => (String::new(), 0, i64::from(job.attempts)),
        };
        query(
            "INSERT INTO kapso_slack_jobs
                 (id, kind, version, due_at, created_at, leased_by, leased_until, attempts, payload, ends_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(job.id.0.clone())
        .bind(P::KIND)
        .bind(P::VERSION)
        .bind(job.due_at.as_millisecond())
        .bind(job.created_at.as_millisecond())
        .bind(leased_by)
        .bind(leased_until)
        .bind(attempts)
        .bind(to_json(&job.payload)?)
        .bind(ends_at(&job.payload))
        .execute(self.database.pool())
        .await?;
        Ok(lease.map(|(worker, _)| Lease {
            job: job.id.clone(),
            worker: worker.clone(),
            attempt: attempts,
        }))
    }

    /// Stores a job, or gives the job with the same unique key the newer payload, unless the quota is reached.
    ///
    /// # Errors
    /// The job may still be stored if the connection broke before the answer.
    pub async fn upsert<P: Payload>(
        &self,
        job: &Job<P>,
        keys: &JobKeys,
        quota: Quota,
    ) -> Result<Upserted, DatabaseError> {
        self.database.check_file().await?;
        let payload = to_json(&job.payload)?;
        let mut transaction = self.database.begin_exclusive(AdvisoryLock::Watches).await?;
        let replaced = replace(job, keys, payload.clone()).execute(&mut *transaction).await;
        if affected_one(replaced)? {
            transaction.commit().await?;
            return Ok(Upserted::Replaced);
        }
        // A command that is run again after a crash may be older than the job.
        let newer: i64 = query_scalar("SELECT count(*) FROM kapso_slack_jobs WHERE unique_key = $1")
            .bind(keys.unique.clone())
            .fetch_one(&mut *transaction)
            .await?;
        if newer > 0 {
            return Ok(Upserted::Older);
        }
        let of_owner: i64 = query_scalar("SELECT count(*) FROM kapso_slack_jobs WHERE kind = $1 AND owner = $2")
            .bind(P::KIND)
            .bind(keys.owner.clone())
            .fetch_one(&mut *transaction)
            .await?;
        let of_project: i64 = query_scalar("SELECT count(*) FROM kapso_slack_jobs WHERE kind = $1 AND project = $2")
            .bind(P::KIND)
            .bind(keys.project.clone())
            .fetch_one(&mut *transaction)
            .await?;
        if of_owner >= i64::from(quota.per_owner) {
            return Ok(Upserted::OwnerQuotaReached);
        }
        if of_project >= i64::from(quota.total) {
            let gave_way = query(
                "DELETE FROM kapso_slack_jobs WHERE id = (
                     SELECT id FROM kapso_slack_jobs WHERE kind = $1 AND project = $2 AND owner IS NULL
                     ORDER BY created_at, id LIMIT 1)",
            )
            .bind(P::KIND)
            .bind(keys.project.clone())
            .execute(&mut *transaction)
            .await;
            if !affected_one(gave_way)? {
                return Ok(Upserted::TotalQuotaReached);
            }
        }
        query(
            "INSERT INTO kapso_slack_jobs (id, kind, version, unique_key, owner, topic, due_at, created_at, leased_by,
                 leased_until, attempts, payload, project, ends_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', 0, 0, $9, $10, $11)",
        )
        .bind(job.id.0.clone())
        .bind(P::KIND)
        .bind(P::VERSION)
        .bind(keys.unique.clone())
        .bind(keys.owner.clone())
        .bind(keys.topic.clone())
        .bind(job.due_at.as_millisecond())
        .bind(job.created_at.as_millisecond())
        .bind(payload)
        .bind(keys.project.clone())
        .bind(ends_at(&job.payload))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Upserted::Inserted)
    }

    /// Gives the job with the same unique key this payload, unless it is newer; false if it is, or if there is none.
    ///
    /// # Errors
    /// The job may still be replaced if the connection broke before the answer.
    pub async fn replace<P: Payload>(&self, job: &Job<P>, keys: &JobKeys) -> Result<bool, DatabaseError> {
        self.database.check_file().await?;
        let replaced = replace(job, keys, to_json(&job.payload)?);
        affected_one(replaced.execute(self.database.pool()).await)
    }

    /// The payloads of an owner's jobs of one kind, the oldest first. Those that cannot be parsed are left out.
    ///
    /// # Errors
    /// The query failed.
    pub async fn of_owner<P: Payload>(&self, owner: &str) -> Result<Vec<P>, DatabaseError> {
        let payloads: Vec<String> = query_scalar(
            "SELECT payload FROM kapso_slack_jobs WHERE owner = $1 AND kind = $2 AND version <= $3 ORDER BY created_at, id",
        )
        .bind(owner.to_owned())
        .bind(P::KIND)
        .bind(P::VERSION)
        .fetch_all(self.database.pool())
        .await?;
        let parsed = payloads.iter().map(|payload| serde_json::from_str(payload));
        Ok(parsed.filter_map(Result::ok).collect())
    }

    /// Leases jobs that are not leased at `now`, the longest due first, until `until`.
    ///
    /// # Errors
    /// Leases may still have been given; they expire.
    pub async fn claim<P: Payload>(
        &self,
        filter: &ClaimFilter<'_>,
        worker: &WorkerId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Claimed<P>, DatabaseError> {
        self.database.check_file().await?;
        let (included, excluded) = match filter.projects {
            ProjectFilter::Any => (None, None),
            ProjectFilter::In(projects) => (Some(projects), None),
            ProjectFilter::NotIn(projects) => (None, Some(projects)),
        };
        let rows = query(self.database.dialect(CLAIM_SQLITE, CLAIM_POSTGRES))
            .bind(P::KIND)
            .bind(P::VERSION)
            .bind(filter.due_by.as_millisecond())
            .bind(now.as_millisecond())
            .bind(i64::from(filter.limit))
            .bind(worker.0.clone())
            .bind(until.as_millisecond())
            .bind(filter.created_until.as_millisecond())
            .bind(filter.topics.map(|topics| to_json(&topics)).transpose()?)
            .bind(latest_due::<P>(now))
            .bind(latest_lease(now))
            .bind(included.map(|projects| to_json(&projects)).transpose()?)
            .bind(excluded.map(|projects| to_json(&projects)).transpose()?)
            .bind(filter.ended_until.as_millisecond())
            .bind(filter.created_after.as_millisecond())
            .fetch_all(self.database.pool())
            .await?;
        let mut claimed = Claimed::default();
        for row in rows {
            let lease = Lease {
                job: JobId(row.try_get("id")?),
                worker: worker.clone(),
                attempt: row.try_get("attempts")?,
            };
            let Ok(payload) = serde_json::from_str(row.try_get("payload")?) else {
                claimed.unreadable.push(lease);
                continue;
            };
            let job = Job {
                id: lease.job.clone(),
                due_at: timestamp(&row, "due_at")?,
                created_at: timestamp(&row, "created_at")?,
                attempts: u32::try_from(lease.attempt).unwrap_or(u32::MAX),
                payload,
            };
            claimed.jobs.push(ClaimedJob { job, lease });
        }
        claimed.jobs.sort_by_key(|claimed| claimed.job.due_at);
        Ok(claimed)
    }

    /// Extends a lease; false if it was lost. An expired lease is still valid until another worker claims the job.
    ///
    /// # Errors
    /// Whether the lease is valid is unknown.
    pub async fn renew(&self, lease: &Lease, until: Timestamp) -> Result<bool, DatabaseError> {
        let renew = for_holder(
            "UPDATE kapso_slack_jobs SET leased_until = $4 WHERE id = $1 AND leased_by = $2 AND attempts = $3",
            lease,
        );
        affected_one(renew.bind(until.as_millisecond()).execute(self.database.pool()).await)
    }

    /// Extends a lease like [`JobRows::renew`], and stores the payload.
    ///
    /// # Errors
    /// Whether the lease is valid is unknown.
    pub async fn save<P: Payload>(&self, lease: &Lease, payload: &P, until: Timestamp) -> Result<bool, DatabaseError> {
        let save = for_holder(
            "UPDATE kapso_slack_jobs SET leased_until = $4, payload = $5, version = $6
             WHERE id = $1 AND leased_by = $2 AND attempts = $3",
            lease,
        );
        let save = save
            .bind(until.as_millisecond())
            .bind(to_json(payload)?)
            .bind(P::VERSION);
        affected_one(save.execute(self.database.pool()).await)
    }

    /// Releases a lease without changing the job, which can be claimed at once. False if the lease was lost.
    ///
    /// # Errors
    /// The lease expires.
    pub async fn release(&self, lease: &Lease) -> Result<bool, DatabaseError> {
        let release = for_holder(
            "UPDATE kapso_slack_jobs SET leased_by = '', leased_until = 0
             WHERE id = $1 AND leased_by = $2 AND attempts = $3",
            lease,
        );
        affected_one(release.execute(self.database.pool()).await)
    }

    /// Releases a lease, and stores a new payload of any kind and a new due time. False, without a change, if the lease was
    /// lost.
    ///
    /// # Errors
    /// The lease expires, and the job is not changed.
    pub async fn reschedule<P: Payload>(
        &self,
        lease: &Lease,
        payload: &P,
        due_at: Timestamp,
    ) -> Result<bool, DatabaseError> {
        affected_one(reschedule(lease, payload, due_at)?.execute(self.database.pool()).await)
    }

    /// Begins a transaction that reschedules a job, and deletes the job with this unique key, even if that is leased. `None`,
    /// without a change, if the lease was lost.
    async fn begin_reschedule<P: Payload>(
        &self,
        lease: &Lease,
        payload: &P,
        due_at: Timestamp,
        unique_key: &str,
    ) -> Result<Option<Transaction<'static, Any>>, DatabaseError> {
        let mut transaction = self.database.begin_exclusive(AdvisoryLock::Watches).await?;
        let rescheduled = reschedule(lease, payload, due_at)?.execute(&mut *transaction).await;
        if !affected_one(rescheduled)? {
            return Ok(None);
        }
        delete_by_key(unique_key).execute(&mut *transaction).await?;
        Ok(Some(transaction))
    }

    /// Reschedules a job like [`JobRows::reschedule`], gives it this unique key, and deletes the job that had it, even if
    /// that is leased.
    ///
    /// # Errors
    /// The lease expires, and nothing is changed.
    pub async fn reschedule_as<P: Payload>(
        &self,
        lease: &Lease,
        payload: &P,
        due_at: Timestamp,
        unique_key: &str,
    ) -> Result<bool, DatabaseError> {
        let begun = self.begin_reschedule(lease, payload, due_at, unique_key).await?;
        let Some(mut transaction) = begun else {
            return Ok(false);
        };
        query("UPDATE kapso_slack_jobs SET unique_key = $2 WHERE id = $1")
            .bind(lease.job.0.clone())
            .bind(unique_key.to_owned())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Reschedules a job like [`JobRows::reschedule`], and stores another job, or neither. The other job replaces the one
    /// with the same unique key, even if that is leased. False, without a change, if the lease was lost.
    ///
    /// # Errors
    /// Both may be stored if the connection broke before the answer; else the lease expires.
    pub async fn reschedule_and_insert<P: Payload, Q: Payload>(
        &self,
        lease: &Lease,
        payload: &P,
        due_at: Timestamp,
        (other, unique_key): (&Job<Q>, &str),
    ) -> Result<bool, DatabaseError> {
        let begun = self.begin_reschedule(lease, payload, due_at, unique_key).await?;
        let Some(mut transaction) = begun else {
            return Ok(false);
        };
        query(
            "INSERT INTO kapso_slack_jobs (id, kind, version, unique_key, due_at, created_at, leased_by, leased_until,
                 attempts, payload, ends_at)
             VALUES ($1, $2, $3, $4, $5, $6, '', 0, 0, $7, $8)",
        )
        .bind(other.id.0.clone())
        .bind(Q::KIND)
        .bind(Q::VERSION)
        .bind(unique_key.to_owned())
        .bind(other.due_at.as_millisecond())
        .bind(other.created_at.as_millisecond())
        .bind(to_json(&other.payload)?)
        .bind(ends_at(&other.payload))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Deletes a job that is done or dead. False if the lease was lost: a watch may have got a newer `response_url` in
    /// the meantime.
    ///
    /// # Errors
    /// The job is still stored, and will be run again.
    pub async fn complete(&self, lease: &Lease) -> Result<bool, DatabaseError> {
        let complete = for_holder(
            "DELETE FROM kapso_slack_jobs WHERE id = $1 AND leased_by = $2 AND attempts = $3",
            lease,
        );
        affected_one(complete.execute(self.database.pool()).await)
    }

    /// Deletes a job even if it is leased. True if it was stored. Its lease is lost.
    ///
    /// # Errors
    /// The job may still be stored.
    pub async fn delete_by_id(&self, job: &JobId) -> Result<bool, DatabaseError> {
        let delete = query("DELETE FROM kapso_slack_jobs WHERE id = $1").bind(job.0.clone());
        affected_one(delete.execute(self.database.pool()).await)
    }

    /// Deletes the job with this unique key even if it is leased. True if it was stored. Its lease is lost.
    ///
    /// # Errors
    /// The job may still be stored.
    pub async fn delete_by_key(&self, unique_key: &str) -> Result<bool, DatabaseError> {
        affected_one(delete_by_key(unique_key).execute(self.database.pool()).await)
    }

    /// When the job with this unique key was created, and when it ends if it may last longer than its `response_url`;
    /// `None` if there is none.
    ///
    /// # Errors
    /// The query failed.
    pub async fn lifetime(&self, unique_key: &str) -> Result<Option<(Timestamp, Option<Timestamp>)>, DatabaseError> {
        let row = query("SELECT created_at, ends_at FROM kapso_slack_jobs WHERE unique_key = $1")
            .bind(unique_key.to_owned())
            .fetch_optional(self.database.pool())
            .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let ends_at: Option<i64> = row.try_get("ends_at")?;
        let ends_at = ends_at.map(|_| timestamp(&row, "ends_at")).transpose()?;
        Ok(Some((timestamp(&row, "created_at")?, ends_at)))
    }

    /// The ids of all jobs of one kind.
    ///
    /// # Errors
    /// The query failed.
    pub async fn ids<P: Payload>(&self) -> Result<Vec<JobId>, DatabaseError> {
        let ids: Vec<String> = query_scalar("SELECT id FROM kapso_slack_jobs WHERE kind = $1")
            .bind(P::KIND)
            .fetch_all(self.database.pool())
            .await?;
        Ok(ids.into_iter().map(JobId).collect())
    }

    /// How many jobs of one kind are stored, of all projects or of these.
    ///
    /// # Errors
    /// The query failed.
    pub async fn stats<P: Payload>(
        &self,
        projects: Option<&[&str]>,
        now: Timestamp,
    ) -> Result<QueueStats, DatabaseError> {
        self.database.check_file().await?;
        let row = query(self.database.dialect(STATS_SQLITE, STATS_POSTGRES))
            .bind(P::KIND)
            .bind(P::VERSION)
            .bind(now.as_millisecond())
            .bind(latest_due::<P>(now))
            .bind(latest_lease(now))
            .bind(projects.map(|projects| to_json(&projects)).transpose()?)
            .fetch_one(self.database.pool())
            .await?;
        let number = |name| {
            row.try_get::<i64, _>(name)
                .map(|count| u64::try_from(count).unwrap_or(0))
        };
        let count = number("jobs")?;
        let due_in = match count {
            0 => None,
            _ => Some(timestamp(&row, "next")?.duration_since(now).max(SignedDuration::ZERO)),
        };
        Ok(QueueStats {
            count,
            due: number("due")?,
            due_in,
        })
    }

    /// Deletes jobs created before then, whose `response_url` has expired, unless they end later, and returns how many there were. Deleted rows are
    /// also removed from SQLite's log file.
    ///
    /// # Errors
    /// Call it again later.
    pub async fn delete_created_before(&self, before: Timestamp) -> Result<u64, DatabaseError> {
        let delete = query("DELETE FROM kapso_slack_jobs WHERE created_at < $1 AND (ends_at IS NULL OR ends_at < $1)")
            .bind(before.as_millisecond());
        let deleted = delete.execute(self.database.pool()).await?.rows_affected();
        self.database.truncate_log().await?;
        Ok(deleted)
    }
}

/// What is due later than this was stored before the clock was set back: it is due. In Unix milliseconds.
fn latest_due<P: Payload>(now: Timestamp) -> i64 {
    later(now, P::LONGEST_WAIT)
}

/// A lease that ends later than this was given before the clock was set back: it is over. In Unix milliseconds.
fn latest_lease(now: Timestamp) -> i64 {
    later(now, LONGEST_LEASE)
}

fn later(now: Timestamp, span: SignedDuration) -> i64 {
    now.checked_add(span).unwrap_or(Timestamp::MAX).as_millisecond()
}

/// Gives the job with these keys a newer payload, and a new id, so that a worker that runs it now has no part in it any
/// more.
fn replace<P: Payload>(job: &Job<P>, keys: &JobKeys, payload: String) -> Query<'static, Any, AnyArguments> {
    query(
        "UPDATE kapso_slack_jobs SET id = $7, kind = $6, version = $2, due_at = $3, created_at = $4, payload = $5,
             ends_at = $8, leased_by = '', leased_until = 0
         WHERE unique_key = $1 AND created_at <= $4",
    )
    .bind(keys.unique.clone())
    .bind(P::VERSION)
    .bind(job.due_at.as_millisecond())
    .bind(job.created_at.as_millisecond())
    .bind(payload)
    .bind(P::KIND)
    .bind(job.id.0.clone())
    .bind(ends_at(&job.payload))
}

/// A statement whose first three parameters require that the lease is valid.
fn for_holder(sql: &'static str, lease: &Lease) -> Query<'static, Any, AnyArguments> {
    query(sql)
        .bind(lease.job.0.clone())
        .bind(lease.worker.0.clone())
        .bind(lease.attempt)
}

/// The statement of [`JobRows::delete_by_key`].
fn delete_by_key(unique_key: &str) -> Query<'static, Any, AnyArguments> {
    query("DELETE FROM kapso_slack_jobs WHERE unique_key = $1").bind(unique_key.to_owned())
}

/// The statement of [`JobRows::reschedule`].
fn reschedule<P: Payload>(
    lease: &Lease,
    payload: &P,
    due_at: Timestamp,
) -> Result<Query<'static, Any, AnyArguments>, DatabaseError> {
    let reschedule = for_holder(
        "UPDATE kapso_slack_jobs SET leased_by = '', leased_until = 0, due_at = $4, payload = $5, version = $6,
             kind = $7, ends_at = $8
         WHERE id = $1 AND leased_by = $2 AND attempts = $3",
        lease,
    );
    Ok(reschedule
        .bind(due_at.as_millisecond())
        .bind(to_json(payload)?)
        .bind(P::VERSION)
        .bind(P::KIND)
        .bind(ends_at(payload)))
}

/// In Unix milliseconds.
fn ends_at(payload: &impl Payload) -> Option<i64> {
    payload.ends_at().map(Timestamp::as_millisecond)
}

fn to_json(value: &impl serde::Serialize) -> Result<String, DatabaseError> {
    serde_json::to_string(value).map_err(|_| DatabaseError::Other("the job cannot be written as JSON".to_owned()))
}

fn timestamp(row: &AnyRow, column: &str) -> Result<Timestamp, DatabaseError> {
    let ms = row.try_get(column)?;
    Timestamp::from_millisecond(ms).map_err(|_| DatabaseError::Other(format!("column {column} contains no time")))
}
