//! Clients that never finish their requests do not keep others from being served.

use std::time::{Duration, Instant};

use kapso_slack::demo::{Fault, plain};

use crate::support::wire::Line;
use crate::support::{ID, TestApp, plan, with_app};

const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";
const HEALTHZ: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
/// Longer than Slack waits for an answer, and than the harness waits for a test.
const FOREVER: Duration = Duration::from_mins(10);

/// A client that sends part of a request head.
async fn unfinished(app: &TestApp) -> Line {
    let mut line = Line::to(&app.app_url).await;
    line.says("POST /slack/commands HTTP/1.1\r\nhost: sandbox.example.com\r\nx-")
        .await;
    line
}

#[tokio::test]
async fn eight_hundred_unfinished_requests_do_not_delay_others() {
    // Fewer if the limit on file descriptors is too low for this many, and for the tests that run at the same time.
    let descriptors = rlimit::increase_nofile_limit(8_192).unwrap();
    let clients = usize::try_from(descriptors / 5).unwrap().min(800);
    let connections = clients * 5 / 8;
    plan()
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
                let sent = app.sends(SHOW).await;
                let card = plain::text(&sent.message.expect("an answer in time").message);
                assert!(card.contains("Waiting for activation"), "{card}");
            }
            // The oldest connections were closed to make room.
            let evicted = lines.len() - connections;
            for line in &mut lines[..evicted] {
                assert_eq!(line.ends().await, "");
            }
        })
        .await;
}

#[tokio::test]
async fn at_the_limit_the_oldest_connection_without_a_complete_request_is_evicted() {
    plan()
        .set(|settings| settings.connections = Some(3))
        .run(async |app| {
            let mut first = Line::to(&app.app_url).await;
            let mut second = unfinished(app).await;
            let mut third = Line::to(&app.app_url).await;
            let mut fourth = Line::to(&app.app_url).await;
            assert_eq!(first.ends().await, "", "the oldest is evicted");
            for (name, line) in [("third", &mut third), ("fourth", &mut fourth)] {
                line.says(HEALTHZ).await;
                assert_eq!(line.answer().await, (200, "ok\n".to_owned()), "{name}");
            }
            second
                .says(&format!("x: x\r\n{}", &HEALTHZ["GET /healthz HTTP/1.1\r\n".len()..]))
                .await;
            assert_eq!(second.answer().await.0, 415, "the second is still there");
        })
        .await;
}

#[tokio::test]
async fn a_connection_with_a_complete_request_is_not_evicted() {
    plan()
        .set(|settings| settings.connections = Some(2))
        .run(async |app| {
            app.kapso.fail_next(Fault::Hold);
            let answered = app.reads(SHOW);
            let others = async {
                app.kapso.has_been_asked(1).await;
                for _ in 0..10 {
                    let mut line = Line::to(&app.app_url).await;
                    line.says(HEALTHZ).await;
                    assert_eq!(line.answer().await, (200, "ok\n".to_owned()));
                }
                app.kapso.release();
            };
            let (text, ()) = tokio::join!(answered, others);
            assert!(text.contains("Waiting for activation"), "{text}");
        })
        .await;
}

#[tokio::test]
async fn a_new_connection_waits_while_all_are_busy() {
    plan()
        .set(|settings| {
            settings.connections = Some(1);
            // The answer ends the first connection's turn, no deadline does.
            settings.timing.request_head = FOREVER;
        })
        .run(async |app| {
            app.kapso.fail_next(Fault::Hold);
            let mut busy = Line::to(&app.app_url).await;
            busy.says(app.slip(ID, None).to_bytes()).await;
            app.kapso.has_been_asked(1).await;
            let mut next = Line::to(&app.app_url).await;
            next.says(HEALTHZ).await;
            app.kapso.release();
            assert_eq!(busy.answer().await.0, 200);
            assert_eq!(next.answer().await, (200, "ok\n".to_owned()));
        })
        .await;
}

#[tokio::test]
async fn a_head_has_a_deadline() {
    let deadline = Duration::from_millis(100);
    plan()
        .set(move |settings| settings.timing.request_head = deadline)
        .run(async |app| {
            let started = Instant::now();
            let mut silent = Line::to(&app.app_url).await;
            let mut half = unfinished(app).await;
            let mut idle = Line::to(&app.app_url).await;
            idle.says(HEALTHZ).await;
            assert_eq!(idle.answer().await.0, 200);
            for (name, line) in [("silent", &mut silent), ("half", &mut half), ("idle", &mut idle)] {
                assert_eq!(line.ends().await, "", "{name}");
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
    plan()
        .set(|settings| settings.timing.request_body = Duration::from_millis(100))
        .run(async |app| {
            let slip = app.slip(ID, None).to_bytes();
            let mut half = Line::to(&app.app_url).await;
            half.says(&slip[..slip.len() - 1]).await;
            assert_eq!(half.answer().await, (408, String::new()));
            assert_eq!(app.kapso.requests().len(), 0);
        })
        .await;
}

#[tokio::test]
async fn a_head_has_a_size_limit() {
    with_app(async |app| {
        let mut line = Line::to(&app.app_url).await;
        let huge = format!("GET /healthz HTTP/1.1\r\nx: {}", "z".repeat(20 * 1024));
        line.says(huge).await;
        assert_eq!(line.answer().await, (431, String::new()));
        assert_eq!(line.ends().await, "");
    })
    .await;
}

#[tokio::test]
async fn one_connection_serves_many_commands() {
    with_app(async |app| {
        let mut line = Line::to(&app.app_url).await;
        for n in 0..200 {
            line.says(app.slip("help", None).kept_alive().to_bytes()).await;
            let (status, body) = line.answer().await;
            assert_eq!(status, 200, "command {n}");
            assert!(body.contains("What you can type"), "command {n}: {body}");
        }
        assert_eq!(app.has_noted(200).await.len(), 200);
    })
    .await;
}

#[tokio::test]
async fn a_connection_whose_body_never_ends_is_evicted_too() {
    plan()
        .set(|settings| {
            settings.connections = Some(3);
            // Only eviction makes room, no deadline.
            settings.timing.request_body = FOREVER;
        })
        .run(async |app| {
            let mut trickling = Vec::new();
            for _ in 0..6 {
                let mut line = Line::to(&app.app_url).await;
                line.says(
                    "POST /slack/commands HTTP/1.1\r\nhost: x\r\ncontent-length: 400\r\n\
                     content-type: application/x-www-form-urlencoded\r\n\r\ncommand=",
                )
                .await;
                trickling.push(line);
            }
            assert!(app.reads(SHOW).await.contains("Waiting for activation"));
            assert_eq!(trickling[0].ends().await, "", "the oldest makes room");
        })
        .await;
}
