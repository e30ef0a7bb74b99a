//! The playground in real Chromium: what a person does there, and what they see.

#![cfg(feature = "demo")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what is wrong by panicking, in its helpers too"
)]

mod behind_the_scenes;
mod conversation;
mod doors;
mod gallery;
mod markup;
mod newcomer;
mod page;
mod pictures;
mod qr;
#[path = "../it/scan.rs"]
mod scan;
mod sharing;
mod without_a_mouse;
