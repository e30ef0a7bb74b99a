//! Clients that never finish their requests do not keep others from being served.

use std::time::{Duration, Instant};

use kapso_slack::demo::{Fault, plain};

use crate::support::wire::RawConnection;
use crate::support::{ID, TestApp, test_app, with_app};

const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";
const HEALTHZ: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
/// Longer than Slack waits for an answer, and than the harness waits for a test.
const FOREVER: Duration = Duration::from_mins(10);

/// A client that sends part of a request head.
async fn unfinished(app: &TestApp) -> RawConnection {
    let mut line = RawConnection::connect(&app.app_url).await;
    line.send("POST /slack/commands HTTP/1.1\r\nhost: sandbox.example.com\r\nx-")
        .await;
    line
}

#[tokio::test]
async fn eight_hundred_unfinished_requests_do_not_delay_others() {
    // Fewer if the limit on file descriptors is too low for this many, and for the tests that run at the same time.
    let descriptors = rlimit::increase_nofile_limit(8_192).unwrap();
    let clients = usize::try_from(descriptors / 5).unwrap().min(800);
    let connections = clients * 5 / 8;
    test_app()
        .set(move |settings| {
            settings.connections = Some(connections);
            // Only eviction makes room, no deadline.
            settings.timing.request_head = FOREVER;
        })
        .run(async |app| {
            let mut lines = Vec::new();
            for _ in 0..clients {
                lines.push(unfinished(app).await);
            }
            for _ in 0..21 {
                // More of them come all the time.
                for _ in 0..10 {
                    lines.push(unfinished(app).await);
                }
                let sent = app.send(SHOW).await;
                let card = plain::text(&sent.message.expect("an answer in time").message);
                assert!(card.contains("Waiting for activation"), "{card}");
            }
            // The oldest connections were closed to make room.
            let evicted = lines.len() - connections;
            for line in &mut lines[..evicted] {
                assert_eq!(line.read_to_end().await, "");
            }
        })
        .await;
}

#[tokio::test]
async fn at_the_limit_the_oldest_connection_without_a_complete_request_is_evicted() {
    test_app()
        .set(|settings| settings.connections = Some(3))
        .run(async |app| {
            let mut first = RawConnection::connect(&app.app_url).await;
            let mut second = unfinished(app).await;
            let mut third = RawConnection::connect(&app.app_url).await;
            let mut fourth = RawConnection::connect(&app.app_url).await;
            assert_eq!(first.read_to_end().await, "", "the oldest is evicted");
            for (name, line) in [("third", &mut third), ("fourth", &mut fourth)] {
                line.send(HEALTHZ).await;
                assert_eq!(line.read_response().await, (200, "ok\n".to_owned()), "{name}");
            }
            second
                .send(&format!("x: x\r\n{}", &HEALTHZ["GET /healthz HTTP/1.1\r\n".len()..]))
                .await;
            assert_eq!(second.read_response().await.0, 415, "the second is still there");
        })
        .await;
}

#[tokio::test]
async fn a_connection_with_a_complete_request_is_not_evicted() {
    test_app()
        .set(|settings| settings.connections = Some(2))
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let answered = app.command_text(SHOW);
            let others = async {
                app.kapso.wait_for_requests(1).await;
                for _ in 0..10 {
                    let mut line = RawConnection::connect(&app.app_url).await;
                    line.send(HEALTHZ).await;
                    assert_eq!(line.read_response().await, (200, "ok\n".to_owned()));
                }
                app.kapso.release_stalled_requests();
            };
            let (text, ()) = tokio::join!(answered, others);
            assert!(text.contains("Waiting for activation"), "{text}");
        })
        .await;
}

#[tokio::test]
async fn a_new_connection_waits_while_all_are_busy() {
    test_app()
        .set(|settings| {
            settings.connections = Some(1);
            // The answer ends the first connection's turn, no deadline does.
            settings.timing.request_head = FOREVER;
        })
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let mut busy = RawConnection::connect(&app.app_url).await;
            busy.send(app.command_request(ID, None).to_bytes()).await;
            app.kapso.wait_for_requests(1).await;
            let mut next = RawConnection::connect(&app.app_url).await;
            next.send(HEALTHZ).await;
            app.kapso.release_stalled_requests();
            assert_eq!(busy.read_response().await.0, 200);
            assert_eq!(next.read_response().await, (200, "ok\n".to_owned()));
        })
        .await;
}

#[tokio::test]
async fn a_head_has_a_deadline() {
    let deadline = Duration::from_millis(100);
    test_app()
        .set(move |settings| settings.timing.request_head = deadline)
        .run(async |app| {
            let started = Instant::now();
            let mut silent = RawConnection::connect(&app.app_url).await;
            let mut half = unfinished(app).await;
            let mut idle = RawConnection::connect(&app.app_url).await;
            idle.send(HEALTHZ).await;
            assert_eq!(idle.read_response().await.0, 200);
            for (name, line) in [("silent", &mut silent), ("half", &mut half), ("idle", &mut idle)] {
                assert_eq!(line.read_to_end().await, "", "{name}");
                assert!(started.elapsed() >= deadline, "{name} after {:?}", started.elapsed());
                assert!(
                    started.elapsed() < Duration::from_secs(5),
                    "{name} after {:?}",
                    started.elapsed()
                );
            }
        })
        .await;
}

#[tokio::test]
async fn a_body_has_a_deadline() {
    test_app()
        .set(|settings| settings.timing.request_body = Duration::from_millis(100))
        .run(async |app| {
            let request = app.command_request(ID, None).to_bytes();
            let mut half = RawConnection::connect(&app.app_url).await;
            half.send(&request[..request.len() - 1]).await;
            assert_eq!(half.read_response().await, (408, String::new()));
            assert_eq!(app.kapso.requests().len(), 0);
        })
        .await;
}

#[tokio::test]
async fn a_head_has_a_size_limit() {
    with_app(async |app| {
        let mut line = RawConnection::connect(&app.app_url).await;
        let huge = format!("GET /healthz HTTP/1.1\r\nx: {}", "z".repeat(20 * 1024));
        line.send(huge).await;
        assert_eq!(line.read_response().await, (431, String::new()));
        assert_eq!(line.read_to_end().await, "");
    })
    .await;
}

#[tokio::test]
async fn one_connection_serves_many_commands() {
    with_app(async |app| {
        let mut line = RawConnection::connect(&app.app_url).await;
        for n in 0..200 {
            line.send(app.command_request("help", None).keep_alive().to_bytes())
                .await;
            let (status, body) = line.read_response().await;
            assert_eq!(status, 200, "command {n}");
            assert!(body.contains("What you can type"), "command {n}: {body}");
        }
        assert_eq!(app.wait_for_commands(200).await.len(), 200);
    })
    .await;
}

#[tokio::test]
async fn a_connection_whose_body_never_ends_is_evicted_too() {
    test_app()
        .set(|settings| {
            settings.connections = Some(3);
            // Only eviction makes room, no deadline.
            settings.timing.request_body = FOREVER;
        })
        .run(async |app| {
            let mut trickling = Vec::new();
            for _ in 0..6 {
                let mut line = RawConnection::connect(&app.app_url).await;
                line.send(
                    "POST /slack/commands HTTP/1.1\r\nhost: x\r\ncontent-length: 400\r\n\
                     content-type: application/x-www-form-urlencoded\r\n\r\ncommand=",
                )
                .await;
                trickling.push(line);
            }
            assert!(app.command_text(SHOW).await.contains("Waiting for activation"));
            assert_eq!(trickling[0].read_to_end().await, "", "the oldest makes room");
        })
        .await;
}
