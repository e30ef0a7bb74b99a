//! Kapso's API: the only module that knows its addresses, headers and JSON.
//!
//! Source: the WhatsApp sandbox pages of <https://docs.kapso.ai/api-reference/introduction>.

mod api;
mod client;
mod error;
mod http_clients;
mod page;
mod probe;
mod rate_limit;
mod session;
mod waiting;

pub use api::Observation;
pub use client::{Age, Client};
pub use error::{Error, Unavailable};
pub use http_clients::HttpClients;
pub use page::Page;
pub use probe::{Probe, ProbeError, probe};
pub use rate_limit::{DEFAULT_RATE_LIMIT, RateBudget};
pub use session::{ActivationLink, AgentId, Expiry, NotWhatsApp, Session, SessionId, Status};
pub use waiting::measure;
