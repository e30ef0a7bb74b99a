//! A connection to Kapso that breaks, at any byte, results in one sentence.

use serde_json::json;

use crate::support::kapso_errors::{expect_nothing_leaked, expect_one_sentence};
use crate::support::wire::{ScriptedResponse, ScriptedServer};
use crate::support::{ID, test_app};

/// The head of a response without a length.
const OK: &str = "HTTP/1.1 200 OK\r\n\r\n";
/// The head of a response in chunks.
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";

fn session() -> String {
    json!({"data": {"id": ID, "status": "active", "zebra": "zebra"}}).to_string()
}

#[tokio::test]
async fn a_request_whose_connection_breaks_is_retried_and_then_becomes_one_sentence() {
    let whole = session();
    let half = &whole[..whole.len() / 2];
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{half}", whole.len());
    let huge = format!("200 OK\nx-zebra: {}", "z".repeat(1_000_000));
    let rows = [
        ("ends at once", ScriptedResponse::bytes("")),
        ("resets at once", ScriptedResponse::bytes("").then_reset()),
        ("ends in the head", ScriptedResponse::bytes("HTTP/1.1 200 OK\r\nzeb")),
        (
            "resets in the head",
            ScriptedResponse::bytes("HTTP/1.1 200").then_reset(),
        ),
        ("truncated", ScriptedResponse::bytes(long.clone())),
        ("resets in the body", ScriptedResponse::bytes(long).then_reset()),
        (
            "ends in a chunk",
            ScriptedResponse::bytes(format!("{CHUNKED}ff\r\n{half}")),
        ),
        (
            "ends between chunks",
            ScriptedResponse::bytes(format!("{CHUNKED}5\r\nzebra\r\n")),
        ),
        ("bad chunk", ScriptedResponse::bytes(format!("{CHUNKED}zebra\r\n"))),
        ("not HTTP", ScriptedResponse::bytes("zebra zebra\r\n\r\n")),
        ("a bad status", ScriptedResponse::answer("zebra", &whole)),
        ("a bad header", ScriptedResponse::answer("200 OK\nzebra", &whole)),
        ("a huge header", ScriptedResponse::answer(&huge, &whole)),
    ];
    let wire = ScriptedServer::start().await;
    test_app()
        .with("KAPSO_BASE_URL", wire.url.as_str())
        .run(async |app| {
            for (name, script) in rows {
                let before = wire.requests().len();
                wire.respond(script);
                let error = "Kapso did not answer: the request failed: ";
                expect_one_sentence(app, name, "no_answer", error).await;
                assert_eq!(wire.requests().len() - before, 3, "{name}");
            }
            expect_nothing_leaked(app);
        })
        .await;
}

#[tokio::test]
async fn a_request_is_not_retried_after_a_malformed_body() {
    let half = &session()[..40];
    let chunk = format!("8000\r\n{}\r\n", "z".repeat(0x8000));
    let many = "z".repeat(300_000);
    let rows = [
        ("half of it", format!("{OK}{half}"), "Eof error"),
        (
            "no JSON in a chunk",
            format!("{CHUNKED}{chunk}0\r\n\r\n"),
            "Syntax error",
        ),
        (
            "too many chunks",
            format!("{CHUNKED}{}0\r\n\r\n", chunk.repeat(9)),
            "it is over 256 KiB",
        ),
        ("no length", format!("{OK}{many}"), "it is over 256 KiB"),
        (
            "a huge length",
            format!("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{many}"),
            "it is over 256 KiB",
        ),
    ];
    let wire = ScriptedServer::start().await;
    test_app()
        .with("KAPSO_BASE_URL", wire.url.as_str())
        .run(async |app| {
            for (name, bytes, error) in rows {
                let before = wire.requests().len();
                // The rest of a body that is too large is not read.
                let script = ScriptedResponse::bytes(bytes);
                wire.respond(if error.contains("KiB") {
                    script.then_hang()
                } else {
                    script
                });
                let error = format!("Kapso sent an unexpected response: {error}");
                expect_one_sentence(app, name, "unintelligible", &error).await;
                assert_eq!(wire.requests().len() - before, 1, "{name}");
            }
            expect_nothing_leaked(app);
        })
        .await;
}

#[tokio::test]
async fn a_response_without_a_length_is_accepted() {
    let wire = ScriptedServer::start().await;
    wire.respond(ScriptedResponse::bytes(format!("{OK}{}", session())));
    test_app()
        .with("KAPSO_BASE_URL", wire.url.as_str())
        .run(async |app| {
            let card = app.command_text(&format!("/sandbox {ID}")).await;
            assert!(card.contains("🟢 Active"), "{card}");
        })
        .await;
}
