//! What people type after the command's name.
#![no_main]

use kapso_slack::commands::{Command, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let command = parse(text, "/sandbox");
    if let Some(id) = command.session_id() {
        let id = id.as_str();
        assert!((1..=64).contains(&id.len()), "{id}");
        assert!(
            id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            "{id}"
        );
    }
    // What a command is shown as is understood as the same command.
    if let Some(typed) = command.typed() {
        let again = parse(&typed, "/sandbox");
        assert!(!matches!(again, Command::Unknown(_)), "{typed}");
        assert_eq!(again.typed(), Some(typed));
    }
});
