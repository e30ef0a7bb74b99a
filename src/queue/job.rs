//! A job, and the lease that gives one worker the right to run it.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The id of a job: random, and known before the job is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobId(pub(super) String);

impl JobId {
    /// An id that no other job has.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:032x}", fastrand::u128(..)))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a process among those that share a database: random, so that a restarted process is another worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkerId(pub(super) String);

impl WorkerId {
    /// An id that no other process has.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:016x}", fastrand::u64(..)))
    }
}

/// The right to run a job, given by one claim and lost to the next. If a worker's lease runs out and it claims the same
/// job again, only the new lease is valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub(super) job: JobId,
    pub(super) worker: WorkerId,
    pub(super) attempt: i64,
}

impl Lease {
    /// The job it is for.
    #[must_use]
    pub fn job(&self) -> &JobId {
        &self.job
    }
}

/// The data with which another process can finish a job; stored as JSON.
pub trait Payload: Serialize + DeserializeOwned + Send + Sync {
    /// The kind of job, as stored.
    const KIND: &'static str;
    /// The version of the stored shape. Raise it with every change that an earlier version would misread: earlier
    /// versions then leave the job alone.
    const VERSION: i64;
    /// No job of this kind waits longer. One that is due later is from before the clock was set back, and counts as due.
    const LONGEST_WAIT: SignedDuration;

    /// When a job ends that may last longer than its `response_url`; `None` for all others.
    fn ends_at(&self) -> Option<Timestamp> {
        None
    }
}

/// Keys of a job for uniqueness, quotas and claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobKeys {
    /// At most one job has this key.
    pub unique: String,
    /// Whose quota the job counts against. A job without an owner gives way: where there are as many jobs as allowed, the
    /// oldest of these is deleted for a new one.
    pub owner: Option<String>,
    /// What the job is about; jobs can be claimed by topic.
    pub topic: String,
    /// The alias of the Kapso project that the job is about; empty if the project has none. Jobs can be claimed by
    /// project, and the total quota is one of each project.
    pub project: String,
}

/// The projects whose jobs are meant. A project without an alias is the empty text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectFilter<'a> {
    /// All.
    Any,
    /// These.
    In(&'a [&'a str]),
    /// All but these.
    NotIn(&'a [&'a str]),
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job<P> {
    /// Its id.
    pub id: JobId,
    /// When to run it.
    pub due_at: Timestamp,
    /// When its `response_url` was received: jobs are deleted when it has expired.
    pub created_at: Timestamp,
    /// How often it was claimed.
    pub attempts: u32,
    /// Its data.
    pub payload: P,
}

impl<P> Job<P> {
    /// A job that is due at `due_at`.
    #[must_use]
    pub fn new(payload: P, created_at: Timestamp, due_at: Timestamp) -> Self {
        Self {
            id: JobId::random(),
            due_at,
            created_at,
            attempts: 0,
            payload,
        }
    }
}

/// A job with the right to run it.
#[derive(Clone, Debug)]
pub struct ClaimedJob<P> {
    /// The job.
    pub job: Job<P>,
    /// The right to run it.
    pub lease: Lease,
}

/// Which jobs to claim.
#[derive(Clone, Copy, Debug)]
pub struct ClaimFilter<'a> {
    /// Due by then.
    pub due_by: Timestamp,
    /// Created after that.
    pub created_after: Timestamp,
    /// Created by then, of jobs that end with their `response_url`.
    pub created_until: Timestamp,
    /// Ended by then, of jobs that may last longer than that.
    pub ended_until: Timestamp,
    /// Only jobs with one of these topics, if any are given.
    pub topics: Option<&'a [&'a str]>,
    /// Only jobs about these projects.
    pub projects: ProjectFilter<'a>,
    /// No more than this.
    pub limit: u32,
}

impl ClaimFilter<'_> {
    /// Every job that is due by then.
    #[must_use]
    pub fn due(due_by: Timestamp, limit: u32) -> Self {
        Self {
            due_by,
            created_after: Timestamp::MIN,
            created_until: Timestamp::MAX,
            ended_until: Timestamp::MAX,
            topics: None,
            projects: ProjectFilter::Any,
            limit,
        }
    }
}

/// The result of a claim.
#[derive(Debug)]
pub struct Claimed<P> {
    /// Jobs to run, the longest due first.
    pub jobs: Vec<ClaimedJob<P>>,
    /// Leases of jobs whose payload cannot be parsed, to be counted as lost and deleted.
    pub unreadable: Vec<Lease>,
}

impl<P> Default for Claimed<P> {
    fn default() -> Self {
        Self {
            jobs: Vec::new(),
            unreadable: Vec::new(),
        }
    }
}

/// The stored jobs of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// How many there are.
    pub count: u64,
    /// The number of different topics of the jobs that can be claimed now; a job without a topic counts as one.
    pub due: u64,
    /// How long until the first of them can be claimed; zero if one can be now.
    pub due_in: Option<SignedDuration>,
}
