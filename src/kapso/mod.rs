//! Kapso's wire, and the only place that knows it.
//!
//! Source: the WhatsApp sandbox pages of <https://docs.kapso.ai/api-reference/introduction>.

mod api;
mod budget;
mod client;
mod error;
mod limit;
mod page;
mod session;

pub use api::{Observation, Timing};
pub use budget::Budget;
pub use client::{Age, Client};
pub use error::{Error, NoAnswer};
pub use limit::FIRST_LIMIT;
pub use page::Page;
pub use session::{ActivationLink, AgentId, NotWhatsApp, Session, SessionId, Status};
