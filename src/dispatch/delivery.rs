//! Delivers messages to `response_url`s: one attempt at a time, with the message in the queue between attempts.

use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Dispatcher;
use crate::queue::{LeasedJob, Payload};
use crate::slack::message::Message;
use crate::slack::response_url::{DeliveryError, POSTS, PostOutcome};
use crate::slack::web_api::{ChatMessage, Posted};

/// Most attempts without a clear answer. Slack may have accepted the message in each.
pub(super) const UNCLEAR_ATTEMPTS: u32 = 3;

/// A message for a `response_url`, and the state of its delivery.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outgoing {
    /// The address.
    #[serde(with = "crate::queue::secret")]
    pub response_url: SecretString,
    /// When the `response_url` was received: its 29 minutes count from here.
    pub received_at: Timestamp,
    /// The channel that it is posted to.
    pub channel: String,
    /// Whether the time of the next attempt was chosen to keep to the channel's limit.
    pub is_paced: bool,
    /// How many posts the `response_url` still accepts.
    pub posts_left: u32,
    /// Attempts so far that ended without a clear answer.
    pub unclear_attempts: u32,
    /// Attempts so far that did not reach Slack.
    pub unsent_attempts: u32,
    /// The message; `None` while it is not rendered.
    pub message: Option<StoredMessage>,
    /// For a direct message; `None` if it is posted to the `response_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Recipient>,
    /// Whether it is posted to the channel with the bot token, and to the `response_url` only if Slack refuses that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub with_token: bool,
    /// Where that was.
    #[serde(skip)]
    pub posted: Option<Posted>,
}

/// The person that a message is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// `U…` or `W…`.
    pub user: String,
    /// After this it is not posted any more.
    pub not_after: Timestamp,
}

/// A message as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMessage {
    json: String,
    /// The message without its images, if it has any: Slack fetches images when it accepts a message, and refuses the
    /// whole message if it cannot fetch one.
    without_images: Option<String>,
}

impl From<&Message> for StoredMessage {
    fn from(message: &Message) -> Self {
        Self {
            json: message.to_json(),
            without_images: message.without_images().as_ref().map(Message::to_json),
        }
    }
}

impl StoredMessage {
    /// The message for the Web API.
    pub(super) fn as_chat(&self) -> ChatMessage {
        ChatMessage::new(serde_json::from_str(&self.json).unwrap_or_default())
    }

    /// The same message with `note`, which is mrkdwn of our own, in front of its text and below its blocks.
    pub(super) fn with_note(self, note: &'static str) -> Self {
        let Ok(mut message) = serde_json::from_str::<Value>(&self.json) else {
            return self;
        };
        message["text"] = format!("{note} {}", message["text"].as_str().unwrap_or_default()).into();
        if let Some(blocks) = message["blocks"].as_array_mut() {
            blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": note}]}));
        }
        Self {
            json: message.to_string(),
            without_images: None,
        }
    }
}

impl Outgoing {
    /// A message that is not rendered yet, for a `response_url` that has not been used.
    #[must_use]
    pub fn new(response_url: SecretString, received_at: Timestamp, channel: &str) -> Self {
        Self {
            response_url,
            received_at,
            channel: channel.to_owned(),
            is_paced: false,
            posts_left: POSTS,
            unclear_attempts: 0,
            unsent_attempts: 0,
            message: None,
            to: None,
            with_token: false,
            posted: None,
        }
    }

    /// The same as a direct message to this person, if one is given.
    #[must_use]
    pub fn to(self, to: Option<Recipient>) -> Self {
        Self { to, ..self }
    }

    /// The same with this many posts left.
    #[must_use]
    pub fn with_posts_left(self, posts_left: u32) -> Self {
        Self { posts_left, ..self }
    }

    /// The same with a message.
    #[must_use]
    pub fn with_message(self, message: StoredMessage) -> Self {
        Self {
            message: Some(message),
            ..self
        }
    }
}

/// A job that ends with the delivery of a message.
pub(super) trait Deliverable: Payload + Sync {
    fn outgoing(&mut self) -> &mut Outgoing;
    fn request_id(&self) -> &str;
    /// Called when Slack refuses it as a direct message. Returns whether the watch that it is about goes on, if it would
    /// have gone on.
    fn direct_message_refused(&self, _: &Dispatcher) -> impl Future<Output = Option<bool>> + Send {
        async { None }
    }
}

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Delivered,
    RetryAt(Timestamp),
    /// Another process has the job now.
    LeaseLost,
    Dead(DeliveryError),
}

fn retry_at(outgoing: &mut Outgoing, time: Timestamp, in_time: bool) -> Attempt {
    outgoing.is_paced = true;
    if in_time {
        Attempt::RetryAt(time)
    } else {
        Attempt::Dead(DeliveryError::UsedUp)
    }
}

impl Dispatcher {
    /// Makes one attempt to deliver the message of a job, which must be rendered.
    pub(super) async fn attempt<P: Deliverable>(&self, job: &mut LeasedJob<P>) -> Attempt {
        match job.payload.outgoing().to.clone() {
            Some(to) => self.attempt_direct(job, &to).await,
            None => self.attempt_post(job).await,
        }
    }

