//! Limits on requests to the two signed routes: method, type, size and time of the body; Slack's certificate check.

use std::pin::pin;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::raw_request::{COMMANDS, INTERACTIONS, RawRequest, Reply, command_form, press_form};
use crate::support::{ID, SECRET, test_app, with_app};

const KIB: usize = 1024;
/// The payload of a message shortcut contains the message.
const LIMITS: [(&str, usize); 2] = [(COMMANDS, 64 * KIB), (INTERACTIONS, 1_024 * KIB)];

#[tokio::test]
async fn both_routes_are_served_with_a_trailing_slash_too() {
    with_app(async |app| {
        let help = app.signed_request("/slack/commands/", "command=%2Fsandbox&text=help");
        let reply = app.send_raw(&help).await;
        assert_eq!(reply.status, 200);
        assert!(reply.body.contains("What you can type"), "{}", reply.body);
        let press = app.signed_request("/slack/interactions/", press_form());
        is_empty(&app.send_raw(&press).await, 200, "a press");
        app.kapso.wait_for_requests(1).await;
    })
    .await;
}

#[tokio::test]
async fn only_post_is_accepted() {
    with_app(async |app| {
        for route in [COMMANDS, INTERACTIONS, "/slack/commands/", "/slack/interactions/"] {
            for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"] {
                let mut request = app.signed_request(route, command_form());
                request.method = method;
                is_empty(&app.send_raw(&request).await, 405, &format!("{method} {route}"));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn only_forms_are_accepted() {
    with_app(async |app| {
        let genuine = app.signed_request(COMMANDS, "command=%2Fsandbox&text=help");
        for (kind, status) in [
            ("application/x-www-form-urlencoded", 200),
            ("application/x-www-form-urlencoded; charset=utf-8", 200),
            ("Application/X-WWW-Form-URLencoded ;charset=UTF-8", 200),
            ("application/json", 415),
            ("text/plain", 415),
            ("multipart/form-data; boundary=x", 415),
            ("application/x-www-form-urlencodedx", 415),
            ("text/plain; application/x-www-form-urlencoded", 415),
            ("", 415),
        ] {
            let mut request = genuine.clone();
            request.set("Content-Type", kind);
            assert_eq!(app.send_raw(&request).await.status, status, "{kind:?}");
        }
        for route in [COMMANDS, INTERACTIONS] {
            let mut request = app.signed_request(route, command_form());
            request.remove("Content-Type");
            is_empty(&app.send_raw(&request).await, 415, "no type at all");
        }
    })
    .await;
}

#[tokio::test]
async fn the_size_of_a_body_is_limited() {
    with_app(async |app| {
        for (route, max) in LIMITS {
            for chunks in [None, Some(1_000), Some(64 * KIB)] {
                let sent = |length| {
                    let mut request = app.signed_request(route, padded(length));
                    request.chunks = chunks;
                    request
                };
                let full = app.send_raw(&sent(max)).await;
                assert_eq!(full.status, 200, "{max} bytes at {route} in chunks of {chunks:?}");
                let over = app.send_raw(&sent(max + 1)).await;
                is_empty(&over, 413, &format!("a byte more at {route} in chunks of {chunks:?}"));
            }
            let mut unsigned = RawRequest::unsigned(route, padded(max));
            is_empty(&app.send_raw(&unsigned).await, 401, "all of it, unsigned");
            unsigned.body = padded(max + 64 * KIB);
            // Where more than 64 KiB may come, the rest is not read without the headers of a signature.
            let status = if route == COMMANDS { 413 } else { 401 };
            is_empty(&app.send_raw(&unsigned).await, status, "more, unsigned");
        }
    })
    .await;
}

/// Strangers who send large bodies slowly keep others from sending large ones for as long as a body may take, and nobody
/// from sending the usual ones.
#[tokio::test]
async fn few_large_bodies_are_read_at_the_same_time() {
    test_app()
        .set(|settings| settings.timing.request_body = Duration::from_mins(1))
        .run(async |app| {
            let large = RawRequest::unsigned(INTERACTIONS, padded(500 * KIB));
            let large = large.signed("wrong", app.now().as_second()).to_bytes();
            let mut slow = Vec::new();
            for _ in 0..8 {
                let mut stranger = TcpStream::connect(app.app_url.socket_addrs(|| None).unwrap()[0])
                    .await
                    .unwrap();
                stranger.write_all(&large[..400 * KIB]).await.unwrap();
                slow.push(stranger);
            }
            let waits = app.signed_request(INTERACTIONS, padded(500 * KIB));
            let mut waits = pin!(app.send_raw(&waits));
            for (route, _) in LIMITS {
                let usual = app.signed_request(route, padded(64 * KIB));
                tokio::select! {
                    reply = &mut waits => panic!("it does not wait: {reply:?}"),
                    reply = app.send_raw(&usual) => assert_eq!(reply.status, 200, "{route}"),
                }
            }
            slow.clear();
            assert_eq!(waits.await.status, 200, "it only waited");
        })
        .await;
}

#[tokio::test]
async fn a_body_that_arrives_too_slowly_is_rejected() {
    let builder = test_app().set(|settings| settings.timing.request_body = Duration::from_millis(50));
    builder
        .run(async |app| {
            for route in [COMMANDS, INTERACTIONS] {
                for chunks in [None, Some(16)] {
                    let mut request = app.signed_request(route, command_form());
                    request.chunks = chunks;
                    let bytes = request.to_bytes();
                    let half = &bytes[..bytes.len() - 40];
                    is_empty(&app.send_bytes(half).await, 408, "half a body");
                }
            }
            assert!(app.kapso.requests().is_empty(), "half a body is no command");
        })
        .await;
}

#[tokio::test]
async fn a_signed_form_of_another_kind_is_rejected_with_400() {
    with_app(async |app| {
        for (route, body) in [
            (COMMANDS, ""),
            (COMMANDS, "text=help"),
            (COMMANDS, "Command=%2Fsandbox&text=help"),
            (COMMANDS, "payload=%7B%7D"),
            (COMMANDS, "{\"command\":\"/sandbox\"}"),
            (INTERACTIONS, ""),
            (INTERACTIONS, "command=%2Fsandbox&text=help"),
            (INTERACTIONS, "{\"type\":\"block_actions\"}"),
        ] {
            let request = app.signed_request(route, body);
            is_empty(&app.send_raw(&request).await, 400, &format!("{body} at {route}"));
        }
    })
    .await;
}

#[tokio::test]
async fn slacks_certificate_check_is_answered_and_never_becomes_a_command() {
    with_app(async |app| {
        for route in [COMMANDS, INTERACTIONS] {
            let genuine = if route == COMMANDS {
                command_form()
            } else {
                press_form()
            };
            for body in [
                "ssl_check=1".to_owned(),
                "ssl_check=1&token=gIkuvaNzQIHg97ATvDxqgjtO".to_owned(),
                format!("ssl_check=1&{genuine}"),
                format!("{genuine}&ssl_check=1"),
                format!("{genuine}&ssl%5Fcheck=%31"),
            ] {
                let unsigned = RawRequest::unsigned(route, body.clone());
                let signed = app.signed_request(route, body.clone());
                let stale = unsigned.clone().signed(SECRET, 0);
                for (how, request) in [("unsigned", unsigned), ("signed", signed), ("stale", stale)] {
                    is_empty(
                        &app.send_raw(&request).await,
                        200,
                        &format!("{body}, {how}, at {route}"),
                    );
                }
            }
        }
        app.shut_down().await;
        assert!(app.command_log_lines().is_empty(), "{:?}", app.command_log_lines());
        assert!(app.kapso.requests().is_empty(), "{:?}", app.kapso.requests());
    })
    .await;
}

#[tokio::test]
async fn ssl_check_anywhere_but_in_its_own_field_does_not_bypass_the_signature() {
    with_app(async |app| {
        for route in [COMMANDS, INTERACTIONS] {
            for body in [
                "command=%2Fsandbox&text=ssl_check%3D1",
                "command=%2Fsandbox&text=x%26ssl_check%3D1",
                "payload=%7B%22ssl_check%22%3A1%7D",
                "payload=ssl_check=1",
                "ssl_check=0",
                "ssl_check=",
                "ssl_check",
                "SSL_CHECK=1",
                "ssl_check=true",
                "ssl_check=1%00",
                "xssl_check=1",
                "ssl_check[]=1",
            ] {
                let unsigned = RawRequest::unsigned(route, body);
                is_empty(&app.send_raw(&unsigned).await, 401, &format!("{body} at {route}"));
            }
            let mut in_address = RawRequest::unsigned(route, command_form());
            in_address.path = format!("{route}?ssl_check=1");
            is_empty(&app.send_raw(&in_address).await, 401, "in the address");
        }
        let typed = app.command_text("/sandbox ssl_check=1").await;
        assert!(typed.contains("find a session ID"), "{typed}");
        let typed = app.command_text(&format!("/sandbox {ID}&ssl_check=1")).await;
        assert!(typed.contains(&format!("/sandbox show {ID}")), "{typed}");
    })
    .await;
}

/// A form of exactly this many bytes, valid as a command and as a press that has no effect.
fn padded(length: usize) -> Vec<u8> {
    let mut form = b"command=%2Fsandbox&text=help&payload=%7B%7D&padding=".to_vec();
    form.resize(length, b'x');
    form
}

fn is_empty(reply: &Reply, status: u16, what: &str) {
    assert_eq!((reply.status, reply.body.as_str()), (status, ""), "{what}");
}
