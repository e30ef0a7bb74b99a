//! Connections that a firewall has forgotten: they take every request and answer none, while new ones work.

use std::time::Duration;

use futures_util::future::join_all;
use kapso_slack::demo::{Fault, plain};
use serde_json::{Value, json};

use crate::support::wire::{ScriptedResponse, ScriptedServer};
use crate::support::{ID, TestAppBuilder, test_app};

/// A response after which the connection is silent.
fn last_response(status: &str, body: &Value) -> ScriptedResponse {
    let body = body.to_string();
    ScriptedResponse::bytes(format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
    .then_ignore()
}

fn page() -> ScriptedResponse {
    last_response("200 OK", &json!({"data": [{"id": ID, "status": "active"}]}))
}

fn app_with_kapso_at(wire: &ScriptedServer) -> TestAppBuilder {
    test_app()
        .with("KAPSO_BASE_URL", wire.url.as_str())
        .set(|settings| settings.timing.kapso.silence = Duration::from_millis(100))
}

#[tokio::test]
async fn a_look_up_gives_up_a_silent_connection_and_its_siblings() {
    let wire = ScriptedServer::start().await;
    wire.respond(page());
    app_with_kapso_at(&wire)
        .run(async |app| {
            // At the same time, so over as many connections.
            let lists = join_all((0..4).map(|_| app.command_text("/sandbox list"))).await;
            assert!(lists.iter().all(|list| list.contains("Active")), "{lists:?}");
            let served = wire.requests().len();
            for _ in 0..4 {
                let list = app.command_text("/sandbox list").await;
                assert!(list.contains("Active"), "{list}");
            }
            assert_eq!(wire.ignored(), 1);
            assert_eq!(wire.requests().len(), served + 4);
        })
        .await;
}

#[tokio::test]
async fn a_second_attempt_uses_a_new_connection() {
    let wire = ScriptedServer::start().await;
    let error = last_response("500 Internal Server Error", &json!({}));
    wire.respond_next(error.clone());
    wire.respond_next(error);
    wire.respond(page());
    app_with_kapso_at(&wire)
        .run(async |app| {
            let list = app.command_text("/sandbox list").await;
            assert!(list.contains("Active"), "{list}");
            assert_eq!((wire.requests().len(), wire.ignored()), (3, 0));
        })
        .await;
}

#[tokio::test]
async fn a_session_is_created_over_a_new_connection() {
    let wire = ScriptedServer::start().await;
    wire.respond_next(page());
    let created = json!({"data": {"id": "created", "status": "pending"}});
    wire.respond(last_response("201 Created", &created));
    app_with_kapso_at(&wire)
        .with_creation()
        .run(async |app| {
            app.command("/sandbox list").await;
            let card = app.command_text("/sandbox new +1 (234) 567-8901").await;
            assert!(card.contains("Session created"), "{card}");
            assert_eq!((wire.requests().len(), wire.ignored()), (2, 0));
        })
        .await;
}

#[tokio::test]
async fn late_replies_are_posted_over_new_connections() {
    let slack = ScriptedServer::start().await;
    slack.respond(last_response("200 OK", &json!({"ok": true})));
    test_app()
        .with_short_budget()
        .without_cache()
        .with("SLACK_RESPONSE_HOSTS", slack.origin())
        .run(async |app| {
            for count in 1..=3 {
                app.kapso.fail_next_request(Fault::Stall);
                let response_url = slack.url.join(&count.to_string()).unwrap();
                let request = app.command_request(ID, Some(response_url.as_str()));
                assert_eq!(app.send_raw(&request).await.body, "");
                app.kapso.release_stalled_requests();
                slack.wait_for_requests(count).await;
                app.wait_for_commands(count).await;
            }
            assert_eq!(slack.ignored(), 0);
            let (_, body) = slack.requests()[0]
                .split_once("\r\n\r\n")
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .unwrap();
            let message: Value = serde_json::from_str(&body).unwrap();
            assert!(plain::text(&message).contains(ID), "{message}");
        })
        .await;
}
