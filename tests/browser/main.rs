//! Tests of the playground in Chromium.

#![cfg(feature = "demo")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking, in its helpers too"
)]

mod accessibility;
mod control_panel;
mod conversation;
mod direct_messages;
mod first_session;
mod form;
mod gallery;
mod mrkdwn;
mod qr;
mod security_headers;
mod sharing;
mod shortcut;
mod support;
