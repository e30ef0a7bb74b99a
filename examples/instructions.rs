//! Does one part of a command's work many times, for `scripts/instructions`, which counts the instructions of it.
//!
//! `instructions <part> <times>`
#![expect(clippy::expect_used, reason = "a part that fails cannot be counted")]

use std::hint::black_box;

use http::HeaderMap;
use jiff::Timestamp;
use kapso_slack::cards::session::{Watched, card};
use kapso_slack::cards::{RenderContext, ReplyTarget};
use kapso_slack::commands;
use kapso_slack::kapso::Session;
use kapso_slack::slack::button_value::{Origin, ValueSigner};
use kapso_slack::slack::command::SlashCommand;
use kapso_slack::slack::form_fields::form_fields;
use kapso_slack::slack::request::Form;
use kapso_slack::slack::signature::{SIGNATURE_HEADER, SignatureVerifier, TIMESTAMP_HEADER, sign};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const BODY: &[u8] = b"token=gIkuvaNzQIHg97ATvDxqgjtO&team_id=T0001ABCD&team_domain=example&channel_id=C2147483705\
    &channel_name=test&user_id=U2147483697&user_name=steve&command=%2Fsandbox\
    &text=123e4567-e89b-12d3-a456-426614174000&api_app_id=A0123456789&is_enterprise_install=false\
    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT0001ABCD%2F1234567890123%2FabcdefghIJKLMNOP\
    &trigger_id=1334522460933.738474920.8088930838d88f008e0";
const SESSION: &[u8] = br#"{"data":{"id":"123e4567-e89b-12d3-a456-426614174000","phone_number":"+12345678901",
    "status":"pending_activation","activation_code":"ABC123",
    "activation_message":"Your WhatsApp Sandbox activation code is: ABC123",
    "activation_link":"https://wa.me/12345678901?text=ABC123","activated_at":null,
    "expires_at":"2026-11-24T10:00:00Z","created_at":"2026-11-23T10:00:00Z","updated_at":"2026-11-23T10:00:00Z",
    "agent":{"id":"agent-123abc","name":"Customer Support Agent","description":"Handles queries"}}}"#;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let part = arguments.next().expect("a part");
    let times: u32 = arguments.next().and_then(|times| times.parse().ok()).expect("a number");

    let now: Timestamp = "2026-11-23T10:00:02Z".parse().expect("a time");
    let stamp = now.as_second().to_string();
    let mut headers = HeaderMap::new();
    let signature = sign(&SECRET.into(), &stamp, BODY);
    headers.insert(TIMESTAMP_HEADER, stamp.parse().expect("a header"));
    headers.insert(SIGNATURE_HEADER, signature.parse().expect("a header"));
    let verifier = SignatureVerifier::new(&[SECRET.into()]);
    let session = Session::parse_any(SESSION).expect("a session");
    let (origin, signer) = (Origin::default(), ValueSigner::new(&[SECRET.into()]));
    let context = RenderContext {
        now,
        command: "/sandbox",
        request_id: "1f9a0c3e",
        target: ReplyTarget::Command,
        may_create: true,
        origin: &origin,
        project: None,
        signer: &signer,
        qr_addresses: None,
    };
    let message = card(&session, Watched::No, &context);

    for _ in 0..times {
        match part.as_str() {
            "verify" => drop(black_box(verifier.verify(&headers, black_box(BODY), now))),
            "read_form" => drop(black_box(SlashCommand::parse(form_fields(black_box(BODY))))),
            "read_command" => drop(black_box(commands::parse(
                black_box("123e4567-e89b-12d3-a456-426614174000"),
                "/sandbox",
            ))),
            "read_session" => drop(black_box(Session::parse_any(black_box(SESSION)))),
            "render" => drop(black_box(card(black_box(&session), Watched::No, &context))),
            "serialise" => drop(black_box(black_box(&message).to_json())),
            other => unreachable!("there is no part {other}"),
        }
    }
}
