//! The link that Slack's request for a QR code is answered with.

use std::sync::Arc;
use std::time::Duration;

use crate::kapso::{ActivationLink, Age, Client, Error, SessionId};
use crate::qr;

/// The link that a session's QR code holds, if it has one. The fifth of the limit that is reserved for people is not spent
/// on it: an address can be asked for often.
pub(super) async fn link(kapso: &Client, id: &SessionId) -> Result<Option<ActivationLink>, Arc<Error>> {
    if kapso.budget().spare() == 0 && kapso.remembered(id).await.is_none() {
        let retry_after = Duration::from_secs(1);
        return Err(Arc::new(Error::Limited { retry_after }));
    }
    let session = kapso.session(id, Age::Recent).await?;
    Ok(qr::link(&session).cloned())
}
