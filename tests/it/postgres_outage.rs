//! An outage of PostgreSQL: lookups and new late replies use memory. Replies stored on the server wait for it, so that
//! no other process delivers them too.

use jiff::SignedDuration;

use crate::support::databases::Database;
use crate::support::late_replies::start_late_reply;
use crate::support::proxy::Proxy;
use crate::support::store_health::{expect_broken_store, expect_working_store};
use crate::support::{TestAppBuilder, test_app};

/// Longer than a lease.
const AFTER_LEASE: SignedDuration = SignedDuration::from_secs(16);

/// The service, connected to the database through this proxy.
fn service(proxy: &Proxy, database: &Database) -> TestAppBuilder {
    test_app()
        .with_short_budget()
        .without_cache()
        .with("DATABASE_URL", proxy.address(database))
}

#[tokio::test]
async fn an_outage_delays_only_replies_stored_on_the_server() {
    let database = Database::postgres().await;
    let mut proxy = Proxy::to(&database).await;
    service(&proxy, &database)
        .run(async |app| {
            expect_working_store(app, 1).await;
            let stored = start_late_reply(app).await;
            proxy.cut().await;
            // Kapso answers both commands, and the stored reply waits.
            expect_broken_store(app, "cannot be reached").await;
            app.wait_for_log_lines("\"handed_over\"", 1).await;
            proxy.restore().await;
            expect_working_store(app, 2).await;
            assert_eq!(app.slack.post_count(), 1, "the reply in memory");
            app.advance_clock(AFTER_LEASE);
            app.late_reply(stored).await;
            app.shut_down().await;
            assert_eq!(app.slack.post_count(), 2, "one post each");
        })
        .await;
    assert_eq!(database.number("SELECT count(*) FROM kapso_slack_jobs").await, 0);
    database.drop().await;
}

#[tokio::test]
async fn a_reply_delivered_during_an_outage_is_not_posted_again() {
    let database = Database::postgres().await;
    let mut proxy = Proxy::to(&database).await;
    service(&proxy, &database)
        .run(async |app| {
            expect_working_store(app, 1).await;
            let exchange = start_late_reply(app).await;
            app.slack.stall_responses(true);
            app.kapso.release_stalled_requests();
            app.late_reply(exchange).await;
            proxy.cut().await;
            app.slack.stall_responses(false);
            app.wait_for_commands(1).await;
            app.wait_for_log_lines("the store does not work", 1).await;
            proxy.restore().await;
            expect_working_store(app, 2).await;
            app.shut_down().await;
            assert_eq!(app.slack.post_count(), 1);
        })
        .await;
    let left = database.number("SELECT count(*) FROM kapso_slack_jobs").await;
    assert_eq!(left, 0, "so no process posts it again");
    database.drop().await;
}

#[tokio::test]
async fn killed_connections_lose_no_reply() {
    let database = Database::postgres().await;
    let builder = test_app().with_short_budget().with("DATABASE_URL", &database.address);
    builder
        .run(async |app| {
            expect_working_store(app, 1).await;
            let exchange = start_late_reply(app).await;
            database
                .run(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE pid <> pg_backend_pid() AND application_name = current_schema()",
                )
                .await;
            app.kapso.release_stalled_requests();
            app.late_reply(exchange).await;
            assert_eq!(app.wait_for_commands(1).await[0]["answer"], "late");
            app.shut_down().await;
            assert_eq!(app.slack.post_count(), 1);
        })
        .await;
    assert_eq!(database.number("SELECT count(*) FROM kapso_slack_jobs").await, 0);
    database.drop().await;
}

/// For example a server that has become a read-only replica.
#[tokio::test]
async fn a_read_only_server_is_used_again_when_writable() {
    let database = Database::postgres().await;
    let name = format!("it_role_{:016x}", fastrand::u64(..));
    database
        .run(format!("CREATE ROLE {name} LOGIN SUPERUSER PASSWORD 'x'"))
        .await;
    let (_, server) = database.address.split_once('@').unwrap();
    let address = format!("postgres://{name}:x@{server}");
    let set_read_only = async |read_only: &str| {
        let settings = format!("ALTER ROLE {name} SET default_transaction_read_only = {read_only}");
        database.run(settings).await;
        let sessions = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'");
        database.run(sessions).await;
    };
    test_app()
        .with_short_budget()
        .without_cache()
        .with("DATABASE_URL", address)
        .run(async |app| {
            expect_working_store(app, 1).await;
            set_read_only("on").await;
            expect_broken_store(app, "is read-only").await;
            set_read_only("off").await;
            expect_working_store(app, 2).await;
        })
        .await;
    database.run(format!("DROP OWNED BY {name}; DROP ROLE {name}")).await;
    database.drop().await;
}
