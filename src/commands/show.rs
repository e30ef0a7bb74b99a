//! `/sandbox <id>`: one session.

use std::sync::Arc;

use super::{Problem, Reply};
use crate::kapso::{Age, Client, Error, Session, SessionId};
use crate::slack::UserId;

type Shown = (Reply, Option<Arc<Error>>);

/// Looks a session up.
pub(super) async fn show(kapso: &Client, id: SessionId) -> Shown {
    let session = kapso.session(&id, Age::Recent).await;
    shown(session, id, None)
}

/// Looks a session up again because somebody wants to see it as it is now.
pub(super) async fn refresh(kapso: &Client, id: SessionId, sharer: Option<UserId>) -> Shown {
    let session = kapso.session(&id, Age::Fresh).await;
    shown(session, id, sharer)
}

fn shown(session: Result<Arc<Session>, Arc<Error>>, id: SessionId, sharer: Option<UserId>) -> Shown {
    match session {
        Ok(session) => (Reply::Session { session, sharer }, None),
        Err(error) => (Reply::Problem(problem(&error, id)), Some(error)),
    }
}

/// What whoever asked for the session `id` has to know of Kapso's answer.
pub(super) fn problem(error: &Error, id: SessionId) -> Problem {
    match error {
        Error::NotFound => Problem::NotFound(id),
        Error::KeyRefused(_) => Problem::KeyRefused,
        Error::Limited { retry_after } => Problem::Limited {
            retry_after: *retry_after,
        },
        Error::NoAnswer(_) => Problem::NoAnswer,
        // The latter is said of what was to be created, and nothing was.
        Error::Unintelligible(_) | Error::Unprocessable => Problem::Unintelligible,
    }
}
