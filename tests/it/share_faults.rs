//! A card is shared once, despite faults of Kapso and Slack and a shutdown of the service.

use std::time::Duration;

use http::StatusCode;
use jiff::SignedDuration;
use kapso_slack::demo::{Fault, plain};
use serde_json::json;

use crate::support::cards::expect_private_reply;
use crate::support::cards::with_fresh_lookups;
use crate::support::cards::{SHOW, channel_messages};
use crate::support::{TestApp, test_app};

#[tokio::test]
async fn a_failed_lookup_is_reported_to_the_presser() {
    with_fresh_lookups(async |app| {
        let card = app.command(SHOW).await;
        for (status, body, words) in [
            (401, "{}", "refused this app's key"),
            (404, r#"{"error":"Sandbox session not found"}"#, "There is no session"),
            (410, "", "Kapso may have moved this API"),
            (503, "", "Kapso had an error"),
            (429, "", "Kapso is limiting this app's requests"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            app.kapso.set_fault(Some(Fault::answer(status, body)));
            let answer = app.press(&card, "share").await;
            expect_private_reply(app, &card, &answer, words);
            // One message per second and channel.
            app.advance_clock(SignedDuration::from_secs(1));
        }
        app.kapso.set_fault(None);
        app.shut_down().await;
        assert!(channel_messages(app).is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_slow_lookup_delays_the_shared_card() {
    with_fresh_lookups(async |app| {
        let card = app.command(SHOW).await;
        app.kapso.fail_next_request(Fault::Stall);
        let sent = app.slack.press_button(&app.app_url, &app.person, &card, "share").await;
        assert_eq!(sent.status, Some(StatusCode::OK));
        app.kapso.wait_for_requests(2).await;
        assert_eq!(app.slack.post_count(), 0, "nothing is posted meanwhile");
        app.kapso.release_stalled_requests();
        assert!(app.late_reply(sent.exchange).await.in_channel);
        app.slack.wait_for_replacement(&card).await;
    })
    .await;
}

/// Slack's responses to the posts (0 accepts one), the number of cards in the channel, what the presser reads, how the
/// log says it was answered, and the number of posts.
#[tokio::test]
async fn a_refused_card_is_reported_and_never_shared_twice() {
    const DONE: &str = "📣 Shared with everybody in this channel.";
    const NOT_DONE: &str = "Slack didn't confirm that the card was posted.";
    const NOTHING: &str = "";
    let rows: [(&[u16], usize, &str, &str, usize); 9] = [
        (&[], 1, DONE, "late", 2),
        (&[500], 1, DONE, "late", 3),
        (&[500, 500], 1, DONE, "late", 4),
        (&[403], 0, NOT_DONE, "lost", 2),
        (&[500, 500, 500], 0, NOT_DONE, "lost", 4),
        (&[403, 500, 0], 0, NOT_DONE, "lost", 3),
        (&[0, 500, 502], 1, DONE, "late", 4),
        (&[0, 403], 1, NOTHING, "late", 2),
        (&[0, 500, 500, 500], 1, NOTHING, "late", 4),
    ];
    for (answers, cards, reads, answer, posts) in rows {
        let test = async |app: &mut TestApp| {
            let card = app.command(SHOW).await;
            for status in answers {
                match StatusCode::from_u16(*status) {
                    Ok(status) => app.slack.reject_next_post(status, None),
                    Err(_) => app.slack.accept_next_post(),
                }
            }
            let sent = app.slack.press_button(&app.app_url, &app.person, &card, "share").await;
            let line = app.wait_for_commands(2).await.remove(1);
            assert_eq!((&line["outcome"], &line["answer"]), (&json!("shared"), &json!(answer)));
            // The shutdown waits for the follow-up, too.
            app.shut_down().await;
            assert_eq!(app.slack.post_count(), posts, "{answers:?}");
            assert_eq!(channel_messages(app).len(), cards, "{answers:?}");
            let read = app.slack.conversation();
            let read = read
                .iter()
                .find(|posted| posted.exchange == sent.exchange && !posted.in_channel);
            let warned = app.log_lines();
            let warned = warned.iter().filter(|line| line["level"] == "WARN").count();
            if let Some(own) = read {
                assert!(plain::text(&own.message).contains(reads), "{answers:?}: {own:?}");
                assert_eq!(
                    own.id == card.id,
                    reads == DONE,
                    "{answers:?}: it is a separate message"
                );
                assert_eq!(warned, 0, "{answers:?}");
            } else {
                assert_eq!(reads, NOTHING, "{answers:?}");
                assert_eq!(warned, 1, "{answers:?}: it is logged");
            }
            if cards > 0 {
                app.late_reply(sent.exchange).await;
            } else {
                let own = app.late_reply(sent.exchange).await;
                let id = line["request_id"].as_str().unwrap();
                assert!(plain::text(&own.message).ends_with(&format!("Request {id}")), "{own:?}");
            }
        };
        test_app().without_cache().with_system_clock().run(test).await;
    }
}

#[tokio::test]
async fn the_shutdown_waits_for_both_messages() {
    with_fresh_lookups(async |app| {
        let card = app.command(SHOW).await;
        app.kapso.fail_next_request(Fault::Stall);
        let press = app.slack.press_button(&app.app_url, &app.person, &card, "share");
        let sent = press.await;
        app.kapso.wait_for_requests(2).await;
        app.begin_shutdown();
        app.kapso.release_stalled_requests();
        app.shut_down().await;
        assert!(app.late_reply(sent.exchange).await.in_channel);
        let own = app.slack.wait_for_replacement(&card).await;
        assert!(plain::text(&own.message).contains("📣 Shared"), "{own:?}");
        assert_eq!(
            app.log_lines().pop().unwrap()["message"],
            "stopped; all replies were delivered"
        );
    })
    .await;
}

/// The follow-up is not important enough to delay the shutdown.
#[tokio::test]
async fn the_shutdown_does_not_wait_for_a_rescheduled_follow_up() {
    test_app()
        .set(|settings| settings.timing.shutdown.kapso = Duration::from_millis(50))
        .run(async |app| {
            let card = app.command(SHOW).await;
            app.slack.accept_next_post();
            app.slack.reject_next_post(StatusCode::TOO_MANY_REQUESTS, Some(60));
            assert!(app.press(&card, "share").await.in_channel);
            app.slack.wait_for_posts(2).await;
            app.shut_down().await;
            assert_eq!(
                app.log_lines().pop().unwrap()["message"],
                "stopped; all replies were delivered"
            );
            assert_eq!(app.slack.post_count(), 2);
        })
        .await;
}
