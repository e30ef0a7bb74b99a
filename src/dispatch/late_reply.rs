//! Answers that are owed beyond their request: kept in the store, finished by this process or by the next.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use super::{Asked, Bot, Invocation, Work};
use crate::cards::{ButtonValue, Problem};
use crate::commands::{self, FollowUp, RequestContext};
use crate::jobs::{Late, Lease, LeasedJob, Payload, Persistence, RENEWAL, Trigger};
use crate::slack::message::Message;
use crate::slack::response_url::{BLIND_TRIES, DeliveryError, ResponseUrl, RetryPolicy};
use crate::telemetry::Delivery;

impl Bot {
    /// Stores an answer before it is acknowledged by an empty 200.
    pub(super) async fn keep(&self, order: &Invocation, letterbox: &ResponseUrl, kept: &mut Persistence) {
        self.ledger.keep(late(order, letterbox.uses_left()), kept).await;
    }

    /// Counts an answer as lost that was in the store and cannot be read.
    pub(crate) async fn has_lost_unreadable(&self, lease: Lease) {
        self.metrics.lost(1);
        tracing::error!(lost = 1, "something that is owed cannot be read in the store");
        self.ledger.settle(&Persistence::Stored(lease)).await;
    }

    /// Counts answers as lost that nobody delivered while their `response_url` lived.
    pub(crate) fn has_lost_old(&self, count: u64) {
        if count > 0 {
            self.metrics.lost(count);
            tracing::error!(lost = count, "what was owed in the store was too old to be delivered");
        }
    }

    /// Finishes the work for as long as this process has the right to it, and takes its message to the letterbox.
    pub(super) async fn finish_late(
        self: Arc<Self>,
        order: Arc<Invocation>,
        work: Work,
        kept: Persistence,
        mut letterbox: Option<ResponseUrl>,
    ) {
        let response = tokio::select! {
            biased;
            done = work => done,
            () = self.lease_is_lost(&kept) => return self.handed_over(&order),
            () = self.give_up.cancelled() => {
                let uses_left = letterbox.as_ref().map_or(0, ResponseUrl::uses_left);
                if self.ledger.hand_over(&kept, &Payload::Late(late(&order, uses_left))).await {
                    return self.handed_over(&order);
                }
                self.instead(Problem::NoAnswer, &order)
            }
        };
        let delivery = match &mut letterbox {
            Some(letterbox) => {
                let payload = |uses_left| Payload::Late(late(&order, uses_left));
                let request_id = &order.asked.asker.request_id;
                let delivering = self.deliver(request_id, letterbox, None, &kept, &response.message, payload);
                self.while_it_holds(&kept, delivering).await
            }
            None => Err(DeliveryError::Forbidden),
        };
        if delivery == Err(DeliveryError::HandedOver) {
            return self.handed_over(&order);
        }
        self.note(&order, &response, delivery.map(|()| Delivery::Late));
        // First of all nobody must do it again.
        self.ledger.settle(&kept).await;
        let uses_left = letterbox.map_or(0, |letterbox| letterbox.uses_left());
        self.follow_up(&order, response.follow_up, delivery.is_ok(), uses_left)
            .await;
    }

    /// Posts what follows an answer, if anything does, with what the answer has left of the `response_url` and what was
    /// kept back for this. It is a courtesy: nobody does it again, and the end does not wait for it.
    async fn follow_up(&self, order: &Invocation, follow_up: Option<FollowUp>, taken: bool, uses_left: u32) {
        let RequestContext {
            request_id,
            response_url,
            arrived_at,
            ..
        } = &order.asked.asker;
        let letterbox = self.postman.letterbox(response_url, *arrived_at);
        let message = follow_up.map(|follow_up| follow_up.message(taken));
        let Some((message, letterbox)) = message.zip(letterbox) else {
            return;
        };
        let mut letterbox = letterbox.with_uses_left(uses_left + order.kept_back);
        let payload = |uses_left| Payload::Late(late(order, uses_left));
        let terms = RetryPolicy {
            line: None,
            blind_tries: BLIND_TRIES,
            give_up: &self.give_up,
        };
        let kept = Persistence::InMemory;
        let posted = self
            .try_to_deliver(request_id, &mut letterbox, terms, &kept, &message, payload)
            .await;
        if let Err(lost) = posted {
            tracing::warn!(
                request_id,
                lost = lost.to_string(),
                "what follows an answer did not reach Slack"
            );
        }
    }

