//! Socket Mode: commands and presses come through WebSockets that the service opens to Slack.

use kapso_slack::demo::{Fault, plain};

use crate::support::cards::SHOW;
use crate::support::{SECRET, TestAppBuilder, test_app};

/// The service with the app-level token and no signing secret.
fn socket_app() -> TestAppBuilder {
    test_app().over_socket().with("SLACK_SIGNING_SECRET", "")
}

#[tokio::test]
async fn a_command_is_answered_in_its_acknowledgement() {
    socket_app()
        .run(async |app| {
            let text = app.command_text(SHOW).await;
            assert!(text.contains("🟡 Waiting for activation"), "{text}");
            assert_eq!(app.slack.post_count(), 0);
            let line = &app.wait_for_commands(1).await[0];
            assert_eq!(line["answer"], "in_time");
        })
        .await;
}

#[tokio::test]
async fn a_slow_reply_comes_to_the_response_url() {
    socket_app()
        .with_short_budget()
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let exchange = app.expect_ack_only(SHOW).await;
            app.kapso.wait_for_requests(1).await;
            app.kapso.release_stalled_requests();
            let card = app.late_reply(exchange).await;
            assert!(plain::text(&card.message).contains("Waiting for activation"));
        })
        .await;
}

#[tokio::test]
async fn a_press_is_acknowledged_and_answered() {
    socket_app()
        .without_cache()
        .run(async |app| {
            let card = app.command(SHOW).await;
            let refreshed = app.press(&card, "refresh").await;
            assert!(plain::text(&refreshed.message).contains("Waiting for activation"));
        })
        .await;
}

#[tokio::test]
async fn without_a_signing_secret_nothing_comes_in_over_http() {
    use crate::support::raw_request::{COMMANDS, RawRequest};
    socket_app()
        .run(async |app| {
            for secret in [SECRET, ""] {
                let request = RawRequest::unsigned(COMMANDS, "command=/sandbox&text=help");
                let reply = app.send_raw(&request.signed(secret, app.now().as_second())).await;
                assert_eq!(reply.status, 404);
            }
        })
        .await;
}
