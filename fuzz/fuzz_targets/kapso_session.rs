//! Kapso's JSON of a session, and the card that is made of it.
#![no_main]

use jiff::Timestamp;
use kapso_slack::cards::session::{Watched, card};
use kapso_slack::cards::{RenderContext, ReplyTarget};
use kapso_slack::kapso::Session;
use kapso_slack::slack::button_value::{Origin, ValueSigner};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(session) = Session::parse_any(body) else {
        return;
    };
    if let Some(Ok(link)) = &session.activation_link {
        assert!(
            matches!(link.url().host_str(), Some("wa.me" | "api.whatsapp.com")),
            "{link:?}"
        );
        assert_eq!(link.url().scheme(), "https");
    }
    for target in [ReplyTarget::Command, ReplyTarget::SharedCard] {
        let context = RenderContext {
            now: Timestamp::from_second(1_795_000_000).expect("a time"),
            command: "/sandbox",
            request_id: "1f9a0c3e",
            target,
            origin: &Origin::default(),
            signer: &ValueSigner::new(&["secret".into()]),
            project: None,
            qr_addresses: None,
            may_create: true,
        };
        let message = serde_json::to_string(&card(&session, Watched::No, &context)).expect("JSON");
        assert!(message.len() < 12_000, "{} bytes", message.len());
    }
});
