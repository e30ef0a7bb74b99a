//! The address of a QR code: anybody can request it.
#![no_main]

use std::sync::LazyLock;

use jiff::Timestamp;
use kapso_slack::kapso::SessionId;
use kapso_slack::qr::Addresses;
use libfuzzer_sys::fuzz_target;
use url::Url;

static ADDRESSES: LazyLock<Addresses> = LazyLock::new(|| {
    let public_url = Url::parse("https://sandbox.example.com").expect("an address");
    Addresses::new(public_url, &["secret".into()])
});

fuzz_target!(|input: &str| {
    let (file, query) = input.split_once('?').unwrap_or((input, ""));
    let now = Timestamp::from_second(1_795_000_000).expect("a time");
    assert!(ADDRESSES.verify(file, query, now).is_err());
    if let Some(id) = SessionId::parse(file) {
        let address = ADDRESSES.address(None, &id, now).expect("an address");
        let query_of_it = address.query().expect("a query");
        let verified = ADDRESSES
            .verify(&format!("{id}.png"), query_of_it, now)
            .expect("it was signed");
        assert_eq!(verified.id, id);
    }
});
