//! Kapso's WhatsApp sandbox, in Slack.
//!
//! A person types `/sandbox <id>`; the service verifies that Slack sent the request, looks the session up in Kapso and
//! replies with a card.
//!
//! The request path of a command: `POST /slack/commands` → [`routes`] → [`slack::request::Signed`], which verifies the
//! signature → [`dispatch`] → [`commands`], which request sessions from [`kapso`] → [`cards`] → the HTTP response. A
//! button press arrives as [`slack::interaction`] and continues at [`dispatch`]. A reply that takes too long for the HTTP
//! response is sent through [`slack::response_url`]. Slack fetches images from addresses that [`qr`] has signed.
//!
//! A module imports only modules below it, in the order of the list in `tests/it/architecture.rs`.

pub mod app;
pub mod cards;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod dispatch;
pub mod jobs;
pub mod kapso;
mod manifest;
pub mod qr;
pub mod routes;
pub mod server;
pub mod slack;
pub mod telemetry;
