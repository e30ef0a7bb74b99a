//! What can go wrong with the database, as far as an operator can repair it.

use std::io;

use thiserror::Error;

/// Why a query failed. Contains no stored value and no password.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DatabaseError {
    /// Not yet, or not any more.
    #[error("the store is not open")]
    NotOpen,
    /// It may have done what it was asked to all the same.
    #[error("the database did not answer in time")]
    Slow,
    /// One process at a time has a file; on a restart it may be the one that is just stopping.
    #[error("another process uses the database file; several replicas need PostgreSQL")]
    InUse,
    /// The file, or its folder, is not there or not ours to open.
    #[error("the database file cannot be opened: {0}")]
    Unopenable(String),
    /// What is written now would be lost with the process.
    #[error("the database file was deleted or replaced under the running service")]
    Gone,
    /// It can be read, which is not enough.
    #[error("the database is read-only")]
    ReadOnly,
    /// The disk is, or the file has grown to its limit.
    #[error("the database, or its disk, is full")]
    Full,
    /// It is no database, or a damaged one.
    #[error("the database is damaged, or the file is none; once it is moved away, a new one is made")]
    Corrupt,
    /// A later version has changed the tables.
    #[error("the database was set up by a later version of this service (its schema is {found}, ours {known})")]
    Newer {
        /// The schema it has.
        found: i64,
        /// The latest this version knows.
        known: i64,
    },
    /// There is no connection to the server, or it broke.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The server does not take us, or does not let us.
    #[error("the database refused: {0}")]
    Refused(String),
    /// This machine's clock is ahead of the database's by so many seconds, or behind it if negative.
    #[error("this machine's clock is {0} s away from the database's, so this process claims no jobs; set it by NTP")]
    ClockSkew(i64),
    /// Anything else.
    #[error("the database failed: {0}")]
    Other(String),
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => {
                let said = error.message();
                match error.code().as_deref() {
                    // SQLite's codes are numbers of at most four digits, a SQLSTATE has five characters.
                    Some(state) if state.len() == 5 => of_postgres(state, said),
                    Some(code) => of_sqlite(code.parse().unwrap_or(0), said),
                    None => Self::Other(said.to_owned()),
                }
            }
            sqlx::Error::Io(error) => Self::Unreachable(error.to_string()),
            sqlx::Error::Tls(error) => Self::Unreachable(format!("TLS: {error}")),
            sqlx::Error::Protocol(_) => Self::Unreachable("the connection broke".to_owned()),
            sqlx::Error::PoolTimedOut => Self::Unreachable("no connection in time".to_owned()),
            sqlx::Error::PoolClosed => Self::NotOpen,
            sqlx::Error::WorkerCrashed => Self::Unreachable("its thread ended".to_owned()),
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
fn of_sqlite(code: u32, said: &str) -> DatabaseError {
    // The low byte is the code, what is above says more.
    match code & 0xff {
        5 | 6 => DatabaseError::InUse,
        8 => DatabaseError::ReadOnly,
        11 | 26 => DatabaseError::Corrupt,
        13 => DatabaseError::Full,
        3 | 14 | 23 => DatabaseError::Unopenable(said.to_owned()),
        _ => DatabaseError::Other(said.to_owned()),
    }
}

/// Source: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn of_postgres(state: &str, said: &str) -> DatabaseError {
    match state {
        "25006" => DatabaseError::ReadOnly,
        "53100" | "53200" => DatabaseError::Full,
        _ if state.starts_with("XX") => DatabaseError::Corrupt,
        _ if state.starts_with("08") || state.starts_with("53") || state.starts_with("57") => {
            DatabaseError::Unreachable(said.to_owned())
        }
        "3D000" | "3F000" | "42501" => DatabaseError::Refused(said.to_owned()),
        _ if state.starts_with("28") => DatabaseError::Refused(said.to_owned()),
        _ => DatabaseError::Other(said.to_owned()),
    }
}