    async fn attempt_post<P: Deliverable>(&self, job: &mut LeasedJob<P>) -> Attempt {
        let time_left = self.response_urls.time_left(job.payload.outgoing().received_at);
        let outgoing = job.payload.outgoing();
        if !self.response_urls.allows(&outgoing.response_url) {
            return Attempt::Dead(DeliveryError::Forbidden);
        }
        let Some(message) = outgoing.message.clone() else {
            return Attempt::Dead(DeliveryError::UsedUp);
        };
        if outgoing.posts_left == 0 || time_left <= SignedDuration::ZERO {
            return Attempt::Dead(DeliveryError::UsedUp);
        }
        // During a shutdown there is no time to wait; what Slack does not take is repeated or left to the next process.
        if !outgoing.is_paced && !self.stopping.is_cancelled() {
            let now = self.clock.now();
            let allowed_at = self.channel_pace.reserve(&outgoing.channel, now);
            if allowed_at > now {
                return retry_at(outgoing, allowed_at, allowed_at.duration_since(now) < time_left);
            }
        }
        outgoing.is_paced = false;
        // Stored before the post: after a crash, the post counts as made.
        outgoing.posts_left -= 1;
        if !self.queue.record_attempt(job).await {
            return Attempt::LeaseLost;
        }
        let request_id = job.payload.request_id().to_owned();
        let outgoing = job.payload.outgoing();
        let outcome = if outgoing.with_token {
            let Some(outcome) = self.post_with_token(outgoing, &message, &request_id).await else {
                outgoing.with_token = false;
                outgoing.posts_left += 1;
                // Slack has taken nothing, so the channel has room for it.
                outgoing.is_paced = true;
                return Attempt::RetryAt(self.clock.now());
            };
            outcome
        } else {
            let body = Bytes::from(message.json);
            match self.response_urls.post(&outgoing.response_url, body).await {
                Ok(outcome) => outcome,
                Err(error) => return Attempt::Dead(error),
            }
        };
        let pause = match outcome {
            PostOutcome::Accepted => return Attempt::Delivered,
            PostOutcome::Refused(status) => match message.without_images {
                Some(json) => return self.retry_without_images(job, json, DeliveryError::Refused(status)),
                None => return Attempt::Dead(DeliveryError::Refused(status)),
            },
            PostOutcome::RateLimited(retry_after) => {
                tracing::debug!(
                    request_id = job.payload.request_id(),
                    "Slack limits messages in a channel; posting again later"
                );
                return self.retry_after_rate_limit(job.payload.outgoing(), retry_after, time_left);
            }
            PostOutcome::NotSent => {
                outgoing.posts_left += 1;
                outgoing.unsent_attempts += 1;
                self.response_urls.pause_after(outgoing.unsent_attempts)
            }
            PostOutcome::Unknown => {
                outgoing.unclear_attempts += 1;
                match message.without_images {
                    // Slack may have timed out while it fetched an image, so the next attempt is without it.
                    Some(json) => return self.retry_without_images(job, json, DeliveryError::Unreachable),
                    None if outgoing.unclear_attempts >= UNCLEAR_ATTEMPTS => {
                        return Attempt::Dead(DeliveryError::Unreachable);
                    }
                    None => self.response_urls.pause_after(outgoing.unclear_attempts),
                }
            }
        };
        // A pause that overflows is longer than the time left, too.
        let in_time = SignedDuration::try_from(pause).is_ok_and(|pause| pause < time_left);
        match SignedDuration::try_from(pause) {
            Ok(pause) if in_time && outgoing.posts_left > 0 => Attempt::RetryAt(self.clock.now() + pause),
            _ => Attempt::Dead(DeliveryError::UsedUp),
        }
    }

    /// Slack has taken nothing, so the `response_url` has lost no post.
    fn retry_after_rate_limit(
        &self,
        outgoing: &mut Outgoing,
        retry_after: Duration,
        time_left: SignedDuration,
    ) -> Attempt {
        outgoing.posts_left += 1;
        let now = self.clock.now();
        self.channel_pace.pause(&outgoing.channel, now, retry_after);
        let allowed_at = self.channel_pace.reserve(&outgoing.channel, now);
        // Other processes wait for the same channel.
        let jitter = Duration::from_millis(fastrand::u64(..250));
        let waits = SignedDuration::try_from(retry_after).unwrap_or(SignedDuration::MAX);
        let waits = waits.max(allowed_at.duration_since(now));
        retry_at(outgoing, allowed_at + jitter, waits < time_left)
    }

    fn retry_without_images<P: Deliverable>(
        &self,
        job: &mut LeasedJob<P>,
        json: String,
        error: DeliveryError,
    ) -> Attempt {
        tracing::warn!(
            request_id = job.payload.request_id(),
            lost = error.to_string(),
            "Slack did not accept a message with an image; check PUBLIC_URL"
        );
        let outgoing = job.payload.outgoing();
        outgoing.unclear_attempts = 0;
        outgoing.message = Some(StoredMessage {
            json,
            without_images: None,
        });
        if outgoing.posts_left == 0 {
            return Attempt::Dead(DeliveryError::UsedUp);
        }
        Attempt::RetryAt(self.clock.now())
    }
}
