//! A signature is valid for five minutes, so a recorded request can be sent again: it gets no second message.

use futures_util::future::join_all;
use kapso_slack::demo::Fault;

use crate::support::cards::{SHOW, channel_messages, share, with_fresh_lookups};
use crate::support::raw_request::{INTERACTIONS, RawRequest, SIGNATURE, STAMP};
use crate::support::{TestApp, test_app};

/// The request of an exchange, as somebody who has recorded it would send it again.
fn recorded_request(app: &TestApp, exchange: u64, path: &str) -> RawRequest {
    let request = app.slack.exchange(exchange).unwrap().request.unwrap();
    let body = request.base_string.splitn(3, ':').nth(2).unwrap();
    let mut recorded = RawRequest::unsigned(path, body);
    recorded.set(STAMP, request.timestamp.as_str());
    recorded.set(SIGNATURE, request.signature.as_str());
    recorded
}

#[tokio::test]
async fn eight_replays_of_a_late_command_post_nothing_more() {
    test_app()
        .with_short_budget()
        .without_cache()
        .run(async |app| {
            app.kapso.set_fault(Some(Fault::Stall));
            let exchange = app.expect_ack_only(SHOW).await;
            let request = recorded_request(app, exchange, "/slack/commands");
            for reply in join_all((0..8).map(|_| app.send_raw(&request))).await {
                assert_eq!((reply.status, reply.body.as_str()), (200, ""));
            }
            app.kapso.set_fault(None);
            app.kapso.release_stalled_requests();
            app.late_reply(exchange).await;
            app.wait_for_log_lines("the same request came again", 8).await;
            app.shut_down().await;
            assert_eq!(app.slack.post_count(), 1);
        })
        .await;
}

/// It is answered in its own response, which nobody but its sender reads.
#[tokio::test]
async fn a_replay_of_a_command_that_was_answered_in_time_posts_nothing() {
    with_fresh_lookups(async |app| {
        let card = app.command(SHOW).await;
        let request = recorded_request(app, card.exchange, "/slack/commands");
        let reply = app.send_raw(&request).await;
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&reply.body).unwrap(),
            card.message
        );
        app.shut_down().await;
        assert_eq!(app.slack.post_count(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_replayed_press_does_not_share_the_card_again() {
    with_fresh_lookups(async |app| {
        let card = app.command(SHOW).await;
        let (first, _) = share(app, &card).await;
        let request = recorded_request(app, first.exchange, INTERACTIONS);
        assert_eq!(app.send_raw(&request).await.status, 200);
        app.wait_for_log("the same request came again; only the first is answered")
            .await;
        app.shut_down().await;
        assert_eq!(channel_messages(app).len(), 1);
        assert_eq!(
            app.slack.post_count(),
            2,
            "the card, and the confirmation of its first request"
        );
    })
    .await;
}
