//! The tests of commands and buttons once more, over Socket Mode instead of HTTP.
//!
//! They are the same tests in the same binary: the harness reads `WAY_IN`. To run one by hand:
//! `WAY_IN=socket cargo test --test it -- list_command::`.

use std::process::Command;

/// Modules whose tests send commands or press buttons, and assert nothing about HTTP requests from Slack.
const MODULES: &[&str] = &[
    "access_lists",
    "activation_links",
    "did_you_mean",
    "expiry_times",
    "forged_buttons",
    "help_command",
    "id_spelling",
    "injection",
    "kapso_bodies",
    "kapso_cache",
    "kapso_faults",
    "late_reply",
    "list_command",
    "message_shortcut",
    "new_command",
    "new_command_faults",
    "new_confirmation",
    "new_form",
    "organisations",
    "phone_spelling",
    "qr_button",
    "refresh_button",
    "secrets",
    "session_card",
    "share_faults",
    "share_in_channel",
    "share_masking",
    "sparse_presses",
    "text_sanitizing",
    "unknown_buttons",
    "watch_notification_faults",
    "watch_notifications",
];

#[test]
fn commands_and_buttons_work_over_the_socket() {
    let modules = MODULES.iter().map(|module| format!("{module}::"));
    let run = Command::new(std::env::current_exe().unwrap())
        .args(modules)
        .env("WAY_IN", "socket")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "over the socket:\n{output}");
    let result = output
        .lines()
        .find(|line| line.starts_with("test result: ok. "))
        .unwrap();
    let passed: usize = result.split(' ').nth(3).unwrap().parse().unwrap();
    assert!(passed > 150, "modules were renamed: {result}");
}
