//! The response of a command: a message, and what is recorded in log and metrics.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cards::{Problem, RenderContext, View, word_enum};
use crate::kapso::{self, SessionId};
use crate::slack::message::Message;
use crate::watches::Shown;

/// The response of a command.
#[derive(Clone, Debug)]
pub struct Response {
    /// The reply; `None` if a form was opened, which is the reply.
    pub message: Option<Message>,
    /// What happened, for log and metrics.
    pub outcome: Outcome,
    /// The session that the message shows. It exists, so its id may be logged.
    pub session: Option<SessionId>,
    /// Why there is no session.
    pub error: Option<Arc<kapso::Error>>,
    /// What is posted after the message.
    pub follow_up: Option<FollowUp>,
    /// How long the command took: nearly all of it is waiting for Kapso. Zero if it was not run.
    pub kapso: Duration,
}

/// A message after the reply, to the person who sent the request. Not persistent.
#[derive(Clone, Debug)]
pub struct FollowUp {
    /// If Slack accepted the reply.
    pub delivered: Message,
    /// If Slack did not accept it.
    pub undelivered: Message,
    /// The session on the reply, if that is a card that is updated when the session changes.
    pub shown: Option<Shown>,
}

impl FollowUp {
    /// The message to post.
    #[must_use]
    pub fn message(self, delivered: bool) -> Message {
        if delivered { self.delivered } else { self.undelivered }
    }
}

impl Response {
    /// A response with nothing but its message.
    #[must_use]
    pub fn new(outcome: Outcome, view: View, context: &RenderContext<'_>) -> Self {
        Self {
            message: Some(view.into_message(context)),
            outcome,
            session: None,
            error: None,
            follow_up: None,
            kapso: Duration::ZERO,
        }
    }

    /// The response to a command that opened a form.
    #[must_use]
    pub fn without_message(outcome: Outcome) -> Self {
        Self {
            message: None,
            outcome,
            session: None,
            error: None,
            follow_up: None,
            kapso: Duration::ZERO,
        }
    }

    /// The same response with the session that it shows.
    #[must_use]
    pub fn showing(self, id: &SessionId) -> Self {
        Self {
            session: Some(id.clone()),
            ..self
        }
    }

    /// The same response with its cause.
    #[must_use]
    pub fn caused_by(self, error: Arc<kapso::Error>) -> Self {
        Self {
            error: Some(error),
            ..self
        }
    }

    /// The same response with a follow-up.
    #[must_use]
    pub fn followed_by(self, follow_up: FollowUp) -> Self {
        Self {
            follow_up: Some(follow_up),
            ..self
        }
    }
}

word_enum! {
    /// The outcome of a command, as one word for log and metrics.
    #[derive(Serialize, Deserialize)]
    #[serde(try_from = "String", into = "String")]
    pub enum Outcome / word {
        /// A session was shown.
        Shown = "shown",
        /// A page of the list was shown.
        Listed = "listed",
        /// A session was created.
        Created = "created",
        /// The form for a new session was opened.
        FormOpened = "form_opened",
        /// The form could not be opened, and the person was told what to type.
        FormFailed = "form_failed",
        /// The person was asked to confirm that a session is created.
        AskedAgain = "asked_again",
        /// The person is notified when the session changes.
        Watching = "watching",
        /// The person is no longer notified.
        Unwatched = "unwatched",
        /// The person wanted no more notifications, and there were none.
        NotWatched = "not_watched",
        /// A QR code was shown.
        Qr = "qr",
        /// A session was shown to the whole channel.
        Shared = "shared",
        /// The help was shown.
        Help = "help",
        /// The text was not understood.
        NotUnderstood = "not_understood",
        /// There are several sessions in a message, and the person was asked which one they mean.
        AskedSession = "asked_session",
        /// There is no session in a message.
        NothingFound = "nothing_found",
        /// The shortcut is of another version.
        UnknownShortcut = "unknown_shortcut",
        /// Kapso has no such session.
        NotFound = "not_found",
        /// Kapso refused the app's key.
        KeyRefused = "key_refused",
        /// The rate limit is used up.
        Limited = "limited",
        /// Kapso did not answer, or answered with a 5xx.
        NoAnswer = "no_answer",
        /// Kapso sent an unexpected response.
        Unintelligible = "unintelligible",
        /// Kapso's API is not at its address.
        Moved = "moved",
        /// This person or channel is not on the operator's list.
        NotAllowed = "not_allowed",
        /// This person is not on the list of those who may create sessions.
        MayNotCreate = "may_not_create",
        /// The project of a button or a pending reply is not configured any more, or may not be used there.
        ProjectUnavailable = "project_unavailable",
        /// The person was asked which project they mean.
        AskedProject = "asked_project",
        /// Kapso rejected the number or the agent (its 422).
        NotAccepted = "not_accepted",
        /// A session may have been created, or not.
        Unsure = "unsure",
        /// Nothing was created: the same request was processed before, or Kapso's phone number could not be read.
        NothingCreated = "nothing_created",
        /// Too many sessions are watched, by this person or by all.
        TooManyWatches = "too_many_watches",
        /// The database does not work, so nothing was started.
        NoStore = "no_store",
        /// Nothing may be posted to the request's `response_url`, so nothing was started.
        ResponseUrlNotAllowed = "response_url_not_allowed",
        /// The button is of another version, or its value was changed.
        StaleButton = "stale_button",
        /// The service is shutting down.
        Stopping = "stopping",
        /// A bug of this app.
        Broken = "broken",
    }
}

impl From<Outcome> for String {
    fn from(outcome: Outcome) -> Self {
        outcome.word().to_owned()
    }
}

impl TryFrom<String> for Outcome {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        let known = Self::ALL.iter().find(|outcome| outcome.word() == word);
        known.copied().ok_or("an outcome that this version does not know")
    }
}

impl From<&Problem> for Outcome {
    fn from(problem: &Problem) -> Self {
        match problem {
            Problem::NotFound(_) => Self::NotFound,
            Problem::KeyRefused => Self::KeyRefused,
            Problem::Limited { .. } => Self::Limited,
            Problem::NoAnswer | Problem::KapsoError => Self::NoAnswer,
            Problem::Unintelligible => Self::Unintelligible,
            Problem::Moved => Self::Moved,
            Problem::NotAllowed(_) => Self::NotAllowed,
            Problem::MayNotCreate(_) => Self::MayNotCreate,
            Problem::ProjectUnavailable | Problem::NoProjectHere => Self::ProjectUnavailable,
            Problem::NoStore => Self::NoStore,
            Problem::ResponseUrlNotAllowed => Self::ResponseUrlNotAllowed,
            Problem::Unsure => Self::Unsure,
            Problem::StaleButton => Self::StaleButton,
            Problem::Stopping => Self::Stopping,
            Problem::Broken => Self::Broken,
        }
    }
}
