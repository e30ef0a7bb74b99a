//! A job, and who may work on it.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::payload::Payload;
use crate::kapso::SessionId;

/// The name of a job: random, and known before the job is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobId(pub(super) String);

impl JobId {
    /// A name that no other job has.
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

/// The name of a process among those that share a store: random, so that a restarted one is another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Worker(pub(super) String);

impl Worker {
    /// A name that no other process has.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{:016x}", fastrand::u64(..)))
    }
}

/// The right to work on a job, given by one claim and lost to the next. A process that claims a job twice, because
/// its first lease ran out, holds two different leases, of which the second alone is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub(super) job: JobId,
    pub(super) worker: Worker,
    pub(super) attempt: i64,
}

impl Lease {
    /// The lease that a job is stored with.
    pub(super) fn first(job: &Job, worker: &Worker) -> Self {
        Self {
            job: job.id.clone(),
            worker: worker.clone(),
            attempt: 1,
        }
    }

    /// Which job it is about.
    #[must_use]
    pub fn job(&self) -> &JobId {
        &self.job
    }
}

/// What a job is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An answer that is owed since an empty 200.
    Late,
    /// Telling somebody when a session changes.
    Watch,
}

impl Kind {
    /// The word for it in the store, log and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Watch => "watch",
        }
    }
}

/// Something that is owed.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// When there is something to do.
    pub due_at: Timestamp,
    /// When its `response_url` came.
    pub created_at: Timestamp,
    /// How often it was claimed.
    pub attempts: u32,
    /// What is to be done, and for whom.
    pub payload: Payload,
}

impl Job {
    /// A job to be done at once.
    #[must_use]
    pub fn new(payload: Payload, now: Timestamp) -> Self {
        Self {
            id: JobId::random(),
            due_at: now,
            created_at: payload.arrived_at(),
            attempts: 0,
            payload,
        }
    }

    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.payload.kind()
    }
}

/// A job with the right to work on it.
#[derive(Clone, Debug)]
pub struct LeasedJob {
    /// The job.
    pub job: Job,
    /// The right.
    pub lease: Lease,
}

/// Which jobs are to be claimed.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Of this kind.
    pub kind: Kind,
    /// Due by then.
    pub due_by: Timestamp,
    /// Whose `response_url` came by then.
    pub created_by: Timestamp,
    /// Watches of these sessions, where that matters. Others whose ids are alike may be among them.
    pub sessions: Option<&'a [SessionId]>,
    /// No more than this.
    pub limit: u32,
}

impl Wanted<'_> {
    /// Whatever is due by then.
    #[must_use]
    pub fn due(kind: Kind, due_by: Timestamp, limit: u32) -> Self {
        Self {
            kind,
            due_by,
            created_by: Timestamp::MAX,
            sessions: None,
            limit,
        }
    }
}

/// What a claim gave.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Jobs to work on, the longest due first.
    pub jobs: Vec<LeasedJob>,
    /// Jobs whose payload is damaged: leased like the others, to be counted as lost and finished.
    pub unreadable: Vec<Lease>,
}

/// What the store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Late answers.
    pub late: Line,
    /// Watches.
    pub watches: Line,
}

/// The jobs of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// How many there are.
    pub count: u64,
    /// How many of them could be claimed now; of watches, how many sessions these are about.
    pub due: u64,
    /// How long until the first of them can be; zero if one can be now.
    pub due_in: Option<SignedDuration>,
}
