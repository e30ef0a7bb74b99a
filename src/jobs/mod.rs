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
mod url;
pub mod watch;
pub mod watcher;
mod watches;

pub use creations::{Begun, Consent, Created, Creation, fingerprint};
pub use error::StoreError;
pub use job::{Claimed, Held, Job, JobId, Kind, Lease, Line, Owed, Wanted, Worker};
pub use ledger::{Kept, Ledger, RENEWAL};
pub use payload::{Ask, Late, Payload, Watch};
pub use store::Store;
pub use url::{DatabaseUrl, NotADatabase};
pub use watches::{Added, Caps, WatchKey};
