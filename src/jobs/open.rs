//! Opens a store: connections, SQLite's pragmas, and the tables.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use futures_util::future::try_join_all;
use secrecy::{ExposeSecret, SecretString};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection, query, query_scalar, raw_sql};
use tokio::task::spawn_blocking;
use url::Url;

use super::error::StoreError;
use super::job::JobId;
use super::store::Store;
use crate::config::{DatabaseKind, DatabaseUrl};

/// Every change of the tables there ever was, oldest first.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/1.sql")];

/// For every connection to SQLite.
///
/// - The exclusive lock is the file's own: it needs no second file, leaves nothing behind when the process is killed,
///   and does without the shared memory that some volumes of containers cannot map.
/// - `synchronous = NORMAL` lets a commit survive the death of the process, which is what is promised; to survive a
///   loss of power it would have to wait for the disk each time, within the 300 ms that storing an answer may take.
/// - `secure_delete` overwrites what is deleted with zeros.
/// - The page limit (4 KiB each, so 64 MiB) keeps a flood from filling the host's disk.
const PRAGMAS: &str = "
    PRAGMA busy_timeout = 100;
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    PRAGMA secure_delete = ON;
    PRAGMA max_page_count = 16384;
    PRAGMA temp_store = MEMORY;
";
/// For every connection to PostgreSQL: what takes longer than this never takes effect, so that whoever gave up
/// waiting for a write knows that it came in time or will not come.
const LIMITS: &str = "SET statement_timeout = '5s'; SET idle_in_transaction_session_timeout = '5s';";
/// Of one process, in PostgreSQL: jobs are short.
const CONNECTIONS: u32 = 5;
/// How long an operation waits for a connection. Callers have shorter deadlines of their own.
const CONNECTING: Duration = Duration::from_secs(5);
/// The size of a job that is written to see whether jobs can be: more than a page of SQLite's, so that it takes room.
const CHECKED: usize = 8 * 1024;

/// A file as it was when it was opened.
#[derive(Clone, Debug)]
pub(super) struct File {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Store {
    /// Opens the store at `url`; creates the file and the tables where they are missing.
    ///
    /// # Errors
    /// Says what is in the way. [`StoreError::InUse`] and [`StoreError::Unreachable`] may pass by themselves.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, StoreError> {
        install_default_drivers();
        match url.kind() {
            DatabaseKind::Memory => Self::sqlite("sqlite::memory:").await,
            DatabaseKind::File(path) => {
                let path = path.clone();
                let (path, is_new) = blocking(move || create(&path)).await?;
                let address = Url::from_file_path(&path).map_err(|()| unopenable())?;
                let address = address.as_str().replacen("file:", "sqlite:", 1) + "?mode=rwc";
                let mut opened = Self::sqlite(&address).await;
                if let Err(StoreError::Other(_)) = opened {
                    // What SQLite calls a disk I/O error may be a file that it cannot lock, since it may not write.
                    let path = path.clone();
                    if blocking(move || Ok(is_read_only(&path))).await? {
                        opened = Err(StoreError::ReadOnly);
                    }
                }
                let store = opened?;
                let file = blocking(move || File::identify(path)).await?;
                Ok(Self {
                    file: Some(file),
                    is_new,
                    ..store
                })
            }
            DatabaseKind::Postgres(address) => Self::postgres(address).await,
        }
    }

