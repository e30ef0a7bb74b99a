//! The other letterbox: posting to a `response_url`, within what Slack allows.
//!
//! Slack takes 5 posts in 30 minutes. We use at most 4, and none after 29 minutes.
//! Source: <https://docs.slack.dev/interactivity/handling-user-interaction>.

use std::fmt;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::message::Message;
use crate::clock::Clock;
use crate::config::{ResponseHost, ResponseUrlTiming};

/// Posts to one `response_url`, of the 5 that Slack takes.
const USES: u32 = 4;
/// How long after the request a `response_url` is used, of the 30 minutes it lives.
const LIFETIME: SignedDuration = SignedDuration::from_mins(29);
/// Tries for a post that failed without saying when to come back, usually. Each may have been taken all the same.
pub const BLIND_TRIES: u32 = 3;
/// The longest pause while there is no connection to Slack.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The most of Slack's reply that is read.
const REPLY_MAX: usize = 4 * 1024;

/// One `response_url` with what is left of it. Printed, it shows nothing of the address.
pub struct ResponseUrl {
    url: Url,
    opened_at: Timestamp,
    uses_left: u32,
}

impl ResponseUrl {
    /// How many posts it still takes.
    #[must_use]
    pub fn uses_left(&self) -> u32 {
        self.uses_left
    }

    /// The same letterbox, of which some posts were used already.
    #[must_use]
    pub fn with_uses_left(mut self, uses_left: u32) -> Self {
        self.uses_left = self.uses_left.min(uses_left);
        self
    }
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseUrl")
            .field("uses_left", &self.uses_left)
            .finish_non_exhaustive()
    }
}

/// Why a message did not reach Slack. Holds nothing of the address or of Slack's words.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DeliveryError {
    /// The address leads elsewhere than [`ResponseHost`]s allow.
    #[error("the response_url leads to a host that is not allowed")]
    Forbidden,
    /// Its 29 minutes or its 4 posts are used up, or will be before Slack takes the next one.
    #[error("the response_url is used up")]
    UsedUp,
    /// Slack refused for good.
    #[error("Slack refused the message with status {0}")]
    Refused(StatusCode),
    /// Somebody else has the right to post it now.
    #[error("another process posts it")]
    HandedOver,
    /// Slack did not take it in any of the tries.
    #[error("Slack could not be reached")]
    Unreachable,
    /// The next try was given up.
    #[error("the service stopped while Slack had it wait")]
    GivenUp,
}

/// What holds while a message waits for its next try.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy<'a> {
    /// The line it stands in for each try, where many may come at once.
    pub line: Option<&'a Semaphore>,
    /// Tries that may be made blindly, each of which Slack may have taken all the same.
    pub blind_tries: u32,
    /// Ends the wait, but no try that is under way: Slack may have taken that.
    pub give_up: &'a CancellationToken,
}

/// Posts messages to `response_url`s.
pub struct ResponseUrlClient {
    http: Client,
    hosts: Vec<ResponseHost>,
    clock: Clock,
    timing: ResponseUrlTiming,
}

impl ResponseUrlClient {
    /// A postman who goes to `hosts` alone. `http` must follow no redirects.
    #[must_use]
    pub fn new(http: Client, hosts: Vec<ResponseHost>, clock: Clock, timing: ResponseUrlTiming) -> Self {
        Self {
            http,
            hosts,
            clock,
            timing,
        }
    }

    /// The letterbox behind a `response_url` that came at `opened_at`; `None` if it is no address we would post to.
    #[must_use]
    pub fn letterbox(&self, response_url: &SecretString, opened_at: Timestamp) -> Option<ResponseUrl> {
        let url = Url::parse(response_url.expose_secret()).ok()?;
        self.allows(&url).then_some(ResponseUrl {
            url,
            opened_at,
            uses_left: USES,
        })
    }

    /// Whether the letterbox takes nothing any more.
    #[must_use]
    pub fn is_over(&self, letterbox: &ResponseUrl) -> bool {
        self.left(letterbox) <= SignedDuration::ZERO
    }

