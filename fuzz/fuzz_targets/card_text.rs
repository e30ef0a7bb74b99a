//! Foreign text in every field of a card: no mention, no link of a stranger's and no layout comes out.
#![no_main]

use jiff::Timestamp;
use kapso_slack::cards::session::{Watched, card};
use kapso_slack::cards::{RenderContext, ReplyTarget};
use kapso_slack::kapso::Session;
use kapso_slack::slack::button_value::{Origin, ValueSigner};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

/// The check that the tests use. It knows foreign text by `MARK`.
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../tests/it/support/inert_text.rs"]
mod inert_text;

mod support {
    /// The tests check the form of a message with a crate that is left out here.
    pub fn validate(_: &serde_json::Value) {}
}

fuzz_target!(|input: &str| {
    // The first tilde is where the mark goes.
    let (before, after) = input.split_once('~').unwrap_or((input, ""));
    let shared = input.len() % 2 == 1;
    let text = format!("{before}MARK{after}");
    for status in [text.as_str(), "pending_activation", "active", "expired"] {
        let session = |link: &str| {
            let body = json!({"data": {
                "id": "123e4567-e89b-12d3-a456-426614174000",
                "status": status,
                "phone_number": text,
                "activation_code": text,
                "activation_link": link,
                "agent": {"name": text},
                "created_at": text,
                "expires_at": text,
            }});
            Session::parse_any(body.to_string().as_bytes()).expect("a session")
        };
        let session = match session(&text) {
            // A link to WhatsApp is shown as an address, so that the mark in it would be outside of texts.
            Session {
                activation_link: Some(Ok(_)),
                ..
            } => session(&text.replace("MARK", "mark")),
            session => session,
        };
        let context = RenderContext {
            now: Timestamp::from_second(1_795_000_000).expect("a time"),
            command: "/sandbox",
            request_id: "1f9a0c3e",
            target: if shared {
                ReplyTarget::SharedCard
            } else {
                ReplyTarget::Command
            },
            origin: &Origin::default(),
            signer: &ValueSigner::new(&["secret".into()]),
            project: None,
            qr_addresses: None,
            may_create: true,
        };
        let message = serde_json::to_value(card(&session, Watched::No, &context)).expect("JSON");
        inert_text::expect_inert(&message, "a card");
    }
});
