//! An open database: connections, SQLite's pragmas, migrations, and the check that it can be written to.

use std::borrow::Cow;
use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::try_join_all;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sqlx::any::{AnyConnectOptions, AnyPoolOptions, AnyQueryResult, install_default_drivers};
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection, SqlSafeStr, query, query_scalar, raw_sql};
use tokio::task::spawn_blocking;
use url::Url;

use super::error::DatabaseError;
use crate::config::{DatabaseKind, DatabaseUrl};

/// Every migration, oldest first: version, description, SQL.
///
/// Embedded with `include_str!` and not with `sqlx::migrate!`: the macro needs sqlx's `macros` feature, which builds
/// both drivers a second time for the compiler.
const MIGRATIONS: [(i64, &str, &str); 4] = [
    (1, "initial", include_str!("migrations/0001_initial.sql")),
    (2, "project", include_str!("migrations/0002_project.sql")),
    (3, "ends_at", include_str!("migrations/0003_ends_at.sql")),
    (4, "keys_by_age", include_str!("migrations/0004_keys_by_age.sql")),
];
/// Where sqlx records the migrations that were applied.
const MIGRATIONS_TABLE: &str = "kapso_slack_migrations";

/// For every connection to SQLite.
///
/// - The exclusive lock is the file's own: it needs no second file, leaves no lock when the process is killed,
///   and does not use the shared memory that some container volumes cannot map.
/// - `synchronous = NORMAL`: a commit survives the death of the process, as promised. To survive a loss
///   of power it would have to wait for the disk each time, within the 300 ms that storing a reply may take.
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
/// For a connection that only checks a file: the pragmas that change neither the file nor its journal.
pub(super) const CHECKED_PRAGMAS: &str = "
    PRAGMA busy_timeout = 100;
    PRAGMA max_page_count = 16384;
    PRAGMA temp_store = MEMORY;
";
/// The time of a PostgreSQL server, in Unix milliseconds.
pub(super) const SERVER_TIME: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
/// For every connection to PostgreSQL. The server gives up on a statement before the caller does, so that a write that
/// failed does not take effect later, unless the network delivers the statement late.
const LIMITS: &str = "SET statement_timeout = '1500ms'; SET idle_in_transaction_session_timeout = '5s';";
/// Connections of one process to PostgreSQL: queries are short.
const POSTGRES_CONNECTIONS: u32 = 5;
/// How long a query waits for a connection. Callers have shorter deadlines of their own.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// The rights of a file's group and of everyone.
const OTHERS_RIGHTS: u32 = 0o077;
/// Bytes of the row that the write check inserts: more than one SQLite page, so that it needs free space.
const CHECK_PAYLOAD_BYTES: usize = 8 * 1024;

