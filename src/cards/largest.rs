//! The largest card: every part that a card can have, each as long as it can be.

use jiff::SignedDuration;

use super::RenderContext;
use super::session::{Watched, card};
use crate::kapso::{ActivationLink, AgentId, Session, SessionId, Status};
use crate::qr::LINK_MAX;
use crate::slack::message::Message;

/// Longer than any text of Kapso that a card shows.
const LONG: usize = 3_000;

/// The card of a pending session with all buttons and notes, and with texts that have to be cut. `None` if no such
/// session can be made, which a test rules out.
#[must_use]
pub fn largest_card(context: &RenderContext<'_>) -> Option<Message> {
    // A longer one has no QR code.
    let link = format!("{:x<width$}", "https://wa.me/12345678901?text=", width = LINK_MAX);
    let session = Session {
        id: SessionId::parse(&"x".repeat(64))?,
        status: Status::Pending,
        phone: Some("&".repeat(LONG)),
        activation_code: Some("&".repeat(LONG)),
        activation_link: Some(ActivationLink::parse(&link)),
        agent: Some("<&>".repeat(LONG)),
        agent_id: AgentId::parse(&"x".repeat(64)),
        created_at: Some(context.now - SignedDuration::from_hours(1)),
        activated_at: None,
        expires_at: Some(context.now + SignedDuration::from_hours(24)),
    };
    let watched = Watched::Until(context.now + SignedDuration::from_mins(28));
    Some(card(&session, watched, context))
}
