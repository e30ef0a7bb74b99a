//! Clocks that are wrong: a machine that was paused, a clock that is set back, replicas that disagree. One reply each.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;
use kapso_slack::clock::Clock;
use kapso_slack::demo::Fault;
use kapso_slack::queue::Job;
use serde_json::json;
use url::Url;

use crate::support::databases::{Database, late};
use crate::support::{ID, TestApp, TestAppBuilder, test_app};

/// Commands whose replies come late, half of them to each replica.
const COMMANDS: usize = 20;

/// An app whose clock may be as far from the database server's as in production.
fn with_database(database: &Database) -> TestAppBuilder {
    let url = database.url.clone();
    test_app()
        .with_short_budget()
        .without_cache()
        .with_system_clock()
        .set(move |settings| {
            settings.database = url;
            settings.timing.max_clock_skew = Some(SignedDuration::from_secs(30));
            settings.timing.max_claim_interval = Duration::from_millis(5);
            settings.timing.enqueue = Duration::from_secs(30);
        })
}

fn clock_ahead_by(span: SignedDuration) -> Clock {
    let clock = Clock::system();
    clock.advance(span);
    clock
}

/// Sends commands to both replicas in turn, each by its clock, and returns their exchange numbers.
async fn start_late_replies(app: &TestApp, replica: &Url, replica_commands: bool) -> Vec<u64> {
    let sending = (0..COMMANDS).map(async |n| {
        let to = if replica_commands && n % 2 == 1 {
            replica
        } else {
            &app.app_url
        };
        let sent = app.slack.send_command(to, &app.person, &format!("/sandbox {ID}")).await;
        assert!(sent.message.is_none(), "it is acknowledged with an empty response");
        sent.exchange
    });
    join_all(sending).await
}

async fn expect_one_reply_each(app: &mut TestApp, exchanges: &[u64]) {
    for exchange in exchanges {
        app.late_reply(*exchange).await;
    }
    app.shut_down().await;
    assert_eq!(app.slack.post_count(), exchanges.len());
}

/// As after SIGSTOP, or when a virtual machine was suspended: the lease has ended while the post is under way.
#[tokio::test]
async fn a_process_that_was_paused_does_not_post_a_second_reply() {
    let database = Database::postgres().await;
    let url = database.url.clone();
    let jobs = database.jobs().await;
    test_app()
        .with_short_budget()
        .set(move |settings| {
            settings.database = url;
            settings.timing.max_claim_interval = Duration::from_millis(5);
        })
        .run(async |app| {
            app.slack.stall_responses(true);
            app.kapso.fail_next_request(Fault::Stall);
            let exchange = app.expect_ack_only(&format!("/sandbox {ID}")).await;
            app.kapso.release_stalled_requests();
            app.slack.wait_for_posts(1).await;
            app.advance_clock(SignedDuration::from_secs(20));
            // A job that is claimed now, which proves that the first one could have been.
            let other = late(0);
            let other = Job::new(other.payload, app.now(), app.now());
            jobs.insert(&other, None).await.unwrap();
            app.wait_for_log_lines("\"answer\":\"lost\"", 1).await;
            app.slack.stall_responses(false);
            app.late_reply(exchange).await;
            app.shut_down().await;
            assert_eq!(app.slack.post_count(), 1);
        })
        .await;
    jobs.database().close().await;
    database.drop().await;
}

#[tokio::test]
async fn replicas_whose_clocks_differ_by_20_s_post_each_reply_once() {
    let database = Database::postgres().await;
    with_database(&database)
        .run(async |app| {
            app.kapso.set_fault(Some(Fault::Stall));
            let replica = app
                .start_replica_with_clock(clock_ahead_by(SignedDuration::from_secs(20)))
                .await;
            let exchanges = start_late_replies(app, &replica, true).await;
            assert_eq!(app.readiness().await.0, "ready");
            app.kapso.set_fault(None);
            app.kapso.release_stalled_requests();
            expect_one_reply_each(app, &exchanges).await;
        })
        .await;
    database.drop().await;
}

#[tokio::test]
async fn a_replica_whose_clock_is_an_hour_ahead_leaves_the_jobs_of_others_alone() {
    let database = Database::postgres().await;
    with_database(&database)
        .run(async |app| {
            let replica = app
                .start_replica_with_clock(clock_ahead_by(SignedDuration::from_hours(1)))
                .await;
            let skew = app.wait_for_log_lines("the clocks disagree", 1).await.remove(0);
            assert!(skew["error"].as_str().unwrap().contains("claims no jobs"), "{skew}");
            let sent = app.send(&format!("/sandbox watch {ID}")).await;
            let (confirmation, late) = match sent.message {
                Some(confirmation) => (confirmation, 0),
                None => (app.late_reply(sent.exchange).await, 1),
            };
            app.kapso.set_fault(Some(Fault::Stall));
            let exchanges = start_late_replies(app, &replica, false).await;
            let body = app.http.get(replica.join("/readyz").unwrap()).send().await.unwrap();
            let body = body.text().await.unwrap();
            assert!(body.contains("degraded") && body.contains("clock"), "{body}");
            assert_eq!(app.readiness().await.0, "ready", "the other replica's clock is right");
            app.kapso.set_fault(None);
            app.kapso.release_stalled_requests();
            for exchange in &exchanges {
                app.late_reply(*exchange).await;
            }
            app.kapso.activate(ID);
            app.clock.advance(SignedDuration::from_secs(25));
            app.next_message(&confirmation).await;
            app.shut_down().await;
            assert_eq!(app.slack.post_count(), exchanges.len() + 1 + late);
        })
        .await;
    database.drop().await;
}

#[tokio::test]
async fn a_watch_goes_on_when_the_clock_is_set_back_an_hour() {
    test_app()
        .without_cache()
        .run(async |app| {
            app.wait_for_store().await;
            let confirmation = app.command(&format!("/sandbox watch {ID}")).await;
            app.advance_clock(SignedDuration::from_hours(-1));
            app.kapso.activate(ID);
            app.next_message(&confirmation).await;
            let line = app.wait_for_log_lines("\"message\":\"notice\"", 1).await.remove(0);
            assert_eq!(line["answer"], json!("late"));
        })
        .await;
}

/// As when a virtual machine gets a wrong time from its host.
#[tokio::test]
async fn a_replica_whose_clock_jumps_ahead_by_an_hour_leaves_the_jobs_of_others_alone() {
    let database = Database::postgres().await;
    with_database(&database)
        .run(async |app| {
            app.kapso.set_fault(Some(Fault::Stall));
            let clock = Clock::system();
            let replica = app.start_replica_with_clock(clock.clone()).await;
            let exchanges = start_late_replies(app, &replica, false).await;
            clock.advance(SignedDuration::from_hours(1));
            app.wait_for_log_lines("the clocks disagree", 1).await;
            app.kapso.set_fault(None);
            app.kapso.release_stalled_requests();
            expect_one_reply_each(app, &exchanges).await;
        })
        .await;
    database.drop().await;
}
