//! An activation link is shown only if it leads to WhatsApp. No other link is in the message.

use kapso_slack::demo::plain;
use kapso_slack::demo::rules::buttons;
use serde_json::{Value, json};

use crate::support::cards::{show_session, with_fresh_lookups};
use crate::support::{ID, TestApp};

/// Kapso's link, and the link as parsed, which is shown.
const WHATSAPP: &[(&str, &str)] = &[
    (
        "https://wa.me/12345678901?text=ABC123",
        "https://wa.me/12345678901?text=ABC123",
    ),
    ("https://wa.me", "https://wa.me/"),
    (
        "https://api.whatsapp.com/send?phone=12345678901&text=ABC123",
        "https://api.whatsapp.com/send?phone=12345678901&text=ABC123",
    ),
    ("HTTPS://WA.ME/1?text=ABC123", "https://wa.me/1?text=ABC123"),
    ("https://Api.WhatsApp.com/send", "https://api.whatsapp.com/send"),
    ("https://wa.me:443/1", "https://wa.me/1"),
    ("https://@wa.me/1", "https://wa.me/1"),
    ("  https://wa.me/1\n", "https://wa.me/1"),
    ("ht\ttps://wa\n.me/1", "https://wa.me/1"),
    ("https:wa.me/1", "https://wa.me/1"),
    ("https:\\\\wa.me\\1", "https://wa.me/1"),
    ("https://wa.me\\@evil.example/1", "https://wa.me/@evil.example/1"),
    ("https://wa.me/../1", "https://wa.me/1"),
    ("https://ｗａ.ｍｅ/1", "https://wa.me/1"),
    ("https://wa。me/1", "https://wa.me/1"),
    // WhatsApp does not use a fragment.
    ("https://wa.me/1#https://evil.example", "https://wa.me/1"),
    // What could end our own markup early is escaped.
    ("https://wa.me/1?text=<!channel>", "https://wa.me/1?text=%3C!channel%3E"),
    ("https://wa.me/1?text=a b\"c", "https://wa.me/1?text=a%20b%22c"),
    (
        "https://wa.me/1?text=ABC|press here",
        "https://wa.me/1?text=ABC|press%20here",
    ),
    (
        "https://wa.me/1?text=\u{202E}321CBA",
        "https://wa.me/1?text=%E2%80%AE321CBA",
    ),
];

const HOSTILE: &[&str] = &[
    "http://wa.me/MARK",
    "ftp://wa.me/MARK",
    "javascript:alert('MARK')",
    "javascript://wa.me/%0Aalert('MARK')",
    "data:text/html,MARK",
    "whatsapp://send?text=MARK",
    "slack://channel?id=MARK",
    "intent://wa.me/MARK#Intent;scheme=https;end",
    "file://wa.me/MARK",
    "https://evil.example/MARK",
    "https://wa.me.evil.example/MARK",
    "https://evil.example/wa.me/MARK",
    "https://evil.example/?https://wa.me/MARK",
    "https://evil.example#https://wa.me/MARK",
    "https://evilwa.me/MARK",
    "https://www.wa.me/MARK",
    "https://web.whatsapp.com/MARK",
    "https://whatsapp.com/MARK",
    "https://api.whatsapp.com.evil.example/MARK",
    "https://chat.whatsapp.com/MARK",
    "https://wa.me./MARK",
    "https://wa.me../MARK",
    "https://.wa.me/MARK",
    "https://wa.me@evil.example/MARK",
    "https://wa.me:443@evil.example/MARK",
    "https://user@wa.me/MARK",
    "https://user:secret@wa.me/MARK",
    "https://:secret@wa.me/MARK",
    "https://evil.example\\@wa.me/MARK",
    "https://evil.example%2F@wa.me/MARK",
    "https://wa.me:80/MARK",
    "https://wa.me:8443/MARK",
    "https://api.whatsapp.com:444/MARK",
    "https://wа.me/MARK",
    "https://wa.mе/MARK",
    "https://wa\u{3BF}.me/MARK",
    "https://xn--w-7sb.me/MARK",
    "https://wa.m\u{E9}/MARK",
    "https://wa%2Eevil.me/MARK",
    "https://wa.me%2Eevil.example/MARK",
    "https://wa.me%00.evil.example/MARK",
    "https://wa.me;evil.example/MARK",
    "https://[::1]/MARK",
    "https://2130706433/MARK",
    "https://wa/MARK",
    "wa.me/MARK",
    "//wa.me/MARK",
    "/MARK",
    "https://",
    "https:///",
    "https://wa.me:99999/MARK",
    "MARK",
    "<https://evil.example/MARK|https://wa.me/1>",
    "https://evil.example/MARK|https://wa.me/1",
];

