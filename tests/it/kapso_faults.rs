//! Every fault of Kapso becomes one sentence, and no part of its response is in the reply or in the log.

use std::time::Duration;

use http::{HeaderName, StatusCode, header};
use jiff::SignedDuration;
use kapso_slack::demo::Fault;
use serde_json::json;

use crate::support::kapso_errors::{expect_nothing_leaked, expect_one_sentence};
use crate::support::wire::{ClosedPort, ScriptedResponse, ScriptedServer};
use crate::support::{ID, TestApp, test_app, with_app};

/// Checks that a response with this status and body becomes one sentence.
async fn answers(app: &TestApp, status: u16, body: &str, asked: usize, outcome: &str, error: &str) {
    let name = format!("{status} {body}");
    let before = app.kapso.requests().len();
    let status = StatusCode::from_u16(status).unwrap();
    app.kapso.set_fault(Some(Fault::answer(status, body.to_owned())));
    expect_one_sentence(app, &name, outcome, error).await;
    assert_eq!(app.kapso.requests().len() - before, asked, "{name}");
}

/// Bodies of error responses, in Kapso's form and in others.
const BODIES: [&str; 4] = [
    r#"{"error":"zebra","message":"zebra"}"#,
    "<!DOCTYPE html><title>zebra</title>",
    "zebra",
    "",
];

