//! Posting to a `response_url`: as often as Slack allows, as patiently as it asks, and never when it is over.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use jiff::SignedDuration;
use kapso_slack::demo::Fault;
use serde_json::Value;

use crate::support::late_replies::start_late_reply;
use crate::support::raw_request::Reply;
use crate::support::wire::{ScriptedResponse, ScriptedServer};
use crate::support::{ID, TestApp, test_app};

/// Slack refuses the first posts like this, and then takes what comes. Returns the log's line about the command and
/// how often Slack was posted to.
async fn deliver_after(responses: &[(u16, Option<u64>)]) -> (Value, usize) {
    let mut result = None;
    test_app()
        .with_short_budget()
        .with_system_clock()
        .run(async |app| {
            let exchange = start_late_reply(app).await;
            for (status, retry_after) in responses {
                let status = StatusCode::from_u16(*status).unwrap();
                app.slack.reject_next_post(status, *retry_after);
            }
            app.kapso.release_stalled_requests();
            let line = app.wait_for_commands(1).await.remove(0);
            if line["answer"] == "late" {
                app.late_reply(exchange).await;
            } else {
                assert_eq!(app.slack.conversation().len(), 0);
            }
            result = Some((line, app.slack.post_count()));
        })
        .await;
    result.unwrap()
}

#[tokio::test]
async fn two_server_errors_are_retried() {
    for errors in [
        &[(500, None)][..],
        &[(503, None)],
        &[(502, None), (500, None)],
        &[(599, None), (504, None)],
    ] {
        let (line, posts) = deliver_after(errors).await;
        assert_eq!(line["answer"], "late", "{errors:?}");
        assert_eq!(posts, errors.len() + 1, "{errors:?}");
    }
}

/// Each of those tries may have been taken all the same.
#[tokio::test]
async fn after_three_unclear_attempts_a_reply_is_lost() {
    let (line, posts) = deliver_after(&[(500, None), (502, None), (503, None)]).await;
    assert_eq!(line["answer"], "lost");
    assert_eq!(line["lost"], "Slack could not be reached");
    assert_eq!(line["outcome"], "shown");
    assert_eq!(posts, 3);
}

#[tokio::test]
async fn a_refusal_is_final() {
    for status in [300, 302, 307, 308, 400, 401, 403, 404, 405, 410, 413, 418] {
        let (line, posts) = deliver_after(&[(status, None)]).await;
        assert_eq!(line["answer"], "lost", "{status}");
        let lost = line["lost"].as_str().unwrap();
        let words = format!("Slack refused the message with status {status}");
        assert!(lost.starts_with(&words), "{lost}");
        assert_eq!(posts, 1, "{status}");
    }
}

#[tokio::test]
async fn retry_after_is_followed() {
    let began = Instant::now();
    let (line, posts) = deliver_after(&[(429, Some(1))]).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(line["answer"], "late");
    assert_eq!(posts, 2);
}

#[tokio::test]
async fn a_retry_after_beyond_the_lifetime_is_not_waited_for() {
    for seconds in [29 * 60, 30 * 60, 86_400, u64::MAX] {
        let (line, posts) = deliver_after(&[(429, Some(seconds))]).await;
        assert_eq!(line["lost"], "the response_url is used up", "{seconds}");
        assert_eq!(posts, 1, "{seconds}");
    }
}

#[tokio::test]
async fn nothing_is_posted_after_29_minutes() {
    for (minutes, posts, answer) in [(28, 1, "late"), (29, 0, "lost"), (31, 0, "lost"), (-60, 1, "late")] {
        test_app()
            .with_short_budget()
            .with_system_clock()
            .run(async |app| {
                let exchange = start_late_reply(app).await;
                app.advance_clock(SignedDuration::from_mins(minutes));
                app.kapso.release_stalled_requests();
                let line = app.wait_for_commands(1).await.remove(0);
                assert_eq!(line["answer"], answer, "after {minutes} minutes");
                assert_eq!(app.slack.post_count(), posts, "after {minutes} minutes");
                if posts > 0 {
                    app.late_reply(exchange).await;
                }
            })
            .await;
    }
}