#[tokio::test]
async fn a_link_to_whatsapp_is_shown_as_parsed() {
    with_fresh_lookups(async |app| {
        for (given, understood) in WHATSAPP {
            let card = linked_to(app, given).await;
            assert_eq!(links(&card), [*understood], "{given:?}");
            let spoken = understood.replace('&', "&amp;").replace('|', "%7C");
            let text = card["text"].as_str().unwrap();
            assert!(
                text.ends_with(&format!(" Activate it: <{spoken}>.")),
                "{given:?}: {text}"
            );
            let card = plain::text(&card);
            assert!(!card.contains("does not lead to WhatsApp"), "{given:?}: {card}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_link_to_another_host_is_not_shown_but_the_code_is() {
    with_fresh_lookups(async |app| {
        app.kapso.allow_undocumented();
        for given in HOSTILE {
            let card = linked_to(app, given).await;
            is_not_shown(&card, given, &["MARK", "evil", "://", "wa.me", "secret"]);
            app.kapso.set_field(ID, "activation_code", Value::Null);
            let card = plain::text(&show_session(app).await);
            assert!(card.contains("and there is no code"), "{given:?}: {card}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_link_has_the_length_limit_of_a_button() {
    with_fresh_lookups(async |app| {
        let link = |length: usize| format!("{:x<length$}", "https://wa.me/1?text=");
        let card = linked_to(app, &link(3_000)).await;
        assert_eq!(links(&card), [link(3_000)]);
        let card = linked_to(app, &link(3_001)).await;
        is_not_shown(&card, "3,001 characters", &["xxx", "://"]);
        // Percent-encoded, it would be three times as long.
        let card = linked_to(app, &format!("https://wa.me/1?text={}x", " ".repeat(1_500))).await;
        is_not_shown(&card, "1,500 spaces", &["%20", "://"]);
    })
    .await;
}

#[tokio::test]
async fn a_long_link_is_in_the_button_only() {
    with_fresh_lookups(async |app| {
        let link = |ampersands: usize| format!("https://wa.me/1?text=ABC123{}", "&x".repeat(ampersands));
        let card = linked_to(app, &link(200)).await;
        assert!(card["text"].as_str().unwrap().ends_with("&amp;x&amp;x>."), "{card}");
        // Each `&` takes five characters of the text: this would be 8,400 of its 4,000.
        let card = linked_to(app, &link(1_400)).await;
        assert_eq!(links(&card), [link(1_400)]);
        let text = card["text"].as_str().unwrap();
        assert!(text.contains("is waiting for activation"), "{text}");
        assert!(text.ends_with(" Its code: ABC123."), "{text}");
    })
    .await;
}

#[tokio::test]
async fn only_a_pending_session_shows_its_link() {
    with_fresh_lookups(async |app| {
        app.kapso.allow_undocumented();
        for status in ["active", "expired", "superseded", "paused_by_operator"] {
            app.kapso.set_field(ID, "status", status.into());
            let card = show_session(app).await.to_string();
            assert!(!card.contains("wa.me"), "{status}: {card}");
        }
    })
    .await;
}

/// Looks up a pending session with this activation link.
async fn linked_to(app: &TestApp, link: &str) -> Value {
    app.kapso.add_session(ID);
    app.kapso.set_field(ID, "activation_link", json!(link));
    show_session(app).await
}

fn links(card: &Value) -> Vec<&str> {
    buttons(card).filter_map(|button| button["url"].as_str()).collect()
}

/// Checks that the card has no link and no part of the given one, says so, and shows the code instead.
fn is_not_shown(card: &Value, given: &str, parts: &[&str]) {
    assert!(links(card).is_empty(), "{given:?}: {card}");
    let all = card.to_string();
    for part in parts {
        assert!(!all.contains(part), "{given:?}: {part} is in {all}");
    }
    assert!(
        card["text"].as_str().unwrap().ends_with(" Its code: ABC123."),
        "{given:?}: {card}"
    );
    let card = plain::text(card);
    assert!(card.contains("Code: ABC123"), "{given:?}: {card}");
    assert!(
        card.contains("does not lead to WhatsApp, so it is not shown"),
        "{given:?}: {card}"
    );
    assert!(!card.contains("Open the link"), "{given:?}: {card}");
}
