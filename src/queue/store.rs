//! The jobs as the service uses them: every query has a deadline, and no failure prevents a reply.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::mem;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, timeout};

use super::job::{ClaimFilter, Claimed, ClaimedJob, Job, JobId, JobKeys, Lease, Payload, QueueStats, WorkerId};
use super::rows::{JobRows, Quota, Upserted};
use crate::clock::Clock;
use crate::db::{Database, DatabaseError, Opened, QUERY_TIMEOUT, StoreConnection};

/// How long a lease lasts. Then another process may run the job.
const LEASE: SignedDuration = SignedDuration::from_secs(15);
/// How often a lease is renewed while a job runs.
pub const RENEWAL: Duration = Duration::from_secs(5);
/// How long a write that timed out may still take effect: longer than the server's statement timeout.
const LATE_WRITE: SignedDuration = SignedDuration::from_secs(10);
/// Most jobs remembered that are still to be deleted; the oldest are forgotten first. At the end of an outage they are
/// expired, or run once more.
const UNDELETED_MAX: usize = 100_000;
/// How often the clock is compared with the database server's.
const SKEW_INTERVAL: Duration = Duration::from_secs(10);
/// A clock that has moved by so much more or less than the time that passed was set: it is compared again.
const CLOCK_STEP: SignedDuration = SignedDuration::from_secs(1);
/// How long jobs are stored: a `response_url` works for 30 minutes.
const RETENTION: SignedDuration = SignedDuration::from_mins(30);

/// The service's jobs, in the database or, while that does not work, in an in-memory SQLite database.
///
/// If the database fails while a job runs, the job's fate depends on whether another process could run it:
///
/// - A SQLite file is used by this process only. The job is still delivered: no other process would do it.
/// - A PostgreSQL database still exists when it cannot be reached, and so does the job. Another process may run it now
///   or later, so this one does not: late, but once.
///
/// Replicas judge leases and due times by the database server's clock: each measures how far its own clock is from it,
/// and converts. One whose clock is too far away cannot judge a `response_url` either, so it claims nothing.
///
/// Jobs that were done while the database did not work are deleted from it before anything is claimed from it again.
pub struct JobStore {
    connection: Arc<StoreConnection>,
    memory: JobRows,
    worker: WorkerId,
    clock: Clock,
    /// How long an acknowledgement waits for its job to be stored.
    enqueue_timeout: Duration,
    max_clock_skew: Option<SignedDuration>,
    /// The database server's clock minus ours, in milliseconds.
    skew_ms: AtomicI64,
    /// When that was measured, and what our clock said.
    skew_measured_at: Mutex<Option<(Instant, Timestamp)>>,
    running: Running,
    /// Jobs that are done, or now in memory, but may still be stored in the database.
    undeleted: Mutex<VecDeque<Undeleted>>,
    /// When jobs are due that this process has rescheduled.
    due_times: Mutex<BTreeSet<Timestamp>>,
    rescheduled: Notify,
    finished: Notify,
    /// One claim at a time. While `delete_remaining` works through the list, its jobs are not in `undeleted` but may
    /// still be stored, and must not be claimed.
    claiming: tokio::sync::Mutex<()>,
}

/// The jobs that this process runs, with the number of the claim that is valid.
type Running = Arc<Mutex<HashMap<JobId, i64>>>;

struct Undeleted {
    lease: Lease,
    generation: u64,
    /// Set if the job may not be stored yet: a write that timed out may still take effect.
    late_write_since: Option<Timestamp>,
}

/// Where a job is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Location {
    /// In the database file with this generation number (see [`Opened::generation`]).
    Database(u64),
    Memory,
}

/// A job that this process runs. Dropped without [`JobStore::complete`] and the like, its lease runs out.
pub struct LeasedJob<P> {
    /// Its data.
    pub payload: P,
    /// When its `response_url` was received.
    pub created_at: Timestamp,
    location: Location,
    guard: RunningGuard,
}

/// Keeps a job in the list of running jobs.
struct RunningGuard {
    running: Running,
    id: JobId,
    has_ended: bool,
}

