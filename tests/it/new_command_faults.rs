//! Faults while a session is created: one request to Kapso, and a reply that says whether a session may exist.

use std::time::Duration;

use http::{StatusCode, header};
use jiff::SignedDuration;
use kapso_slack::demo::{Fault, plain};

use crate::support::creation::{NEW, create_requests, text_without_request_id};
use crate::support::kapso_errors::expect_nothing_leaked;
use crate::support::wire::{ClosedPort, ScriptedResponse, ScriptedServer};
use crate::support::{TestApp, test_app};

const UNSURE: &str = "Kapso did not confirm it: the session may or may not have been created. Check /sandbox list before \
                      you try again.";
const KEY: &str =
    "Kapso refused this app's key, so nothing can be looked up or created. Please tell whoever runs this app.";
const MOVED: &str = "Kapso's sandbox API is not where this app expects it: Kapso may have moved this API. Please tell \
                     whoever runs this app.";
const LIMITED: &str = "Kapso is limiting this app's requests. Try again in 42 s.";
const NO_ANSWER: &str = "Kapso did not answer. Nothing was changed; try again in a moment.";

fn answer(status: u16, body: &'static str) -> Fault {
    Fault::answer(StatusCode::from_u16(status).unwrap(), body)
}

/// Creates a session while the next request has this fault, and checks the reply, the log and the number of requests.
async fn expect_reply(app: &TestApp, fault: Fault, words: &str, outcome: &str) {
    let name = format!("{fault:?}");
    app.advance_clock(SignedDuration::from_secs(61));
    let before = create_requests(app);
    app.kapso.fail_next_request(fault);
    let read = text_without_request_id(&app.command(NEW).await);
    assert_eq!(read, words, "{name}");
    assert_eq!(create_requests(app), before + 1, "{name}: one request");
    let line = app.command_log_lines().pop().unwrap();
    assert_eq!(line["outcome"], outcome, "{name}");
    assert!(line["error"].is_string(), "{name}: {line}");
}

