//! Kapso's JSON of a page of sessions.
#![no_main]

use kapso_slack::kapso::Page;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(page) = Page::parse(body) {
        assert!(page.sessions.len() <= page.count.min(100));
        let _ = page.has_next(1, 100);
    }
});