impl RunningGuard {
    /// Removes the job from the list, and returns the number of the claim that is valid.
    fn end(&mut self) -> Option<i64> {
        self.has_ended = true;
        lock(&self.running).remove(&self.id)
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        // Once it has ended, the job may run again, with another guard.
        if !self.has_ended {
            self.end();
        }
    }
}

impl JobStore {
    /// A store over `connection`, which need not be open yet.
    ///
    /// # Errors
    /// The in-memory database cannot be created.
    pub async fn new(
        connection: Arc<StoreConnection>,
        clock: Clock,
        enqueue_timeout: Duration,
        max_clock_skew: Option<SignedDuration>,
    ) -> Result<Self, DatabaseError> {
        Ok(Self {
            connection,
            memory: JobRows::new(Database::in_memory().await?),
            worker: WorkerId::random(),
            clock,
            enqueue_timeout,
            max_clock_skew,
            skew_ms: AtomicI64::new(0),
            skew_measured_at: Mutex::default(),
            running: Running::default(),
            undeleted: Mutex::default(),
            due_times: Mutex::default(),
            rescheduled: Notify::new(),
            finished: Notify::new(),
            claiming: tokio::sync::Mutex::default(),
        })
    }

    /// Stores a job that this process runs from now on: in the database, or in memory if that takes too long.
    pub async fn enqueue<P: Payload>(&self, payload: P, created_at: Timestamp) -> LeasedJob<P> {
        let job = Job::new(payload, created_at, self.clock.now());
        let stored = self.insert_into_database(&job).await;
        self.leased(job, stored).await
    }

    /// Stores a job that this process runs from now on in memory: one that is not needed after a crash.
    pub async fn enqueue_in_memory<P: Payload>(&self, payload: P, created_at: Timestamp) -> LeasedJob<P> {
        let job = Job::new(payload, created_at, self.clock.now());
        self.leased(job, None).await
    }

    async fn leased<P: Payload>(&self, job: Job<P>, stored: Option<u64>) -> LeasedJob<P> {
        let location = if let Some(generation) = stored {
            Location::Database(generation)
        } else {
            // If this failed, a retry would have nothing to update: it inserts then.
            let lease = (&self.worker, self.lease_end(Location::Memory));
            let _ = self.memory.insert(&job, Some(lease)).await;
            Location::Memory
        };
        self.run(job, location, 1)
    }

    /// The database's generation if the job is stored there.
    async fn insert_into_database<P: Payload>(&self, job: &Job<P>) -> Option<u64> {
        // No wait for a database that is known to have failed; and a database in memory does not survive the process.
        let failure = self.connection.failure();
        let works = failure.is_none_or(|failure| failure == DatabaseError::Slow);
        let Opened { database, generation } = self.connection.opened().filter(|_| works)?;
        if !database.is_persistent() {
            return None;
        }
        let rows = JobRows::new(database);
        let location = Location::Database(generation);
        let inserting = rows.insert(job, Some((&self.worker, self.lease_end(location))));
        if self.connection.run(self.enqueue_timeout, inserting).await.is_ok() {
            return Some(generation);
        }
        self.undo_late_write(&job.id, location);
        None
    }

    /// Deletes a job whose insertion failed, should it take effect all the same.
    fn undo_late_write(&self, job: &JobId, location: Location) {
        if let Location::Database(generation) = location {
            self.remember_undeleted(Undeleted {
                lease: self.lease(job, 1),
                generation,
                late_write_since: Some(self.clock.now()),
            });
        }
    }

    fn run<P>(&self, job: Job<P>, location: Location, attempt: i64) -> LeasedJob<P> {
        lock(&self.running).insert(job.id.clone(), attempt);
        LeasedJob {
            payload: job.payload,
            created_at: job.created_at,
            location,
            guard: RunningGuard {
                running: Arc::clone(&self.running),
                id: job.id,
                has_ended: false,
            },
        }
    }

