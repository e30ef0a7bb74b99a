//! The log: one line per command, nothing secret, and of libraries only warnings and errors.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use insta::assert_snapshot;
use jiff::SignedDuration;
use kapso_slack::demo::{Fault, Person};
use kapso_slack::telemetry::cap_libraries;
use proptest::prelude::*;
use serde_json::{Value, json};
use tracing::Level;
use tracing_subscriber::filter::Targets;

use crate::support::button_values::session_value;
use crate::support::late_replies::start_late_reply;
use crate::support::{ID, test_app, with_app};

const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";

/// A log line with fixed values for what differs between runs.
fn redacted(mut line: Value) -> Value {
    for field in ["timestamp", "request_id"] {
        assert!(line[field].is_string(), "{line}");
        line[field] = json!("…");
    }
    for field in ["kapso_ms", "total_ms"] {
        assert!(line[field].as_u64().unwrap() < 10_000, "{line}");
        line[field] = json!(0);
    }
    line
}

#[tokio::test]
async fn a_command_is_one_line_with_person_outcome_and_duration() {
    with_app(async |app| {
        app.command(SHOW).await;
        let lines = app.wait_for_commands(1).await;
        assert_eq!(
            redacted(lines[0].clone()),
            json!({
                "timestamp": "…",
                "level": "INFO",
                "target": "kapso_slack::dispatch",
                "message": "command",
                "request_id": "…",
                "team": "T0001ABCD",
                "channel": "C2147483705",
                "user": "U2147483697",
                "verb": "show",
                "session_id": ID,
                "outcome": "shown",
                "answer": "in_time",
                "kapso_ms": 0,
                "total_ms": 0,
            })
        );
        assert_eq!(app.log_lines().len(), 1, "nothing else is logged");
    })
    .await;
}

#[tokio::test]
async fn text_from_outside_stays_in_its_field_of_one_line() {
    with_app(async |app| {
        let text = "a\n{\"level\":\"ERROR\"}\r\t\0\u{1b}[31m\\ é\u{2028}";
        tracing::info!(target: "kapso_slack::dispatch", word = text, error = %text, shown = ?"\n", "written");
        tracing::info!(target: "kapso_slack::dispatch", count = -1, is_set = true, part = 0.5, none = f64::NAN, "written");
        let lines = app.log_lines();
        let [words, numbers] = &lines[..] else {
            panic!("{lines:?}");
        };
        assert_eq!((&words["word"], &words["error"]), (&json!(text), &json!(text)));
        assert_eq!((&words["shown"], &words["level"]), (&json!("\"\\n\""), &json!("INFO")));
        assert_eq!((&numbers["count"], &numbers["is_set"]), (&json!(-1), &json!(true)));
        assert_eq!((&numbers["part"], &numbers["none"]), (&json!(0.5), &json!(null)));
    })
    .await;
}

