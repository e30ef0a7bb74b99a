//! "Share in channel": a session for everybody in the channel, in the name of whoever presses.

use super::show::{Asked, failed, shown, watched_until};
use super::{Problem, Reply};
use crate::jobs::JobStore;
use crate::kapso::{Age, Client, SessionId};
use crate::slack::{UserId, Who};

/// Looks a session up to be shared. Where there is nothing to activate any more, the card is out of date: nothing is
/// shared, and its present state is the answer.
pub(super) async fn share(kapso: &Client, ledger: &JobStore, id: SessionId, who: &Who) -> Asked {
    // Nobody shares without a name.
    let Some(sharer) = UserId::parse(&who.user) else {
        return (Reply::Problem(Problem::StaleButton), None);
    };
    // What a channel sees cannot be taken back, so nothing that is remembered will do.
    match kapso.session(&id, Age::Fresh).await {
        Ok(session) => {
            let watched_until = watched_until(ledger, &session, who).await;
            let reply = if session.can_be_activated() {
                Reply::Shared {
                    session,
                    sharer,
                    watched_until,
                }
            } else {
                shown(session, watched_until)
            };
            (reply, None)
        }
        Err(error) => failed(error, id),
    }
}
