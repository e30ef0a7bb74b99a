//! Phone numbers in every form in which people type and paste them. An unclear number creates no session.

use serde_json::{Value, json};

use crate::support::spelling::expect_only_text;
use crate::support::{ID, TestApp, test_app};

/// The text after `new`, and the phone and agent of the created session. `ID` is a UUID.
const SPELLINGS: &[(&str, &str, Option<&str>)] = &[
    ("+12345678901", "+12345678901", None),
    ("+1 (234) 567-8901", "+12345678901", None),
    ("+1 234 567 8901", "+12345678901", None),
    ("+1-234-567-8901", "+12345678901", None),
    ("+1.234.567.8901", "+12345678901", None),
    ("+1/234/567/8901", "+12345678901", None),
    ("+1(234)5678901", "+12345678901", None),
    ("(+1) 234 567 8901", "+12345678901", None),
    ("+1 234 567 - 8901", "+12345678901", None),
    ("+ 1 234 567 8901", "+12345678901", None),
    ("0012345678901", "+12345678901", None),
    ("00 1 234 567 8901", "+12345678901", None),
    ("0049 151 12345678", "+4915112345678", None),
    ("+49 (0)151 12345678", "+4915112345678", None),
    ("+49 0151 12345678", "+4915112345678", None),
    ("+44 (0)20 7946 0958", "+442079460958", None),
    // In Italy the 0 is dialled from everywhere.
    ("+39 06 12345678", "+390612345678", None),
    ("+54 9 11 2345-6789", "+5491123456789", None),
    // As chats, links and keyboards write it.
    ("<tel:+12345678901|+1 234 567 8901>", "+12345678901", None),
    ("<tel:+12345678901>", "+12345678901", None),
    ("tel:+1-234-567-8901", "+12345678901", None),
    ("TEL:+12345678901", "+12345678901", None),
    ("`+12345678901`", "+12345678901", None),
    ("“+1 234 567 8901”", "+12345678901", None),
    ("*+12345678901*", "+12345678901", None),
    ("+1\u{A0}234\u{202F}567\u{2009}8901", "+12345678901", None),
    ("+１２３４５６７８９０１", "+12345678901", None),
    ("＋１ （２３４） ５６７－８９０１", "+12345678901", None),
    ("+١٢٣٤٥٦٧٨٩٠١", "+12345678901", None),
    ("\u{61C}+۱۲۳۴۵۶۷۸۹۰۱", "+12345678901", None),
    ("~+12345678901~", "+12345678901", None),
    ("_+1 234 567 8901_", "+12345678901", None),
    ("&lt;+12345678901&gt;", "+12345678901", None),
    ("+1 <tel:2345678901|234 567 8901>", "+12345678901", None),
    ("<tel:+12345678901|a friend's>", "+12345678901", None),
    ("+1‑234–567−8901", "+12345678901", None),
    ("\u{202A}+1 234 567 8901\u{202C}", "+12345678901", None),
    ("\u{200B}+1234\u{AD}5678901", "+12345678901", None),
    ("\t+12345678901\r\n", "+12345678901", None),
    // With an agent.
    ("+12345678901 agent-123abc", "+12345678901", Some("agent-123abc")),
    ("+1 (234) 567-8901 agent-123abc", "+12345678901", Some("agent-123abc")),
    ("+12345678901, agent-123abc", "+12345678901", Some("agent-123abc")),
    ("+12345678901 `agent-123abc`", "+12345678901", Some("agent-123abc")),
    (
        "<tel:+12345678901|+12345678901> agent-123abc",
        "+12345678901",
        Some("agent-123abc"),
    ),
    (
        "+12345678901 UUID",
        "+12345678901",
        Some("12345678-1234-1234-1234-123456789012"),
    ),
    ("agent-123abc +12345678901", "+12345678901", Some("agent-123abc")),
    (
        "UUID +1 234 567 8901",
        "+12345678901",
        Some("12345678-1234-1234-1234-123456789012"),
    ),
];

