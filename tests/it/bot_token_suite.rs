//! The tests of commands and buttons once more, for an app that has a bot token.
//!
//! They are the same tests in the same binary: the harness reads `BOT`. To run one by hand:
//! `BOT=installed cargo test --test it -- list_command::`.

use crate::support::suite::run_again;

/// Modules whose tests send commands or press buttons, and assert nothing that the token changes.
const MODULES: &[&str] = &[
    "access_lists",
    "activation_links",
    "did_you_mean",
    "expiry_times",
    "forged_buttons",
    "help_command",
    "id_spelling",
    "injection",
    "kapso_faults",
    "late_reply",
    "list_command",
    "new_command",
    "new_command_faults",
    "new_confirmation",
    "organisations",
    "phone_lookup",
    "phone_spelling",
    "projects",
    "qr_button",
    "refresh_button",
    "response_url_delivery",
    "secrets",
    "session_card",
    "share_faults",
    "share_in_channel",
    "share_masking",
    "sparse_presses",
    "text_sanitizing",
    "unknown_buttons",
];

#[test]
fn commands_and_buttons_work_with_a_bot_token() {
    run_again(MODULES, &[], ("BOT", "installed"));
}
