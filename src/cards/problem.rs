//! A problem as one message: what happened, what to do next, and the request id for the operator.

use std::sync::Arc;
use std::time::Duration;

use super::buttons::{Action, TypedValue, button};
use super::sentence::{fill, join, monospace, number, person};
use super::{RenderContext, Replaces, View};
use crate::config::{AccessLists, Creators};
use crate::kapso::{Error, SessionId, Unavailable};
use crate::slack::UserId;
use crate::slack::blocks::{Block, Button, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// How many characters an activation code has.
const CODE_LENGTH: usize = 6;
/// How many people or channels are named to a person who is not on a list.
const NAMED_MAX: usize = 10;

/// Why there is nothing to show. Errors of one command only are in that command's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// This project has no such session.
    NotFound(SessionId),
    /// Kapso refused this app's key.
    KeyRefused,
    /// The rate limit is used up.
    Limited {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// Kapso did not answer.
    NoAnswer,
    /// Kapso answered with a 5xx.
    KapsoError,
    /// Kapso answered with something that this app does not know.
    Unintelligible,
    /// Kapso's API is not at its address.
    Moved,
    /// This person or this channel is not on the operator's list.
    NotAllowed(Arc<AccessLists>),
    /// This person is not among those who may create sessions.
    MayNotCreate(Creators),
    /// The project that a button or a job names is not configured, or may not be used in this place.
    ProjectUnavailable,
    /// No project may be used in this place.
    NoProjectHere,
    /// The database does not work.
    NoStore,
    /// Nothing may be posted to the `response_url` of the request.
    ResponseUrlNotAllowed,
    /// A session may have been created, or not.
    Unsure,
    /// The button is of another version of this app, or its value was changed.
    StaleButton,
    /// The service is shutting down and takes no new work.
    Stopping,
    /// A bug of this app.
    Broken,
}

impl From<&Error> for Problem {
    /// For a request about no session in particular; see [`Problem::about`].
    fn from(error: &Error) -> Self {
        match error {
            Error::KeyRejected(_) => Self::KeyRefused,
            Error::RateLimited { retry_after } => Self::Limited {
                retry_after: *retry_after,
            },
            Error::Unavailable(Unavailable::Status(_)) => Self::KapsoError,
            Error::Unavailable(Unavailable::Transport(_) | Unavailable::TimedOut(_)) => Self::NoAnswer,
            Error::Moved(_) => Self::Moved,
            Error::NotFound | Error::UnexpectedResponse(_) | Error::Unprocessable => Self::Unintelligible,
        }
    }
}

impl Problem {
    /// For a request about one session.
    #[must_use]
    pub fn about(id: &SessionId, error: &Error) -> Self {
        match error {
            Error::NotFound => Self::NotFound(id.clone()),
            error => error.into(),
        }
    }
}

/// Renders a problem.
#[must_use]
pub fn render(problem: &Problem, context: &RenderContext<'_>) -> View {
    let text = text(problem, context);
    match problem {
        Problem::NotFound(_) => {
            let list = TypedValue("list".to_owned());
            let list = button(Action::RunCommand, "Show the list", &list, context);
            with_next_step(text, Some(list), context)
        }
        Problem::KeyRefused
        | Problem::Limited { .. }
        | Problem::NoAnswer
        | Problem::KapsoError
        | Problem::Unintelligible
        | Problem::NotAllowed(_)
        | Problem::MayNotCreate(_)
        | Problem::Moved
        | Problem::ProjectUnavailable
        | Problem::NoProjectHere
        | Problem::NoStore
        | Problem::ResponseUrlNotAllowed
        | Problem::Unsure
        | Problem::StaleButton
        | Problem::Stopping
        | Problem::Broken => with_request_id(text, context),
    }
}

/// A paragraph with the request id below it. It never replaces a card.
pub(crate) fn with_request_id(text: Mrkdwn, context: &RenderContext<'_>) -> View {
    with_next_step(text, None, context)
}

/// The same with a button.
fn with_next_step(text: Mrkdwn, next_step: Option<Button>, context: &RenderContext<'_>) -> View {
    let request = fill("Request {id}", [("id", monospace(context.request_id))]);
    let blocks = [Block::section(Text::mrkdwn(text.clone()))]
        .into_iter()
        .chain(Block::actions(next_step.into_iter().collect()))
        .chain(Block::context(vec![Text::mrkdwn(request)]));
    View::new(Message::ephemeral(text, blocks.collect()), Replaces::Nothing)
}

fn text(problem: &Problem, context: &RenderContext<'_>) -> Mrkdwn {
    match problem {
        Problem::NotFound(id) => not_found(id),
        Problem::KeyRefused => Mrkdwn::new(
            "Kapso refused this app's key, so nothing can be looked up or created. Please tell whoever runs this app.",
        ),
        Problem::Limited { retry_after } => fill(
            "Kapso is limiting this app's requests. Try again in {seconds} s.",
            [("seconds", number(retry_after.as_secs().max(1)))],
        ),
        Problem::NoAnswer => Mrkdwn::new("Kapso did not answer. Nothing was changed; try again in a moment."),
        Problem::KapsoError => Mrkdwn::new("Kapso had an error. Nothing was changed; try again in a moment."),
        Problem::Unintelligible => Mrkdwn::new("Kapso sent an unexpected response. Please tell whoever runs this app."),
        Problem::Moved => Mrkdwn::new(
            "Kapso's sandbox API is not where this app expects it: Kapso may have moved this API. Please tell whoever \
             runs this app.",
        ),
        Problem::NotAllowed(allowed) => not_allowed(allowed),
        Problem::MayNotCreate(creators) => join(
            " ",
            [
                Mrkdwn::new("You cannot create sessions here."),
                who_may_create(creators),
            ],
        ),
        Problem::ProjectUnavailable => Mrkdwn::new(
            "The Kapso project that this was about can no longer be used here, so nothing was done. Type the command \
             again.",
        ),
        Problem::NoProjectHere => {
            Mrkdwn::new("No Kapso project can be used here. Whoever runs this app can change that.")
        }
        Problem::Unsure => fill(
            "Kapso did not confirm it: the session may or may not have been created. Check {list} before you try again.",
            [("list", context.typed("list"))],
        ),
        Problem::ResponseUrlNotAllowed => Mrkdwn::new(
            "The app isn't allowed to reply to the address Slack sent, so nothing was started. \
             Please tell whoever runs this app.",
        ),
        Problem::NoStore => Mrkdwn::new(
            "Storage is unavailable, so nothing was started. Try again in a minute; if it happens again, \
             please tell whoever runs this app.",
        ),
        Problem::StaleButton => {
            Mrkdwn::new("This button is too old, or from another version of the app. Type the command again.")
        }
        Problem::Stopping => Mrkdwn::new("The app is restarting. Nothing was done; try again in a few seconds."),
        Problem::Broken => Mrkdwn::new(
            "Something went wrong in this app. Try again; if it happens again, please tell whoever runs this app.",
        ),
    }
}

/// Does not repeat what may be an activation code or a phone number, typed by mistake.
fn not_found(id: &SessionId) -> Mrkdwn {
    let text = id.as_str();
    let may_be_code = text.len() == CODE_LENGTH && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let may_be_phone = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if id.is_uuid() || !(may_be_code || may_be_phone) {
        fill(
            "There is no session {id} in this app's Kapso project. Check the ID, and whether it belongs to another \
             project.",
            [("id", monospace(id.as_str()))],
        )
    } else {
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        let not_found = Mrkdwn::new(
            "There is no session with this ID in this app's Kapso project. Check the ID, and whether it belongs to \
             another project.",
        );
        let about_phones = Mrkdwn::new("For a phone number, start with `+` and the country code.");
        join(" ", [not_found].into_iter().chain(is_number.then_some(about_phones)))
    }
}

fn not_allowed(allowed: &AccessLists) -> Mrkdwn {
    let users = allowed
        .users
        .as_deref()
        .map(|users| fill("These people may use it: {people}.", [("people", people(users))]));
    let channels = allowed
        .channels
        .as_deref()
        .map(|list| names(list, |id| Some(Mrkdwn::default().channel(id))))
        .map(|channels| fill("It works in {channels}.", [("channels", channels)]));
    let teams = allowed
        .teams
        .is_some()
        .then(|| Mrkdwn::new("It works only in certain workspaces."));
    let sentences = [Mrkdwn::new("You cannot use this here.")]
        .into_iter()
        .chain(users)
        .chain(channels)
        .chain(teams)
        .chain([Mrkdwn::new("Whoever runs this app can change that.")]);
    join(" ", sentences)
}

/// Who may create sessions, for people without permission.
pub(crate) fn who_may_create(creators: &Creators) -> Mrkdwn {
    match creators {
        Creators::Only(users) if users.is_empty() => {
            Mrkdwn::new("Creating from Slack is turned off; create it in Kapso. Whoever runs this app can change that.")
        }
        Creators::Only(users) => fill(
            "These people can create one: {people}. Whoever runs this app can change that.",
            [("people", people(users))],
        ),
        // Not shown: everyone may create.
        Creators::Everyone => Mrkdwn::new("Whoever runs this app can change that."),
    }
}

fn people(users: &[String]) -> Mrkdwn {
    names(users, |id| UserId::parse(id).map(|user| person(&user)))
}

/// The first of a list, and whether there are more.
fn names(list: &[String], name: impl Fn(&str) -> Option<Mrkdwn>) -> Mrkdwn {
    let named = join(", ", list.iter().take(NAMED_MAX).filter_map(|id| name(id)));
    if list.len() > NAMED_MAX {
        fill("{names} and others", [("names", named)])
    } else {
        named
    }
}
