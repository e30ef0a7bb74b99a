//! A version opens the databases of older versions and continues their work, and leaves those of newer versions alone.

use std::time::Duration;

use kapso_slack::clock::Clock;

use crate::support::ID;
use crate::support::databases::{Database, on_both_databases};
use crate::support::load_generator::ResponseUrls;
use crate::support::program::{Fakes, Program};

const DEADLINE: Duration = Duration::from_mins(1);

/// The statements that make the database of version 0.1.0, with late messages to this origin.
fn old_database(database: &Database, origin: &str) -> String {
    let is_postgres = database.address.starts_with("postgres");
    let (bytes, quote) = if is_postgres { ("BYTEA", "'\\x") } else { ("BLOB", "X'") };
    let now = Clock::system().now();
    include_str!("fixtures/database-0.1.0.sql")
        .replace("{BYTES}", bytes)
        .replace("{CHECKSUM ", quote)
        .replace("d746}", "d746'")
        .replace("{MILLISECONDS}", &now.as_millisecond().to_string())
        .replace("{TIME}", &now.to_string())
        .replace("{ORIGIN}", origin)
}

/// The program on this database, which posts late messages to this origin.
fn service(fakes: &Fakes, database: &Database, origin: &str) -> Program {
    fakes
        .service()
        .with("DATABASE_URL", &database.address)
        .with("SLACK_RESPONSE_HOSTS", origin)
}

/// Creates the file of a SQLite database: tests open existing ones only.
async fn create(database: &Database) {
    database.open().await.close().await;
    for table in ["jobs", "idempotency_keys", "migrations"] {
        database.run(format!("DROP TABLE kapso_slack_{table}")).await;
    }
}

#[tokio::test]
async fn the_work_of_version_0_1_0_is_continued() {
    on_both_databases(async |database| {
        let fakes = Fakes::start().await;
        let response_urls = ResponseUrls::start().await;
        create(database).await;
        let origin = response_urls.origin.clone();
        database.run(old_database(database, &origin)).await;

        let mut service = service(&fakes, database, &origin).start();
        let app = service.wait_until_serving().await;
        let load = response_urls.load(app);
        load.wait_for_posts(&[1], DEADLINE).await;
        fakes.kapso.activate(ID);
        load.wait_for_posts(&[2], DEADLINE).await;
        assert_eq!(load.unexpected_posts(), 0);
        service.send_signal("TERM").await;
        assert_eq!(service.wait_for_exit().await.code, Some(0));

        assert_eq!(database.number("SELECT COUNT(*) FROM kapso_slack_jobs").await, 0);
        // The record still prevents a second creation.
        let records = "SELECT COUNT(*) FROM kapso_slack_idempotency_keys WHERE outcome IS NOT NULL";
        assert_eq!(database.number(records).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone_and_commands_are_answered() {
    on_both_databases(async |database| {
        let fakes = Fakes::start().await;
        database.open().await.close().await;
        database
            .run(
                "INSERT INTO kapso_slack_migrations (version, description, success, checksum, execution_time)
                 SELECT 9999, 'of a later version', success, checksum, execution_time
                 FROM kapso_slack_migrations WHERE version = 1",
            )
            .await;
        let mut service = service(&fakes, database, &fakes.slack.origin()).start();
        let app = service.wait_until_listening().await;
        let line = service.wait_for_line("the store does not work").await;
        assert!(
            line.contains("the database was set up by a later version of this service"),
            "{line}"
        );
        let readiness = fakes.readiness(&app).await;
        assert!(readiness.contains("degraded"), "{readiness}");
        let card = fakes.show_session(&app).await;
        assert!(card.message.to_string().contains("Waiting for activation"));
        service.send_signal("TERM").await;
        assert_eq!(service.wait_for_exit().await.code, Some(0));
        let versions = "SELECT COUNT(*) FROM kapso_slack_migrations WHERE version = 9999";
        assert_eq!(database.number(versions).await, 1);
    })
    .await;
}
