//! Direct messages of the app to a person, and whether they work at the moment.
//!
//! Whether they work is known from the last message and from `auth.test`, which is asked when it matters and when nothing
//! newer is known. Source: <https://docs.slack.dev/reference/methods/chat.postMessage>.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use super::web_api::{ChatMessage, Posted, Refusal, WebApi, WebApiError};
use crate::clock::Clock;

/// The scope that they need.
pub const SCOPE: &str = "chat:write";
/// How long an answer of Slack's counts.
const VALID: SignedDuration = SignedDuration::from_mins(5);
/// How long a closed Messages tab counts: `auth.test` does not know about it.
const TAB_CLOSED_VALID: SignedDuration = SignedDuration::from_hours(1);

/// Whether direct messages work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// There is no bot token.
    NotConfigured,
    Works,
    /// Slack refuses them, whoever they are for.
    Refused(Refusal),
    /// Slack did not say.
    Unknown,
}

/// Sends direct messages.
pub struct DirectMessages {
    api: WebApi,
    clock: Clock,
    /// What Slack said last, and when.
    last: Mutex<Option<(Timestamp, Result<(), Refusal>)>>,
}

impl DirectMessages {
    #[must_use]
    pub fn new(api: WebApi, clock: Clock) -> Self {
        Self {
            api,
            clock,
            last: Mutex::default(),
        }
    }

    /// Uses this token from now on.
    pub fn set_token(&self, token: Option<SecretString>) {
        self.api.set_token(token);
        *self.last() = None;
    }

    /// Whether direct messages work now. May ask Slack.
    pub async fn availability(&self) -> Availability {
        if !self.api.has_token() {
            return Availability::NotConfigured;
        }
        let now = self.clock.now();
        let last = self.last().clone();
        if let Some((at, result)) = last {
            let valid = match result {
                Err(Refusal::MessagesTabDisabled) => TAB_CLOSED_VALID,
                Ok(()) | Err(_) => VALID,
            };
            if now.duration_since(at).abs() < valid {
                return result.map_or_else(Availability::Refused, |()| Availability::Works);
            }
        }
        let result = match self.api.auth_test().await {
            Ok(granted) if granted.includes(SCOPE) => Ok(()),
            Ok(_) => Err(Refusal::MissingScope(SCOPE.to_owned())),
            Err(WebApiError::NoToken) => return Availability::NotConfigured,
            Err(WebApiError::Refused(refusal)) => Err(refusal),
            Err(WebApiError::NotSent(_) | WebApiError::Unclear(_) | WebApiError::RateLimited(_)) => {
                return Availability::Unknown;
            }
        };
        self.record(result.clone());
        result.map_or_else(Availability::Refused, |()| Availability::Works)
    }

    /// Posts a message to a person.
    ///
    /// # Errors
    /// See [`WebApiError`].
    pub async fn send(&self, user: &str, message: &ChatMessage) -> Result<Posted, WebApiError> {
        let sent = self.api.post_message(user, message).await;
        match &sent {
            Ok(_) => self.record(Ok(())),
            Err(WebApiError::Refused(refusal)) if refusal.concerns_everybody() => self.record(Err(refusal.clone())),
            Err(_) => {}
        }
        sent
    }

    /// Remembers what Slack said, and logs a new refusal.
    fn record(&self, result: Result<(), Refusal>) {
        let now = self.clock.now();
        let mut last = self.last();
        let is_new = last.as_ref().is_none_or(|(_, last)| *last != result);
        if let (true, Err(refusal)) = (is_new, &result) {
            tracing::warn!(
                problem = refusal.to_string(),
                fix = refusal.fix(),
                "Slack refuses direct messages; watches last 28 minutes"
            );
        }
        *last = Some((now, result));
    }

    fn last(&self) -> MutexGuard<'_, Option<(Timestamp, Result<(), Refusal>)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
