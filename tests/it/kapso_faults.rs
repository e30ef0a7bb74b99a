//! Whatever goes wrong at Kapso becomes one sentence, and nothing of what Kapso said is in it or in the log.

use std::time::Duration;

use http::{HeaderName, StatusCode, header};
use jiff::SignedDuration;
use kapso_slack::demo::{Fault, plain};
use serde_json::json;

use crate::support::{TestApp, ID, with_app, plan};
use crate::support::wire::{Closed, Script, Wire};

/// A word in Kapso's raw answers.
const MARK: &str = "zebra";

/// What people read, by the outcome and the error in the log.
fn sentence(outcome: &str, error: &str) -> String {
    match outcome {
        "not_found" => format!(
            "There is no session {ID} in this app's Kapso project. Check the ID, and whether it belongs to another \
             project."
        ),
        "key_refused" => {
            "Kapso refused this app's key, so nothing can be looked up or created. Please tell whoever runs this \
                          app."
                .to_owned()
        }
        "no_answer" if error.starts_with("Kapso did not answer: status ") => {
            "Kapso had an error. Nothing was changed; try again in a moment.".to_owned()
        }
        "no_answer" => "Kapso did not answer. Nothing was changed; try again in a moment.".to_owned(),
        "unintelligible" => {
            "Kapso sent an unexpected response. Please tell whoever runs this app.".to_owned()
        }
        other => panic!("no sentence for {other}"),
    }
}

/// Types the id and holds the answer to one sentence, and the log to one line with `outcome` and `error`.
pub async fn reads_one_sentence(app: &TestApp, name: &str, outcome: &str, error: &str) {
    // So that the rate limit has no part in this.
    app.passes(SignedDuration::from_secs(61));
    let logged = app.command_lines().len();
    let message = app.types(&format!("/sandbox {ID}")).await.message;
    let lines = app.command_lines();
    assert_eq!(lines.len(), logged + 1, "{name}: {lines:?}");
    let line = &lines[logged];
    let request = line["request_id"].as_str().unwrap();
    let expected = format!("{}\nRequest {request}", sentence(outcome, error));
    assert_eq!(plain::text(&message), expected, "{name}");
    let spoken = plain::text(&json!({"text": message["text"]}));
    assert_eq!(spoken, sentence(outcome, error), "{name}: what a screen reader gets");
    assert_eq!(line["outcome"], outcome, "{name}");
    assert_eq!(line["answer"], "in_time", "{name}");
    let logged = line["error"].as_str().unwrap();
    assert!(logged.starts_with(error), "{name}: {logged:?} is not {error:?}");
}

/// Kapso's words are nowhere.
pub fn nothing_leaked(app: &TestApp) {
    let log = app.log_lines();
    assert!(!log.is_empty());
    for line in log {
        assert!(!line.to_string().contains(MARK), "{line}");
    }
    let conversation = app.slack.conversation();
    assert!(!conversation.is_empty());
    for posted in conversation {
        assert!(!posted.message.to_string().contains(MARK), "{posted:?}");
    }
}

/// Kapso answers with this status and body, and people read one sentence.
async fn answers(app: &TestApp, status: u16, body: &str, asked: usize, outcome: &str, error: &str) {
    let name = format!("{status} {body}");
    let before = app.kapso.requests().len();
    let status = StatusCode::from_u16(status).unwrap();
    app.kapso.fail(Some(Fault::answer(status, body.to_owned())));
    reads_one_sentence(app, &name, outcome, error).await;
    assert_eq!(app.kapso.requests().len() - before, asked, "{name}");
}