    /// Extends a lease. False if another process has the job now.
    pub async fn renew_lease<P>(&self, job: &LeasedJob<P>) -> bool {
        let Some(rows) = self.shared_rows_of(job) else {
            return true;
        };
        // If the database does not answer, the lease is checked again before a post.
        self.query(rows.renew(&self.lease_of(job), self.lease_end(job.location)))
            .await
            .unwrap_or(true)
    }

    /// Stores the payload before a post is attempted. False if the post must not be made, because another process
    /// has the job now, or may have it.
    pub async fn record_attempt<P: Payload>(&self, job: &LeasedJob<P>) -> bool {
        let Some(rows) = self.shared_rows_of(job) else {
            return true;
        };
        let lease = self.lease_of(job);
        match self
            .query(rows.save(&lease, &job.payload, self.lease_end(job.location)))
            .await
        {
            Ok(is_held) => is_held,
            Err(_) => !self.is_shared(),
        }
    }

    /// Reschedules a job to `due_at`, with a new payload. If its database is gone, it is stored in memory. False if it could
    /// not be stored.
    pub async fn reschedule<P, Q: Payload>(&self, job: LeasedJob<P>, payload: Q, due_at: Timestamp) -> bool {
        self.reschedule_with(job, payload, due_at, None).await
    }

    /// Reschedules a job like [`JobStore::reschedule`], and gives it this unique key: it replaces the job that had it.
    pub async fn reschedule_as<P, Q: Payload>(
        &self,
        job: LeasedJob<P>,
        payload: Q,
        due_at: Timestamp,
        unique_key: &str,
    ) -> bool {
        self.reschedule_with(job, payload, due_at, Some(unique_key)).await
    }

    async fn reschedule_with<P, Q: Payload>(
        &self,
        job: LeasedJob<P>,
        payload: Q,
        due_at: Timestamp,
        unique_key: Option<&str>,
    ) -> bool {
        let LeasedJob {
            created_at, location, ..
        } = job;
        let lease = self.end(job);
        let result = match self.rows_at(location) {
            Some(rows) => {
                let due_at = self.convert(due_at, location);
                match unique_key {
                    Some(key) => self.query(rows.reschedule_as(&lease, &payload, due_at, key)).await,
                    None => self.query(rows.reschedule(&lease, &payload, due_at)).await,
                }
            }
            None => Err(DatabaseError::Gone),
        };
        let is_stored = match (result, location) {
            // If it was not updated, another worker has the job now.
            (Ok(true), _) | (Ok(false), Location::Database(_)) => true,
            // Another worker may have it.
            (Err(_), Location::Database(_)) if self.is_shared() => true,
            (_, location) => self.move_to_memory(lease, location, payload, created_at, due_at).await,
        };
        lock(&self.due_times).insert(due_at);
        self.rescheduled.notify_waiters();
        self.finished.notify_waiters();
        is_stored
    }

    /// Reschedules a job, and stores another job that is due now, in one transaction. The other job replaces the one with
    /// the same unique key. False if nothing was stored: the lease then runs out, and the job is claimed again.
    pub async fn reschedule_and_enqueue<P: Payload, Q: Payload>(
        &self,
        job: LeasedJob<P>,
        payload: &P,
        due_at: Timestamp,
        (other, unique_key): (Q, &str),
    ) -> bool {
        let (created_at, location) = (job.created_at, job.location);
        let Some(rows) = self.rows_at(location) else {
            return false;
        };
        let now = self.convert(self.clock.now(), location);
        let other = Job::new(other, created_at, now);
        let due_at = self.convert(due_at, location);
        let lease = self.end(job);
        let stored = self
            .query(rows.reschedule_and_insert(&lease, payload, due_at, (&other, unique_key)))
            .await;
        self.rescheduled.notify_waiters();
        stored.is_ok_and(|is_held| is_held)
    }

    /// Leaves a job with its current payload to another process.
    ///
    /// # Errors
    /// Returns the job if no other process could find it.
    pub async fn release_for_retry<P: Payload>(&self, job: LeasedJob<P>) -> Result<(), LeasedJob<P>> {
        let Some(rows) = self.shared_rows_of(&job) else {
            return Err(job);
        };
        let releasing = async {
            rows.check_file().await?;
            let now = self.convert(self.clock.now(), job.location);
            rows.reschedule(&self.lease_of(&job), &job.payload, now).await
        };
        match self.query(releasing).await {
            Ok(_) => Ok(()),
            // In a database that still exists, the lease expires.
            Err(_) if self.is_shared() => Ok(()),
            Err(_) => Err(job),
        }
    }

