//! Slack takes about one message per second and channel. However many replies a channel waits for, all of them arrive.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use jiff::SignedDuration;
use kapso_slack::demo::{Fault, Person};

use crate::support::{ID, TestApp, TestAppBuilder, test_app};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// What FakeSlack takes at once.
const BURST: usize = 3;

fn with_frequent_claims() -> TestAppBuilder {
    test_app().set(|settings| {
        settings.timing.channel_interval = SECOND;
        settings.timing.max_claim_interval = Duration::from_millis(2);
    })
}

/// Lets the clock run, a second at a time, until Slack has been posted to so many times.
async fn wait_for_posts(app: &TestApp, posts: usize) {
    app.slack.wait_for_posts(BURST.min(posts)).await;
    for count in BURST + 1..=posts {
        app.advance_clock(SECOND);
        app.slack.wait_for_posts(count).await;
    }
}

#[tokio::test]
async fn thirty_late_replies_at_once_in_one_channel_all_arrive() {
    with_frequent_claims()
        .with_short_budget()
        .run(async |app| {
            app.slack.limit_channels();
            app.kapso.set_fault(Some(Fault::Stall));
            let sending = (0..30).map(async |n| {
                let id = format!("session-{n}");
                app.kapso.add_session(&id);
                app.expect_ack_only(&format!("/sandbox {id}")).await
            });
            let exchanges = join_all(sending).await;
            app.kapso.set_fault(None);
            app.kapso.release_stalled_requests();
            wait_for_posts(app, 30).await;
            for exchange in exchanges {
                app.late_reply(exchange).await;
            }
            for line in app.wait_for_commands(30).await {
                assert_eq!(line["answer"], "late", "{line}");
            }
            assert_eq!(app.slack.post_count(), 30, "the app keeps to the limit by itself");
        })
        .await;
}

#[tokio::test]
async fn twenty_people_who_watch_one_session_in_one_channel_are_all_notified() {
    with_frequent_claims()
        .run(async |app| {
            app.wait_for_store().await;
            app.slack.limit_channels();
            let mut confirmations = Vec::new();
            for n in 0..20 {
                app.person = Person {
                    user: format!("U{n}"),
                    ..Person::default()
                };
                confirmations.push(app.command(&format!("/sandbox watch {ID}")).await);
            }
            app.kapso.activate(ID);
            app.advance_clock(SECOND * 25);
            wait_for_posts(app, 20).await;
            for confirmation in &confirmations {
                app.next_message(confirmation).await;
            }
            for line in app.wait_for_log_lines("\"message\":\"notice\"", 20).await {
                assert_eq!(line["answer"], "late", "{line}");
            }
        })
        .await;
}

/// Somebody else may have used the channel's limit. Slack has taken nothing, so no post of the `response_url` is used.
#[tokio::test]
async fn a_rate_limit_costs_no_post_of_the_response_url() {
    with_frequent_claims()
        .with_short_budget()
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let exchange = app.expect_ack_only(&format!("/sandbox {ID}")).await;
            for _ in 0..6 {
                app.slack.reject_next_post(StatusCode::TOO_MANY_REQUESTS, Some(1));
            }
            app.kapso.release_stalled_requests();
            for attempt in 1..=6 {
                app.slack.wait_for_posts(attempt).await;
                app.wait_for_log_lines("Slack limits messages in a channel", attempt)
                    .await;
                // A second as Slack says, and the jitter.
                app.advance_clock(SECOND * 2);
            }
            app.late_reply(exchange).await;
            assert_eq!(app.wait_for_commands(1).await[0]["answer"], "late");
        })
        .await;
}
