//! Empty databases of each kind, and jobs to store in them.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kapso_slack::cards::ReplyTarget;
use kapso_slack::config::DatabaseUrl;
use kapso_slack::db;
use kapso_slack::dispatch::{LateReply, Outgoing, Trigger};
use kapso_slack::idempotency::KeyRows;
use kapso_slack::kapso::SessionId;
use kapso_slack::queue::{ClaimFilter, ClaimedJob, Job, JobRows, Lease, Payload, Quota, Upserted, WorkerId};
use kapso_slack::slack::Who;
use kapso_slack::slack::button_value::Origin;
use kapso_slack::watches::{self, Watch};
use serde_json::Value;
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row, query, query_scalar, raw_sql};
use tokio::time::timeout;

use crate::support::ID;

/// Far longer than any test takes.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Duration of leases.
pub const LEASE: SignedDuration = SignedDuration::from_secs(15);
/// A part of every `response_url` in these tests.
pub const URL: &str = "https://hooks.slack.com/commands/T0001ABCD/planted-4711";
/// A user id that occurs nowhere else.
pub const USER: &str = "U0PLANTED1";

/// An empty folder that is deleted when this is dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("kapso-slack-it-{:016x}", fastrand::u64(..)));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An empty database.
pub struct Database {
    pub url: DatabaseUrl,
    /// The value for `DATABASE_URL`. Tests use it for direct queries, too: with SQLite only while the service has closed it.
    pub address: String,
    schema: Option<String>,
    _folder: Option<Folder>,
}

impl Database {
    pub fn sqlite() -> Self {
        let folder = Folder::new();
        let file = folder.join("jobs.db");
        Self {
            url: DatabaseUrl::file(&file),
            address: format!("sqlite:{}", file.display()),
            schema: None,
            _folder: Some(folder),
        }
    }

    /// A schema of its own on the server in `TEST_POSTGRES_URL`.
    pub async fn postgres() -> Self {
        // Without TLS: an unoptimised build takes 0.1 s for each connection to read the system's certificates.
        Self::postgres_at(&postgres_url().replace("sslmode=require", "sslmode=disable")).await
    }

    pub async fn postgres_over_tls() -> Self {
        Self::postgres_at(&postgres_url()).await
    }

    async fn postgres_at(server: &str) -> Self {
        let schema = format!("it_{:016x}", fastrand::u64(..));
        run(server, format!("CREATE SCHEMA {schema}")).await;
        let address = format!("{server}&options[search_path]={schema}&application_name={schema}");
        Self {
            url: address.parse().unwrap(),
            address,
            schema: Some(schema),
            _folder: None,
        }
    }

    pub async fn open(&self) -> db::Database {
        db::Database::open(&self.url).await.unwrap()
    }

    pub async fn jobs(&self) -> JobRows {
        JobRows::new(self.open().await)
    }

    /// As many connections as there could be processes: one on SQLite.
    async fn open_many(&self, many: usize) -> Vec<db::Database> {
        let mut opened = vec![self.open().await];
        while opened.len() < many {
            opened.push(match self.schema {
                Some(_) => self.open().await,
                None => opened[0].clone(),
            });
        }
        opened
    }

    /// The jobs as this many processes see them.
    pub async fn replicas(&self, many: usize) -> Vec<JobRows> {
        self.open_many(many).await.into_iter().map(JobRows::new).collect()
    }

    /// The idempotency keys as this many processes see them.
    pub async fn key_replicas(&self, many: usize) -> Vec<KeyRows> {
        self.open_many(many).await.into_iter().map(KeyRows::new).collect()
    }

    /// Makes every change of a job take 2 ms on a server, so that concurrent operations overlap.
    pub async fn slow_down(&self) {
        if self.schema.is_some() {
            self.run(
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql
                     AS $$ BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END $$;
                 CREATE TRIGGER slow BEFORE UPDATE ON kapso_slack_jobs FOR EACH ROW EXECUTE FUNCTION slow();",
            )
            .await;
        }
    }

    /// Runs `sql` on a connection of its own.
    pub async fn run(&self, sql: impl Into<String>) {
        run(&self.address, sql.into()).await;
    }

    /// The payloads of the jobs for which the SQL condition `which` is true.
    pub async fn payloads(&self, which: &str) -> Vec<Value> {
        let sql = format!("SELECT payload FROM kapso_slack_jobs WHERE {which}");
        let payloads = self.words(&sql).await;
        payloads
            .iter()
            .map(|json| serde_json::from_str(json).unwrap())
            .collect()
    }

