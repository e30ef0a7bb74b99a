//! A message after a reply or a notification, to the person who sent the request: an update of the card on which they
//! pressed a button. Losing one costs nothing else.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Dispatcher;
use super::delivery::{Attempt, Deliverable, Outgoing, StoredMessage};
use crate::commands::RequestContext;
use crate::queue::{LeasedJob, Payload};
use crate::slack::response_url::DeliveryError;

/// A message that follows a reply or a notification.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FollowUpJob {
    /// Finds the command in the log.
    pub(super) request_id: String,
    /// After this it is not posted: the card that it replaces may have been refreshed since.
    pub(super) not_after: Option<Timestamp>,
    /// The delivery.
    pub(super) outgoing: Outgoing,
}

impl Payload for FollowUpJob {
    const KIND: &'static str = "follow_up";
    const VERSION: i64 = 1;
    /// The lifetime of a `response_url`.
    const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(30);
}

impl Deliverable for FollowUpJob {
    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    fn request_id(&self) -> &str {
        &self.request_id
    }
}

impl FollowUpJob {
    fn is_too_late(&self, time: Timestamp) -> bool {
        self.not_after.is_some_and(|not_after| time > not_after)
    }
}

impl Dispatcher {
    /// Sends a follow-up of a reply. It is stored in memory only, and lost in a crash.
    pub(super) async fn follow_up(&self, request: &RequestContext, message: StoredMessage, posts_left: u32) {
        if !self.response_urls.allows(&request.response_url) {
            return;
        }
        let outgoing = Outgoing::new(request.response_url.clone(), request.arrived_at, &request.who.channel);
        let follow_up = FollowUpJob {
            request_id: request.request_id.clone(),
            not_after: None,
            outgoing: outgoing.with_posts_left(posts_left).with_message(message),
        };
        let job = self.queue.enqueue_in_memory(follow_up, request.arrived_at).await;
        self.deliver_follow_up(job).await;
    }

    /// Makes the next attempt to deliver a follow-up.
    pub(super) async fn deliver_follow_up(&self, mut job: LeasedJob<FollowUpJob>) {
        let attempt = if job.payload.is_too_late(self.clock.now()) {
            Attempt::Dead(DeliveryError::TooLate)
        } else {
            self.attempt(&mut job).await
        };
        let error = match attempt {
            Attempt::Delivered | Attempt::LeaseLost => return self.queue.complete(job).await,
            Attempt::Dead(error) => error,
            Attempt::RetryAt(due_at) if job.payload.is_too_late(due_at) => DeliveryError::TooLate,
            Attempt::RetryAt(due_at) => {
                let payload = job.payload.clone();
                return self.store_follow_up(job, payload, due_at).await;
            }
        };
        log_lost(&job.payload.request_id, error);
        self.queue.complete(job).await;
    }

    /// Stores a follow-up, due at `due_at`, in place of a job.
    pub(super) async fn store_follow_up<P>(&self, job: LeasedJob<P>, follow_up: FollowUpJob, due_at: Timestamp) {
        let request_id = follow_up.request_id.clone();
        if !self.queue.reschedule(job, follow_up, due_at).await {
            log_lost(&request_id, DeliveryError::NotStored);
        }
    }
}

fn log_lost(request_id: &str, error: DeliveryError) {
    tracing::warn!(
        request_id,
        lost = error.to_string(),
        "a follow-up message was not delivered"
    );
}
