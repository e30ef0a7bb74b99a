//! A message after a reply, to the person who sent the request. It is kept in memory only: nobody repeats it after a
//! crash.

use serde::{Deserialize, Serialize};

use super::Dispatcher;
use super::delivery::{Attempt, Deliverable, Outgoing, StoredMessage};
use crate::commands::RequestContext;
use crate::queue::{LeasedJob, Payload};
use crate::slack::response_url::DeliveryError;

/// A message that follows a reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FollowUpJob {
    request_id: String,
    outgoing: Outgoing,
}

impl Payload for FollowUpJob {
    const KIND: &'static str = "follow_up";
    const VERSION: i64 = 1;
}

impl Deliverable for FollowUpJob {
    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    fn request_id(&self) -> &str {
        &self.request_id
    }
}

impl Dispatcher {
    pub(super) async fn follow_up(&self, request: &RequestContext, message: StoredMessage, posts_left: u32) {
        if !self.response_urls.allows(&request.response_url) {
            return;
        }
        let outgoing = Outgoing::new(request.response_url.clone(), request.arrived_at, &request.who.channel);
        let follow_up = FollowUpJob {
            request_id: request.request_id.clone(),
            outgoing: outgoing.with_posts_left(posts_left).with_message(message),
        };
        let job = self.queue.enqueue_in_memory(follow_up, request.arrived_at).await;
        self.deliver_follow_up(job).await;
    }

    pub(super) async fn deliver_follow_up(&self, mut job: LeasedJob<FollowUpJob>) {
        let error = match self.attempt(&mut job).await {
            Attempt::Delivered | Attempt::LeaseLost => return self.queue.complete(job).await,
            Attempt::Dead(error) => error,
            Attempt::RetryAt(due_at) => {
                let payload = job.payload.clone();
                let request_id = payload.request_id.clone();
                if !self.queue.reschedule(job, payload, due_at).await {
                    log_lost(&request_id, DeliveryError::NotStored);
                }
                return;
            }
        };
        log_lost(&job.payload.request_id, error);
        self.queue.complete(job).await;
    }
}

fn log_lost(request_id: &str, error: DeliveryError) {
    tracing::warn!(
        request_id,
        lost = error.to_string(),
        "a follow-up message was not delivered"
    );
}