/// An open database; clones share its connections.
#[derive(Clone, Debug)]
pub struct Database {
    pool: AnyPool,
    /// The file that was opened, to notice if it is replaced.
    file: Option<File>,
    /// Keeps a database in memory: it is lost when its last connection is closed, and the pool closes a connection
    /// whose query was cancelled.
    _anchor: Option<Arc<Mutex<AnyConnection>>>,
    backend: Backend,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backend {
    Sqlite,
    Postgres,
}

/// A file's identity at the time it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Database {
    /// Opens the database at `url`; creates the file and the tables where they are missing.
    ///
    /// # Errors
    /// [`DatabaseError::InUse`] and [`DatabaseError::Unreachable`] may be temporary.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, DatabaseError> {
        match url.kind() {
            DatabaseKind::Memory => Self::in_memory().await,
            DatabaseKind::File(path) => Self::sqlite_file(path.clone()).await,
            DatabaseKind::Postgres(address) => Self::postgres(address).await,
        }
    }

    /// A new, empty SQLite database in memory.
    ///
    /// # Errors
    /// None in practice: it needs no file and no server.
    pub async fn in_memory() -> Result<Self, DatabaseError> {
        // By its name, a second connection finds the same database.
        let address = format!(
            "sqlite:file:kapso-slack-{:032x}?mode=memory&cache=shared",
            fastrand::u128(..)
        );
        install_default_drivers();
        let anchor = options(&address)?.connect().await?;
        Ok(Self {
            _anchor: Some(Arc::new(Mutex::new(anchor))),
            ..Self::sqlite(&address).await?
        })
    }

    async fn sqlite_file(path: PathBuf) -> Result<Self, DatabaseError> {
        let path = blocking(move || create(&path)).await?;
        let address = sqlite_address(&path, "rwc")?;
        let mut opened = Self::sqlite(&address).await;
        if let Err(DatabaseError::Other(_)) = opened {
            // For a read-only file that it cannot lock, SQLite reports a disk I/O error.
            let path = path.clone();
            if blocking(move || Ok(is_read_only(&path))).await? {
                opened = Err(DatabaseError::ReadOnly);
            }
        }
        let database = opened?;
        let file = blocking(move || File::identify(path)).await?;
        Ok(Self {
            file: Some(file),
            ..database
        })
    }

    async fn sqlite(address: &str) -> Result<Self, DatabaseError> {
        install_default_drivers();
        // One connection: SQLite has one writer, and so transactions are serialized.
        let pool = AnyPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // For a connection that replaces a broken one. An error here would make the pool retry until it times
            // out. So errors are ignored, and the first query reports the problem.
            .after_connect(|connection, _| {
                Box::pin(async move { raw_sql(PRAGMAS).execute(connection).await.map(drop).or(Ok(())) })
            })
            .connect_lazy_with(options(address)?);
        let mut connection = pool.acquire().await?;
        raw_sql(PRAGMAS).execute(&mut *connection).await?;
        // The file has at most 64 MiB, so this is quick. Later, damage would cause errors in any query.
        let verdict: String = query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&mut *connection)
            .await?;
        if verdict != "ok" {
            return Err(DatabaseError::Corrupt);
        }
        migrate(&mut connection).await?;
        drop(connection);
        Ok(Self {
            pool,
            file: None,
            _anchor: None,
            backend: Backend::Sqlite,
        })
    }

    async fn postgres(address: &SecretString) -> Result<Self, DatabaseError> {
        install_default_drivers();
        let options = options(address.expose_secret())?;
        // Not through the pool, which retries a refused connection until it times out and then forgets the reason.
        let mut connection = options.connect().await?;
        migrate(&mut connection).await?;
        let _ = connection.close().await;
        let pool = AnyPoolOptions::new()
            .min_connections(POSTGRES_CONNECTIONS)
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| {
                Box::pin(async move { raw_sql(LIMITS).execute(connection).await.map(drop).or(Ok(())) })
            })
            .connect_lazy_with(options);
        connect_all(&pool).await?;
        Ok(Self {
            pool,
            file: None,
            _anchor: None,
            backend: Backend::Postgres,
        })
    }

    /// The connections, for queries.
    #[must_use]
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Whether other processes use this database at the same time.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.backend == Backend::Postgres
    }

    /// Whether rows survive the end of this process.
    #[must_use]
    pub fn is_persistent(&self) -> bool {
        self.file.is_some() || self.is_shared()
    }

    /// `sqlite` or `postgres`: one of two texts, where the two databases need different SQL.
    #[must_use]
    pub fn dialect<T>(&self, sqlite: T, postgres: T) -> T {
        match self.backend {
            Backend::Sqlite => sqlite,
            Backend::Postgres => postgres,
        }
    }

    /// Begins a transaction that runs alone among all transactions begun with the same `lock`, in any process.
    ///
    /// # Errors
    /// The connection broke, or there is none.
    pub async fn begin_exclusive(
        &self,
        lock: AdvisoryLock,
    ) -> Result<sqlx::Transaction<'static, sqlx::Any>, DatabaseError> {
        let mut transaction = self.pool.begin().await?;
        // SQLite has one connection, so its transactions run one after the other anyway.
        if self.is_shared() {
            query("SELECT pg_advisory_xact_lock($1)")
                .bind(lock.number())
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction)
    }

    /// The database's time, if it is a server's.
    ///
    /// # Errors
    /// The query failed.
    pub async fn server_time(&self) -> Result<Option<Timestamp>, DatabaseError> {
        if !self.is_shared() {
            return Ok(None);
        }
        let ms: i64 = query_scalar(SERVER_TIME).fetch_one(&self.pool).await?;
        Ok(Timestamp::from_millisecond(ms).ok())
    }

    /// Proves that rows can be written and deleted.
    ///
    /// # Errors
    /// Rows cannot be written.
    pub async fn check(&self) -> Result<(), DatabaseError> {
        self.check_file().await?;
        if self.is_shared() {
            // Not through the pool, which would only report that it has no connection.
            let mut connection = self.pool.connect_options().connect().await?;
            check_write(&mut connection).await?;
            let _ = connection.close().await;
            return connect_all(&self.pool).await;
        }
        check_write(&mut *self.pool.acquire().await?).await
    }

    /// Checks that the open file is still the one at its path, which a restart would open.
    ///
    /// # Errors
    /// [`DatabaseError::Gone`] if it was deleted or replaced.
    pub async fn check_file(&self) -> Result<(), DatabaseError> {
        let Some(file) = self.file.clone() else {
            return Ok(());
        };
        let is_same = blocking(move || Ok(File::identify(file.path.clone())? == file));
        if is_same.await.unwrap_or(false) {
            Ok(())
        } else {
            Err(DatabaseError::Gone)
        }
    }

    /// Removes deleted rows from SQLite's log file, where they would stay readable for a while.
    ///
    /// # Errors
    /// Call it again later.
    pub async fn truncate_log(&self) -> Result<(), DatabaseError> {
        if !self.is_shared() {
            raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await?;
        }
        Ok(())
    }

    pub(super) fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }

    /// Closes the connections. Later queries fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// What [`Database::begin_exclusive`] serializes. The numbers identify this service's locks in PostgreSQL.
