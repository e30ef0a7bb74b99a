//! Jobs that one process claims, reschedules and replaces at the same time: each is run, and run once.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use jiff::Timestamp;
use kapso_slack::clock::Clock;
use kapso_slack::db::StoreConnection;
use kapso_slack::dispatch::LateReply;
use kapso_slack::queue::{ClaimFilter, Job, JobStore, LeasedJob, Payload, Quota, Upserted};
use kapso_slack::watches::{Watch, keys};
use secrecy::ExposeSecret;
use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, Connection, raw_sql};

use crate::support::databases::{Database, LEASE, USER, at, late, watch};

/// Queries of the app that wait for a lock.
const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = current_schema()";
const RELEASED: &str = "SELECT count(*) FROM kapso_slack_jobs WHERE leased_by = ''";

/// Runs `test` with a store on `database` whose clock stands still, so that no lease ends by itself.
async fn with_store(database: &Database, test: impl AsyncFnOnce(&JobStore, &Clock)) {
    let clock = Clock::stopped(at(0));
    let connection = Arc::new(StoreConnection::new(|| {}));
    let store = JobStore::new(Arc::clone(&connection), clock.clone(), Duration::from_secs(30), None);
    let store = store.await.unwrap();
    tokio::select! {
        never = connection.keep_open(&database.url) => match never {},
        () = async {
            while connection.failure().is_some() {
                tokio::task::yield_now().await;
            }
            test(&store, &clock).await;
        } => {}
    }
    store.close().await;
}

async fn claim<P: Payload>(store: &JobStore, now: Timestamp) -> Vec<LeasedJob<P>> {
    store.claim_from_database(&ClaimFilter::due(now, 1000), now).await.0
}

#[tokio::test]
async fn a_job_that_is_claimed_before_its_rescheduling_is_confirmed_is_run() {
    let database = Database::postgres().await;
    with_store(&database, async |store, _| {
        let job = store.enqueue(late(0).payload, at(0)).await;
        install_default_drivers();
        let mut locking = AnyConnection::connect(&database.address).await.unwrap();
        let lock = "BEGIN; SELECT 1 FROM kapso_slack_jobs FOR UPDATE";
        raw_sql(lock).execute(&mut locking).await.unwrap();
        let mut rescheduling = pin!(store.reschedule(job, late(0).payload, at(0)));
        while database.number(WAITING).await == 0 {
            assert!(poll!(&mut rescheduling).is_pending());
        }
        raw_sql("COMMIT").execute(&mut locking).await.unwrap();
        // From here on it is not polled, so the store does not know that the server has done it.
        while database.number(RELEASED).await == 0 {}
        let mut claimed = claim::<LateReply>(store, at(0)).await;
        assert!(rescheduling.await);
        claimed.extend(claim(store, at(0)).await);
        assert_eq!(claimed.len(), 1);
    })
    .await;
    database.drop().await;
}

/// As after a pause of the process: the lease has ended while the job was run.
#[tokio::test]
async fn a_job_that_is_claimed_again_while_it_completes_is_not_run_again() {
    let database = Database::postgres().await;
    with_store(&database, async |store, clock| {
        let job = store.enqueue(late(0).payload, at(0)).await;
        clock.advance(LEASE * 2);
        // The deletion waits before it reads the row, until the test releases a lock.
        let wait = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
                        $$ BEGIN PERFORM pg_advisory_xact_lock(hashtext(current_schema())); RETURN NULL; END $$;
                    CREATE TRIGGER wait BEFORE DELETE ON kapso_slack_jobs
                        FOR EACH STATEMENT EXECUTE FUNCTION wait();";
        database.run(wait).await;
        install_default_drivers();
        let mut locking = AnyConnection::connect(&database.address).await.unwrap();
        let lock = "BEGIN; SELECT pg_advisory_xact_lock(hashtext(current_schema()))";
        raw_sql(lock).execute(&mut locking).await.unwrap();
        let mut completing = pin!(store.complete(job));
        while database.number(WAITING).await == 0 {
            assert!(poll!(&mut completing).is_pending());
        }
        let mut claimed = claim::<LateReply>(store, clock.now()).await;
        let again = "SELECT count(*) FROM kapso_slack_jobs WHERE attempts = 2";
        assert_eq!(database.number(again).await, 1, "it is claimed");
        raw_sql("COMMIT").execute(&mut locking).await.unwrap();
        completing.await;
        assert_eq!(database.number("SELECT count(*) FROM kapso_slack_jobs").await, 0);
        claimed.extend(claim(store, clock.now()).await);
        assert_eq!(claimed.len(), 0);
    })
    .await;
    database.drop().await;
}

/// A person repeats the command while the session is polled.
#[tokio::test]
async fn a_watch_that_is_repeated_while_it_is_polled_keeps_its_newer_response_url() {
    let database = Database::postgres().await;
    with_store(&database, async |store, _| {
        let older = watch(USER, "a");
        let mut newer = older.clone();
        newer.response_url = "https://hooks.slack.com/commands/T0001ABCD/newer".into();
        let quota = Quota { per_owner: 1, total: 1 };
        let upsert = async |watch: &Watch| {
            let job = Job::new(watch.clone(), at(0), at(0));
            store
                .upsert(&job, &keys(&watch.who, None, &watch.session), quota)
                .await
                .unwrap()
        };
        assert_eq!(upsert(&older).await, Upserted::Inserted);
        let polled = claim::<Watch>(store, at(0)).await.remove(0);
        assert_eq!(upsert(&newer).await, Upserted::Replaced);
        let repeated = claim::<Watch>(store, at(0)).await;
        store.reschedule(polled, older, at(0)).await;
        let repeated = repeated.first().expect("it is polled, too");
        assert_eq!(
            repeated.payload.response_url.expose_secret(),
            newer.response_url.expose_secret()
        );
        let stored = database.payloads("1 = 1").await;
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0]["response_url"], newer.response_url.expose_secret());
    })
    .await;
    database.drop().await;
}
