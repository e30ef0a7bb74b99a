//! What is owed beyond the request: late answers and watches, kept so that a killed process forgets nothing.
//!
//! A [`Job`] is written to the [`Store`] before anybody is told that it will be done. Whoever works on it holds a
//! [`Lease`]; when its holder dies, the lease runs out and somebody else does the job. [`watch::decide`] says what a
//! watch does with what was seen, [`budget::plan`] which request to make next.

mod access;
pub mod budget;
mod creations;
mod error;
mod job;
mod ledger;
mod open;
mod payload;
pub mod runner;
mod store;
pub mod watch;
pub mod watcher;
mod watches;

pub use creations::{BeginOutcome, Confirmation, Created, Creation, fingerprint};
pub use error::StoreError;
pub use job::{Claimed, Job, JobId, Kind, Lease, LeasedJob, Line, QueueStats, Wanted, Worker};
pub use ledger::{JobStore, Persistence, RENEWAL};
pub use payload::{Late, Payload, Trigger, Watch};
pub use store::Store;
pub use watches::{Added, Caps, WatchKey};