#[tokio::test]
async fn nothing_is_posted_if_the_29_minutes_end_during_retry_after() {
    test_app()
        .with_short_budget()
        .with_system_clock()
        .run(async |app| {
            start_late_reply(app).await;
            app.slack.reject_next_post(StatusCode::TOO_MANY_REQUESTS, Some(1));
            app.kapso.release_stalled_requests();
            app.slack.wait_for_posts(1).await;
            app.advance_clock(SignedDuration::from_mins(29));
            let line = app.wait_for_commands(1).await.remove(0);
            assert_eq!(line["lost"], "the response_url is used up");
            assert_eq!(app.slack.post_count(), 1);
        })
        .await;
}

/// Long enough for Slack on a busy machine, short enough for one that hangs.
const ATTEMPT: Duration = Duration::from_millis(500);

/// A letterbox that answers in ways that FakeSlack does not know. Returns the log's line and what was posted.
async fn deliver_to(server: &ScriptedServer) -> (Value, Vec<String>) {
    let mut result = None;
    test_app()
        .with_short_budget()
        .with_system_clock()
        .with("SLACK_RESPONSE_HOSTS", server.origin())
        .set(|settings| settings.timing.response_url.attempt = ATTEMPT)
        .run(async |app: &mut TestApp| {
            app.kapso.fail_next_request(Fault::Stall);
            let response_url = server.url.join("/response/1").unwrap();
            let request = app.command_request(ID, Some(response_url.as_str()));
            let Reply { status, body, .. } = app.send_raw(&request).await;
            assert_eq!((status, body.as_str()), (200, ""));
            app.kapso.release_stalled_requests();
            let line = app.wait_for_commands(1).await.remove(0);
            result = Some((line, server.requests()));
        })
        .await;
    result.unwrap()
}

