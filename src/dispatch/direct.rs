//! Delivers messages as direct messages: one attempt at a time, with the message in the queue between attempts.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Dispatcher;
use super::delivery::{Attempt, Deliverable, Recipient, UNCLEAR_ATTEMPTS};
use crate::cards::notification::why_not_direct;
use crate::queue::LeasedJob;
use crate::slack::response_url::DeliveryError;
use crate::slack::web_api::{Refusal, WebApiError};

/// The pause after a refusal that concerns everybody: the operator may put it right.
pub(super) const REFUSED_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// The pauses between attempts whose answers do not say whether Slack took the message: long enough for an outage.
const UNCLEAR_PAUSES: [SignedDuration; UNCLEAR_ATTEMPTS as usize - 1] =
    [SignedDuration::from_mins(1), SignedDuration::from_mins(15)];

impl Dispatcher {
    /// Makes one attempt to deliver the message of a job to a person.
    pub(super) async fn attempt_direct<P: Deliverable>(&self, job: &mut LeasedJob<P>, to: &Recipient) -> Attempt {
        let now = self.clock.now();
        let outgoing = job.payload.outgoing();
        let Some(message) = outgoing.message.clone() else {
            return Attempt::Dead(DeliveryError::UsedUp);
        };
        if outgoing.unclear_attempts >= UNCLEAR_ATTEMPTS {
            return Attempt::Dead(DeliveryError::Unreachable);
        }
        if !outgoing.is_paced && !self.stopping.is_cancelled() {
            let allowed_at = self.channel_pace.reserve(&to.user, now);
            if allowed_at > now {
                outgoing.is_paced = true;
                return retry_at(allowed_at, to);
            }
        }
        outgoing.is_paced = false;
        // Stored before the post: after a crash, Slack may have accepted it.
        outgoing.unclear_attempts += 1;
        if !self.queue.record_attempt(job).await {
            return Attempt::LeaseLost;
        }
        let sent = self.commands.direct_messages.send(&to.user, &message.as_chat()).await;
        let outgoing = job.payload.outgoing();
        let error = match sent {
            Ok(_) => return Attempt::Delivered,
            Err(WebApiError::Unclear(_)) => {
                let attempts = usize::try_from(outgoing.unclear_attempts).unwrap_or(usize::MAX);
                return match UNCLEAR_PAUSES.get(attempts.saturating_sub(1)) {
                    Some(pause) => retry_at(now + *pause, to),
                    None => Attempt::Dead(DeliveryError::Unreachable),
                };
            }
            Err(error) => error,
        };
        // Slack has taken nothing.
        outgoing.unclear_attempts -= 1;
        match error {
            WebApiError::RateLimited(pause) => {
                self.channel_pace.pause(&to.user, now, pause);
                outgoing.is_paced = true;
                // Other processes wait, too.
                let jitter = Duration::from_millis(fastrand::u64(..250));
                retry_at(after(now, pause + jitter), to)
            }
            WebApiError::NotSent(_) | WebApiError::Unclear(_) => {
                outgoing.unsent_attempts += 1;
                retry_at(after(now, self.response_urls.pause_after(outgoing.unsent_attempts)), to)
            }
            WebApiError::NoToken => self.fall_back(job, &Refusal::InvalidAuth, to).await,
            WebApiError::Refused(refusal) => self.fall_back(job, &refusal, to).await,
        }
    }

    /// Posts to the `response_url` while that works, and says why. Else the message is posted later, if the operator may put
    /// the refusal right.
    async fn fall_back<P: Deliverable>(&self, job: &mut LeasedJob<P>, refusal: &Refusal, to: &Recipient) -> Attempt {
        self.metrics.count_direct_message_refused(refusal.code());
        if let Some(suppressed) = self.admit_line("direct message") {
            tracing::warn!(
                request_id = job.payload.request_id(),
                problem = refusal.to_string(),
                fix = refusal.fix(),
                suppressed,
                "Slack refused a direct message"
            );
        }
        let outgoing = job.payload.outgoing();
        let time_left = self.response_urls.time_left(outgoing.received_at);
        let can_be_posted = time_left > SignedDuration::ZERO && outgoing.posts_left > 0;
        if !can_be_posted && refusal.is_configuration_fault() {
            return retry_at(self.clock.now() + REFUSED_PAUSE, to);
        }
        let goes_on = job.payload.direct_message_refused(self).await;
        let outgoing = job.payload.outgoing();
        if can_be_posted {
            outgoing.to = None;
            outgoing.message = outgoing
                .message
                .take()
                .map(|message| message.with_note(why_not_direct(refusal, goes_on)));
            return Attempt::RetryAt(self.clock.now());
        }
        Attempt::Dead(DeliveryError::DirectRefused)
    }
}

fn retry_at(time: Timestamp, to: &Recipient) -> Attempt {
    if time < to.not_after {
        Attempt::RetryAt(time)
    } else {
        Attempt::Dead(DeliveryError::TooLate)
    }
}

fn after(now: Timestamp, pause: Duration) -> Timestamp {
    SignedDuration::try_from(pause)
        .ok()
        .and_then(|pause| now.checked_add(pause).ok())
        .unwrap_or(Timestamp::MAX)
}
