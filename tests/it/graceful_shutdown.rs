//! Graceful shutdown: not ready, no new work, every pending reply delivered, and no client can delay it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use kapso_slack::demo::{Fault, plain};
use serde_json::json;

use crate::support::wire::RawConnection;
use crate::support::{ID, TestAppBuilder, test_app, with_app};

const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";
const NO_ANSWER: &str = "Kapso did not answer. Nothing was changed; try again in a moment.";
/// Longer than the harness waits for a test: a shutdown that waits for this fails.
const FOREVER: Duration = Duration::from_mins(10);

/// An app whose shutdown has no deadline: it has to end because there is nothing more to wait for.
fn patient() -> TestAppBuilder {
    test_app().set(|settings| {
        settings.timing.shutdown.kapso = FOREVER;
        settings.timing.shutdown.delivery = FOREVER;
        settings.timing.shutdown.connections = FOREVER;
    })
}

#[tokio::test]
async fn while_a_reply_is_pending_the_service_is_alive_but_not_ready() {
    test_app()
        .with_short_budget()
        .run(async |app| {
            app.wait_for_store().await;
            let ready = json!({"status": "ready", "why": []});
            let (status, body) = app.get("/readyz").await;
            assert_eq!((status, serde_json::from_str(&body).unwrap()), (StatusCode::OK, ready));

            app.kapso.fail_next_request(Fault::Stall);
            let exchange = app.expect_ack_only(SHOW).await;
            app.begin_shutdown();
            let draining = json!({"status": "draining", "why": ["the service is shutting down"]});
            for path in ["/readyz", "/readyz"] {
                let (status, body) = app.get(path).await;
                let body: serde_json::Value = serde_json::from_str(&body).unwrap();
                assert_eq!((status, &body), (StatusCode::SERVICE_UNAVAILABLE, &draining));
            }
            assert_eq!(app.get("/healthz").await, (StatusCode::OK, "ok\n".to_owned()));
            assert!(app.metrics().await.contains("kapso_slack_answer_seconds"));

            app.kapso.release_stalled_requests();
            let card = app.late_reply(exchange).await;
            assert!(
                plain::text(&card.message).contains("Waiting for activation"),
                "{card:?}"
            );
            app.shut_down().await;
        })
        .await;
}

#[tokio::test]
async fn commands_during_the_shutdown_are_not_started() {
    test_app()
        .set(|settings| settings.reply_budget = Duration::from_millis(500))
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let exchange = app.expect_ack_only(SHOW).await;
            app.begin_shutdown();
            for command in [SHOW, "/sandbox help", "/sandbox list", "/sandbox", "/sandbox shwo"] {
                let text = app.command_text(command).await;
                let words = "The app is restarting. Nothing was done; try again in a few seconds.\nRequest ";
                assert!(text.starts_with(words), "{command}: {text}");
            }
            assert_eq!(app.command_log_lines().last().unwrap()["outcome"], "stopping");
            assert_eq!(app.kapso.requests().len(), 1);
            app.kapso.release_stalled_requests();
            app.late_reply(exchange).await;
        })
        .await;
}

#[tokio::test]
async fn a_hundred_pending_replies_are_delivered() {
    test_app()
        .with_short_budget()
        .run(async |app| {
            app.kapso.set_fault(Some(Fault::Stall));
            let mut exchanges = Vec::new();
            for crowd in 0..4 {
                let typed = (0..25).map(async |n| {
                    let id = format!("session-{crowd}-{n}");
                    app.kapso.add_session(&id);
                    (app.expect_ack_only(&format!("/sandbox {id}")).await, id)
                });
                exchanges.extend(join_all(typed).await);
            }
            app.kapso.wait_for_requests(100).await;
            app.begin_shutdown();
            app.kapso.set_fault(None);
            app.kapso.release_stalled_requests();
            app.shut_down().await;
            assert_eq!(app.slack.conversation().len(), 100);
            for (exchange, id) in exchanges {
                let card = plain::text(&app.late_reply(exchange).await.message);
                assert!(card.ends_with(&format!("Session {id}")), "{card}");
            }
        })
        .await;
}

#[tokio::test]
async fn commands_still_waiting_for_kapso_at_the_deadline_get_an_error() {
    test_app()
        .with_short_budget()
        .set(|settings| {
            settings.timing.kapso.attempt = FOREVER;
            settings.timing.kapso.total = FOREVER;
            settings.timing.shutdown.kapso = Duration::from_millis(200);
        })
        .run(async |app| {
            app.kapso.set_fault(Some(Fault::Stall));
            let exchanges =
                join_all((0..20).map(async |n| app.expect_ack_only(&format!("/sandbox session-{n}")).await)).await;
            let started = Instant::now();
            app.shut_down().await;
            assert!(
                started.elapsed() >= Duration::from_millis(200),
                "{:?}",
                started.elapsed()
            );
            assert_eq!(app.slack.conversation().len(), 20);
            for exchange in exchanges {
                let text = plain::text(&app.late_reply(exchange).await.message);
                assert!(text.starts_with(NO_ANSWER), "{text}");
            }
            for line in app.command_log_lines() {
                assert_eq!(
                    (&line["outcome"], &line["answer"]),
                    (&json!("no_answer"), &json!("late"))
                );
            }
        })
        .await;
}

