//! An answer that is no session becomes one sentence; a session with odd fields becomes a card all the same.

use http::StatusCode;
use jiff::SignedDuration;
use kapso_slack::demo::Fault;
use serde_json::{Value, json};

use crate::support::kapso_errors::{expect_nothing_leaked, expect_one_sentence};
use crate::support::{ID, TestApp, with_app};

const UNKNOWN: &str = "Kapso sent an unexpected response: ";
const EOF: &str = "Eof error in its JSON at line ";
const SYNTAX: &str = "Syntax error in its JSON at line ";
const DATA: &str = "Data error in its JSON at line ";

/// A session as an answer, with these fields set.
fn session(fields: &Value) -> String {
    let mut data = json!({
        "id": ID,
        "status": "active",
        "phone_number": "+12345678901",
        "agent": {"name": "Customer Support Agent"},
        "expires_at": "2026-11-24T10:00:00Z",
    });
    for (name, value) in fields.as_object().unwrap() {
        data[name] = value.clone();
    }
    json!({ "data": data }).to_string()
}

/// Kapso says 200 and this, and people read one sentence.
async fn is_unintelligible(app: &TestApp, name: &str, body: impl Into<Vec<u8>>, error: &str) {
    let before = app.kapso.requests().len();
    app.kapso.set_fault(Some(Fault::answer(StatusCode::OK, body.into())));
    expect_one_sentence(app, name, "unintelligible", &format!("{UNKNOWN}{error}")).await;
    assert_eq!(app.kapso.requests().len() - before, 1, "{name}");
}