    async fn sqlite(address: &str) -> Result<Self, StoreError> {
        let pool = AnyPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(CONNECTING)
            // For a connection that replaces a broken one. The pool would try a failure again until it times out,
            // so it must not see any: what is wrong shows in the first use.
            .after_connect(|connection, _| {
                Box::pin(async move { raw_sql(PRAGMAS).execute(connection).await.map(drop).or(Ok(())) })
            })
            .connect_lazy_with(options(address)?);
        let mut connection = pool.acquire().await?;
        raw_sql(PRAGMAS).execute(&mut *connection).await?;
        // All 64 MiB of it in a moment. Found out later, damage would show here and there, now and then.
        let verdict: String = query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&mut *connection)
            .await?;
        if verdict != "ok" {
            return Err(StoreError::Corrupt);
        }
        migrate(&mut connection, false).await?;
        drop(connection);
        Ok(Self {
            pool,
            file: None,
            is_new: false,
            shared: false,
        })
    }

    async fn postgres(address: &SecretString) -> Result<Self, StoreError> {
        let options = options(address.expose_secret())?;
        // Not by the pool, which tries a refused connection again until it times out and then forgets why.
        let mut connection = options.connect().await?;
        migrate(&mut connection, true).await?;
        let _ = connection.close().await;
        let pool = AnyPoolOptions::new()
            .min_connections(CONNECTIONS)
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECTING)
            .after_connect(|connection, _| {
                Box::pin(async move { raw_sql(LIMITS).execute(connection).await.map(drop).or(Ok(())) })
            })
            .connect_lazy_with(options);
        connect(&pool).await?;
        Ok(Self {
            pool,
            file: None,
            is_new: false,
            shared: true,
        })
    }

    /// Proves that jobs can be stored and taken out again.
    ///
    /// # Errors
    /// They cannot.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        self.check_file().await?;
        if self.shared {
            // Not by the pool, which would say no more than that it has no connection.
            let mut connection = self.pool.connect_options().connect().await?;
            write(&mut connection).await?;
            let _ = connection.close().await;
            return connect(&self.pool).await;
        }
        write(&mut *self.pool.acquire().await?).await
    }

    /// Whether the file that is written to is still the one that a restart would find.
    pub(super) async fn check_file(&self) -> Result<(), StoreError> {
        let Some(file) = self.file.clone() else {
            return Ok(());
        };
        let same = blocking(move || {
            let now = File::identify(file.path)?;
            Ok((now.device, now.inode) == (file.device, file.inode))
        });
        if same.await.unwrap_or(false) {
            Ok(())
        } else {
            Err(StoreError::Gone)
        }
    }
}

impl File {
    fn identify(path: PathBuf) -> io::Result<Self> {
        let found = fs::metadata(&path)?;
        Ok(Self {
            path,
            device: found.dev(),
            inode: found.ino(),
        })
    }
}

fn options(address: &str) -> Result<AnyConnectOptions, StoreError> {
    Ok(AnyConnectOptions::from_str(address)?.disable_statement_logging())
}

/// Creates the file, for its owner alone, where it is missing, and says where it is, and whether it was missing.
fn create(path: &Path) -> io::Result<(PathBuf, bool)> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let path = folder.canonicalize()?.join(name);
    // Only a new one: to open and close a file that this process has open already would end the lock on it.
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    match created {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        created => Ok((path, created.is_ok())),
    }
}

/// To be asked only while this process has not got the file open, see [`create`].
fn is_read_only(path: &Path) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let opened = OpenOptions::new().append(true).open(path);
    opened.is_err_and(|error| matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, StoreError> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| StoreError::opening(&error)),
        Err(_stopped) => Err(unopenable()),
    }
}

fn unopenable() -> StoreError {
    StoreError::opening(&io::ErrorKind::InvalidFilename.into())
}

/// Makes every connection beforehand, since an acknowledgement does not wait for one.
async fn connect(pool: &AnyPool) -> Result<(), StoreError> {
    try_join_all((0..CONNECTIONS).map(|_| pool.acquire())).await?;
    Ok(())
}

/// Writes a job that is of no kind, as long as others are, and takes it out again before anybody sees it.
async fn write(connection: &mut AnyConnection) -> Result<(), StoreError> {
    let job = JobId::random();
    let mut transaction = connection.begin().await?;
    query(
        "INSERT INTO kapso_slack_jobs
             (id, kind, version, due_at, created_at, leased_by, leased_until, attempts, payload)
         VALUES ($1, 'check', 0, 0, 0, '', 0, 0, $2)",
    )
    .bind(job.0.clone())
    .bind("x".repeat(CHECKED))
    .execute(&mut *transaction)
    .await?;
    query("DELETE FROM kapso_slack_jobs WHERE id = $1")
        .bind(job.0)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Brings the tables up to date, in one transaction. Processes that start together do so one after the other.
async fn migrate(connection: &mut AnyConnection, shared: bool) -> Result<(), StoreError> {
    let mut transaction = connection.begin().await?;
    if shared {
        // The number is this service's own; the lock ends with the transaction.
        raw_sql("SELECT pg_advisory_xact_lock(7309453126)")
            .execute(&mut *transaction)
            .await?;
    }
    raw_sql(
        "CREATE TABLE IF NOT EXISTS kapso_slack_schema (id BIGINT PRIMARY KEY, version BIGINT NOT NULL);
         INSERT INTO kapso_slack_schema (id, version) VALUES (1, 0) ON CONFLICT DO NOTHING;",
    )
    .execute(&mut *transaction)
    .await?;
    let found: i64 = query_scalar("SELECT version FROM kapso_slack_schema")
        .fetch_one(&mut *transaction)
        .await?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        raw_sql(*migration).execute(&mut *transaction).await?;
    }
    query("UPDATE kapso_slack_schema SET version = $1 WHERE version <> $1")
        .bind(known)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}
