//! The JSON of a button press, a message shortcut or a form.
#![no_main]

use kapso_slack::commands::{self, Found};
use kapso_slack::slack::form_fields::form_fields;
use kapso_slack::slack::interaction::Interaction;
use kapso_slack::slack::request::Form;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let encoded: String = form_urlencoded::byte_serialize(payload).collect();
    // Every signed interaction is acknowledged.
    let interaction = Interaction::parse(form_fields(format!("payload={encoded}").as_bytes())).expect("an interaction");
    match interaction {
        Interaction::Press(press) => assert!(!press.buttons.is_empty()),
        Interaction::Shortcut(shortcut) => {
            for found in commands::found(&shortcut.texts) {
                assert_eq!(Found::parse(&found.typed()), Some(found));
            }
        }
        Interaction::Form(_) | Interaction::Other(_) => {}
    }
});