#[tokio::test]
async fn a_200_without_a_session_becomes_one_sentence() {
    with_app(async |app| {
        for (body, error) in [
            ("", EOF),
            ("  ", EOF),
            ("<!DOCTYPE html><title>zebra</title>", SYNTAX),
            ("zebra", SYNTAX),
            (r#"{"data":{"id":"#, EOF),
            (r"{'data':'zebra'}", SYNTAX),
            ("null", DATA),
            ("4711", DATA),
            ("true", DATA),
            (r#""zebra""#, DATA),
            ("{}", DATA),
            ("[]", DATA),
            (r#"{"error":"zebra"}"#, DATA),
            (r#"{"data":null}"#, DATA),
            (r#"{"data":"zebra"}"#, DATA),
            (r#"{"data":{}}"#, DATA),
            (r#"{"data":[{"id":"zebra","status":"zebra"}]}"#, DATA),
            (r#"{"id":"zebra","status":"zebra"}"#, DATA),
            (r#"{"data":{"id":"zebra"}}"#, DATA),
            (r#"{"data":{"status":"zebra"}}"#, DATA),
            (r#"{"data":{"id":"zebra","status":"zebra","status":"active"}}"#, DATA),
        ] {
            is_unintelligible(app, body, body, error).await;
        }
        let whole = session(&json!({}));
        let utf16 = whole.encode_utf16().flat_map(u16::to_le_bytes);
        is_unintelligible(app, "UTF-16", utf16.collect::<Vec<u8>>(), SYNTAX).await;
        is_unintelligible(app, "a byte order mark", format!("\u{FEFF}{whole}"), SYNTAX).await;
        is_unintelligible(app, "more behind it", whole + "zebra", SYNTAX).await;
        let bad_utf8 = [b"{\"data\":{\"id\":\"zebra\",\"status\":\"\xFF", "\"}}".as_bytes()].concat();
        is_unintelligible(app, "bad UTF-8", bad_utf8, SYNTAX).await;
        expect_nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn a_session_without_its_id_or_a_status_becomes_one_sentence() {
    const NO_ID: &str = "its id is not a string";
    const ANOTHER: &str = "it is about another session";
    const NO_STATUS: &str = "its status is not a string";
    with_app(async |app| {
        for (field, value, error) in [
            ("id", json!(null), NO_ID),
            ("id", json!(4711), NO_ID),
            ("id", json!([ID]), NO_ID),
            ("id", json!({"zebra": ID}), NO_ID),
            ("id", json!(""), ANOTHER),
            ("id", json!("zebra"), ANOTHER),
            ("id", json!(format!("{ID}0")), ANOTHER),
            ("id", json!(format!(" {ID}")), ANOTHER),
            ("status", json!(null), NO_STATUS),
            ("status", json!(4711), NO_STATUS),
            ("status", json!(["active"]), NO_STATUS),
            ("status", json!({"zebra": 1}), NO_STATUS),
            ("status", json!(""), NO_STATUS),
            ("status", json!(" \t"), NO_STATUS),
        ] {
            let name = format!("{field} {value}");
            is_unintelligible(app, &name, session(&json!({field: value})), error).await;
        }
        expect_nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn deeply_nested_json_is_rejected() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    with_app(async |app| {
        is_unintelligible(app, "all over", deep.clone(), DATA).await;
        is_unintelligible(app, "never closed", "[".repeat(200_000), EOF).await;
        is_unintelligible(app, "data", format!(r#"{{"data":{deep}}}"#), DATA).await;
        let id = format!(r#"{{"data":{{"id":{deep},"status":"zebra"}}}}"#);
        is_unintelligible(app, "id", id, "its id is not a string").await;
        for (name, fields) in [
            ("an unknown field", format!(r#"}},"zebra":{deep}"#)),
            ("an unknown field of the session", format!(r#","zebra":{deep}}}"#)),
            ("the agent", format!(r#","agent":{deep}}}"#)),
            ("the agent's name", format!(r#","agent":{{"name":{deep}}}}}"#)),
        ] {
            app.advance_clock(SignedDuration::from_secs(61));
            let body = format!(r#"{{"data":{{"id":"{ID}","status":"active"{fields}}}"#);
            app.kapso.set_fault(Some(Fault::answer(StatusCode::OK, body)));
            let card = app.command_text(&format!("/sandbox {ID}")).await;
            assert!(card.contains("🟢 Active"), "{name}: {card}");
        }
    })
    .await;
}

#[tokio::test]
async fn no_more_than_256_kib_are_read() {
    const TOO_LARGE: &str = "it is over 256 KiB";
    let body = |length: usize| {
        let empty = session(&json!({"zebra": ""})).len();
        session(&json!({"zebra": "z".repeat(length - empty)}))
    };
    with_app(async |app| {
        app.kapso
            .set_fault(Some(Fault::answer(StatusCode::OK, body(256 * 1024))));
        let card = app.command_text(&format!("/sandbox {ID}")).await;
        assert!(card.contains("🟢 Active"), "{card}");
        is_unintelligible(app, "one byte more", body(256 * 1024 + 1), TOO_LARGE).await;
    })
    .await;
}

#[tokio::test]
async fn a_malformed_field_affects_only_itself() {
    const NO_PHONE: &str = "Phone: not given";
    const NO_AGENT: &str = "Agent: none assigned";
    const STILL: &str = "Agent: Customer Support Agent\nPhone: +12345678901";
    with_app(async |app| {
        for (field, value, shows) in [
            ("phone_number", json!(null), NO_PHONE),
            ("phone_number", json!(4711), NO_PHONE),
            ("phone_number", json!({"zebra": 1}), NO_PHONE),
            ("phone_number", json!(" "), NO_PHONE),
            ("agent", json!(null), NO_AGENT),
            ("agent", json!("zebra"), NO_AGENT),
            ("agent", json!({}), NO_AGENT),
            ("agent", json!([{"name": "zebra"}]), NO_AGENT),
            ("agent", json!({"name": 4711}), NO_AGENT),
            ("agent", json!({"name": null}), NO_AGENT),
            ("activation_code", json!(4711), STILL),
            ("activation_link", json!(4711), STILL),
            ("activation_link", json!(["zebra"]), STILL),
            ("created_at", json!(4711), STILL),
            ("created_at", json!("zebra"), STILL),
            ("activated_at", json!({}), STILL),
            ("zebra", json!({"zebra": [1, null]}), STILL),
            ("", json!(1e300), STILL),
        ] {
            app.advance_clock(SignedDuration::from_secs(61));
            let body = session(&json!({field: value}));
            app.kapso.set_fault(Some(Fault::answer(StatusCode::OK, body)));
            let card = app.command_text(&format!("/sandbox {ID}")).await;
            assert!(card.contains("🟢 Active"), "{field} {value}: {card}");
            assert!(card.contains(shows), "{field} {value}: {card}");
            assert_eq!(
                app.command_log_lines().pop().unwrap()["outcome"],
                "shown",
                "{field} {value}"
            );
        }
        expect_nothing_leaked(app);
    })
    .await;
}

#[tokio::test]
async fn an_expiry_that_cannot_be_read_is_left_out() {
    with_app(async |app| {
        for expires_at in [
            json!(null),
            json!(1_795_000_000),
            json!("zebra"),
            json!("tomorrow"),
            json!("2026-13-45T99:00:00Z"),
            json!("2026-11-24"),
            json!("+999999-01-01T00:00:00Z"),
            json!({"at": 1}),
            json!(true),
        ] {
            app.advance_clock(SignedDuration::from_secs(61));
            let body = session(&json!({"expires_at": expires_at}));
            app.kapso.set_fault(Some(Fault::answer(StatusCode::OK, body)));
            let card = app.command_text(&format!("/sandbox {ID}")).await;
            assert!(card.contains("🟢 Active"), "{expires_at}: {card}");
            assert!(!card.contains("Expire"), "{expires_at}: {card}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_upper_case_uuid_in_a_response_is_accepted() {
    with_app(async |app| {
        let body = session(&json!({"id": ID.to_uppercase()}));
        app.kapso.set_fault(Some(Fault::answer(StatusCode::OK, body)));
        let card = app.command_text(&format!("/sandbox {ID}")).await;
        assert!(card.ends_with(&format!("Session {ID}")), "{card}");
    })
    .await;
}
