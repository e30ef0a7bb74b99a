//! The tests of commands and buttons once more, over Socket Mode instead of HTTP.
//!
//! They are the same tests in the same binary: the harness reads `WAY_IN`. To run one by hand:
//! `WAY_IN=socket cargo test --test it -- list_command::`.

use crate::support::suite::run_again;

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

/// Sends to the addresses of two replicas.
const OVER_HTTP: &str = "new_form::two_replicas_that_get_one_form_create_one_session";

#[test]
fn commands_and_buttons_work_over_the_socket() {
    run_again(MODULES, &[OVER_HTTP], ("WAY_IN", "socket"));
}
