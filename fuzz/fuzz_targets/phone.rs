//! A phone number as people write it.
#![no_main]

use kapso_slack::commands::Phone;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|written: &str| {
    if let Some(phone) = Phone::parse(written) {
        let digits = phone.as_str().strip_prefix('+').expect("a plus sign");
        assert!((4..=15).contains(&digits.len()), "{digits}");
        assert!(digits.bytes().all(|b| b.is_ascii_digit()), "{digits}");
        assert_eq!(Phone::parse(phone.as_str()), Some(phone));
    }
    let _ = Phone::guess(written);
});
