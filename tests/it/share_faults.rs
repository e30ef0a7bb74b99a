//! A card is shared once, whatever Kapso, Slack or the end of the service do meanwhile.

use std::time::Duration;

use http::StatusCode;
use kapso_slack::demo::{Fault, plain};
use serde_json::json;

use crate::support::cards::is_told_beside;
use crate::support::cards::with_app;
use crate::support::{TestApp, plan};
use crate::support::cards::{SHOW, for_all, shares};
use crate::support::raw_request::{INTERACTIONS, RawRequest, SIGNATURE, STAMP};

#[tokio::test]
async fn where_kapso_says_nothing_to_share_the_presser_reads_why() {
    with_app(async |app| {
        let card = app.types(SHOW).await;
        for (status, body, words) in [
            (401, "{}", "refused this app's key"),
            (404, r#"{"error":"Sandbox session not found"}"#, "There is no session"),
            (410, "", "sent an unexpected response"),
            (503, "", "Kapso had an error"),
            (429, "", "Kapso is limiting this app's requests"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            app.kapso.fail(Some(Fault::answer(status, body)));
            let answer = app.presses(&card, "share").await;
            is_told_beside(app, &card, &answer, words);
        }
        app.kapso.fail(None);
        app.has_stopped().await;
        assert!(for_all(app).is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_kapso_that_is_slow_delays_the_card_and_costs_nothing() {
    with_app(async |app| {
        let card = app.types(SHOW).await;
        app.kapso.fail_next(Fault::Hold);
        let sent = app.slack.presses(&app.app_url, &app.person, &card, "share").await;
        assert_eq!(sent.status, Some(StatusCode::OK));
        app.kapso.has_been_asked(2).await;
        assert_eq!(app.slack.posts(), 0, "nothing is said meanwhile");
        app.kapso.release();
        assert!(app.later(sent.exchange).await.in_channel);
        app.slack.replaced(&card).await;
    })
    .await;
}

/// What Slack answers to the posts (0 takes one), how many cards the channel has then, what the person reads who shared it, and how
/// often Slack was posted to.
#[tokio::test]
async fn what_slack_does_not_take_is_told_and_never_shared_twice() {
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
            let card = app.types(SHOW).await;
            for status in answers {
                match StatusCode::from_u16(*status) {
                    Ok(status) => app.slack.refuse_next(status, None),
                    Err(_) => app.slack.take_next(),
                }
            }
            let sent = app.slack.presses(&app.app_url, &app.person, &card, "share").await;
            let line = app.has_noted(2).await.remove(1);
            assert_eq!((&line["outcome"], &line["answer"]), (&json!("shared"), &json!(answer)));
            // The end waits for what follows, too.
            app.has_stopped().await;
            assert_eq!(app.slack.posts(), posts, "{answers:?}");
            assert_eq!(for_all(app).len(), cards, "{answers:?}");
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
                    "{answers:?}: it stands beside the card"
                );
                assert_eq!(warned, 0, "{answers:?}");
            } else {
                assert_eq!(reads, NOTHING, "{answers:?}");
                assert_eq!(warned, 1, "{answers:?}: the operator can know");
            }
            if cards > 0 {
                app.later(sent.exchange).await;
            } else {
                let own = app.later(sent.exchange).await;
                let id = line["request_id"].as_str().unwrap();
                assert!(plain::text(&own.message).ends_with(&format!("Request {id}")), "{own:?}");
            }
        };
        plan().forgetful().in_real_time().run(test).await;
    }
}

/// Slack numbers presses by nothing that we keep, so the same request again is another press. FakeSlack knows better.
#[tokio::test]
async fn a_replayed_press_shares_again_in_the_name_of_who_pressed_it() {
    with_app(async |app| {
        app.expects_complaint("was answered too often");
        let card = app.types(SHOW).await;
        let (first, own) = shares(app, &card).await;
        let request = app.slack.exchange(first.exchange).unwrap().request.unwrap();
        let body = request.base_string.splitn(3, ':').nth(2).unwrap();
        let mut replayed = RawRequest::unsigned(INTERACTIONS, body);
        replayed.set(STAMP, request.stamp.as_str());
        replayed.set(SIGNATURE, request.signature.as_str());
        assert_eq!(app.answers(&replayed).await.status, 200);
        let second = app.hears_after(&first).await;
        assert!(second.in_channel, "{second:?}");
        assert_eq!(second.message, first.message);
        let complaints = app.slack.broken_rules();
        assert!(
            complaints.iter().any(|rule| rule.contains("answered too often")),
            "{complaints:?}"
        );
        app.slack.has_been_posted_to(4).await;
        app.has_stopped().await;
        let ids: Vec<_> = app.slack.conversation().iter().map(|posted| posted.id).collect();
        assert_eq!(ids, [own.id, first.id, second.id], "nothing else came of it");
    })
    .await;
}

#[tokio::test]
async fn the_end_waits_for_both_messages() {
    with_app(async |app| {
        let card = app.types(SHOW).await;
        app.kapso.fail_next(Fault::Hold);
        let press = app.slack.presses(&app.app_url, &app.person, &card, "share");
        let sent = press.await;
        app.kapso.has_been_asked(2).await;
        app.is_asked_to_stop();
        app.kapso.release();
        app.has_stopped().await;
        assert!(app.later(sent.exchange).await.in_channel);
        let own = app.slack.replaced(&card).await;
        assert!(plain::text(&own.message).contains("📣 Shared"), "{own:?}");
        assert_eq!(app.log_lines().pop().unwrap()["message"], "stopped; all replies were delivered");
    })
    .await;
}

/// It is a courtesy, and nobody waits for a courtesy.
#[tokio::test]
async fn the_end_does_not_wait_for_a_slack_that_wants_the_second_message_later() {
    plan()
        .set(|settings| settings.timing.shutdown.kapso = Duration::from_millis(50))
        .run(async |app| {
            let card = app.types(SHOW).await;
            app.slack.take_next();
            app.slack.refuse_next(StatusCode::TOO_MANY_REQUESTS, Some(60));
            assert!(app.presses(&card, "share").await.in_channel);
            app.slack.has_been_posted_to(2).await;
            app.has_stopped().await;
            assert_eq!(app.log_lines().pop().unwrap()["message"], "stopped; all replies were delivered");
            assert_eq!(app.slack.posts(), 2);
        })
        .await;
}
