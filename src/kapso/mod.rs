//! Kapso's wire, and the only place that knows it.
//!
//! Source: the WhatsApp sandbox pages of <https://docs.kapso.ai/api-reference/introduction>.

mod client;
mod error;
mod limit;
mod session;

pub use client::{Age, Client, Observation, Timing};
pub use error::{Error, NoAnswer};
pub use limit::FIRST_LIMIT;
pub use session::{ActivationLink, NotWhatsApp, Session, SessionId, Status};
