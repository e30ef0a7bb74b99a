//! Kapso's WhatsApp sandbox, in Slack.
//!
//! A person types `/sandbox <id>`; the service verifies that Slack sent it, requests the session from Kapso and replies with
//! a card. The path of that command:
//!
//! `POST /slack/commands` → [`routes`] → [`slack::verified::Verified`] (no handler can be reached without it) →
//! [`dispatch`] (starts the clock) → [`commands::parse`] → [`commands::Commands::run`] (authorizes, asks [`kapso`],
//! renders) → the HTTP response. With Socket Mode, [`slack::socket_mode`] yields the same value. A pressed button enters through [`slack::interaction`] and joins at [`dispatch`]. A
//! reply that is not ready in time becomes a job in the [`queue`], and is delivered through [`slack::response_url`].
//!
//! Modules import only from modules below them in the list in `docs/architecture.md`; a test checks it.

pub mod app;
pub mod cards;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod db;
#[cfg(feature = "demo")]
pub mod demo;
pub mod dispatch;
pub mod doctor;
pub mod idempotency;
mod json;
pub mod kapso;
pub mod manifest;
pub mod projects;
pub mod qr;
pub mod queue;
pub mod routes;
pub mod server;
pub mod slack;
pub mod telemetry;
pub mod watches;
