//! Foreign text is inert: no field of Kapso's can mention a person, forge a link or break the layout.

use serde_json::json;

use crate::support::cards::{show_session, with_fresh_lookups};
use crate::support::inert_text::{WORDS, expect_inert, letters};
use crate::support::{ID, TestApp};

/// Sets one field to this text, in the form of Kapso's JSON.
const FIELDS: &[&str] = &[
    "status",
    "phone_number",
    "activation_code",
    "activation_link",
    "agent",
    "expires_at",
];

#[tokio::test]
async fn text_in_any_field_is_inert() {
    with_fresh_lookups(async |app| {
        app.kapso.allow_undocumented();
        for words in WORDS {
            for field in FIELDS {
                app.kapso.add_session(ID);
                hold(app, field, words);
                expect_inert(&show_session(app).await, &format!("{field}: {words:?}"));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn text_in_all_fields_is_inert_on_every_kind_of_card() {
    with_fresh_lookups(async |app| {
        app.kapso.allow_undocumented();
        for words in WORDS {
            app.kapso.add_session(ID);
            for field in FIELDS {
                hold(app, field, words);
            }
            expect_inert(&show_session(app).await, words);
            app.kapso.set_field(ID, "status", "pending_activation".into());
            let card = app.command(&format!("/sandbox {ID}")).await;
            expect_inert(&card.message, words);
            let fresh = app.press(&card, "refresh").await;
            expect_inert(&fresh.message, words);
            let shared = app.slack.add_shared_message(card.message);
            let fresh = app.press(&shared, "refresh").await;
            expect_inert(&fresh.message, words);
        }
    })
    .await;
}

#[tokio::test]
async fn long_text_is_cut_to_slacks_limits() {
    with_fresh_lookups(async |app| {
        app.kapso.allow_undocumented();
        for unit in [
            "MARK ",
            "MARK",
            "<!channel>",
            "&",
            "🙂",
            "e\u{301}",
            "*",
            "x.com ",
            "\u{202E}",
        ] {
            for field in FIELDS {
                app.kapso.add_session(ID);
                let words: String = unit.chars().cycle().take(100_000).collect();
                // A whole response may have 256 KiB.
                hold(app, field, &words[..words.floor_char_boundary(250_000)]);
                let card = show_session(app).await;
                assert_eq!(card["blocks"][0]["type"], "header", "{field}: {card}");
                expect_inert(&card, &format!("{field}: 100,000 of {unit:?}"));
                let size = card.to_string().len();
                assert!(size < 6_000, "{field}: {size} bytes of {unit:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn cut_text_ends_with_an_ellipsis() {
    with_fresh_lookups(async |app| {
        app.kapso.set_field(ID, "agent", json!({"name": "x".repeat(200)}));
        let card = show_session(app).await;
        let shown = format!("{}…", "x".repeat(149));
        assert!(letters(&card).contains(&shown.as_str()), "{card}");
        let spoken = format!("with the agent {}… is waiting", "x".repeat(79));
        assert!(card["text"].as_str().unwrap().contains(&spoken), "{card}");
    })
    .await;
}

#[tokio::test]
async fn an_unpaired_surrogate_affects_only_its_field() {
    with_fresh_lookups(async |app| {
        app.kapso.allow_undocumented();
        for half in [r"\ud83d", r"\udc00", r"\ud83dMARK", r"MARK\udc00\ud83d"] {
            let body = format!(
                r#"{{"data":{{"id":"{ID}","status":"pending_activation",
                    "phone_number":"{half}","activation_code":"{half}","activation_link":"{half}",
                    "agent":{{"name":"{half}"}},"expires_at":"{half}","created_at":"{half}"}}}}"#
            );
            app.next_kapso_response(200, body);
            let halved = show_session(app).await;
            app.kapso
                .put_session(ID, json!({"id": ID, "status": "pending_activation"}));
            assert_eq!(halved, show_session(app).await, "{half}");
        }
    })
    .await;
}

fn hold(app: &TestApp, field: &str, words: &str) {
    let value = match field {
        "agent" => json!({"name": words}),
        _ => json!(words),
    };
    app.kapso.set_field(ID, field, value);
}
