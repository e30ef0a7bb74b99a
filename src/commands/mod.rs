//! Decides what somebody wants and whether they may have it; never draws and never speaks HTTP.

mod allowed;
mod button;
mod parse;
mod qr;
mod show;
mod usage;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::Instant;

pub use allowed::{AllowList, Allowed};
pub use button::{Action, ButtonValue};
pub use parse::{Misread, parse, press};
pub use usage::{Example, Verb};

use crate::jobs::Ledger;
use crate::kapso::{self, ActivationLink, Session, SessionId};
use crate::slack::{UserId, Who};

/// What somebody wants. Text that is none of it is one of these too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// See a session.
    Show(SessionId),
    /// See again, by a button, the session that a card shows.
    Refresh {
        /// The session.
        id: SessionId,
        /// Who shared the card, where it was shared.
        sharer: Option<UserId>,
    },
    /// Hear when a session changes.
    Watch(SessionId),
    /// Hear of it no longer.
    Unwatch(SessionId),
    /// See, by a button, the activation link as a QR code.
    Qr {
        /// The session.
        id: SessionId,
        /// Who shared the card with the button, where it was shared.
        sharer: Option<UserId>,
    },
    /// See what can be typed.
    Help,
    /// A verb that is reserved for what comes in a later version.
    Coming(Verb),
    /// Text that was not understood.
    Unknown(Misread),
    /// A button of another version of this app, or one whose value was tampered with.
    StaleButton,
}

/// What comes of a command, to be drawn for the asker.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The session asked for.
    Session {
        /// The session.
        session: Arc<Session>,
        /// Who shared the card it goes to, where it was shared.
        sharer: Option<UserId>,
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
    /// What can be typed.
    Help,
    /// What was typed will work in a later version.
    Coming(Verb),
    /// What was typed was not understood.
    Misread(Misread),
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
    NotAllowed(Arc<Allowed>),
    /// As many sessions are watched as may be.
    TooManyWatches {
        /// How many one person may watch, if it is that; none if all together watch too many.
        mine: Option<u32>,
    },
    /// What has to be remembered cannot be stored.
    NoStore,
    /// The button says nothing this version understands.
    StaleButton,
    /// The service is about to stop and takes no new work.
    Stopping,
    /// A fault of our own.
    Broken,
}

/// What came of a command, and what the operator wants to know about it.
#[derive(Debug)]
pub struct Outcome {
    /// For the asker.
    pub reply: Reply,
    /// Time spent waiting for Kapso; zero where the answer was remembered.
    pub kapso: Duration,
    /// Why there was no session, for the log.
    pub error: Option<Arc<kapso::Error>>,
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self {
            reply,
            kapso: Duration::ZERO,
            error: None,
        }
    }
}

/// Who asks, with what a command may need of the request beyond its words.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Who, and where.
    pub who: Who,
    /// Where what comes later may be posted.
    pub response_url: SecretString,
    /// When the `response_url` came.
    pub arrived_at: Timestamp,
    /// Finds the command in the log.
    pub request_id: String,
}

/// Carries commands out.
pub struct Commands {
    kapso: Arc<kapso::Client>,
    allowed: Arc<Allowed>,
    ledger: Arc<Ledger>,
}

impl Commands {
    /// Commands over one Kapso project, for those who are allowed. What must not be forgotten goes into `ledger`.
    #[must_use]
    pub fn new(kapso: Arc<kapso::Client>, allowed: Allowed, ledger: Arc<Ledger>) -> Self {
        Self {
            kapso,
            allowed: Arc::new(allowed),
            ledger,
        }
    }

    /// Does what somebody wants, if they may.
    pub async fn run(&self, command: Command, asker: &Asker) -> Outcome {
        if !self.allowed.admits(&asker.who) {
            return Reply::Problem(Problem::NotAllowed(Arc::clone(&self.allowed))).into();
        }
        match command {
            Command::Show(id) => self.timed(show::show(&self.kapso, id)).await,
            Command::Refresh { id, sharer } => {
                let refreshing = show::refresh(&self.kapso, &self.ledger, id, sharer, &asker.who);
                self.timed(refreshing).await
            }
            Command::Watch(id) => self.timed(watch::watch(&self.kapso, &self.ledger, id, asker)).await,
            Command::Unwatch(id) => {
                self.timed(watch::unwatch(&self.kapso, &self.ledger, id, &asker.who))
                    .await
            }
            Command::Qr { id, sharer } => self.timed(qr::qr(&self.kapso, id, sharer)).await,
            Command::Help => Reply::Help.into(),
            Command::Coming(verb) => Reply::Coming(verb).into(),
            Command::Unknown(misread) => Reply::Misread(misread).into(),
            Command::StaleButton => Reply::Problem(Problem::StaleButton).into(),
        }
    }

    /// The link that a session's QR code holds, for Slack, which fetches the picture for somebody who was allowed to
    /// see it; none if there is nothing to activate any more.
    ///
    /// # Errors
    /// Every way in which there is no session, see [`kapso::Error`].
    pub async fn qr_link(&self, id: &SessionId) -> Result<Option<ActivationLink>, Arc<kapso::Error>> {
        qr::link(&self.kapso, id).await
    }

    async fn timed(&self, asking: impl Future<Output = (Reply, Option<Arc<kapso::Error>>)>) -> Outcome {
        let began = Instant::now();
        let (reply, error) = asking.await;
        Outcome {
            reply,
            kapso: began.elapsed(),
            error,
        }
    }
}

impl Command {
    /// The verb, for log and metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Show(_) => Verb::Show.name(),
            Self::Refresh { .. } => Action::Refresh.id(),
            Self::Watch(_) => Verb::Watch.name(),
            Self::Unwatch(_) => Action::Unwatch.id(),
            Self::Qr { .. } => Action::Qr.id(),
            Self::Help => Verb::Help.name(),
            Self::Coming(verb) => verb.name(),
            Self::Unknown(_) | Self::StaleButton => "unknown",
        }
    }

    /// The session it is about.
    #[must_use]
    pub fn session_id(&self) -> Option<&SessionId> {
        match self {
            Self::Show(id) | Self::Refresh { id, .. } | Self::Watch(id) | Self::Unwatch(id) | Self::Qr { id, .. } => {
                Some(id)
            }
            _ => None,
        }
    }
}

impl Reply {
    /// What came of it in one word, for log and metrics.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Session { .. } => "shown",
            Self::Watching { .. } => "watching",
            Self::Unwatched { .. } => "unwatched",
            Self::Qr { .. } => "qr",
            Self::Help => "help",
            Self::Coming(_) => "coming",
            Self::Misread(_) => "misread",
            Self::Problem(problem) => match problem {
                Problem::NotFound(_) => "not_found",
                Problem::KeyRefused => "key_refused",
                Problem::Limited { .. } => "limited",
                Problem::NoAnswer => "no_answer",
                Problem::Unintelligible => "unintelligible",
                Problem::NotAllowed(_) => "not_allowed",
                Problem::TooManyWatches { .. } => "too_many_watches",
                Problem::NoStore => "no_store",
                Problem::StaleButton => "stale_button",
                Problem::Stopping => "stopping",
                Problem::Broken => "broken",
            },
        }
    }
}
