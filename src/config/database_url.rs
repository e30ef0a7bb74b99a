//! The address of the database: a SQLite file, memory, or a PostgreSQL server.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use thiserror::Error;

/// The address of a database: `sqlite:<path>`, `sqlite::memory:` or `postgres://…`. `Debug` shows no password.
#[derive(Clone)]
pub struct DatabaseUrl(DatabaseKind);

/// Where a database lives.
#[derive(Clone)]
pub enum DatabaseKind {
    /// SQLite in memory; lost when the process ends.
    Memory,
    /// A SQLite file, used by one process.
    File(PathBuf),
    /// The address of a PostgreSQL server that several processes may share.
    Postgres(SecretString),
}

/// The text is not the address of a database. Quotes nothing of it, since it may contain a password.
#[derive(Debug, Error)]
#[error("is neither sqlite:<path to a file> nor an address such as postgres://user:password@host/database")]
pub struct InvalidDatabaseUrl;

impl DatabaseUrl {
    /// The address of a SQLite file.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(DatabaseKind::File(path.into()))
    }

    /// Where the database lives.
    #[must_use]
    pub fn kind(&self) -> &DatabaseKind {
        &self.0
    }
}

impl DatabaseKind {
    /// The database system, for log and `/readyz`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Memory | Self::File(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            // People copy this mode from sqlx's examples; it is the one this app uses anyway.
            let path = path.strip_suffix("?mode=rwc").unwrap_or(path);
            if path == ":memory:" {
                return Ok(Self(DatabaseKind::Memory));
            }
            let plain = !path.is_empty() && !path.ends_with('/') && !path.contains(['?', '#', '%', '\0']);
            return plain.then(|| Self::file(path)).ok_or(InvalidDatabaseUrl);
        }
        let postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
        if postgres && text.parse::<PgConnectOptions>().is_ok() {
            return Ok(Self(DatabaseKind::Postgres(text.into())));
        }
        Err(InvalidDatabaseUrl)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            DatabaseKind::Memory => f.write_str("sqlite::memory:"),
            DatabaseKind::File(path) => write!(f, "sqlite:{}", path.display()),
            DatabaseKind::Postgres(_) => f.write_str("postgres://[REDACTED]"),
        }
    }
}