#[tokio::test]
async fn a_200_with_ok_false_is_a_refusal() {
    for (body, answer) in [
        (r#"{"ok":false}"#, "lost"),
        (r#"{"ok":false,"error":"used_url"}"#, "lost"),
        (r#"{"error":"expired_url","ok":false}"#, "lost"),
        (r#"{"ok":true}"#, "late"),
        (r#"{"ok":null}"#, "late"),
        (r#"{"ok":"false"}"#, "late"),
        (r#"[{"ok":false}]"#, "late"),
        ("ok", "late"),
        ("", "late"),
        ("<html>zebra</html>", "late"),
    ] {
        let server = ScriptedServer::start().await;
        server.respond(ScriptedResponse::answer("200 OK", body));
        let (line, posts) = deliver_to(&server).await;
        assert_eq!(line["answer"], answer, "{body}");
        assert_eq!(posts.len(), 1, "{body}");
        assert!(!line.to_string().contains("used_url"), "{line}");
    }
}

/// Slack may have taken the message, and two answers are the lesser evil.
#[tokio::test]
async fn an_unacknowledged_post_is_repeated() {
    for (name, script) in [
        ("ends", ScriptedResponse::bytes("")),
        ("resets", ScriptedResponse::bytes("").then_reset()),
        ("ends in the head", ScriptedResponse::bytes("HTTP/1.1 200 OK\r\n")),
        ("hangs", ScriptedResponse::bytes("").then_hang()),
        ("no HTTP", ScriptedResponse::bytes("zebra\r\n\r\n")),
    ] {
        let server = ScriptedServer::start().await;
        server.respond_next(script.clone());
        server.respond_next(script.clone());
        server.respond(ScriptedResponse::answer("200 OK", "ok"));
        let (line, posts) = deliver_to(&server).await;
        assert_eq!(line["answer"], "late", "{name}");
        assert_eq!(posts.len(), 3, "{name}");
        assert!(posts.iter().all(|post| post == &posts[0]), "{name}: {posts:?}");

        let server = ScriptedServer::start().await;
        server.respond(script);
        let (line, posts) = deliver_to(&server).await;
        assert_eq!(line["lost"], "Slack could not be reached", "{name}");
        assert_eq!(posts.len(), 3, "{name}");
    }
}

#[tokio::test]
async fn a_success_status_alone_is_an_acknowledgement() {
    for (name, script) in [
        (
            "ends in the body",
            ScriptedResponse::bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"ok\""),
        ),
        (
            "resets in the body",
            ScriptedResponse::bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"ok\"").then_reset(),
        ),
        (
            "is endless",
            ScriptedResponse::bytes(format!("HTTP/1.1 200 OK\r\n\r\n{}", "z".repeat(100_000))).then_hang(),
        ),
        (
            "hangs in the body",
            ScriptedResponse::bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n").then_hang(),
        ),
        ("204", ScriptedResponse::answer("204 No Content", "")),
    ] {
        let server = ScriptedServer::start().await;
        server.respond(script);
        let (line, posts) = deliver_to(&server).await;
        assert_eq!(line["answer"], "late", "{name}");
        assert_eq!(posts.len(), 1, "{name}");
    }
}

#[tokio::test]
async fn an_invalid_retry_after_means_one_second() {
    let servers = join_all(
        ["", "0", "-1", "soon", "1.5", "99999999999999999999999"].map(async |retry_after| {
            let server = ScriptedServer::start().await;
            server.respond_next(ScriptedResponse::answer(
                &format!("429 Slow Down\nretry-after: {retry_after}"),
                "",
            ));
            server.respond(ScriptedResponse::answer("200 OK", "ok"));
            server
        }),
    )
    .await;
    let origins: Vec<String> = servers.iter().map(ScriptedServer::origin).collect();
    test_app()
        .with_short_budget()
        .with_system_clock()
        .with("SLACK_RESPONSE_HOSTS", origins.join(","))
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            for server in &servers {
                let request = app.command_request(ID, Some(server.url.as_str()));
                assert_eq!(app.send_raw(&request).await.body, "");
            }
            let began = Instant::now();
            app.kapso.release_stalled_requests();
            let lines = app.wait_for_commands(servers.len()).await;
            assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
            assert!(lines.iter().all(|line| line["answer"] == "late"), "{lines:?}");
            for server in &servers {
                assert_eq!(server.requests().len(), 2);
            }
        })
        .await;
}

#[tokio::test]
async fn a_redirect_by_slack_is_not_followed() {
    let elsewhere = ScriptedServer::start().await;
    for status in [301, 302, 303, 307, 308] {
        let server = ScriptedServer::start().await;
        server.respond(ScriptedResponse::answer(
            &format!("{status} Elsewhere\nlocation: {}x", elsewhere.url),
            "",
        ));
        let (line, posts) = deliver_to(&server).await;
        assert_eq!(line["answer"], "lost", "{status}");
        assert_eq!(posts.len(), 1, "{status}");
    }
    assert_eq!(elsewhere.requests(), Vec::<String>::new());
}

/// What never reached Slack has cost none of the posts, so there is no reason to give up on it.
#[tokio::test]
async fn failed_connections_use_up_no_posts() {
    let closed = crate::support::port().await;
    let address = closed.local_addr().unwrap();
    drop(closed);
    test_app()
        .with_short_budget()
        .with_system_clock()
        .with("SLACK_RESPONSE_HOSTS", format!("http://{address}"))
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let request = app.command_request(ID, Some(&format!("http://{address}/commands/T1/1/x")));
            assert_eq!(app.send_raw(&request).await.status, 200);
            app.kapso.release_stalled_requests();
            // More than enough for the four posts that there are.
            let began = Instant::now();
            while began.elapsed() < Duration::from_millis(500) {
                app.get("/healthz").await;
            }
            assert_eq!(app.command_log_lines().len(), 0, "it has not given up");
            let listener = tokio::net::TcpListener::bind(address).await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut request)
                .await
                .unwrap();
            assert_eq!(&request, b"POST");
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await
                .unwrap();
            let line = app.wait_for_commands(1).await.remove(0);
            assert_eq!(line["answer"], "late");
        })
        .await;
}