#[tokio::test]
async fn a_command_in_progress_is_answered_in_its_response() {
    patient()
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let stopping = async {
                app.kapso.wait_for_requests(1).await;
                app.begin_shutdown();
                assert_eq!(app.get("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
                app.kapso.release_stalled_requests();
            };
            let (text, ()) = tokio::join!(app.command_text(SHOW), stopping);
            assert!(text.contains("Waiting for activation"), "{text}");
            app.shut_down().await;
        })
        .await;
}

#[tokio::test]
async fn a_command_without_an_answer_from_kapso_is_answered_at_the_end_of_its_budget() {
    test_app()
        .set(|settings| {
            settings.reply_budget = Duration::from_millis(400);
            settings.timing.shutdown.kapso = Duration::from_millis(100);
        })
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let stopping = async {
                app.kapso.wait_for_requests(1).await;
                app.begin_shutdown();
            };
            let (exchange, ()) = tokio::join!(app.expect_ack_only(SHOW), stopping);
            let text = plain::text(&app.late_reply(exchange).await.message);
            assert!(text.starts_with(NO_ANSWER), "{text}");
            app.shut_down().await;
            assert_eq!(app.slack.conversation().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn the_reply_to_a_press_is_delivered_too() {
    with_app(async |app| {
        let card = app.command(SHOW).await;
        app.kapso.activate(ID);
        app.kapso.fail_next_request(Fault::Stall);
        let stopping = async {
            app.kapso.wait_for_requests(2).await;
            app.begin_shutdown();
            app.kapso.release_stalled_requests();
        };
        let (fresh, ()) = tokio::join!(app.press(&card, "refresh"), stopping);
        assert!(
            fresh.message["text"].as_str().unwrap().contains("is active"),
            "{fresh:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn without_pending_replies_it_stops_at_once() {
    patient()
        .run(async |app| {
            app.command(SHOW).await;
            app.get("/healthz").await;
            app.shut_down().await;
            let last = app.log_lines().pop().unwrap();
            assert_eq!(last["message"], "stopped; all replies were delivered");
        })
        .await;
}

#[tokio::test]
async fn an_unreachable_slack_delays_the_shutdown_only_until_the_deadline() {
    patient()
        .with_short_budget()
        .set(|settings| {
            settings.timing.shutdown.kapso = Duration::from_millis(50);
            settings.timing.shutdown.delivery = Duration::from_millis(100);
        })
        .run(async |app| {
            app.expect_complaint("stopped before all replies were delivered");
            app.kapso.fail_next_request(Fault::Stall);
            app.expect_ack_only(SHOW).await;
            app.slack
                .reject_next_post(StatusCode::TOO_MANY_REQUESTS, Some(FOREVER.as_secs()));
            app.shut_down().await;
            let last = app.log_lines().pop().unwrap();
            assert_eq!(
                (&last["message"], &last["lost"]),
                (&json!("stopped before all replies were delivered"), &json!(1))
            );
        })
        .await;
}

#[tokio::test]
async fn no_client_can_delay_the_shutdown() {
    let builder = test_app().set(|settings| {
        settings.timing.request_head = FOREVER;
        settings.timing.request_body = FOREVER;
    });
    builder
        .run(async |app| {
            let mut silent = RawConnection::connect(&app.app_url).await;
            let mut half_a_head = RawConnection::connect(&app.app_url).await;
            half_a_head.send("POST /slack/commands HTTP/1.1\r\nhost: sand").await;
            let mut half_a_body = RawConnection::connect(&app.app_url).await;
            let request = app.command_request(ID, None).to_bytes();
            half_a_body.send(&request[..request.len() - 10]).await;
            let mut idle = RawConnection::connect(&app.app_url).await;
            idle.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
            assert_eq!(idle.read_response().await, (200, "ok\n".to_owned()));
            let mut half_a_second_head = RawConnection::connect(&app.app_url).await;
            half_a_second_head
                .send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
                .await;
            assert_eq!(half_a_second_head.read_response().await, (200, "ok\n".to_owned()));
            half_a_second_head.send("GET /healthz HT").await;

            app.shut_down().await;
            for (name, line) in [
                ("silent", &mut silent),
                ("half a head", &mut half_a_head),
                ("idle", &mut idle),
                ("half a second head", &mut half_a_second_head),
            ] {
                assert_eq!(line.read_to_end().await, "", "{name}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_kept_alive_connection_closes_after_its_next_response() {
    test_app()
        .with_short_budget()
        .run(async |app| {
            let mut idle = RawConnection::connect(&app.app_url).await;
            idle.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
            idle.read_response().await;
            app.kapso.fail_next_request(Fault::Stall);
            let exchange = app.expect_ack_only(SHOW).await;

            app.begin_shutdown();
            let mut fresh = RawConnection::connect(&app.app_url).await;
            for (name, line) in [("idle", &mut idle), ("fresh", &mut fresh)] {
                line.send("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
                assert_eq!(line.read_response().await, (200, "ok\n".to_owned()), "{name}");
                assert_eq!(line.read_to_end().await, "", "{name}");
            }

            app.kapso.release_stalled_requests();
            app.late_reply(exchange).await;
        })
        .await;
}
