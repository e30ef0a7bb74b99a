//! Durable jobs with leases.
//!
//! A [`Job`] is stored before its command is acknowledged. A [`Lease`] gives one worker the right to run it;
//! when that worker dies, the lease runs out and another runs the job. One attempt ends in one of three ways: the job is
//! complete, it is rescheduled (waiting is a due time in the table), or it is dead. What a job does is known to the
//! module that stores it: see [`Payload`].

mod job;
mod rows;
pub mod secret;
mod store;
pub mod worker;

pub use job::{
    ClaimFilter, Claimed, ClaimedJob, Job, JobId, JobKeys, Lease, Payload, ProjectFilter, QueueStats, WorkerId,
};
pub use rows::{CLAIM_POSTGRES, CLAIM_SQLITE, JobRows, Quota, Upserted};
pub use store::{JobStore, LeasedJob, RENEWAL};