#[tokio::test]
async fn a_refused_key_becomes_one_sentence() {
    with_app(async |app| {
        for status in [401, 403] {
            for body in BODIES {
                let error = format!("Kapso rejected the API key with status {status}");
                answers(app, status, body, 1, "key_refused", &error).await;
            }
        }
        expect_nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn a_session_is_missing_only_if_kapso_says_so_in_its_own_form() {
    const MISSING: &str = "Kapso has no session with this ID";
    const MOVED: &str = "Kapso's API answered with status 404: Kapso may have moved it; check KAPSO_BASE_URL";
    with_app(async |app| {
        for (body, outcome, error) in [
            (r#"{"error":"zebra"}"#, "not_found", MISSING),
            (r#"{"error":"zebra","message":"zebra"}"#, "not_found", MISSING),
            (r#"{"zebra":[],"error":null}"#, "not_found", MISSING),
            ("", "moved", MOVED),
            ("zebra", "moved", MOVED),
            ("<!DOCTYPE html><title>zebra</title>", "moved", MOVED),
            ("null", "moved", MOVED),
            ("{}", "moved", MOVED),
            (r#"["error","zebra"]"#, "moved", MOVED),
            (r#"[{"error":"zebra"}]"#, "moved", MOVED),
            (r#""error: zebra""#, "moved", MOVED),
            (r#"{"message":"zebra"}"#, "moved", MOVED),
            (r#"{"zebra":{"error":"zebra"}}"#, "moved", MOVED),
            (r#"{"Error":"zebra"}"#, "moved", MOVED),
            (r#"{"error":"zebra"#, "moved", MOVED),
            (r#"{"error":"zebra"} zebra"#, "moved", MOVED),
        ] {
            answers(app, 404, body, 1, outcome, error).await;
        }
        expect_nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn an_unexpected_status_becomes_one_sentence() {
    with_app(async |app| {
        for status in [
            201, 202, 203, 206, 300, 305, 400, 402, 405, 406, 408, 409, 418, 422, 423, 425, 451, 600, 999,
        ] {
            for body in BODIES {
                let error = format!("Kapso sent an unexpected response: status {status}");
                answers(app, status, body, 1, "unintelligible", &error).await;
            }
        }
        for status in [204, 205, 304] {
            let error = format!("Kapso sent an unexpected response: status {status}");
            answers(app, status, "", 1, "unintelligible", &error).await;
        }
        expect_nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn an_api_that_is_gone_becomes_one_sentence() {
    with_app(async |app| {
        for body in BODIES {
            let error = "Kapso's API answered with status 410: Kapso may have moved it; check KAPSO_BASE_URL";
            answers(app, 410, body, 1, "moved", error).await;
        }
        expect_nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn after_three_failed_attempts_there_is_one_sentence() {
    with_app(async |app| {
        for status in [500, 501, 502, 503, 504, 507, 520, 599] {
            for body in BODIES {
                let error = format!("Kapso did not answer: status {status}");
                answers(app, status, body, 3, "no_answer", &error).await;
            }
        }
        expect_nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_goes_nowhere_else() {
    with_app(async |app| {
        let elsewhere = ScriptedServer::start().await;
        let inside = app.kapso.base_url().join("/api/v1/sandbox_sessions/other").unwrap();
        let outside = elsewhere.url.join("/zebra").unwrap();
        for status in [301, 302, 303, 307, 308] {
            for location in [outside.as_str(), inside.as_str(), "//zebra.invalid/", "zebra"] {
                let before = app.kapso.requests().len();
                let redirect = Fault::answer(StatusCode::from_u16(status).unwrap(), "zebra");
                app.kapso
                    .set_fault(Some(redirect.with_header(header::LOCATION, location)));
                let name = format!("{status} to {location}");
                let error = format!("Kapso sent an unexpected response: status {status}");
                expect_one_sentence(app, &name, "unintelligible", &error).await;
                assert_eq!(app.kapso.requests().len() - before, 1, "{name}");
            }
        }
        assert_eq!(elsewhere.requests(), Vec::<String>::new());
        expect_nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn a_transient_fault_is_retried() {
    with_app(async |app| {
        for fault in [
            Fault::answer(StatusCode::INTERNAL_SERVER_ERROR, "zebra"),
            Fault::answer(StatusCode::BAD_GATEWAY, "zebra"),
            Fault::answer(StatusCode::SERVICE_UNAVAILABLE, "zebra"),
            Fault::CloseConnection,
            Fault::TruncateBody,
        ] {
            app.advance_clock(SignedDuration::from_secs(61));
            let before = app.kapso.requests().len();
            app.kapso.fail_next_request(fault.clone());
            let card = app.command_text(&format!("/sandbox {ID}")).await;
            assert!(card.contains("Waiting for activation"), "{fault:?}: {card}");
            assert_eq!(app.kapso.requests().len() - before, 2, "{fault:?}");
            let line = app.command_log_lines().pop().unwrap();
            assert_eq!((&line["outcome"], &line["error"]), (&json!("shown"), &json!(null)));
        }
        expect_nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn there_are_at_most_three_attempts() {
    with_app(async |app| {
        app.next_kapso_response(500, "");
        app.next_kapso_response(502, "");
        let card = app.command_text(&format!("/sandbox {ID}")).await;
        assert!(card.contains("Waiting for activation"), "{card}");
        assert_eq!(app.kapso.requests().len(), 3);

        for _ in 0..3 {
            app.next_kapso_response(500, "");
        }
        expect_one_sentence(app, "three faults", "no_answer", "Kapso did not answer: status 500").await;
        assert_eq!(app.kapso.requests().len(), 6);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_kapso_does_not_know_is_refused() {
    test_app()
        .with("KAPSO_API_KEY", "kapso-key-of-another-project")
        .run(async |app| {
            let error = "Kapso rejected the API key with status 401";
            expect_one_sentence(app, "another key", "key_refused", error).await;
        })
        .await;
}

#[tokio::test]
async fn requests_that_time_out_are_attempted_three_times() {
    test_app()
        .set(|settings| settings.timing.kapso.attempt = Duration::from_millis(200))
        .run(async |app| {
            app.kapso.set_fault(Some(Fault::Stall));
            let error = "Kapso did not answer: the request failed: error sending request: operation timed out";
            expect_one_sentence(app, "hang", "no_answer", error).await;
            assert_eq!(app.kapso.requests().len(), 3);
        })
        .await;
}

#[tokio::test]
async fn all_attempts_together_have_a_deadline() {
    test_app()
        .set(|settings| settings.timing.kapso.total = Duration::from_millis(500))
        .run(async |app| {
            app.kapso.set_fault(Some(Fault::Stall));
            expect_one_sentence(app, "hang", "no_answer", "Kapso did not answer: no answer within").await;
            assert_eq!(app.kapso.requests().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn a_refused_connection_becomes_one_sentence() {
    let closed = ClosedPort::bind().unwrap();
    test_app()
        .with("KAPSO_BASE_URL", format!("http://{}/api/v1", closed.address))
        .run(async |app| {
            let error = "Kapso did not answer: the request failed: error sending request: ";
            expect_one_sentence(app, "refused", "no_answer", error).await;
        })
        .await;
}

#[tokio::test]
async fn a_failed_tls_handshake_becomes_one_sentence() {
    let wire = ScriptedServer::start().await;
    wire.respond(ScriptedResponse::answer("400 Bad Request", "zebra").before_any_request());
    let address = wire.url.as_str().replace("http", "https");
    test_app()
        .with("KAPSO_BASE_URL", address)
        .run(async |app| {
            let error = "Kapso did not answer: the request failed: error sending request: client error (Connect): ";
            expect_one_sentence(app, "no tls", "no_answer", error).await;
            expect_nothing_leaked(app);
        })
        .await;
}

#[tokio::test]
async fn response_headers_are_not_leaked() {
    with_app(async |app| {
        let fault = Fault::answer(StatusCode::BAD_REQUEST, "zebra")
            .with_header(HeaderName::from_static("x-request-id"), "zebra")
            .with_header(header::WWW_AUTHENTICATE, "zebra")
            .with_header(header::SET_COOKIE, "zebra=1");
        app.kapso.set_fault(Some(fault));
        let error = "Kapso sent an unexpected response: status 400";
        expect_one_sentence(app, "headers", "unintelligible", error).await;
        expect_nothing_leaked(app);
    })
    .await;
}
