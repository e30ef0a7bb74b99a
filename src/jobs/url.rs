//! Where the store is: a file, memory, or a PostgreSQL server.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use thiserror::Error;

/// The address of a database: `sqlite:<path>`, `sqlite::memory:` or `postgres://…`. Printed, it shows no password.
#[derive(Clone)]
pub struct DatabaseUrl(pub(crate) Home);

/// Where a store lives.
#[derive(Clone)]
pub(crate) enum Home {
    /// Gone with the process.
    Memory,
    /// One file for one process.
    File(PathBuf),
    /// A server that several processes share.
    Postgres(SecretString),
}

/// What is wrong with an address that names no database. Quotes nothing of it.
#[derive(Debug, Error)]
#[error("is neither sqlite:<path to a file> nor an address such as postgres://user:password@host/database")]
pub struct NotADatabase;

impl DatabaseUrl {
    /// A file.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Home::File(path.into()))
    }

    /// The kind of database, for log and `/readyz`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.0 {
            Home::Memory | Home::File(_) => "sqlite",
            Home::Postgres(_) => "postgres",
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = NotADatabase;

    fn from_str(text: &str) -> Result<Self, NotADatabase> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            // The mode is ours whatever it says; people copy it from sqlx's examples.
            let path = path.strip_suffix("?mode=rwc").unwrap_or(path);
            if path == ":memory:" {
                return Ok(Self(Home::Memory));
            }
            let plain = !path.is_empty() && !path.ends_with('/') && !path.contains(['?', '#', '%', '\0']);
            return plain.then(|| Self::file(path)).ok_or(NotADatabase);
        }
        let postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if postgres && text.parse::<PgConnectOptions>().is_ok() {
            return Ok(Self(Home::Postgres(text.into())));
        }
        Err(NotADatabase)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Home::Memory => f.write_str("sqlite::memory:"),
            Home::File(path) => write!(f, "sqlite:{}", path.display()),
            Home::Postgres(_) => f.write_str("postgres://[REDACTED]"),
        }
    }
}