    /// Releases a job without changing it: it can be claimed at once.
    pub async fn release<P>(&self, job: LeasedJob<P>) {
        if let Some(rows) = self.rows_at(job.location) {
            let _ = self.query(rows.release(&self.end(job))).await;
        }
    }

    /// Deletes a job that is done or dead.
    pub async fn complete<P>(&self, job: LeasedJob<P>) {
        match (job.location, self.rows_at(job.location)) {
            (Location::Database(generation), Some(rows)) => {
                let mut lease = self.lease_of(&job);
                let mut result = self.query(rows.complete(&lease)).await;
                if matches!(result, Ok(false)) {
                    // The lease may have ended, and this process may have claimed the job again meanwhile.
                    let _claim = self.claiming.lock().await;
                    lease = self.lease_of(&job);
                    result = self.query(rows.complete(&lease)).await;
                }
                if result.is_err() {
                    self.remember_undeleted(Undeleted {
                        lease,
                        generation,
                        late_write_since: None,
                    });
                }
            }
            (Location::Memory, Some(rows)) => drop(rows.complete(&self.lease_of(&job)).await),
            // Its file is gone.
            (_, None) => {}
        }
        drop(job);
        self.finished.notify_waiters();
    }

    async fn move_to_memory<Q: Payload>(
        &self,
        lease: Lease,
        from: Location,
        payload: Q,
        created_at: Timestamp,
        due_at: Timestamp,
    ) -> bool {
        let job = Job {
            id: lease.job.clone(),
            due_at,
            created_at,
            attempts: 0,
            payload,
        };
        if let Location::Database(generation) = from {
            self.remember_undeleted(Undeleted {
                lease,
                generation,
                // The update that failed may have ended the lease.
                late_write_since: Some(self.clock.now()),
            });
        }
        self.memory.insert(&job, None).await.is_ok()
    }

    /// Claims jobs that are not leased at `now`, from the database. Jobs whose payload cannot be parsed are
    /// deleted; their number is returned with the jobs.
    pub async fn claim_from_database<P: Payload>(
        &self,
        filter: &ClaimFilter<'_>,
        now: Timestamp,
    ) -> (Vec<LeasedJob<P>>, u64) {
        let Some(Opened { database, generation }) = self.connection.opened() else {
            return (Vec::new(), 0);
        };
        let _claim = self.claiming.lock().await;
        if !self.delete_remaining().await {
            return (Vec::new(), 0);
        }
        if !self.compare_clocks(&database).await {
            return (Vec::new(), 0);
        }
        let location = Location::Database(generation);
        let rows = JobRows::new(database);
        let now = self.convert(now, location);
        let filter = ClaimFilter {
            due_by: self.convert(filter.due_by, location),
            created_until: self.convert(filter.created_until, location),
            ended_until: self.convert(filter.ended_until, location),
            ..*filter
        };
        let claiming = rows.claim(&filter, &self.worker, now, now + LEASE);
        let claimed = self.query(claiming).await.unwrap_or_default();
        for lease in &claimed.unreadable {
            let _ = self.query(rows.complete(lease)).await;
        }
        let unreadable = u64::try_from(claimed.unreadable.len()).unwrap_or(u64::MAX);
        (self.take(claimed, location), unreadable)
    }

    /// Claims jobs that are stored in memory only.
    pub async fn claim_from_memory<P: Payload>(&self, filter: &ClaimFilter<'_>, now: Timestamp) -> Vec<LeasedJob<P>> {
        let claiming = self.memory.claim(filter, &self.worker, now, now + LEASE);
        let jobs = self.take(claiming.await.unwrap_or_default(), Location::Memory);
        // Not both at once: together they could be more than the filter's limit.
        if jobs.is_empty() && self.temporary_database().is_some() {
            return self.claim_from_database(filter, now).await.0;
        }
        jobs
    }