#[tokio::test]
async fn every_command_and_press_is_one_line() {
    with_app(async |app| {
        let card = app.command(SHOW).await;
        app.press(&card, "refresh").await;
        app.press_expecting_nothing(&card, "open").await;
        for command in [
            "/sandbox",
            "/sandbox help",
            "/sandbox 00000000-0000-0000-0000-000000000000",
            "/sandbox a-word-typed-by-mistake",
            "/sandbox list",
            "/sandbox new +12025550123",
            "/sandbox shwo",
            "/sandbox what is this",
            "/sandbox ../../etc",
        ] {
            app.command(command).await;
        }
        let lines = app.wait_for_commands(11).await;
        let shown: Vec<String> = lines
            .iter()
            .map(|line| {
                let word = |field: &str| line[field].as_str().unwrap_or("-").to_owned();
                format!("{} {} {}", word("verb"), word("session_id"), word("outcome"))
            })
            .collect();
        assert_snapshot!(shown.join("\n"), @"
        show 123e4567-e89b-12d3-a456-426614174000 shown
        refresh 123e4567-e89b-12d3-a456-426614174000 shown
        help - help
        help - help
        show 00000000-0000-0000-0000-000000000000 not_found
        show - not_found
        list - listed
        new - may_not_create
        unknown - not_understood
        unknown - not_understood
        unknown - not_understood
        ");
        let log = app.log_lines();
        assert_eq!(log.len(), 11, "{log:?}");
        assert!(
            !format!("{log:?}").contains("12025550123"),
            "what was typed is not logged"
        );
        assert!(!format!("{log:?}").contains("etc"), "what was typed is not logged");
        assert!(!format!("{log:?}").contains("mistake"), "what was typed is not logged");
    })
    .await;
}

#[tokio::test]
async fn the_line_has_the_time_spent_waiting_for_kapso() {
    test_app()
        .set(|settings| settings.reply_budget = Duration::from_millis(500))
        .run(async |app| {
            let exchange = start_late_reply(app).await;
            app.kapso.release_stalled_requests();
            app.late_reply(exchange).await;
            let line = &app.wait_for_commands(1).await[0];
            let (kapso, total) = (line["kapso_ms"].as_u64().unwrap(), line["total_ms"].as_u64().unwrap());
            assert!((400..10_000).contains(&kapso), "{line}");
            assert!(total >= kapso, "{line}");
            // A cached session takes no time of Kapso.
            let exchange = app.send(SHOW).await;
            assert!(exchange.message.is_some());
            let line = &app.wait_for_commands(2).await[1];
            assert!(line["kapso_ms"].as_u64().unwrap() < 400, "{line}");
        })
        .await;
}

/// Kapso answers at once in both attempts; the pause between them is not a wait for Kapso.
#[tokio::test]
async fn the_pause_before_a_retry_is_not_time_spent_waiting_for_kapso() {
    const PAUSE: u64 = 300;
    test_app()
        .set(|settings| settings.timing.kapso.min_retry_delay = Duration::from_millis(PAUSE))
        .run(async |app| {
            app.next_kapso_response(503, "");
            app.command(SHOW).await;
            let line = &app.wait_for_commands(1).await[0];
            let (kapso, total) = (line["kapso_ms"].as_u64().unwrap(), line["total_ms"].as_u64().unwrap());
            // Each is rounded down.
            assert!(total - kapso >= PAUSE - 1, "{line}");
        })
        .await;
}

#[tokio::test]
async fn the_wait_for_a_shared_request_is_time_spent_waiting_for_kapso() {
    test_app()
        .set(|settings| settings.reply_budget = Duration::from_millis(500))
        .run(async |app| {
            let first = start_late_reply(app).await;
            let second = app.expect_ack_only(SHOW).await;
            assert_eq!(app.kapso.requests().len(), 1, "they share it");
            app.kapso.release_stalled_requests();
            app.late_reply(first).await;
            app.late_reply(second).await;
            for line in app.wait_for_commands(2).await {
                assert!(line["kapso_ms"].as_u64().unwrap() >= 400, "{line}");
            }
        })
        .await;
}

#[tokio::test]
async fn every_line_about_watching_has_the_session() {
    with_app(async |app| {
        app.wait_for_store().await;
        let mut ids = Vec::new();
        for n in 0..21 {
            let id = format!("session-{n}");
            app.kapso.add_session(&id);
            app.command(&format!("/sandbox watch {id}")).await;
            ids.push(id);
        }
        app.kapso.activate("session-0");
        app.advance_clock(SignedDuration::from_secs(6));
        let card = app.command("/sandbox watch session-0").await;
        ids.push("session-0".to_owned());
        app.press_with_value(&card, "unwatch", &session_value("session-1"))
            .await;
        ids.push("session-1".to_owned());
        app.kapso.set_fault(Some(Fault::answer(StatusCode::UNAUTHORIZED, "")));
        app.advance_clock(SignedDuration::from_secs(6));
        app.press_with_value(&card, "unwatch", &session_value("session-2"))
            .await;
        ids.push("session-2".to_owned());
        let lines = app.wait_for_commands(ids.len()).await;
        let outcomes: BTreeSet<_> = lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
        assert!(outcomes.contains("too_many_watches"), "{outcomes:?}");
        for (line, id) in lines.iter().zip(ids) {
            assert_eq!(line["session_id"], id, "{line}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_request_id_in_a_reply_is_in_its_line() {
    with_app(async |app| {
        let mut seen = Vec::new();
        for command in ["/sandbox unknown-1", "/sandbox unknown-2", "/sandbox unknown-3"] {
            let text = app.command_text(command).await;
            let (_, read) = text.rsplit_once("Request ").unwrap();
            let line = app.command_log_lines().pop().unwrap();
            assert_eq!(line["request_id"], read, "{text}");
            assert_eq!(read.len(), 8, "short enough to be read out");
            seen.push(read.to_owned());
        }
        seen.dedup();
        assert_eq!(seen.len(), 3, "{seen:?}");
    })
    .await;
}

#[tokio::test]
async fn ids_cannot_forge_log_lines() {
    with_app(async |app| {
        app.person = Person {
            team: "T1\nlevel=ERROR".to_owned(),
            channel: "C1\u{1b}[31m".to_owned(),
            user: "U1\"}{".to_owned(),
            ..Person::default()
        };
        app.command(SHOW).await;
        // Fails unless every line is one JSON object.
        let lines = app.wait_for_commands(1).await;
        assert_eq!(lines[0]["team"], "T1\nlevel=ERROR");
        assert_eq!(app.log_lines().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn with_trace_libraries_log_only_warnings_and_errors() {
    with_app(async |app| {
        app.command(SHOW).await;
        app.kapso.fail_next_request(Fault::CloseConnection);
        app.command("/sandbox unknown-id").await;
        tracing::info!(target: "hyper_util::client", "zebra");
        tracing::debug!(target: "reqwest", "zebra");
        tracing::trace!(target: "rustls::client", "zebra");
        tracing::trace!(target: "kapso_slack", "ours");
        tracing::warn!(target: "rustls", "a library's warning");
        let log = app.log_lines();
        for line in &log {
            let ours = line["target"].as_str().unwrap().split("::").next() == Some("kapso_slack");
            assert!(ours || line["level"] == "WARN" || line["level"] == "ERROR", "{line}");
            assert_ne!(line["message"], "zebra");
        }
        for message in ["ours", "a library's warning"] {
            assert!(
                log.iter().any(|line| line["message"] == message),
                "{message} is missing: {log:?}"
            );
        }
    })
    .await;
}

#[test]
fn libraries_are_capped_with_every_filter() {
    for filter in [
        "trace",
        "debug",
        "hyper=trace",
        "hyper_util=debug,reqwest=trace,kapso_slack=trace",
        "kapso_slack=trace",
        "kapso=trace",
        "k=trace",
        "=trace",
        "trace,hyper::proto=trace",
        "info,rustls=info",
    ] {
        let capped = cap_libraries(&filter.parse().unwrap());
        for target in [
            "hyper",
            "hyper::proto::h1",
            "hyper_util::client::legacy",
            "reqwest::connect",
            "rustls",
            "kapso",
            "",
        ] {
            assert!(!capped.would_enable(target, &Level::INFO), "{filter} raises {target}");
        }
    }
}

#[test]
fn the_filter_applies_to_our_own_lines() {
    for (filter, target, level, shown) in [
        ("info", "kapso_slack::dispatch", Level::INFO, true),
        ("info", "kapso_slack::dispatch", Level::DEBUG, false),
        ("trace", "kapso_slack::kapso::client", Level::TRACE, true),
        ("warn,kapso_slack=debug", "kapso_slack::dispatch", Level::DEBUG, true),
        (
            "warn,kapso_slack::dispatch=debug",
            "kapso_slack::routes",
            Level::INFO,
            false,
        ),
        ("off", "kapso_slack::dispatch", Level::ERROR, false),
        ("off", "hyper", Level::ERROR, false),
        ("error", "hyper", Level::WARN, false),
        ("trace", "hyper", Level::WARN, true),
        ("info,hyper=error", "hyper", Level::WARN, false),
        ("info,hyper=off", "hyper::proto", Level::ERROR, false),
    ] {
        let capped = cap_libraries(&filter.parse().unwrap());
        assert_eq!(
            capped.would_enable(target, &level),
            shown,
            "{filter}: {target} at {level}"
        );
    }
}

proptest! {
    #[test]
    fn no_filter_raises_the_level_of_a_library(
        target in "(hyper|reqwest|rustls|h2|kapso|kapso|tokio)(::[a-z]{1,8}){0,2}",
        level in "(trace|debug|info|warn|error|off)",
        all in "(trace|debug|info|warn|error|off)",
    ) {
        let filter: Targets = format!("{all},{target}={level}").parse().unwrap();
        let capped = cap_libraries(&filter);
        for level in [Level::INFO, Level::DEBUG, Level::TRACE] {
            prop_assert!(!capped.would_enable(&target, &level), "{filter}");
        }
    }
}
