//! The database: a SQLite file of one process, or a PostgreSQL database that several share.
//!
//! [`Database`] is an open database; [`StoreConnection`] opens it in the background, notices when it breaks, and opens
//! it again. The tables belong to the modules that query them: `queue`, `watches` and `idempotency`.

mod connection;
mod database;
mod error;
mod probe;

pub use connection::{Opened, QUERY_TIMEOUT, StoreConnection};
pub use database::{AdvisoryLock, Database, affected_one};
pub use error::DatabaseError;
pub use probe::{Probed, probe};
