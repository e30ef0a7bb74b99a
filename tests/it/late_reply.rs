//! Late replies: a command that takes longer than its budget is acknowledged, and gets exactly one message later.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use kapso_slack::demo::{Fault, Person, plain};
use serde_json::json;

use crate::support::late_replies::start_late_reply;
use crate::support::wire::{RawConnection, ScriptedResponse, ScriptedServer};
use crate::support::{ID, test_app, with_app};

const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";

#[tokio::test]
async fn a_late_reply_is_one_message() {
    test_app()
        .with_short_budget()
        .run(async |app| {
            let exchange = start_late_reply(app).await;
            assert_eq!(app.slack.conversation().len(), 0);
            app.kapso.release_stalled_requests();
            let card = app.late_reply(exchange).await;
            assert!(
                plain::text(&card.message).contains("Waiting for activation"),
                "{card:?}"
            );
            assert_eq!(card.message["response_type"], "ephemeral");
            let line = &app.wait_for_commands(1).await[0];
            assert_eq!((&line["outcome"], &line["answer"]), (&json!("shown"), &json!("late")));
            app.shut_down().await;
            assert_eq!(app.slack.conversation().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn a_reply_in_time_is_the_only_one() {
    with_app(async |app| {
        app.command(SHOW).await;
        app.shut_down().await;
        assert_eq!(app.slack.conversation().len(), 1);
        assert_eq!(app.slack.post_count(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_late_error_is_one_message() {
    test_app()
        .with_short_budget()
        .run(async |app| {
            let exchange = start_late_reply(app).await;
            app.kapso.delete(ID);
            app.kapso.release_stalled_requests();
            let card = app.late_reply(exchange).await;
            assert!(
                plain::text(&card.message).starts_with("There is no session"),
                "{card:?}"
            );
            let line = &app.wait_for_commands(1).await[0];
            assert_eq!(
                (&line["outcome"], &line["answer"]),
                (&json!("not_found"), &json!("late"))
            );
        })
        .await;
}

/// Kapso answers around the end of the budget: each command still gets exactly one reply.
#[tokio::test]
async fn around_the_end_of_the_budget_there_is_one_reply() {
    test_app()
        .set(|settings| settings.reply_budget = Duration::from_millis(40))
        .run(async |app| {
            let mut spans = fastrand::Rng::with_seed(40);
            let ids: Vec<String> = (0..98).map(|n| format!("session-{n}")).collect();
            for id in &ids {
                app.kapso.add_session(id);
                app.kapso
                    .fail_next_request(Fault::Delay(Duration::from_millis(spans.u64(20..60))));
            }
            // One that is always in time.
            let quick = app.send("/sandbox help").await;
            assert!(quick.message.is_some());
            let send = async |id: &String| {
                // One channel takes a message per second.
                let person = Person {
                    channel: format!("C-{id}"),
                    ..app.person.clone()
                };
                let sent = app.send_as(&person, &format!("/sandbox {id}")).await;
                assert_eq!(sent.status, Some(StatusCode::OK));
                if sent.message.is_none() {
                    app.late_reply(sent.exchange).await;
                }
                sent.message.is_some()
            };
            let mut in_time = 0;
            // A busy machine does not acknowledge all of them within Slack's three seconds at once.
            for some in ids.chunks(14) {
                let replies = join_all(some.iter().map(send)).await;
                in_time += replies.into_iter().filter(|in_time| *in_time).count();
            }
            app.shut_down().await;
            assert_eq!(app.slack.conversation().len(), 99);
            assert_eq!(
                app.slack.post_count(),
                98 - in_time,
                "posts, and {in_time} replies in time"
            );
        })
        .await;
}

#[tokio::test]
async fn the_reply_is_delivered_if_slack_closes_the_connection() {
    let server = ScriptedServer::start().await;
    server.respond(ScriptedResponse::answer("200 OK", "ok"));
    test_app()
        .with("SLACK_RESPONSE_HOSTS", server.origin())
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let response_url = server.url.join("/response/1").unwrap();
            let request = app.command_request(ID, Some(response_url.as_str())).keep_alive();
            let mut line = RawConnection::connect(&app.app_url).await;
            line.send(request.to_bytes()).await;
            app.kapso.wait_for_requests(1).await;
            line.finish_sending().await;
            assert_eq!(
                line.read_to_end().await,
                "",
                "the service closes the connection as well"
            );
            app.kapso.release_stalled_requests();
            server.wait_for_requests(1).await;
            let line = &app.wait_for_commands(1).await[0];
            assert_eq!((&line["outcome"], &line["answer"]), (&json!("shown"), &json!("late")));
            let posts = server.requests();
            assert_eq!(posts.len(), 1, "{posts:?}");
            assert!(posts[0].starts_with("POST /response/1 HTTP/1.1\r\n"), "{posts:?}");
            assert!(posts[0].contains("content-type: application/json\r\n"), "{posts:?}");
            let (_, message) = posts[0].split_once("\r\n\r\n").unwrap();
            let message = serde_json::from_str(message).unwrap();
            assert!(plain::text(&message).contains("Waiting for activation"), "{message}");
        })
        .await;
}
