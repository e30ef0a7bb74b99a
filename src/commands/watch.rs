//! `/sandbox watch <id>`: hear when a session changes, and "Stop watching".

use super::show::{Asked, failed, shown};
use super::{Problem, Reply, RequestContext};
use crate::jobs::watch::{self, CAPS, GOODBYE};
use crate::jobs::{Added, JobStore, Watch, WatchKey};
use crate::kapso::{Age, Client, SessionId};
use crate::slack::Who;

/// Stores a watch, and only then says so.
pub(super) async fn watch(kapso: &Client, ledger: &JobStore, id: SessionId, asker: &RequestContext) -> Asked {
    let session = match kapso.session(&id, Age::Recent).await {
        Ok(session) => session,
        Err(error) => return failed(error, id),
    };
    if !watch::may_change(&session.status) {
        // The card says what has become of it.
        return (shown(session, None), None);
    }
    let watch = Watch {
        session: id,
        session_created_at: session.created_at,
        who: asker.who.clone(),
        sharer: asker.sharer.clone(),
        request_id: asker.request_id.clone(),
        response_url: asker.response_url.clone(),
        arrived_at: asker.arrived_at,
        uses_left: watch::POSTS,
        not_found: 0,
    };
    let reply = match ledger.watch(&watch).await {
        Some(Added::Added | Added::AlreadyThere) => Reply::Watching {
            session,
            until: asker.arrived_at + GOODBYE,
        },
        Some(Added::TooManyOfMine) => Reply::Problem(Problem::TooManyWatches { mine: Some(CAPS.mine) }),
        Some(Added::TooManyInAll) => Reply::Problem(Problem::TooManyWatches { mine: None }),
        None => Reply::Problem(Problem::NoStore),
    };
    (reply, None)
}

/// Ends a watch, whatever Kapso says.
pub(super) async fn unwatch(kapso: &Client, ledger: &JobStore, id: SessionId, who: &Who) -> Asked {
    if ledger.unwatch(&WatchKey::new(who, &id)).await.is_none() {
        return (Reply::Problem(Problem::NoStore), None);
    }
    match kapso.session(&id, Age::Recent).await {
        Ok(session) => (
            Reply::Unwatched {
                id,
                session: Some(session),
            },
            None,
        ),
        Err(error) => (Reply::Unwatched { id, session: None }, Some(error)),
    }
}
