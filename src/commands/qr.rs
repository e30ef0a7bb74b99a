//! "Show QR code": the activation link of a session, to be drawn for a phone.

use std::sync::Arc;
use std::time::Duration;

use super::Reply;
use super::show::{Asked, failed, shown};
use crate::kapso::{ActivationLink, Age, Client, Error, SessionId};
use crate::qr;

/// Looks a session up for its QR code. Where there is nothing to activate any more, the card is out of date, and its
/// present state is the answer.
pub(super) async fn qr(kapso: &Client, id: SessionId) -> Asked {
    match kapso.session(&id, Age::Recent).await {
        Ok(session) if let Some(link) = qr::link(&session).cloned() => (Reply::Qr { session, link }, None),
        Ok(session) => (shown(session, None), None),
        Err(error) => failed(error, id),
    }
}

/// The link that a session's QR code holds, if it has one. The fifth of the limit that is kept for people is not spent
/// on it: an address can be asked for often.
pub(super) async fn link(kapso: &Client, id: &SessionId) -> Result<Option<ActivationLink>, Arc<Error>> {
    if kapso.budget().spare() == 0 && kapso.remembered(id).await.is_none() {
        let retry_after = Duration::from_secs(1);
        return Err(Arc::new(Error::Limited { retry_after }));
    }
    let session = kapso.session(id, Age::Recent).await?;
    Ok(qr::link(&session).cloned())
}
