//! What comes of a command: a reply to be drawn, or a problem.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Listing, NewSession, ParseError};
use crate::config::AccessLists;
use crate::jobs::Creation;
use crate::kapso::{ActivationLink, Error, Session, SessionId};
use crate::slack::UserId;

/// What comes of a command, to be drawn for the asker.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The session asked for.
    Session {
        /// The session.
        session: Arc<Session>,
        /// Until when the asker hears of changes, where they wait for some.
        watched_until: Option<Timestamp>,
    },
    /// The session, of whose changes the asker hears from now on.
    Watching {
        /// The session.
        session: Arc<Session>,
        /// Until when.
        until: Timestamp,
    },
    /// The asker hears no longer of the session with this id.
    Unwatched {
        /// Which.
        id: SessionId,
        /// The session, if Kapso told it.
        session: Option<Arc<Session>>,
    },
    /// The QR code asked for.
    Qr {
        /// The session that it activates.
        session: Arc<Session>,
        /// The link that it holds.
        link: ActivationLink,
    },
    /// The session, for everybody in the channel.
    Shared {
        /// The session.
        session: Arc<Session>,
        /// Who shares it.
        sharer: UserId,
        /// Until when the sharer hears of changes, where they wait for some.
        watched_until: Option<Timestamp>,
    },
    /// A page of the list of sessions.
    List(Listing),
    /// The session that was created.
    Created(Arc<Session>),
    /// A session for the same phone was asked for a moment ago: another one?
    AskAgain {
        /// What is created if the answer is yes.
        wanted: NewSession,
        /// What was asked for before.
        earlier: Creation,
    },
    /// What can be typed.
    Help {
        /// Whether the asker may create sessions.
        creates: bool,
    },
    /// What was typed was not understood.
    ParseError(ParseError),
    /// There is nothing to show, and why.
    Problem(Problem),
}

/// A fault, as the person who asked has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// This project has no such session.
    NotFound(SessionId),
    /// Kapso does not take this app's key.
    KeyRefused,
    /// The rate limit is used up.
    Limited {
        /// For how long.
        retry_after: Duration,
    },
    /// Kapso did not answer.
    NoAnswer,
    /// Kapso answered with something this app does not know.
    Unintelligible,
    /// This person, or this place, is not on the list.
    NotAllowed(Arc<AccessLists>),
    /// As many sessions are watched as may be.
    TooManyWatches {
        /// How many one person may watch, if it is that; none if all together watch too many.
        mine: Option<u32>,
    },
    /// What has to be remembered cannot be stored.
    NoStore,
    /// What comes later could not be posted to where the request came from.
    NoLetterbox,
    /// This person may not create sessions.
    MayNotCreate(Arc<AccessLists>),
    /// Kapso does not create such a session.
    NotAccepted(NewSession),
    /// There may be a new session, or none.
    Unsure,
    /// Nothing was created when this very command was here before.
    CameToNothing,
    /// The button says nothing this version understands.
    StaleButton,
    /// The service is about to stop and takes no new work.
    Stopping,
    /// A fault of our own.
    Broken,
}

impl Problem {
    /// What whoever asked Kapso for anything has to know of its answer.
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::KeyRejected(_) => Self::KeyRefused,
            Error::RateLimited { retry_after } => Self::Limited {
                retry_after: *retry_after,
            },
            Error::Unavailable(_) => Self::NoAnswer,
            // The first is said of one session, the last of what was to be created.
            Error::NotFound | Error::UnexpectedResponse(_) | Error::Unprocessable => Self::Unintelligible,
        }
    }
}

impl Reply {
    /// The one session it shows.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        match self {
            Self::Session { session, .. }
            | Self::Qr { session, .. }
            | Self::Shared { session, .. }
            | Self::Created(session) => Some(session),
            _ => None,
        }
    }

    /// What came of it in one word, for log and metrics.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Session { .. } => "shown",
            Self::Watching { .. } => "watching",
            Self::Unwatched { .. } => "unwatched",
            Self::Qr { .. } => "qr",
            Self::Shared { .. } => "shared",
            Self::List(_) => "listed",
            Self::Created(_) => "created",
            Self::AskAgain { .. } => "asked_again",
            Self::Help { .. } => "help",
            Self::ParseError(_) => "misread",
            Self::Problem(problem) => match problem {
                Problem::NotFound(_) => "not_found",
                Problem::KeyRefused => "key_refused",
                Problem::Limited { .. } => "limited",
                Problem::NoAnswer => "no_answer",
                Problem::Unintelligible => "unintelligible",
                Problem::NotAllowed(_) => "not_allowed",
                Problem::TooManyWatches { .. } => "too_many_watches",
                Problem::NoStore => "no_store",
                Problem::NoLetterbox => "no_letterbox",
                Problem::MayNotCreate(_) => "may_not_create",
                Problem::NotAccepted(_) => "not_accepted",
                Problem::Unsure => "unsure",
                Problem::CameToNothing => "came_to_nothing",
                Problem::StaleButton => "stale_button",
                Problem::Stopping => "stopping",
                Problem::Broken => "broken",
            },
        }
    }
}
