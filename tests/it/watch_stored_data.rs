//! The row of a watch, and of its notification, contains the `response_url` and the card only while they can be used.

use std::time::Duration;

use jiff::SignedDuration;
use kapso_slack::demo::{TokenState, WebFault};
use serde_json::Value;

use crate::support::databases::{Database, on_both_databases};
use crate::support::{BOT_TOKEN, ID, START, TestApp, test_app};

const POST: &str = "chat.postMessage";

/// Starts a watch on a card, runs the test, and returns the payloads of the rows of this kind that are stored then.
async fn rows_after(database: &Database, kind: &str, test: impl AsyncFnOnce(&mut TestApp)) -> Vec<Value> {
    let url = database.url.clone();
    test_app()
        .with_bot_token()
        .without_cache()
        .set(move |settings| {
            settings.database = url;
            settings.timing.max_claim_interval = Duration::from_millis(10);
        })
        .run(async |app| {
            app.wait_for_store().await;
            let expiry = START + SignedDuration::from_hours(24 * 30);
            app.kapso.set_field(ID, "expires_at", expiry.to_string().into());
            let card = app.command(&format!("/sandbox {ID}")).await;
            app.press(&card, "watch").await;
            // The job of the press has ended by then, and is not found when the clock moves by half an hour.
            poll_after(app, 1).await;
            test(app).await;
            app.shut_down().await;
        })
        .await;
    database.payloads(&format!("kind = '{kind}'")).await
}

/// Moves the clock to the next poll, and waits for it.
async fn poll_after(app: &TestApp, minutes: i64) {
    let requests = app.kapso.requests().len();
    app.advance_clock(SignedDuration::from_mins(minutes));
    app.kapso.wait_for_requests(requests + 1).await;
}

fn text<'a>(row: &'a Value, pointer: &str) -> &'a str {
    row.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[tokio::test]
async fn a_watch_keeps_its_response_url_for_29_minutes() {
    on_both_databases(async |database| {
        for (minutes, is_usable) in [(10, true), (26, true), (29, false), (40, false)] {
            let rows = rows_after(database, "watch", async |app| {
                poll_after(app, minutes).await;
                // The next poll begins when the row of this one is written.
                poll_after(app, 1).await;
            })
            .await;
            assert_eq!(rows.len(), 1, "{rows:?}");
            let row = &rows[0];
            assert_eq!(
                text(row, "/response_url").starts_with("http"),
                is_usable,
                "{minutes}: {row}"
            );
            assert_eq!(row["posts_left"] != 0, is_usable, "{minutes}: {row}");
            assert_eq!(row["card"] == "own", is_usable, "{minutes}: {row}");
            database.run("DELETE FROM kapso_slack_jobs").await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_notification_that_waits_keeps_what_can_still_be_used() {
    on_both_databases(async |database| {
        // When the session is activated, for how long Slack then wants no message, and what is stored meanwhile.
        for (minutes, pause, has_url, has_card) in [
            (1, 30, true, true),
            (1, 90, true, false),
            (20, 10 * 60, false, false),
            (40, 30, false, false),
        ] {
            let rows = rows_after(database, "notification", async |app| {
                app.kapso.activate(ID);
                app.slack.web_api().fail_next(POST, WebFault::RateLimited(pause));
                poll_after(app, minutes).await;
                app.slack.web_api().wait_for_calls(POST, 1).await;
            })
            .await;
            assert_eq!(rows.len(), 1, "{rows:?}");
            let row = &rows[0];
            let url = text(row, "/outgoing/response_url");
            assert_eq!(url.starts_with("http"), has_url, "{minutes}, {pause}: {row}");
            assert_eq!(row["outgoing"]["posts_left"] != 0, has_url, "{minutes}, {pause}: {row}");
            assert_eq!(!row["card"].is_null(), has_card, "{minutes}, {pause}: {row}");
            assert!(text(row, "/outgoing/message/json").contains("is active now"), "{row}");
            database.run("DELETE FROM kapso_slack_jobs").await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_notification_that_slack_refuses_keeps_no_response_url_for_a_day() {
    on_both_databases(async |database| {
        let rows = rows_after(database, "notification", async |app| {
            poll_after(app, 40).await;
            app.slack.web_api().set_token_state(BOT_TOKEN, TokenState::Revoked);
            app.kapso.activate(ID);
            poll_after(app, 40).await;
            app.wait_for_log("Slack refused a direct message").await;
        })
        .await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(rows[0]["outgoing"]["response_url"], "", "{rows:?}");
        assert_eq!(rows[0]["card"], Value::Null, "{rows:?}");
    })
    .await;
}