#[tokio::test]
async fn each_fault_becomes_one_sentence_and_no_second_request() {
    test_app()
        .with_creation()
        .set(|settings| settings.timing.kapso.max_rate_limit_wait = Duration::ZERO)
        .run(async |app| {
            for (fault, words, outcome) in [
                (answer(401, r#"{"error":"zebra"}"#), KEY, "key_refused"),
                (answer(403, "zebra"), KEY, "key_refused"),
                (answer(404, r#"{"error":"zebra"}"#), MOVED, "moved"),
                (answer(404, "zebra"), MOVED, "moved"),
                (answer(410, "zebra"), MOVED, "moved"),
                (answer(400, r#"{"error":"zebra"}"#), UNSURE, "unsure"),
                (
                    answer(422, r#"{"error":"zebra"}"#),
                    "Kapso rejected this number: +12345678901, with this app's default agent agent-123abc. Check the \
                     number: it must be on WhatsApp. To name another agent, type /sandbox new +12345678901 <agent id>",
                    "not_accepted",
                ),
                (answer(500, "zebra"), UNSURE, "unsure"),
                (answer(503, r#"{"error":"zebra"}"#), UNSURE, "unsure"),
                (answer(200, "zebra"), UNSURE, "unsure"),
                (answer(201, "<!DOCTYPE html><title>zebra</title>"), UNSURE, "unsure"),
                (answer(201, ""), UNSURE, "unsure"),
                (
                    answer(201, r#"{"data":{"id":"../zebra","status":"active"}}"#),
                    UNSURE,
                    "unsure",
                ),
                (answer(201, r#"{"data":[{"id":"zebra"}]}"#), UNSURE, "unsure"),
                (answer(204, ""), UNSURE, "unsure"),
                (
                    answer(307, "").with_header(header::LOCATION, "/api/v1/sandbox_sessions"),
                    UNSURE,
                    "unsure",
                ),
                (Fault::CloseConnection, UNSURE, "unsure"),
                (Fault::TruncateBody, UNSURE, "unsure"),
                // Last, because it blocks further requests.
                (
                    answer(429, "zebra").with_header(header::RETRY_AFTER, "42"),
                    LIMITED,
                    "limited",
                ),
            ] {
                expect_reply(app, fault, words, outcome).await;
            }
            expect_nothing_leaked(app);
        })
        .await;
}

#[tokio::test]
async fn without_an_agent_the_rejection_says_how_to_name_one() {
    test_app()
        .with_creation()
        .with("DEFAULT_AGENT", "")
        .run(async |app| {
            // FakeKapso rejects it, as Kapso's own document says.
            let read = app.command(NEW).await;
            assert_eq!(
                text_without_request_id(&read),
                "Kapso rejected this number: +12345678901. Check it: it must be on WhatsApp. Kapso may also need to know \
                 the agent: type /sandbox new +12345678901 <agent id>"
            );
            let card = app.command_text("/sandbox new +1 (234) 567-8901 agent-123abc").await;
            assert!(card.contains("Waiting for activation"), "{card}");
        })
        .await;
}

#[tokio::test]
async fn a_rejected_agent_is_explained() {
    test_app()
        .with_creation()
        .run(async |app| {
            // FakeKapso rejects it.
            let read = app.command(&format!("{NEW} agent-of-another-project")).await;
            assert_eq!(
                text_without_request_id(&read),
                "Kapso rejected this number: +12345678901, with the agent agent-of-another-project. Check the \
                 number, and whether the agent is one of this app's Kapso project."
            );
        })
        .await;
}

#[tokio::test]
async fn a_creation_that_times_out_is_not_retried() {
    test_app()
        .with_creation()
        .set(|settings| settings.timing.kapso.attempt = Duration::from_millis(200))
        .run(async |app| expect_reply(app, Fault::Stall, UNSURE, "unsure").await)
        .await;
}

#[tokio::test]
async fn a_refused_connection_means_that_nothing_was_created() {
    let closed = ClosedPort::bind().unwrap();
    test_app()
        .with_creation()
        .with("KAPSO_BASE_URL", format!("http://{}/api/v1", closed.address))
        .run(async |app| {
            assert_eq!(text_without_request_id(&app.command(NEW).await), NO_ANSWER);
            let again = app.command(NEW).await;
            assert_eq!(
                text_without_request_id(&again),
                NO_ANSWER,
                "and no confirmation is needed"
            );
        })
        .await;
}

/// No late reply is possible, so the reply at the end of the budget must not claim that nothing was changed.
#[tokio::test]
async fn without_a_response_url_the_outcome_is_reported_as_unknown() {
    test_app()
        .with_creation()
        .with_short_budget()
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let reply = app.send_raw(&app.command_request("new +12345678901", None)).await;
            let message = serde_json::from_str(&reply.body).unwrap();
            assert!(plain::text(&message).starts_with(UNSURE), "{}", reply.body);
            assert_eq!(app.command_log_lines()[0]["outcome"], "unsure");
            app.kapso.release_stalled_requests();
        })
        .await;
}

#[tokio::test]
async fn at_shutdown_the_outcome_is_reported_as_unknown() {
    test_app()
        .with_creation()
        .with_short_budget()
        .set(|settings| settings.timing.shutdown.kapso = Duration::from_millis(50))
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let exchange = app.expect_ack_only(NEW).await;
            app.kapso.wait_for_requests(1).await;
            app.begin_shutdown();
            assert_eq!(text_without_request_id(&app.late_reply(exchange).await), UNSURE);
        })
        .await;
}

#[tokio::test]
async fn a_truncated_response_is_not_requested_again() {
    let wire = ScriptedServer::start().await;
    wire.respond(ScriptedResponse::bytes("HTTP/1.1 201 Created\r\nContent-Length: 400\r\n\r\n{\"data\":").then_reset());
    test_app()
        .with_creation()
        .with("KAPSO_BASE_URL", wire.url.join("/api/v1").unwrap())
        .run(async |app| {
            assert_eq!(text_without_request_id(&app.command(NEW).await), UNSURE);
            assert_eq!(wire.requests().len(), 1);
            let request = &wire.requests()[0];
            assert!(
                request.starts_with("POST /api/v1/sandbox_sessions HTTP/1.1\r\n"),
                "{request}"
            );
            assert!(request.contains("content-type: application/json\r\n"), "{request}");
            assert!(
                request.ends_with("\r\n\r\n{\"whatsapp_sandbox_session\":{\"phone_number\":\"+12345678901\",\"agent_id\":\"agent-123abc\"}}"),
                "{request}"
            );
        })
        .await;
}
