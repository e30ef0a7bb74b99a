//! The headers of a request: nothing is accepted without the secret.
#![no_main]

use std::sync::LazyLock;

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use kapso_slack::slack::signature::{SIGNATURE_HEADER, SignatureVerifier, TIMESTAMP_HEADER};
use libfuzzer_sys::fuzz_target;

static VERIFIER: LazyLock<SignatureVerifier> =
    LazyLock::new(|| SignatureVerifier::new(&["8f742231b10e8888abcd99yyyzzz85a5".into()]));

fuzz_target!(|input: &[u8]| {
    // A line for each header, then the body.
    let mut lines = input.splitn(3, |b| *b == b'\n');
    let mut next = || lines.next().unwrap_or_default();
    let (timestamp, signature, body) = (next(), next(), next());
    let mut headers = HeaderMap::new();
    for (name, value) in [(TIMESTAMP_HEADER, timestamp), (SIGNATURE_HEADER, signature)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    let now = Timestamp::from_second(1_531_420_618).expect("a time");
    assert!(VERIFIER.verify(&headers, body, now).is_err());
});