#[derive(Clone, Copy, Debug)]
pub enum AdvisoryLock {
    /// Adding a watch: counting and inserting are one step.
    Watches,
    /// Using an idempotency key: reading and inserting are one step.
    IdempotencyKeys,
}

impl AdvisoryLock {
    fn number(self) -> i64 {
        match self {
            Self::Watches => 7_309_453_127,
            Self::IdempotencyKeys => 7_309_453_128,
        }
    }
}

/// Whether exactly one row was affected.
///
/// # Errors
/// The query failed.
pub fn affected_one(result: Result<AnyQueryResult, sqlx::Error>) -> Result<bool, DatabaseError> {
    Ok(result?.rows_affected() == 1)
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

pub(super) fn options(address: &str) -> Result<AnyConnectOptions, DatabaseError> {
    Ok(AnyConnectOptions::from_str(address)?.disable_statement_logging())
}

/// The address of a file at an absolute path, for the driver.
pub(super) fn sqlite_address(path: &Path, mode: &str) -> Result<String, DatabaseError> {
    let address = Url::from_file_path(path).map_err(|()| unopenable())?;
    Ok(format!(
        "{}?mode={mode}",
        address.as_str().replacen("file:", "sqlite:", 1)
    ))
}

/// Creates the file, for its owner alone, where it is missing, and returns its absolute path.
fn create(path: &Path) -> io::Result<PathBuf> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let path = folder.canonicalize()?.join(name);
    // Only a new one: opening and closing a file that this process already has open would end the lock on it.
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    match created {
        Ok(_) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            restrict(&path);
            Ok(path)
        }
        Err(error) => Err(error),
    }
}

/// Takes the rights to an existing file, and to SQLite's log beside it, from everyone but its owner: it holds
/// response URLs.
fn restrict(path: &Path) {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    for path in [path, Path::new(&log)] {
        let Ok(found) = fs::metadata(path) else {
            continue;
        };
        if found.is_file() && found.mode() & OTHERS_RIGHTS != 0 {
            let owners = Permissions::from_mode(found.mode() & 0o777 & !OTHERS_RIGHTS);
            match fs::set_permissions(path, owners) {
                Ok(()) => tracing::warn!("the database file was open to other users; now only its owner may open it"),
                Err(error) => {
                    let error = error.to_string();
                    tracing::warn!(
                        error,
                        "the database file is open to other users: it should have the mode 600"
                    );
                }
            }
        }
    }
}

/// Only for a file that this process does not have open, see [`create`].
pub(super) fn is_read_only(path: &Path) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let opened = OpenOptions::new().append(true).open(path);
    opened.is_err_and(|error| matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem))
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, DatabaseError> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| DatabaseError::opening(&error)),
        Err(_stopped) => Err(unopenable()),
    }
}

fn unopenable() -> DatabaseError {
    DatabaseError::opening(&io::ErrorKind::InvalidFilename.into())
}

/// Opens every connection beforehand, because an acknowledgement must not wait for one.
async fn connect_all(pool: &AnyPool) -> Result<(), DatabaseError> {
    try_join_all((0..POSTGRES_CONNECTIONS).map(|_| pool.acquire())).await?;
    Ok(())
}

/// Inserts a row of typical size, and deletes it in the same transaction.
pub(super) async fn check_write(connection: &mut AnyConnection) -> Result<(), DatabaseError> {
    let id = format!("check-{:032x}", fastrand::u128(..));
    let mut transaction = connection.begin().await?;
    query(
        "INSERT INTO kapso_slack_jobs
             (id, kind, version, due_at, created_at, leased_by, leased_until, attempts, payload)
         VALUES ($1, 'check', 0, 0, 0, '', 0, 0, $2)",
    )
    .bind(id.clone())
    .bind("x".repeat(CHECK_PAYLOAD_BYTES))
    .execute(&mut *transaction)
    .await?;
    query("DELETE FROM kapso_slack_jobs WHERE id = $1")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Brings the tables up to date. Processes that start together do so one after the other: sqlx takes an advisory lock.
pub(super) async fn migrate(connection: &mut AnyConnection) -> Result<(), DatabaseError> {
    let migrations = MIGRATIONS.map(|(version, description, sql)| {
        Migration::new(
            version,
            Cow::Borrowed(description),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.into());
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    // Not `run`, whose future cannot be sent between threads.
    match migrator.run_direct(None, connection, false).await {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(found)) => Err(DatabaseError::Newer {
            found,
            known: MIGRATIONS.last().map_or(0, |(version, ..)| *version),
        }),
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => Err(error.into()),
        Err(error) => Err(DatabaseError::Other(error.to_string())),
    }
}