    /// Posts `message`, trying again where that can help. Before each try, `may_post` is asked, and told how many uses
    /// are left after it.
    ///
    /// # Errors
    /// Returns why the message is [`DeliveryError`].
    pub async fn post<Asked: Future<Output = bool>>(
        &self,
        letterbox: &mut ResponseUrl,
        message: &Message,
        terms: RetryPolicy<'_>,
        may_post: impl Fn(u32) -> Asked,
    ) -> Result<(), DeliveryError> {
        let body = Bytes::from(message.to_json());
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(self.timing.min_retry_delay)
            .with_max_delay(PAUSE_MAX)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times()
            .build();
        let mut blind_tries = 0;
        loop {
            if !self.allows(&letterbox.url) {
                return Err(DeliveryError::Forbidden);
            }
            let turn = match terms.line {
                Some(line) => tokio::select! {
                    turn = line.acquire() => Some(turn),
                    () = terms.give_up.cancelled() => return Err(DeliveryError::GivenUp),
                },
                None => None,
            };
            if letterbox.uses_left == 0 || self.is_over(letterbox) {
                return Err(DeliveryError::UsedUp);
            }
            letterbox.uses_left -= 1;
            if !may_post(letterbox.uses_left).await {
                return Err(DeliveryError::HandedOver);
            }
            let attempt = self.attempt(letterbox.url.clone(), body.clone()).await;
            drop(turn);
            let pause = match attempt {
                Attempt::Taken => return Ok(()),
                Attempt::Refused(status) => return Err(DeliveryError::Refused(status)),
                Attempt::ComeBack(after) => after,
                Attempt::NotSent => {
                    // Slack has seen nothing of it, so it cost no use.
                    letterbox.uses_left += 1;
                    pauses.next().unwrap_or(PAUSE_MAX)
                }
                Attempt::Failed => {
                    blind_tries += 1;
                    if blind_tries >= terms.blind_tries {
                        return Err(DeliveryError::Unreachable);
                    }
                    pauses.next().unwrap_or(self.timing.min_retry_delay)
                }
            };
            // A pause too long for its type is longer than what is left, too.
            let in_time = SignedDuration::try_from(pause).is_ok_and(|pause| pause < self.left(letterbox));
            if letterbox.uses_left == 0 || !in_time {
                return Err(DeliveryError::UsedUp);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = terms.give_up.cancelled() => return Err(DeliveryError::GivenUp),
            }
        }
    }

    fn allows(&self, url: &Url) -> bool {
        url.username().is_empty() && url.password().is_none() && self.hosts.iter().any(|host| host.allows(url))
    }

    fn left(&self, letterbox: &ResponseUrl) -> SignedDuration {
        LIFETIME - self.clock.now().duration_since(letterbox.opened_at)
    }

    async fn attempt(&self, url: Url, body: Bytes) -> Attempt {
        let sent = self
            .http
            .post(url)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .timeout(self.timing.attempt)
            .body(body)
            .send()
            .await;
        let mut reply = match sent {
            Ok(reply) => reply,
            Err(error) if error.is_connect() => return Attempt::NotSent,
            Err(_) => return Attempt::Failed,
        };
        let status = reply.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let seconds = reply
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok());
            // Slack's limit is about one message a second and channel.
            return Attempt::ComeBack(Duration::from_secs(seconds.unwrap_or(1).max(1)));
        }
        if status.is_server_error() {
            return Attempt::Failed;
        }
        if !status.is_success() {
            return Attempt::Refused(status);
        }
        // Taken, whatever the body says, unless it says in so many words that it was not.
        let mut read = Vec::new();
        while let Ok(Some(chunk)) = reply.chunk().await {
            read.extend_from_slice(&chunk);
            if read.len() > REPLY_MAX {
                break;
            }
        }
        match serde_json::from_slice(&read) {
            Ok(Verdict { ok: false }) => Attempt::Refused(status),
            _ => Attempt::Taken,
        }
    }
}

enum Attempt {
    Taken,
    Refused(StatusCode),
    ComeBack(Duration),
    /// There was no connection.
    NotSent,
    /// It may have been taken all the same.
    Failed,
}

#[derive(Deserialize)]
struct Verdict {
    ok: bool,
}
