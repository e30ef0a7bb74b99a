//! The database's address; moves to `config`.

pub mod url;

pub use url::{DatabaseUrl, NotADatabase};