/// Typed text, and the correction.
const UNCLEAR: &[(&str, &str)] = &[
    ("new", "NO PHONE"),
    ("NEW", "NO PHONE"),
    ("new agent-123abc", "NO PHONE"),
    ("new ID", "NO PHONE"),
    ("new steve", "NO PHONE"),
    ("new +", "NO PHONE"),
    ("new 00", "NO PHONE"),
    ("new +1234", "NO PHONE"),
    ("new +999123456789", "NO PHONE"),
    ("new +123456789012345678901234567890", "NO PHONE"),
    ("new +1 234 567 8901 22", "NO PHONE"),
    ("new +12345678901 +12345678902", "NO PHONE"),
    ("new ++12345678901", "NO PHONE"),
    ("new 1+2345678901", "NO PHONE"),
    ("new +1 800 FLOWERS", "NO PHONE"),
    ("new +1 234 567 8901x22", "NO PHONE"),
    ("new <@U012AB>", "NO PHONE"),
    ("new <!channel>", "NO PHONE"),
    // Unknown country.
    ("new 0151 12345678", "NO PHONE"),
    ("new (020) 7946 0958", "NO PHONE"),
    ("new 12345678901", "+12345678901"),
    ("new 1 (234) 567-8901 agent-1", "+12345678901"),
    ("new 49 151 12345678", "+4915112345678"),
    ("new 2025550123", "+2025550123"),
    ("create", "NO PHONE"),
    ("create session", "NO PHONE"),
    // Mexico's mobile numbers as WhatsApp still shows them.
    ("new +52 1 55 1234 5678", "+525512345678"),
    // The last digits may not be part of the number.
    ("new +49151123456 78", "new +4915112345678"),
    ("new +49151123456 78 agent-1", "new +4915112345678 agent-1"),
    // Several words may be the agent.
    ("new session +12345678901", "new +12345678901"),
    (
        "new for +12345678901 with agent-123abc",
        "new +12345678901 agent-123abc",
    ),
    ("new +12345678901 agent agent-123abc", "new +12345678901 agent-123abc"),
    ("new +12345678901 for steve", "new +12345678901"),
    ("new +1 234 agent-1 567 8901", "new +12345678901"),
    ("new +12345678901 ../admin", "new +12345678901"),
    ("new +12345678901 a/b", "new +12345678901"),
    ("new +12345678901 <!channel>", "new +12345678901"),
    ("nwe +12345678901", "new +12345678901"),
    ("create +12345678901", "new +12345678901"),
    ("create +1 234 567 8901 agent-1", "new +12345678901 agent-1"),
];

#[tokio::test]
async fn every_spelling_of_a_phone_number_creates_a_session_for_it() {
    test_app()
        .with_creation()
        .with("DEFAULT_AGENT", "")
        .run(async |app| {
            app.kapso.accept_missing_agent();
            app.kapso
                .set_field(ID, "agent", json!({"id": "agent-123abc", "name": "One"}));
            app.kapso.add_session("another");
            let uuid = "12345678-1234-1234-1234-123456789012";
            app.kapso
                .set_field("another", "agent", json!({"id": uuid, "name": "Two"}));
            for (spelling, phone, agent) in SPELLINGS {
                // Past the confirmation and the rate limit's window.
                app.advance_clock(jiff::SignedDuration::from_secs(61));
                let before = app.kapso.create_requests().len();
                let typed = format!("/sandbox new {}", spelling.replace("UUID", uuid));
                let card = app.command(&typed).await.message;
                let created = app.kapso.create_requests().split_off(before);
                assert_eq!(created, [body(phone, *agent)], "{spelling:?}: {card}");
                let text = card["text"].as_str().unwrap();
                assert!(text.contains(&format!("of {phone} with")), "{spelling:?}: {text}");
            }
        })
        .await;
}

#[tokio::test]
async fn an_unclear_number_is_corrected_and_creates_nothing() {
    test_app()
        .with_creation()
        // With it, `new` alone opens a form.
        .without_bot_token()
        .run(async |app| {
            for (typed, instead) in UNCLEAR {
                let answer = app.command(&format!("/sandbox {}", typed.replace("ID", ID))).await;
                asked_nothing(app, typed);
                let expected = match *instead {
                    "NO PHONE" => "I couldn't read a phone number. Start with `+` and the country code, for \
                                   example `/sandbox new +12025550123`. You can add an agent ID after it."
                        .to_owned(),
                    instead => format!("Did you mean `/sandbox {instead}`?"),
                };
                expect_only_text(&answer, &expected, typed);
            }
        })
        .await;
}

fn asked_nothing(app: &TestApp, typed: &str) {
    assert_eq!(app.kapso.requests(), Vec::<String>::new(), "{typed:?} made us ask");
}

/// The body of the request to Kapso.
fn body(phone: &str, agent: Option<&str>) -> Value {
    let mut wanted = json!({"phone_number": phone});
    if let Some(agent) = agent {
        wanted["agent_id"] = agent.into();
    }
    json!({"whatsapp_sandbox_session": wanted})
}
