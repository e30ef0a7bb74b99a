//! Errors of the database, by what an operator can do about them.

use std::io;

use thiserror::Error;

/// Why a query failed. Contains no stored value and no password.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DatabaseError {
    /// Not opened yet, or closed.
    #[error("the store is not open")]
    NotOpen,
    /// The query may still take effect.
    #[error("the database did not answer in time")]
    Slow,
    /// Only one process can open a file; after a restart, it may be the previous process.
    #[error("another process uses the database file; several replicas need PostgreSQL")]
    InUse,
    /// The file or its folder is missing, or access is denied.
    #[error("the database file cannot be opened: {0}")]
    Unopenable(String),
    /// New rows would be lost when the process ends.
    #[error("the database file was deleted or replaced under the running service")]
    Gone,
    /// It can only be read.
    #[error("the database is read-only")]
    ReadOnly,
    /// The disk is full, or the file has reached its size limit.
    #[error("the database, or its disk, is full")]
    Full,
    /// The file is not a database, or is damaged.
    #[error("the database is damaged, or the file is not a database; move it away, and a new one is created")]
    Corrupt,
    /// A later version has changed the tables.
    #[error("the database was set up by a later version of this service (its schema is {found}, ours {known})")]
    Newer {
        /// Its schema version.
        found: i64,
        /// The latest version that this process knows.
        known: i64,
    },
    /// There is no connection to the server, or it broke.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The server refused the login or the access.
    #[error("the database refused: {0}")]
    Refused(String),
    /// This machine's clock is ahead of the database's by so many seconds, or behind it if negative.
    #[error(
        "this machine's clock differs from the database's by {0} s, so this process claims no jobs; synchronise it with NTP"
    )]
    ClockSkew(i64),
    /// A pooler in transaction mode gives each transaction another connection, on which prepared statements are missing.
    #[error(
        "a connection pooler in transaction mode does not keep prepared statements; use its session mode, or connect to \
         PostgreSQL directly"
    )]
    PreparedStatements,
    /// Anything else.
    #[error("the database failed: {0}")]
    Other(String),
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                let message = error.message();
                match error.code().as_deref() {
                    // SQLite's codes are numbers of at most four digits, a SQLSTATE has five characters.
                    Some(sqlstate) if sqlstate.len() == 5 => from_sqlstate(sqlstate, message),
                    Some(code) => from_sqlite_code(code.parse().unwrap_or(0), message),
                    None => Self::Other(message.to_owned()),
                }
            }
            sqlx::Error::Io(error) => Self::Unreachable(error.to_string()),
            sqlx::Error::Tls(error) => Self::Unreachable(format!("TLS: {error}")),
            sqlx::Error::Protocol(_) => Self::Unreachable("the connection broke".to_owned()),
            sqlx::Error::PoolTimedOut => Self::Unreachable("timed out waiting for a connection".to_owned()),
            sqlx::Error::PoolClosed => Self::NotOpen,
            sqlx::Error::WorkerCrashed => Self::Unreachable("the driver's thread stopped".to_owned()),
            // May quote the address.
            sqlx::Error::Configuration(_) => Self::Refused("its address has a parameter that is not known".to_owned()),
            sqlx::Error::ColumnDecode { index, .. } => Self::Other(format!("column {index} cannot be read")),
            sqlx::Error::ColumnNotFound(name) => Self::Other(format!("column {name} is missing")),
            _ => Self::Other("the driver failed".to_owned()),
        }
    }
}

impl DatabaseError {
    /// Whether the database may work again without being opened anew.
    pub(super) fn is_temporary(&self) -> bool {
        matches!(self, Self::Slow | Self::Full | Self::Unreachable(_))
    }

    pub(super) fn opening(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            kind => Self::Unopenable(kind.to_string()),
        }
    }
}

/// Source: <https://www.sqlite.org/rescode.html>.
fn from_sqlite_code(code: u32, message: &str) -> DatabaseError {
    // The low byte is the primary result code.
    match code & 0xff {
        5 | 6 => DatabaseError::InUse,
        8 => DatabaseError::ReadOnly,
        11 | 26 => DatabaseError::Corrupt,
        13 => DatabaseError::Full,
        3 | 14 | 23 => DatabaseError::Unopenable(message.to_owned()),
        _ => DatabaseError::Other(message.to_owned()),
    }
}

/// Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn from_sqlstate(sqlstate: &str, message: &str) -> DatabaseError {
    match sqlstate {
        "25006" => DatabaseError::ReadOnly,
        "53100" | "53200" => DatabaseError::Full,
        // Such a statement exists already, or does not exist.
        "42P05" | "26000" => DatabaseError::PreparedStatements,
        _ if sqlstate.starts_with("XX") => DatabaseError::Corrupt,
        _ if sqlstate.starts_with("08") || sqlstate.starts_with("53") || sqlstate.starts_with("57") => {
            DatabaseError::Unreachable(message.to_owned())
        }
        "3D000" | "3F000" | "42501" => DatabaseError::Refused(message.to_owned()),
        _ if sqlstate.starts_with("28") => DatabaseError::Refused(message.to_owned()),
        _ => DatabaseError::Other(message.to_owned()),
    }
}
