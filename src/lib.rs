//! Kapso's WhatsApp sandbox, in Slack.
//!
//! Somebody types `/sandbox <id>`; the service checks that Slack sent it, asks Kapso for the session and answers
//! with a card. The walk of that command, straight through the house:
//!
//! `POST /slack/commands` → [`routes`] (the route) → [`slack::request::Signed`] (is it Slack? no handler can be
//! reached without it) → [`dispatch`] (starts the clock) → [`commands::parse`] (what do they want) →
//! [`commands::Commands::run`] (may they, and asks [`kapso`]) → [`cards`] (draws it) → the HTTP response. A button enters at
//! [`slack::interaction`] and joins at [`dispatch`]: it is a typed command. A late answer differs only inside [`dispatch`]:
//! the same message, another letterbox, [`slack::response_url`]. A picture in a message is fetched by Slack itself, at an
//! address that [`qr`] has signed.
//!
//! Walls, each held by a test: `slack` and `kapso` import no sibling but the [`clock`]; `commands` knows neither
//! axum nor reqwest; `views` is not async; only `config` reads the environment.

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
