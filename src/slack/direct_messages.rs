//! Direct messages of the app to a person, and whether they work at the moment.
//!
//! Whether they work is known from the last message and from `auth.test`, which is asked when it matters and when nothing
//! newer is known. Source: <https://docs.slack.dev/reference/methods/chat.postMessage>.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::Who;
use super::web_api::{ChatMessage, Installation, Posted, Refusal, WebApi, WebApiError};
use crate::clock::Clock;

/// The scope that they need.
pub const SCOPE: &str = "chat:write";
/// How long an answer of Slack's counts.
const VALID: SignedDuration = SignedDuration::from_mins(5);
/// How long a closed Messages tab counts: `auth.test` does not know about it.
const TAB_CLOSED_VALID: SignedDuration = SignedDuration::from_hours(1);

/// How long it counts that Slack did not answer.
const UNKNOWN_VALID: SignedDuration = SignedDuration::from_secs(30);

/// Whether direct messages to a person work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// There is no bot token.
    NotConfigured,
    Works,
    /// The person does not belong to the app's workspace or organisation.
    Elsewhere,
    /// Slack refuses them, whoever they are for.
    Refused(Refusal),
    /// Slack did not say.
    Unknown,
}

/// Sends direct messages.
pub struct DirectMessages {
    api: WebApi,
    clock: Clock,
    known: Mutex<Known>,
}

/// What Slack said about a token.
#[derive(Default)]
struct Known {
    /// Counts the tokens. An answer that was asked for with an earlier one says nothing.
    generation: u64,
    /// What Slack said last, and when; `None` in it if it did not say.
    last: Option<(Timestamp, Option<Result<(), Refusal>>)>,
    installation: Option<Installation>,
}

impl DirectMessages {
    #[must_use]
    pub fn new(api: WebApi, clock: Clock) -> Self {
        Self {
            api,
            clock,
            known: Mutex::default(),
        }
    }

    /// Uses this token from now on.
    pub fn set_token(&self, token: Option<SecretString>) {
        let mut known = self.known();
        self.api.set_token(token);
        *known = Known {
            generation: known.generation + 1,
            ..Known::default()
        };
    }

    /// Whether direct messages to this person work now. May ask Slack.
    pub async fn availability(&self, who: &Who) -> Availability {
        if !self.api.has_token() {
            return Availability::NotConfigured;
        }
        if let Some(availability) = self.known().availability(who, self.clock.now()) {
            return availability;
        }
        let generation = self.known().generation;
        let (result, installation) = match self.api.auth_test().await {
            Ok((granted, installation)) if granted.includes(SCOPE) => (Some(Ok(())), Some(installation)),
            Ok(_) => (Some(Err(Refusal::MissingScope(SCOPE.to_owned()))), None),
            Err(WebApiError::NoToken) => return Availability::NotConfigured,
            Err(WebApiError::Refused(refusal)) => (Some(Err(refusal)), None),
            Err(WebApiError::NotSent(_) | WebApiError::Unclear(_) | WebApiError::RateLimited(_)) => (None, None),
        };
        self.record(generation, result, installation);
        let known = self.known().availability(who, self.clock.now());
        // Nothing is known of a token that has just been replaced.
        known.unwrap_or(Availability::Unknown)
    }

    /// Posts a message to a person.
    ///
    /// # Errors
    /// See [`WebApiError`].
    pub async fn send(&self, user: &str, message: &ChatMessage) -> Result<Posted, WebApiError> {
        let generation = self.known().generation;
        let sent = self.api.post_message(user, message).await;
        match &sent {
            Ok(_) => self.record(generation, Some(Ok(())), None),
            Err(WebApiError::Refused(refusal)) if refusal.is_configuration_fault() => {
                self.record(generation, Some(Err(refusal.clone())), None);
            }
            Err(_) => {}
        }
        sent
    }

    /// Remembers what Slack said about the token of this generation, and logs a new refusal.
    fn record(&self, generation: u64, result: Option<Result<(), Refusal>>, installation: Option<Installation>) {
        let now = self.clock.now();
        let mut known = self.known();
        if known.generation != generation {
            return;
        }
        let is_new = known.last.as_ref().is_none_or(|(_, last)| *last != result);
        if let (true, Some(Err(refusal))) = (is_new, &result) {
            tracing::warn!(
                problem = refusal.to_string(),
                fix = refusal.fix(),
                "Slack refuses direct messages; watches last 28 minutes"
            );
        }
        known.last = Some((now, result));
        known.installation = installation.or(known.installation.take());
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// `None` if Slack has to be asked.
    fn availability(&self, who: &Who, now: Timestamp) -> Option<Availability> {
        let (at, result) = self.last.as_ref()?;
        let valid = match result {
            Some(Err(Refusal::MessagesTabDisabled)) => TAB_CLOSED_VALID,
            Some(Ok(()) | Err(_)) => VALID,
            None => UNKNOWN_VALID,
        };
        if now.duration_since(*at).abs() >= valid {
            return None;
        }
        Some(match result {
            None => Availability::Unknown,
            Some(Err(refusal)) => Availability::Refused(refusal.clone()),
            // Known from a message that was sent: not yet where the token is installed.
            Some(Ok(())) if self.installation.as_ref()?.includes(who) => Availability::Works,
            Some(Ok(())) => Availability::Elsewhere,
        })
    }
}