    /// Goes on with an answer whose process has ended, or has lost its lease.
    pub fn resume(self: &Arc<Self>, held: LeasedJob) {
        let Payload::Late(late) = held.job.payload else {
            return;
        };
        let (command, shared_by) = match &late.ask {
            Trigger::Typed(text) => (commands::parse(text), None),
            Trigger::Pressed { action, value } => match commands::press(action, value) {
                Some(command) => (command, ButtonValue::shared_by(value)),
                None => return,
            },
        };
        let letterbox = self
            .postman
            .letterbox(&late.response_url, late.arrived_at)
            .map(|letterbox| letterbox.with_uses_left(late.uses_left));
        let asked = Asked {
            asker: RequestContext {
                who: late.who,
                response_url: late.response_url,
                arrived_at: late.arrived_at,
                request_id: late.request_id,
                target: late.place,
                shared_by,
                idempotency_key: late.trigger,
            },
            ask: late.ask,
            received: Instant::now(),
        };
        // Whatever was done for it before: that nothing was can be said of new commands alone. Should this process be
        // about to stop, it hands the answer over like others.
        let (order, work) = self.begin(asked, command, true);
        let (bot, kept) = (Arc::clone(self), Persistence::Stored(held.lease));
        if letterbox
            .as_ref()
            .is_some_and(|letterbox| self.postman.is_over(letterbox))
        {
            // Nobody would hear of it any more, so it is not done: least of all if it creates something.
            self.tasks.spawn(async move { bot.is_over(&order, &kept).await });
        } else {
            self.tasks.spawn(bot.finish_late(order, work, kept, letterbox));
        }
    }

    /// Posts a message; if it has pictures and Slack does not take it, then without them. Slack fetches a picture when it
    /// takes the message, and takes none whose picture it cannot get. `payload` says what is kept of the work when the
    /// `response_url` takes so many posts more: at the end of a stop, what has to wait for Slack is handed over.
    pub(super) async fn deliver(
        &self,
        request_id: &str,
        letterbox: &mut ResponseUrl,
        line: Option<&Semaphore>,
        kept: &Persistence,
        message: &Message,
        payload: impl Fn(u32) -> Payload,
    ) -> Result<(), DeliveryError> {
        // What is in memory alone nobody else would go on with, so it is never given up.
        let never = CancellationToken::new();
        let terms = RetryPolicy {
            line,
            blind_tries: BLIND_TRIES,
            give_up: if matches!(kept, Persistence::Stored(_)) {
                &self.give_up
            } else {
                &never
            },
        };
        let posted = self
            .try_to_deliver(request_id, letterbox, terms, kept, message, &payload)
            .await;
        let given_up = posted == Err(DeliveryError::GivenUp);
        if given_up && self.ledger.hand_over(kept, &payload(letterbox.uses_left())).await {
            return Err(DeliveryError::HandedOver);
        }
        posted
    }

    async fn try_to_deliver(
        &self,
        request_id: &str,
        letterbox: &mut ResponseUrl,
        terms: RetryPolicy<'_>,
        kept: &Persistence,
        message: &Message,
        payload: impl Fn(u32) -> Payload,
    ) -> Result<(), DeliveryError> {
        let may_post = |uses_left| {
            let payload = payload(uses_left);
            async move { self.ledger.may_post(kept, &payload).await }
        };
        let bare = message.without_images();
        let first = RetryPolicy {
            // Slack may be waiting for the picture, which is no reason to have it wait again.
            blind_tries: if bare.is_some() { 1 } else { terms.blind_tries },
            ..terms
        };
        let posted = self.postman.post(letterbox, message, first, &may_post).await;
        let (Err(lost @ (DeliveryError::Refused(_) | DeliveryError::Unreachable)), Some(bare)) = (posted, bare) else {
            return posted;
        };
        tracing::warn!(
            request_id,
            lost = lost.to_string(),
            "Slack did not take a message with a picture; is PUBLIC_URL right?"
        );
        self.postman.post(letterbox, &bare, terms, &may_post).await
    }

    /// Renews a lease while something is delivered: Slack may ask for a longer wait than it lasts. Should it be lost
    /// meanwhile, [`JobStore::may_post`] says so; a post that is under way is not cut off.
    ///
    /// [`JobStore::may_post`]: crate::jobs::JobStore::may_post
    pub(super) async fn while_it_holds<T>(&self, kept: &Persistence, delivering: impl Future<Output = T>) -> T {
        let holding = async {
            self.lease_is_lost(kept).await;
            std::future::pending().await
        };
        tokio::select! {
            biased;
            done = delivering => done,
            never = holding => never,
        }
    }

    async fn lease_is_lost(&self, kept: &Persistence) {
        let mut renewals = interval(RENEWAL);
        renewals.tick().await;
        loop {
            renewals.tick().await;
            if !self.ledger.holds(kept).await {
                return;
            }
        }
    }

    /// Counts an answer as lost whose `response_url` takes nothing any more.
    async fn is_over(&self, order: &Invocation, kept: &Persistence) {
        self.note_unanswered(order, Err(DeliveryError::UsedUp));
        self.ledger.settle(kept).await;
    }

    fn handed_over(&self, order: &Invocation) {
        self.note_unanswered(order, Ok(Delivery::HandedOver));
    }

    fn note_unanswered(&self, order: &Invocation, delivery: Result<Delivery, DeliveryError>) {
        let response = self.commands.problem(&Problem::NoAnswer, &order.asked.asker);
        self.note(order, &response, delivery);
    }
}

fn late(order: &Invocation, uses_left: u32) -> Late {
    let Asked { asker, ask, .. } = &order.asked;
    Late {
        ask: ask.clone(),
        session: order.session_id.clone(),
        trigger: asker.idempotency_key.clone(),
        who: asker.who.clone(),
        place: asker.target,
        request_id: asker.request_id.clone(),
        response_url: asker.response_url.clone(),
        arrived_at: asker.arrived_at,
        uses_left,
    }
}
