//! A database that is slow: commands are acknowledged in time, and what was refused does not happen later.

use std::time::Duration;

use kapso_slack::demo::{Fault, plain};
use tokio::time::Instant;

use crate::support::databases::Database;
use crate::support::{ID, TestAppBuilder, test_app};

/// Slack's limit for an acknowledgement.
const SLACK_LIMIT: Duration = Duration::from_secs(3);

fn with_database(database: &Database) -> TestAppBuilder {
    let url = database.url.clone();
    test_app().without_cache().set(move |settings| settings.database = url)
}

#[tokio::test]
async fn with_the_longest_budget_a_command_is_acknowledged_in_time() {
    let database = Database::postgres().await;
    with_database(&database)
        .with("REPLY_BUDGET_MS", "2800")
        .run(async |app| {
            app.wait_for_store().await;
            // Not a lock: the app would notice that the database is slow before the command comes.
            let slow_insert = "CREATE FUNCTION slow_insert() RETURNS trigger LANGUAGE plpgsql
                                   AS $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$;
                               CREATE TRIGGER slow_insert BEFORE INSERT ON kapso_slack_jobs
                                   FOR EACH ROW EXECUTE FUNCTION slow_insert();";
            database.run(slow_insert).await;
            app.kapso.fail_next_request(Fault::Stall);
            let began = Instant::now();
            let exchange = app.expect_ack_only(&format!("/sandbox {ID}")).await;
            let took = began.elapsed();
            assert!(took < SLACK_LIMIT, "{took:?}");
            database.run("DROP TRIGGER slow_insert ON kapso_slack_jobs").await;
            app.kapso.release_stalled_requests();
            app.late_reply(exchange).await;
        })
        .await;
    database.drop().await;
}

#[tokio::test]
async fn a_watch_that_was_refused_is_not_stored_later() {
    let database = Database::postgres().await;
    with_database(&database)
        .set(|settings| settings.timing.max_claim_interval = Duration::from_millis(5))
        .run(async |app| {
            app.wait_for_store().await;
            // The commit takes longer than the app waits for it, and succeeds.
            database
                .run(
                    "CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql
                         AS $$ BEGIN PERFORM pg_sleep(3); RETURN NEW; END $$;
                     CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON kapso_slack_jobs
                         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow_commit();",
                )
                .await;
            let sent = app.send(&format!("/sandbox watch {ID}")).await;
            let answer = match sent.message {
                Some(message) => message,
                None => app.late_reply(sent.exchange).await,
            };
            let answer = plain::text(&answer.message);
            assert!(answer.contains("othing was started"), "{answer}");
            database.run("DROP TRIGGER slow_commit ON kapso_slack_jobs").await;
            app.wait_for_log_lines("\"message\":\"the store works\"", 2).await;
            let late_write = database.words("SELECT id FROM kapso_slack_jobs WHERE kind = 'watch'");
            let stored = late_write.await;
            // Whether the write has taken effect by now or not, in the end nothing is stored.
            let give_up = Instant::now() + Duration::from_secs(20);
            let mut left = stored.len();
            while left > 0 && Instant::now() < give_up {
                app.get("/healthz").await;
                left = database
                    .words("SELECT id FROM kapso_slack_jobs WHERE kind = 'watch'")
                    .await
                    .len();
            }
            assert_eq!(left, 0);
        })
        .await;
    database.drop().await;
}