/// What comes instead of an answer, in Kapso's form and in others'.
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
                let error = format!("Kapso refused the key with status {status}");
                answers(app, status, body, 1, "key_refused", &error).await;
            }
        }
        nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn a_session_is_missing_only_if_kapso_says_so_in_its_own_form() {
    const MISSING: &str = "Kapso has no session with this id";
    const NOT_KAPSOS: &str = "Kapso answered in an unknown way: a 404 that is not Kapso's";
    with_app(async |app| {
        for (body, outcome, error) in [
            (r#"{"error":"zebra"}"#, "not_found", MISSING),
            (r#"{"error":"zebra","message":"zebra"}"#, "not_found", MISSING),
            (r#"{"zebra":[],"error":null}"#, "not_found", MISSING),
            ("", "unintelligible", NOT_KAPSOS),
            ("zebra", "unintelligible", NOT_KAPSOS),
            ("<!DOCTYPE html><title>zebra</title>", "unintelligible", NOT_KAPSOS),
            ("null", "unintelligible", NOT_KAPSOS),
            ("{}", "unintelligible", NOT_KAPSOS),
            (r#"["error","zebra"]"#, "unintelligible", NOT_KAPSOS),
            (r#"[{"error":"zebra"}]"#, "unintelligible", NOT_KAPSOS),
            (r#""error: zebra""#, "unintelligible", NOT_KAPSOS),
            (r#"{"message":"zebra"}"#, "unintelligible", NOT_KAPSOS),
            (r#"{"zebra":{"error":"zebra"}}"#, "unintelligible", NOT_KAPSOS),
            (r#"{"Error":"zebra"}"#, "unintelligible", NOT_KAPSOS),
            (r#"{"error":"zebra"#, "unintelligible", NOT_KAPSOS),
            (r#"{"error":"zebra"} zebra"#, "unintelligible", NOT_KAPSOS),
        ] {
            answers(app, 404, body, 1, outcome, error).await;
        }
        nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn a_status_that_no_session_comes_with_becomes_one_sentence() {
    with_app(async |app| {
        for status in [
            201, 202, 203, 206, 300, 305, 400, 402, 405, 406, 408, 409, 410, 418, 422, 423, 425, 451, 600, 999,
        ] {
            for body in BODIES {
                let error = format!("Kapso answered in an unknown way: status {status}");
                answers(app, status, body, 1, "unintelligible", &error).await;
            }
        }
        for status in [204, 205, 304] {
            let error = format!("Kapso answered in an unknown way: status {status}");
            answers(app, status, "", 1, "unintelligible", &error).await;
        }
        nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn a_fault_of_kapsos_is_tried_three_times_and_then_becomes_one_sentence() {
    with_app(async |app| {
        for status in [500, 501, 502, 503, 504, 507, 520, 599] {
            for body in BODIES {
                let error = format!("Kapso did not answer: status {status}");
                answers(app, status, body, 3, "no_answer", &error).await;
            }
        }
        nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_key_goes_nowhere_else() {
    with_app(async |app| {
        let elsewhere = Wire::start().await;
        let inside = app.kapso.base_url().join("/api/v1/sandbox_sessions/other").unwrap();
        let outside = elsewhere.url.join("/zebra").unwrap();
        for status in [301, 302, 303, 307, 308] {
            for location in [outside.as_str(), inside.as_str(), "//zebra.invalid/", "zebra"] {
                let before = app.kapso.requests().len();
                let redirect = Fault::answer(StatusCode::from_u16(status).unwrap(), "zebra");
                app.kapso.fail(Some(redirect.with_header(header::LOCATION, location)));
                let name = format!("{status} to {location}");
                let error = format!("Kapso answered in an unknown way: status {status}");
                reads_one_sentence(app, &name, "unintelligible", &error).await;
                assert_eq!(app.kapso.requests().len() - before, 1, "{name}");
            }
        }
        assert_eq!(elsewhere.requests(), Vec::<String>::new());
        nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn a_fault_of_kapsos_that_passes_costs_one_request_more_and_nobody_sees_it() {
    with_app(async |app| {
        for fault in [
            Fault::answer(StatusCode::INTERNAL_SERVER_ERROR, "zebra"),
            Fault::answer(StatusCode::BAD_GATEWAY, "zebra"),
            Fault::answer(StatusCode::SERVICE_UNAVAILABLE, "zebra"),
            Fault::HangUp,
            Fault::BreakOff,
        ] {
            app.passes(SignedDuration::from_secs(61));
            let before = app.kapso.requests().len();
            app.kapso.fail_next(fault.clone());
            let card = app.reads(&format!("/sandbox {ID}")).await;
            assert!(card.contains("Waiting for activation"), "{fault:?}: {card}");
            assert_eq!(app.kapso.requests().len() - before, 2, "{fault:?}");
            let line = app.command_lines().pop().unwrap();
            assert_eq!((&line["outcome"], &line["error"]), (&json!("shown"), &json!(null)));
        }
        nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn the_third_try_still_counts_and_there_is_no_fourth() {
    with_app(async |app| {
        app.kapso_answers(500, "");
        app.kapso_answers(502, "");
        let card = app.reads(&format!("/sandbox {ID}")).await;
        assert!(card.contains("Waiting for activation"), "{card}");
        assert_eq!(app.kapso.requests().len(), 3);

        for _ in 0..3 {
            app.kapso_answers(500, "");
        }
        reads_one_sentence(app, "three faults", "no_answer", "Kapso did not answer: status 500").await;
        assert_eq!(app.kapso.requests().len(), 6);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_kapso_does_not_know_is_refused() {
    plan()
        .with("KAPSO_API_KEY", "kapso-key-of-another-project")
        .run(async |app| {
            let error = "Kapso refused the key with status 401";
            reads_one_sentence(app, "another key", "key_refused", error).await;
        })
        .await;
}

#[tokio::test]
async fn kapso_that_hangs_is_given_up_after_three_tries() {
    plan()
        .set(|settings| settings.timing.kapso.attempt = Duration::from_millis(200))
        .run(async |app| {
            app.kapso.fail(Some(Fault::Hold));
            let error = "Kapso did not answer: the request failed: error sending request: operation timed out";
            reads_one_sentence(app, "hang", "no_answer", error).await;
            assert_eq!(app.kapso.requests().len(), 3);
        })
        .await;
}

#[tokio::test]
async fn all_tries_together_have_a_deadline_too() {
    plan()
        .set(|settings| settings.timing.kapso.total = Duration::from_millis(500))
        .run(async |app| {
            app.kapso.fail(Some(Fault::Hold));
            reads_one_sentence(app, "hang", "no_answer", "Kapso did not answer: no answer within").await;
            assert_eq!(app.kapso.requests().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn nobody_listens_where_kapso_should_be() {
    let closed = Closed::port().unwrap();
    plan()
        .with("KAPSO_BASE_URL", format!("http://{}/api/v1", closed.address))
        .run(async |app| {
            let error = "Kapso did not answer: the request failed: error sending request: ";
            reads_one_sentence(app, "refused", "no_answer", error).await;
        })
        .await;
}

#[tokio::test]
async fn kapso_speaks_no_tls_where_it_should() {
    let wire = Wire::start().await;
    wire.says(Script::answer("400 Bad Request", "zebra").unasked());
    let address = wire.url.as_str().replace("http", "https");
    plan()
        .with("KAPSO_BASE_URL", address)
        .run(async |app| {
            let error = "Kapso did not answer: the request failed: error sending request: client error (Connect): ";
            reads_one_sentence(app, "no tls", "no_answer", error).await;
            nothing_leaked(app);
        })
        .await;
}

#[tokio::test]
async fn kapsos_headers_do_not_leak_either() {
    with_app(async |app| {
        let fault = Fault::answer(StatusCode::BAD_REQUEST, "zebra")
            .with_header(HeaderName::from_static("x-request-id"), "zebra")
            .with_header(header::WWW_AUTHENTICATE, "zebra")
            .with_header(header::SET_COOKIE, "zebra=1");
        app.kapso.fail(Some(fault));
        let error = "Kapso answered in an unknown way: status 400";
        reads_one_sentence(app, "headers", "unintelligible", error).await;
        nothing_leaked(app);
    })
    .await;
}