    /// The texts in the only column that `sql` selects.
    pub async fn words(&self, sql: &str) -> Vec<String> {
        install_default_drivers();
        let mut connection = AnyConnection::connect(&self.address).await.unwrap();
        let sql = AssertSqlSafe(sql.to_owned());
        let words = query_scalar(sql).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        words
    }

    /// How the statement that begins with `EXPLAIN` is executed.
    pub async fn plan(&self, sql: &str) -> String {
        install_default_drivers();
        let mut connection = AnyConnection::connect(&self.address).await.unwrap();
        let rows = query(AssertSqlSafe(sql.to_owned()))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        let lines: Vec<String> = rows.iter().map(|row| row.get(row.len() - 1)).collect();
        lines.join("\n")
    }

    /// The number that `sql` selects.
    pub async fn number(&self, sql: &'static str) -> i64 {
        install_default_drivers();
        let mut connection = AnyConnection::connect(&self.address).await.unwrap();
        let number = query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        number
    }

    /// Drops the schema.
    pub async fn drop(self) {
        if let Some(schema) = self.schema {
            run(&self.address, format!("DROP SCHEMA {schema} CASCADE")).await;
        }
    }
}

pub fn postgres_url() -> String {
    std::env::var("TEST_POSTGRES_URL").expect("a PostgreSQL server: run the tests through scripts/postgres")
}

async fn run(address: &str, sql: String) {
    install_default_drivers();
    let mut connection = AnyConnection::connect(address).await.unwrap();
    raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Runs `test` on a SQLite file and on a PostgreSQL server.
pub async fn on_both_databases(test: impl AsyncFn(&Database)) {
    for database in [Database::sqlite(), Database::postgres().await] {
        let kind = database.url.kind().name();
        timeout(TIMEOUT, test(&database))
            .await
            .unwrap_or_else(|_| panic!("the test on {kind} hangs"));
        database.drop().await;
    }
}

/// A fixed time plus `seconds`.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

pub fn who(user: &str) -> Who {
    Who {
        team: "T0001ABCD".to_owned(),
        home_team: None,
        enterprise: Some("E0001ABCD".to_owned()),
        channel: "C2147483705".to_owned(),
        user: user.to_owned(),
    }
}

/// A pending reply, due at `at(due)`.
pub fn late(due: i64) -> Job<LateReply> {
    let late = LateReply {
        trigger: Trigger::Typed(format!("show {ID}")),
        who: who(USER),
        origin: Origin::default(),
        target: ReplyTarget::Command,
        request_id: "5eed0001".to_owned(),
        idempotency_key: None,
        outgoing: Outgoing::new(URL.into(), at(due), "C2147483705"),
        rendered: None,
    };
    Job::new(late, at(due), at(due))
}

pub fn watch(user: &str, session: &str) -> Watch {
    Watch {
        session: SessionId::parse(session).unwrap(),
        session_created_at: Some(at(-60)),
        who: who(user),
        origin: Origin::default(),
        request_id: "5eed0002".to_owned(),
        response_url: URL.into(),
        arrived_at: at(0),
        posts_left: 4,
        not_found: 0,
        card: None,
        direct: None,
        shared: None,
    }
}

/// Stores a watch that is due at `due_at`.
pub async fn add_watch(
    jobs: &JobRows,
    watch: &Watch,
    due_at: Timestamp,
    quota: Quota,
) -> Result<Upserted, db::DatabaseError> {
    let job = Job::new(watch.clone(), watch.arrived_at, due_at);
    jobs.upsert(&job, &watches::keys(&watch.who, None, &watch.session), quota)
        .await
}

/// Claims every job of a kind that is due at `at(now)`.
pub async fn claim<P: Payload>(jobs: &JobRows, worker: &WorkerId, now: i64) -> Vec<ClaimedJob<P>> {
    let now = at(now);
    let claimed = jobs
        .claim(&ClaimFilter::due(now, 1_000), worker, now, now + LEASE)
        .await
        .unwrap();
    assert!(claimed.unreadable.is_empty(), "{:?}", claimed.unreadable);
    claimed.jobs
}

/// Claims the only job of a kind.
pub async fn claim_one<P: Payload>(jobs: &JobRows, worker: &WorkerId, now: i64) -> (Job<P>, Lease) {
    let mut claimed = claim(jobs, worker, now).await;
    assert_eq!(claimed.len(), 1, "one is due");
    let ClaimedJob { job, lease } = claimed.remove(0);
    (job, lease)
}
