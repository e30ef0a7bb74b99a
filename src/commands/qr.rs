//! "Show QR code": the activation link of a session, to be drawn for a phone.

use super::Reply;
use super::show::{Asked, failed, shown};
use crate::kapso::{Age, Client, SessionId};
use crate::qr;

/// Looks a session up for its QR code. Where there is nothing to activate any more, the card is out of date, and its
/// present state is the answer.
pub(super) async fn qr(kapso: &Client, id: SessionId) -> Asked {
    match kapso.session(&id, Age::Recent).await {
        Ok(session) if let Some(link) = qr::activation_link(&session).cloned() => (Reply::Qr { session, link }, None),
        Ok(session) => (shown(session, None), None),
        Err(error) => failed(error, id),
    }
}
