//! Decides what somebody wants and whether they may have it; never draws and never speaks HTTP.

mod access;
mod button;
mod list;
mod new;
mod parse;
mod phone;
mod qr;
mod reply;
mod share;
mod show;
mod usage;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::Instant;

pub use button::{Action, AgainValue, ButtonValue, PageValue};
pub use list::Listing;
pub use new::{ConfirmationToken, NewSession};
pub use parse::{ParseError, parse, press};
pub use phone::Phone;
pub use reply::{Problem, Reply};
pub use usage::{Example, SAMPLE_PHONE, Verb};

use crate::config::AccessLists;
use crate::jobs::JobStore;
use crate::kapso::{self, SessionId};
use crate::slack::{UserId, Who};

/// What somebody wants. Text that is none of it is one of these too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// See a session.
    Show(SessionId),
    /// See again, by a button, the session that a card shows.
    Refresh(SessionId),
    /// Hear when a session changes.
    Watch(SessionId),
    /// Hear of it no longer.
    Unwatch(SessionId),
    /// See, by a button, the activation link as a QR code.
    Qr(SessionId),
    /// Show a session, by a button, to everybody in the channel.
    Share(SessionId),
    /// See a page of the list of sessions.
    List {
        /// Which, counted from 1.
        page: u32,
    },
    /// Have a session created.
    New(NewSession),
    /// See what can be typed.
    Help,
    /// Text that was not understood.
    Unknown(ParseError),
    /// A button of another version of this app, or one whose value was tampered with.
    StaleButton,
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
pub struct RequestContext {
    /// Who, and where.
    pub who: Who,
    /// Where what comes later may be posted.
    pub response_url: SecretString,
    /// When the `response_url` came.
    pub arrived_at: Timestamp,
    /// Finds the command in the log.
    pub request_id: String,
    /// Who shared the card that was pressed, or what came of that card, where it was shared.
    pub sharer: Option<UserId>,
    /// The fingerprint of the request, by which a command that creates something is known again.
    pub trigger: Option<String>,
}

impl RequestContext {
    /// Somebody who typed, or pressed a card of their own.
    #[must_use]
    pub fn new(who: Who, response_url: SecretString, arrived_at: Timestamp, request_id: String) -> Self {
        Self {
            who,
            response_url,
            arrived_at,
            request_id,
            sharer: None,
            trigger: None,
        }
    }
}

/// Carries commands out.
pub struct Commands {
    kapso: Arc<kapso::Client>,
    allowed: Arc<AccessLists>,
    ledger: Arc<JobStore>,
}

impl Commands {
    /// Commands over one Kapso project, for those who are allowed. What must not be forgotten goes into `ledger`.
    #[must_use]
    pub fn new(kapso: Arc<kapso::Client>, allowed: AccessLists, ledger: Arc<JobStore>) -> Self {
        Self {
            kapso,
            allowed: Arc::new(allowed),
            ledger,
        }
    }

    /// Does what somebody wants, if they may.
    pub async fn run(&self, command: Command, asker: &RequestContext) -> Outcome {
        if !access::admits(&self.allowed, &asker.who) {
            return Reply::Problem(Problem::NotAllowed(Arc::clone(&self.allowed))).into();
        }
        // Looked up only for those whom it concerns: a look-up does not.
        let may_create = || access::may_create(&self.allowed, &asker.who);
        if command.is_to_create() && !may_create() {
            return Reply::Problem(Problem::MayNotCreate(Arc::clone(&self.allowed))).into();
        }
        match command {
            Command::Show(id) => self.timed(show::show(&self.kapso, id)).await,
            Command::Refresh(id) => {
                self.timed(show::refresh(&self.kapso, &self.ledger, id, &asker.who))
                    .await
            }
            Command::Watch(id) => self.timed(watch::watch(&self.kapso, &self.ledger, id, asker)).await,
            Command::Unwatch(id) => {
                self.timed(watch::unwatch(&self.kapso, &self.ledger, id, &asker.who))
                    .await
            }
            Command::Qr(id) => self.timed(qr::qr(&self.kapso, id)).await,
            Command::Share(id) => {
                self.timed(share::share(&self.kapso, &self.ledger, id, &asker.who))
                    .await
            }
            Command::List { page } => {
                let creators = (!may_create()).then(|| Arc::clone(&self.allowed));
                self.timed(list::list(&self.kapso, page, creators)).await
            }
            Command::New(wanted) => self.timed(new::new(&self.kapso, &self.ledger, asker, wanted)).await,
            Command::Help => Reply::Help { creates: may_create() }.into(),
            Command::Unknown(misread) => Reply::ParseError(misread).into(),
            Command::StaleButton => Reply::Problem(Problem::StaleButton).into(),
        }
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
            Self::Refresh(_) => Action::Refresh.id(),
            Self::Watch(_) => Verb::Watch.name(),
            Self::Unwatch(_) => Action::Unwatch.id(),
            Self::Qr(_) => Action::Qr.id(),
            Self::Share(_) => Action::Share.id(),
            Self::List { .. } => Verb::List.name(),
            Self::New(_) => Verb::New.name(),
            Self::Help => Verb::Help.name(),
            Self::Unknown(_) | Self::StaleButton => "unknown",
        }
    }

    /// The session it is about.
    #[must_use]
    pub fn session_id(&self) -> Option<&SessionId> {
        match self {
            Self::Show(id)
            | Self::Refresh(id)
            | Self::Watch(id)
            | Self::Unwatch(id)
            | Self::Qr(id)
            | Self::Share(id) => Some(id),
            _ => None,
        }
    }

    /// Whether it creates something, or was meant to.
    fn is_to_create(&self) -> bool {
        match self {
            Self::New(_) | Self::Unknown(ParseError::NoPhone) => true,
            Self::Unknown(ParseError::DidYouMean { instead, .. }) => instead
                .split_once(' ')
                .is_some_and(|(verb, _)| verb == Verb::New.name()),
            _ => false,
        }
    }
}
