//! The value of a button, which a client sends back.
#![no_main]

use std::sync::LazyLock;

use kapso_slack::cards::SessionValue;
use kapso_slack::commands::{ConfirmationValue, PageValue};
use kapso_slack::slack::button_value::{Origin, ValueSigner};
use libfuzzer_sys::fuzz_target;

static SIGNER: LazyLock<ValueSigner> = LazyLock::new(|| ValueSigner::new(&["secret".into(), "older".into()]));

fuzz_target!(|value: &str| {
    // Nothing is accepted without the secret.
    assert!(SIGNER.verify(value).is_none());
    // What was signed is what comes back, whatever the content is.
    if !value.contains('|') {
        let signed = SIGNER.sign(value, &Origin::default());
        let (content, _) = SIGNER.verify(&signed).expect("it was signed");
        assert_eq!(content, value);
    }
    // Contents are parsed only if they were signed; they are parsed strictly nevertheless.
    if let Some(read) = SessionValue::parse(value) {
        assert!(read.to_string().eq_ignore_ascii_case(value));
    }
    if let Some(read) = PageValue::parse(value) {
        assert_eq!(read.to_string(), value);
    }
    if let Some(read) = ConfirmationValue::parse(value) {
        assert!(read.to_string().eq_ignore_ascii_case(value));
    }
});