    /// The claimed jobs that this process does not run already. For a job that it does run, because its lease had expired, the
    /// claim is a new lease.
    fn take<P>(&self, claimed: Claimed<P>, location: Location) -> Vec<LeasedJob<P>> {
        let is_new = |claimed: &ClaimedJob<P>| match lock(&self.running).get_mut(&claimed.job.id) {
            Some(attempt) => {
                *attempt = claimed.lease.attempt;
                false
            }
            None => true,
        };
        let new = claimed.jobs.into_iter().filter(is_new);
        new.map(|ClaimedJob { job, lease }| self.run(job, location, lease.attempt))
            .collect()
    }

    /// Resolves when this process reschedules a job.
    pub fn rescheduled(&self) -> Notified<'_> {
        self.rescheduled.notified()
    }

    /// Waits until a job is due that this process has rescheduled to a time after `now`.
    pub async fn wait_for_due_job(&self, now: Timestamp) {
        let next = {
            let mut due_times = lock(&self.due_times);
            let later = now + SignedDuration::from_millis(1);
            *due_times = due_times.split_off(&later);
            due_times.first().copied()
        };
        match next {
            Some(due_at) => {
                let wait = due_at.duration_since(self.clock.now());
                tokio::time::sleep(wait.max(SignedDuration::from_millis(1)).unsigned_abs()).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Waits until a job is complete or rescheduled.
    pub fn finished_one(&self) -> Notified<'_> {
        self.finished.notified()
    }

    /// How many jobs of one kind are stored in the database.
    ///
    /// # Errors
    /// The database does not work.
    pub async fn stats<P: Payload>(
        &self,
        projects: Option<&[&str]>,
        now: Timestamp,
    ) -> Result<QueueStats, DatabaseError> {
        let (rows, location) = self.database_rows()?;
        self.query(rows.stats::<P>(projects, self.convert(now, location))).await
    }

    /// How many jobs of one kind are stored in memory only, and run by nobody.
    pub async fn count_in_memory<P: Payload>(&self) -> u64 {
        let mut waiting = self.memory.ids::<P>().await.unwrap_or_default();
        if let Some(rows) = self.temporary_database() {
            waiting.extend(rows.ids::<P>().await.unwrap_or_default());
        }
        let running = lock(&self.running);
        let waiting = waiting.iter().filter(|id| !running.contains_key(*id)).count();
        u64::try_from(waiting).unwrap_or(u64::MAX)
    }

    /// Stores a job that has a unique key, in the database only; see [`JobRows::upsert`].
    ///
    /// # Errors
    /// The database does not work, and the job is not stored.
    pub async fn upsert<P: Payload + Clone>(
        &self,
        job: &Job<P>,
        keys: &JobKeys,
        quota: Quota,
    ) -> Result<Upserted, DatabaseError> {
        let (rows, location) = self.database_rows()?;
        let job = Job {
            due_at: self.convert(job.due_at, location),
            ..job.clone()
        };
        let upserted = self.query(rows.upsert(&job, keys, quota)).await;
        if upserted.is_err() {
            // The caller says that nothing was stored: an insertion that still takes effect is undone.
            self.undo_late_write(&job.id, location);
        }
        upserted
    }

    /// Replaces a job that has a unique key, in the database only; see [`JobRows::replace`].
    ///
    /// # Errors
    /// The database does not work.
    pub async fn replace<P: Payload + Clone>(&self, job: &Job<P>, keys: &JobKeys) -> Result<bool, DatabaseError> {
        let (rows, location) = self.database_rows()?;
        let job = Job {
            due_at: self.convert(job.due_at, location),
            ..job.clone()
        };
        self.query(rows.replace(&job, keys)).await
    }

    /// Deletes the job with a unique key; false if there was none.
    ///
    /// # Errors
    /// The database does not work, and the job may still be stored.
    pub async fn delete_by_key(&self, unique_key: &str) -> Result<bool, DatabaseError> {
        let (rows, _) = self.database_rows()?;
        self.query(rows.delete_by_key(unique_key)).await
    }

    /// When the job with a unique key was created, and when it ends if it may last longer than its `response_url`.
    ///
    /// # Errors
    /// The database does not work.
    pub async fn lifetime(&self, unique_key: &str) -> Result<Option<(Timestamp, Option<Timestamp>)>, DatabaseError> {
        let (rows, _) = self.database_rows()?;
        self.query(rows.lifetime(unique_key)).await
    }

    /// An owner's jobs of one kind, the oldest first.
    ///
    /// # Errors
    /// The database does not work.
    pub async fn of_owner<P: Payload>(&self, owner: &str) -> Result<Vec<P>, DatabaseError> {
        let (rows, _) = self.database_rows()?;
        self.query(rows.of_owner(owner)).await
    }

    /// Deletes jobs whose `response_url` no longer works, and returns how many.
    pub async fn delete_expired(&self, now: Timestamp) -> u64 {
        let before = now - RETENTION;
        let from_memory = self.memory.delete_created_before(before).await.unwrap_or(0);
        let Ok((rows, location)) = self.database_rows() else {
            return from_memory;
        };
        if !self.compare_clocks(rows.database()).await {
            return from_memory;
        }
        let before = self.convert(before, location);
        let from_database = self.query(rows.delete_created_before(before)).await;
        from_memory + from_database.unwrap_or(0)
    }

    /// Closes the database, so that another process can open it.
    pub async fn close(&self) {
        let closing = async {
            if let Some(Opened { database, .. }) = self.connection.opened() {
                self.delete_remaining().await;
                database.close().await;
            }
        };
        let _ = timeout(QUERY_TIMEOUT, closing).await;
    }

    /// Deletes jobs that are done. False if the database does not work.
    async fn delete_remaining(&self) -> bool {
        let rest = mem::take(&mut *self.undeleted());
        let mut works = true;
        for undeleted in rest {
            let is_deleted = if works {
                let deleted = self.delete(&undeleted).await;
                works = deleted.is_ok();
                deleted.unwrap_or(false)
            } else {
                false
            };
            if !is_deleted {
                self.remember_undeleted(undeleted);
            }
        }
        works
    }

    /// Whether a job is deleted, and cannot be inserted by a late write.
    async fn delete(&self, undeleted: &Undeleted) -> Result<bool, DatabaseError> {
        let Some(rows) = self.rows_at(Location::Database(undeleted.generation)) else {
            // Its file is gone.
            return Ok(true);
        };
        match undeleted.late_write_since {
            None => self.query(rows.complete(&undeleted.lease)).await.map(|_| true),
            Some(since) => {
                let was_stored = self.query(rows.delete_by_id(undeleted.lease.job())).await?;
                Ok(was_stored || self.clock.now().duration_since(since).abs() >= LATE_WRITE)
            }
        }
    }

    /// The rows of a job that another process could have claimed; `None` if it is in memory, or its file is gone.
    fn shared_rows_of<P>(&self, job: &LeasedJob<P>) -> Option<JobRows> {
        match job.location {
            Location::Memory => None,
            Location::Database(_) => self.rows_at(job.location),
        }
    }

    /// The rows at a location; `None` if the file that it was in is gone.
    fn rows_at(&self, location: Location) -> Option<JobRows> {
        match location {
            Location::Memory => Some(self.memory.clone()),
            Location::Database(stored) => self
                .connection
                .opened()
                .filter(|opened| opened.generation == stored)
                .map(|opened| JobRows::new(opened.database)),
        }
    }

    fn database_rows(&self) -> Result<(JobRows, Location), DatabaseError> {
        let Opened { database, generation } = self.connection.opened().ok_or(DatabaseError::NotOpen)?;
        Ok((JobRows::new(database), Location::Database(generation)))
    }

    /// A time of our clock, as the clock says that judges jobs at `location`.
    fn convert(&self, time: Timestamp, location: Location) -> Timestamp {
        let skew = match location {
            Location::Memory => 0,
            Location::Database(_) => self.skew_ms.load(Ordering::Relaxed),
        };
        time.saturating_add(SignedDuration::from_millis(skew)).unwrap_or(time)
    }

    /// Measures how far our clock is from the database server's. False if it is too far.
    async fn compare_clocks(&self, database: &Database) -> bool {
        let Some(max_skew) = self.max_clock_skew.filter(|_| database.is_shared()) else {
            return true;
        };
        let before = self.clock.now();
        let is_valid = lock(&self.skew_measured_at).is_some_and(|(at, time)| {
            let elapsed = at.elapsed();
            let by_clock = before.duration_since(time);
            let step = by_clock - SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
            elapsed < SKEW_INTERVAL && step.abs() < CLOCK_STEP
        });
        if !is_valid {
            let Ok(Some(server_time)) = self.query(database.server_time()).await else {
                return false;
            };
            let took = self.clock.now().duration_since(before);
            if took.abs() > CLOCK_STEP {
                // Too inexact, as after a pause of this process.
                return false;
            }
            let skew = server_time.duration_since(before + took / 2);
            let skew_ms = i64::try_from(skew.as_millis()).unwrap_or(i64::MAX);
            self.skew_ms.store(skew_ms, Ordering::Relaxed);
            *lock(&self.skew_measured_at) = Some((Instant::now(), self.clock.now()));
            let is_too_far = skew.abs() > max_skew;
            self.connection.set_clock_skew(is_too_far.then_some(-skew.as_secs()));
        }
        let skew = SignedDuration::from_millis(self.skew_ms.load(Ordering::Relaxed));
        skew.abs() <= max_skew
    }

    /// The configured database, if it is lost when this process ends.
    fn temporary_database(&self) -> Option<JobRows> {
        let opened = self.connection.opened()?;
        (!opened.database.is_persistent()).then(|| JobRows::new(opened.database))
    }

    fn is_shared(&self) -> bool {
        self.connection
            .opened()
            .is_some_and(|opened| opened.database.is_shared())
    }

    /// Ends the run of a job, and returns its lease, which is still valid in the database. Not later than the lease ends
    /// there: a claim in between would get a job that seems to run, and that nobody runs.
    fn end<P>(&self, mut job: LeasedJob<P>) -> Lease {
        let attempt = job.guard.end();
        self.lease(&job.guard.id, attempt.unwrap_or(0))
    }

    fn lease_of<P>(&self, job: &LeasedJob<P>) -> Lease {
        let id = &job.guard.id;
        let attempt = lock(&self.running).get(id).copied();
        self.lease(id, attempt.unwrap_or(0))
    }

    fn lease(&self, job: &JobId, attempt: i64) -> Lease {
        Lease {
            job: job.clone(),
            worker: self.worker.clone(),
            attempt,
        }
    }

    fn lease_end(&self, location: Location) -> Timestamp {
        self.convert(self.clock.now() + LEASE, location)
    }

    async fn query<T>(&self, query: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, DatabaseError> {
        self.connection.run(QUERY_TIMEOUT, query).await
    }

    fn remember_undeleted(&self, undeleted: Undeleted) {
        let mut all = self.undeleted();
        if all.len() >= UNDELETED_MAX {
            all.pop_front();
        }
        all.push_back(undeleted);
    }

    fn undeleted(&self) -> MutexGuard<'_, VecDeque<Undeleted>> {
        lock(&self.undeleted)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_list_of_undeleted_jobs_is_bounded() -> Result<(), DatabaseError> {
        let connection = Arc::new(StoreConnection::new(|| ()));
        let store = JobStore::new(connection, Clock::system(), QUERY_TIMEOUT, None).await?;
        let first = JobId::random();
        store.undo_late_write(&first, Location::Database(0));
        for _ in 0..UNDELETED_MAX {
            store.undo_late_write(&JobId::random(), Location::Database(0));
        }
        let undeleted = store.undeleted();
        assert_eq!(undeleted.len(), UNDELETED_MAX);
        assert!(undeleted.iter().all(|undeleted| undeleted.lease.job != first));
        Ok(())
    }
}
