//! `/sandbox <id>`: one session.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Problem, Reply};
use crate::jobs::{JobStore, WatchKey, watch};
use crate::kapso::{Age, Client, Error, Session, SessionId};
use crate::slack::Who;

/// What came of asking Kapso, and why if nothing did.
pub(super) type Asked = (Reply, Option<Arc<Error>>);

/// Looks a session up.
pub(super) async fn show(kapso: &Client, id: SessionId) -> Asked {
    match kapso.session(&id, Age::Recent).await {
        Ok(session) => (shown(session, None), None),
        Err(error) => failed(error, id),
    }
}

/// Looks a session up again because somebody wants to see it as it is now.
pub(super) async fn refresh(kapso: &Client, ledger: &JobStore, id: SessionId, who: &Who) -> Asked {
    match kapso.session(&id, Age::Fresh).await {
        Ok(session) => {
            let watched_until = watched_until(ledger, &session, who).await;
            (shown(session, watched_until), None)
        }
        Err(error) => failed(error, id),
    }
}

/// Until when `who` hears of changes of the session, if they wait for some.
pub(super) async fn watched_until(ledger: &JobStore, session: &Session, who: &Who) -> Option<Timestamp> {
    if watch::may_change(&session.status) {
        ledger.watched_until(&WatchKey::new(who, &session.id)).await
    } else {
        None
    }
}

pub(super) fn shown(session: Arc<Session>, watched_until: Option<Timestamp>) -> Reply {
    Reply::Session { session, watched_until }
}

/// What whoever asked for the session `id` has to know of Kapso's answer.
pub(super) fn failed(error: Arc<Error>, id: SessionId) -> Asked {
    let problem = match &*error {
        Error::NotFound => Problem::NotFound(id),
        error => Problem::of(error),
    };
    (Reply::Problem(problem), Some(error))
}
