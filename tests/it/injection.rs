//! Foreign words never act: whatever Kapso's fields hold mentions nobody, forges no link and breaks no layout.

use serde_json::json;

use crate::support::cards::{looks_up, with_app};
use crate::support::inert_text::WORDS;
use crate::support::inert_text::{letters, stays_words};
use crate::support::{ID, TestApp};

/// One field holds the words, in the shape Kapso gives it.
const FIELDS: &[&str] = &[
    "status",
    "phone_number",
    "activation_code",
    "activation_link",
    "agent",
    "expires_at",
];

#[tokio::test]
async fn words_in_any_field_stay_words() {
    with_app(async |app| {
        for words in WORDS {
            for field in FIELDS {
                app.kapso.add(ID);
                hold(app, field, words);
                stays_words(&looks_up(app).await, &format!("{field}: {words:?}"));
            }
        }
    })
    .await;
}

#[tokio::test]
async fn words_in_all_fields_stay_words_on_every_kind_of_card() {
    with_app(async |app| {
        for words in WORDS {
            app.kapso.add(ID);
            for field in FIELDS {
                hold(app, field, words);
            }
            stays_words(&looks_up(app).await, words);
            app.kapso.set(ID, "status", "pending_activation".into());
            let card = app.types(&format!("/sandbox {ID}")).await;
            stays_words(&card.message, words);
            let fresh = app.presses(&card, "refresh").await;
            stays_words(&fresh.message, words);
            let shared = app.slack.shared_earlier(card.message);
            let fresh = app.presses(&shared, "refresh").await;
            stays_words(&fresh.message, words);
        }
    })
    .await;
}

#[tokio::test]
async fn a_hundred_thousand_characters_are_cut_to_what_slack_takes() {
    with_app(async |app| {
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
                app.kapso.add(ID);
                let words: String = unit.chars().cycle().take(100_000).collect();
                // Kapso's whole answer may have 256 KiB.
                hold(app, field, &words[..words.floor_char_boundary(250_000)]);
                let card = looks_up(app).await;
                assert_eq!(card["blocks"][0]["type"], "header", "{field}: {card}");
                stays_words(&card, &format!("{field}: 100,000 of {unit:?}"));
                let size = card.to_string().len();
                assert!(size < 6_000, "{field}: {size} bytes of {unit:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn words_that_are_cut_end_with_an_ellipsis() {
    with_app(async |app| {
        app.kapso.set(ID, "agent", json!({"name": "x".repeat(200)}));
        let card = looks_up(app).await;
        let shown = format!("{}…", "x".repeat(149));
        assert!(letters(&card).contains(&shown.as_str()), "{card}");
        let spoken = format!("with the agent {}… is waiting", "x".repeat(79));
        assert!(card["text"].as_str().unwrap().contains(&spoken), "{card}");
    })
    .await;
}

#[tokio::test]
async fn half_a_character_costs_only_its_field() {
    with_app(async |app| {
        for half in [r"\ud83d", r"\udc00", r"\ud83dMARK", r"MARK\udc00\ud83d"] {
            let body = format!(
                r#"{{"data":{{"id":"{ID}","status":"pending_activation",
                    "phone_number":"{half}","activation_code":"{half}","activation_link":"{half}",
                    "agent":{{"name":"{half}"}},"expires_at":"{half}","created_at":"{half}"}}}}"#
            );
            app.kapso_answers(200, body);
            let halved = looks_up(app).await;
            app.kapso.put(ID, json!({"id": ID, "status": "pending_activation"}));
            assert_eq!(halved, looks_up(app).await, "{half}");
        }
    })
    .await;
}

fn hold(app: &TestApp, field: &str, words: &str) {
    let value = match field {
        "agent" => json!({"name": words}),
        _ => json!(words),
    };
    app.kapso.set(ID, field, value);
}
