//! News on their way to Slack: what holds them up, what a stop does to them, and what is promised at all.

use std::time::Duration;

use http::StatusCode;
use jiff::SignedDuration;
use kapso_slack::demo::Person;

use crate::support::databases::Database;
use crate::support::{ID, plan};

const LOOK: SignedDuration = SignedDuration::from_secs(25);
/// Notices that are posted at once.
const NOTICES: usize = 32;

#[tokio::test]
async fn who_slack_asks_to_come_back_later_holds_up_nobody_else() {
    plan()
        .run(async |app| {
            app.has_a_store().await;
            for number in 0..=NOTICES {
                app.person = Person {
                    user: format!("U{}", number / 20),
                    channel: format!("C{number}"),
                    ..Person::default()
                };
                app.kapso.add(&format!("session-{number}"));
                app.reads(&format!("/sandbox watch session-{number}")).await;
            }
            for _ in 0..NOTICES {
                app.slack.refuse_next(StatusCode::TOO_MANY_REQUESTS, Some(600));
            }
            for number in 0..=NOTICES {
                app.kapso.activate(&format!("session-{number}"));
            }
            app.passes(LOOK);
            // The next look is a page of the list.
            app.slack.has_been_posted_to(1).await;
            app.passes(SignedDuration::from_secs(1));
            app.slack.has_been_posted_to(NOTICES).await;
            let all = app.slack.has_been_posted_to(NOTICES + 1);
            let heard = tokio::time::timeout(Duration::from_secs(3), all).await;
            assert!(heard.is_ok(), "the last waits behind {} others", app.slack.posts());
        })
        .await;
}

#[tokio::test]
async fn news_that_wait_for_slack_at_a_stop_are_handed_over_and_not_called_lost() {
    let database = Database::sqlite();
    let address = database.address.clone();
    plan()
        .with("DATABASE_URL", address)
        .set(|settings| {
            settings.timing.shutdown.kapso = Duration::from_millis(50);
            settings.timing.shutdown.delivery = Duration::from_millis(300);
        })
        .run(async |app| {
            app.has_a_store().await;
            app.reads(&format!("/sandbox watch {ID}")).await;
            app.slack.refuse_next(StatusCode::TOO_MANY_REQUESTS, Some(300));
            app.kapso.activate(ID);
            app.passes(LOOK);
            app.slack.has_been_posted_to(1).await;
            app.has_stopped().await;
            let lines = app.log_lines();
            let last = lines.last().unwrap();
            assert_eq!(last["message"], "stopped; all replies were delivered", "{last}");
        })
        .await;
    let claimable = database
        .number("SELECT count(*) FROM kapso_slack_jobs WHERE leased_until = 0")
        .await;
    assert_eq!(claimable, 1, "the next process goes on at once");
}

#[tokio::test]
async fn where_no_news_can_be_sent_none_are_promised() {
    plan()
        .with("SLACK_RESPONSE_HOSTS", "hooks.slack.com")
        .run(async |app| {
            app.has_a_store().await;
            let text = app.reads(&format!("/sandbox watch {ID}")).await;
            assert!(!text.contains("I'll post here"), "{text}");
        })
        .await;
}
