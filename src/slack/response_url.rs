//! Client for `response_url`: one post at a time, within what Slack allows.
//!
//! Slack accepts 5 posts in 30 minutes. We use at most 4, and none after 29 minutes.
//! Source: <https://docs.slack.dev/interactivity/handling-user-interaction>.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;
use url::Url;

use crate::clock::Clock;
use crate::config::{ResponseHost, ResponseUrlTiming};

/// Posts to one `response_url`, of the 5 that Slack accepts.
pub const POSTS: u32 = 4;
/// How long after the request a `response_url` is used, of the 30 minutes that it works.
const LIFETIME: SignedDuration = SignedDuration::from_mins(29);
/// The longest pause between two attempts, unless Slack asks for more.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The most of Slack's response that is read, in bytes.
const RESPONSE_MAX: usize = 4 * 1024;

/// Why a message was not delivered. Contains nothing of the address or of Slack's words.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DeliveryError {
    /// The host of the address is not in the list of allowed [`ResponseHost`]s.
    #[error("the response_url leads to a host that is not allowed")]
    Forbidden,
    /// Its 29 minutes or its posts are used up, or will be before Slack accepts the next one.
    #[error("the response_url is used up")]
    UsedUp,
    /// The message would replace a card that may have changed since.
    #[error("it would come too late")]
    TooLate,
    /// Slack refused for good.
    #[error("Slack refused the message with status {0}")]
    Refused(StatusCode),
    /// No attempt succeeded.
    #[error("Slack could not be reached")]
    Unreachable,
    /// Slack refused it as a direct message, and the `response_url` no longer works.
    #[error("Slack refused the direct message")]
    DirectRefused,
    /// The access lists no longer allow the person to use this app.
    #[error("the person may no longer use this app")]
    NotAllowed,
    /// Neither the database nor memory had room for the next attempt.
    #[error("the next attempt could not be stored")]
    NotStored,
}

/// The outcome of one post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostOutcome {
    /// Slack accepted the message.
    Accepted,
    /// Slack refused the message for good.
    Refused(StatusCode),
    /// Slack accepted nothing, and says when to try again.
    RateLimited(Duration),
    /// There was no connection, so Slack has seen nothing of it.
    NotSent,
    /// Slack may have taken the message: it did not say so.
    Unknown,
}

/// Posts messages to `response_url`s.
pub struct ResponseUrlClient {
    http: Client,
    hosts: Vec<ResponseHost>,
    clock: Clock,
    timing: ResponseUrlTiming,
}

impl ResponseUrlClient {
    /// A client that posts to `hosts` alone. `http` must follow no redirects.
    #[must_use]
    pub fn new(http: Client, hosts: Vec<ResponseHost>, clock: Clock, timing: ResponseUrlTiming) -> Self {
        Self {
            http,
            hosts,
            clock,
            timing,
        }
    }

    /// Whether messages may be posted to this address.
    #[must_use]
    pub fn allows(&self, response_url: &SecretString) -> bool {
        self.parse(response_url).is_some()
    }

    /// How long an address that was received at `received_at` still works.
    #[must_use]
    pub fn time_left(&self, received_at: Timestamp) -> SignedDuration {
        LIFETIME - self.clock.now().duration_since(received_at)
    }

    /// The pause before the next attempt, after so many attempts that failed without a `Retry-After`: exponential, with
    /// jitter of up to as much again.
    #[must_use]
    pub fn pause_after(&self, failures: u32) -> Duration {
        let base = self.timing.min_retry_delay * 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
        base.min(PAUSE_MAX).mul_f64(1.0 + fastrand::f64())
    }

    /// Posts a message, once.
    ///
    /// # Errors
    /// [`DeliveryError::Forbidden`] if messages may not be posted to this address.
    pub async fn post(&self, response_url: &SecretString, body: Bytes) -> Result<PostOutcome, DeliveryError> {
        let url = self.parse(response_url).ok_or(DeliveryError::Forbidden)?;
        let sent = self
            .http
            .post(url)
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .timeout(self.timing.attempt)
            .body(body)
            .send()
            .await;
        let mut response = match sent {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Ok(PostOutcome::NotSent),
            Err(_) => return Ok(PostOutcome::Unknown),
        };
        let status = response.status();
        if status == StatusCode::TOO_MANY_REQUESTS {
            let seconds = response
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.parse().ok());
            // Slack's limit is about one message a second and channel.
            return Ok(PostOutcome::RateLimited(Duration::from_secs(
                seconds.unwrap_or(1).max(1),
            )));
        }
        if status.is_server_error() {
            return Ok(PostOutcome::Unknown);
        }
        if !status.is_success() {
            return Ok(PostOutcome::Refused(status));
        }
        // Accepted, whatever the body says, unless it says explicitly that it was not.
        let mut read = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            read.extend_from_slice(&chunk);
            if read.len() > RESPONSE_MAX {
                break;
            }
        }
        Ok(match serde_json::from_slice(&read) {
            Ok(Verdict { ok: false }) => PostOutcome::Refused(status),
            _ => PostOutcome::Accepted,
        })
    }

    fn parse(&self, response_url: &SecretString) -> Option<Url> {
        let url = Url::parse(response_url.expose_secret()).ok()?;
        let is_allowed =
            url.username().is_empty() && url.password().is_none() && self.hosts.iter().any(|host| host.allows(&url));
        is_allowed.then_some(url)
    }
}

#[derive(Deserialize)]
struct Verdict {
    ok: bool,
}
