//! Notifications that Slack delays, that are pending at a shutdown, or that could not be posted at all.

use std::time::Duration;

use http::StatusCode;
use jiff::SignedDuration;
use kapso_slack::demo::Person;

use crate::support::databases::Database;
use crate::support::{ID, test_app};

const POLL_INTERVAL: SignedDuration = SignedDuration::from_secs(25);
/// Notifications that are posted at the same time.
const CONCURRENT_NOTIFICATIONS: usize = 32;

#[tokio::test]
async fn a_rate_limited_notification_does_not_delay_others() {
    test_app()
        .run(async |app| {
            app.expect_complaint("stopped before all replies were delivered");
            app.wait_for_store().await;
            for number in 0..=CONCURRENT_NOTIFICATIONS {
                app.person = Person {
                    user: format!("U{}", number / 20),
                    channel: format!("C{number}"),
                    ..Person::default()
                };
                app.kapso.add_session(&format!("session-{number}"));
                app.command_text(&format!("/sandbox watch session-{number}")).await;
            }
            for _ in 0..CONCURRENT_NOTIFICATIONS {
                app.slack.reject_next_post(StatusCode::TOO_MANY_REQUESTS, Some(600));
            }
            for number in 0..=CONCURRENT_NOTIFICATIONS {
                app.kapso.activate(&format!("session-{number}"));
            }
            app.advance_clock(POLL_INTERVAL);
            // The next poll is a page of the list.
            app.slack.wait_for_posts(1).await;
            app.advance_clock(SignedDuration::from_secs(1));
            app.slack.wait_for_posts(CONCURRENT_NOTIFICATIONS).await;
            let all = app.slack.wait_for_posts(CONCURRENT_NOTIFICATIONS + 1);
            let result = tokio::time::timeout(Duration::from_secs(3), all).await;
            assert!(
                result.is_ok(),
                "the last one is delayed by the others: {} posts",
                app.slack.post_count()
            );
        })
        .await;
}

#[tokio::test]
async fn a_notification_that_waits_at_shutdown_is_handed_over() {
    let database = Database::sqlite();
    let address = database.address.clone();
    test_app()
        .with("DATABASE_URL", address)
        .set(|settings| {
            settings.timing.shutdown.kapso = Duration::from_millis(50);
            settings.timing.shutdown.delivery = Duration::from_millis(300);
        })
        .run(async |app| {
            app.wait_for_store().await;
            app.command_text(&format!("/sandbox watch {ID}")).await;
            app.slack.reject_next_post(StatusCode::TOO_MANY_REQUESTS, Some(300));
            app.kapso.activate(ID);
            app.advance_clock(POLL_INTERVAL);
            app.slack.wait_for_posts(1).await;
            app.shut_down().await;
            let lines = app.log_lines();
            let last = lines.last().unwrap();
            assert_eq!(last["message"], "stopped; all replies were delivered", "{last}");
        })
        .await;
    let claimable = database
        .number("SELECT count(*) FROM kapso_slack_jobs WHERE leased_until = 0")
        .await;
    assert_eq!(claimable, 1, "the next process can claim it at once");
}

#[tokio::test]
async fn without_an_allowed_response_url_nothing_is_watched() {
    test_app()
        .with("SLACK_RESPONSE_HOSTS", "hooks.slack.com")
        .run(async |app| {
            app.wait_for_store().await;
            let text = app.command_text(&format!("/sandbox watch {ID}")).await;
            assert!(!text.contains("I'll post here"), "{text}");
        })
        .await;
}
