//! Checks a database without changing it: everything that a start would do, in a transaction that is rolled back.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use secrecy::ExposeSecret;
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, ConnectOptions, Connection, query_scalar, raw_sql};

use super::database::{
    CHECKED_PRAGMAS, SERVER_TIME, blocking, check_write, is_read_only, migrate, options, sqlite_address,
};
use super::error::DatabaseError;
use crate::config::{DatabaseKind, DatabaseUrl};

/// What the check found, besides that rows can be written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probed {
    /// Free bytes on the disk of a file.
    pub free_bytes: Option<u64>,
    /// The time of a server.
    pub server_time: Option<Timestamp>,
}

/// Checks that a service could start with the database at `url`, and write rows.
///
/// # Errors
/// See [`DatabaseError`].
pub async fn probe(url: &DatabaseUrl) -> Result<Probed, DatabaseError> {
    match url.kind() {
        DatabaseKind::Memory => Ok(Probed::default()),
        DatabaseKind::File(path) => probe_file(path.clone()).await,
        DatabaseKind::Postgres(address) => {
            install_default_drivers();
            let mut connection = options(address.expose_secret())?.connect().await?;
            rehearse(&mut connection).await?;
            let ms: i64 = query_scalar(SERVER_TIME).fetch_one(&mut connection).await?;
            let _ = connection.close().await;
            Ok(Probed {
                server_time: Timestamp::from_millisecond(ms).ok(),
                ..Probed::default()
            })
        }
    }
}

async fn probe_file(path: PathBuf) -> Result<Probed, DatabaseError> {
    let file = blocking(move || FileState::of(&path)).await?;
    if let Some(path) = file.existing {
        let mut result = rehearse_in_file(&path).await;
        if let Err(DatabaseError::Other(_)) = result
            && blocking(move || Ok(is_read_only(&path))).await?
        {
            result = Err(DatabaseError::ReadOnly);
        }
        result?;
    }
    Ok(Probed {
        free_bytes: Some(file.free_bytes),
        ..Probed::default()
    })
}

/// What is at the path of a database file.
struct FileState {
    /// The absolute path of the file, if it exists.
    existing: Option<PathBuf>,
    free_bytes: u64,
}

impl FileState {
    /// Fails if there is no such file and none could be created.
    fn of(path: &Path) -> io::Result<Self> {
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let path = folder.canonicalize()?.join(name);
        let existing = match fs::metadata(&path) {
            Ok(_) => Some(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let trial = path.with_file_name(format!(".kapso-slack-{:016x}", fastrand::u64(..)));
                OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&trial)?;
                fs::remove_file(&trial)?;
                None
            }
            Err(error) => return Err(error),
        };
        let disk = rustix::fs::statvfs(folder)?;
        Ok(Self {
            existing,
            free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        })
    }
}

async fn rehearse_in_file(path: &Path) -> Result<(), DatabaseError> {
    install_default_drivers();
    let mut connection = options(&sqlite_address(path, "rw")?)?.connect().await?;
    raw_sql(CHECKED_PRAGMAS).execute(&mut connection).await?;
    let verdict: String = query_scalar("PRAGMA quick_check(1)").fetch_one(&mut connection).await?;
    if verdict != "ok" {
        return Err(DatabaseError::Corrupt);
    }
    rehearse(&mut connection).await?;
    let _ = connection.close().await;
    Ok(())
}

/// Brings the tables up to date, writes a row and deletes it, and takes all of it back.
async fn rehearse(connection: &mut AnyConnection) -> Result<(), DatabaseError> {
    let mut transaction = connection.begin().await?;
    migrate(&mut transaction).await?;
    check_write(&mut transaction).await?;
    transaction.rollback().await?;
    Ok(())
}
