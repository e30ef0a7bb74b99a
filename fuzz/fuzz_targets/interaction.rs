//! The JSON of a button press.
#![no_main]

use kapso_slack::slack::interaction::Interaction;
use kapso_slack::slack::request::Form;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let encoded: String = form_urlencoded::byte_serialize(payload).collect();
    // Every signed interaction is acknowledged.
    let interaction = Interaction::parse(format!("payload={encoded}").as_bytes()).expect("an interaction");
    if let Interaction::Press(press) = interaction {
        assert!(!press.buttons.is_empty());
    }
});
