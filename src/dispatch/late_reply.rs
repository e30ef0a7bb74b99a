//! Late replies: stored before the acknowledgement, delivered by this process or by another.

use std::fmt;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::future::{MaybeDone, maybe_done};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, interval};

use super::delivery::{Attempt, Deliverable, Outgoing, StoredMessage};
use super::{Delivered, Dispatcher, Invocation, LogEntry, request_context};
use crate::cards::{Problem, ReplyTarget};
use crate::commands::{Found, Outcome, RequestContext, Response};
use crate::kapso::SessionId;
use crate::queue::{LeasedJob, Payload, RENEWAL};
use crate::slack::Who;
use crate::slack::button_value::Origin;
use crate::slack::response_url::DeliveryError;
use crate::slack::verified::Way;
use crate::telemetry::Delivery;
use crate::watches::Shown;

/// A reply that was not ready when its command was acknowledged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LateReply {
    /// What Slack sent, for a process that did not receive the request.
    pub trigger: Trigger,
    /// Who sent it.
    pub who: Who,
    /// Where the command comes from.
    pub origin: Origin,
    /// What the reply answers.
    pub target: ReplyTarget,
    /// Finds the command in the log.
    pub request_id: String,
    /// The idempotency key of a command that creates something, so that it is not created twice.
    pub idempotency_key: Option<String>,
    /// The delivery.
    pub outgoing: Outgoing,
    /// For the log and the follow-up; `None` before the message is rendered.
    pub rendered: Option<Rendered>,
}

/// The parts of a response that log, metrics and follow-up need.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rendered {
    outcome: Outcome,
    session: Option<SessionId>,
    kapso_ms: u64,
    error: Option<String>,
    if_delivered: Option<StoredMessage>,
    if_undelivered: Option<StoredMessage>,
    /// The session on a card that is posted with the bot token and then updated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shown: Option<Shown>,
}

/// What Slack sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The text after the slash command.
    Typed(String),
    /// A pressed button.
    Pressed {
        /// Its action id.
        action: String,
        /// Its value.
        value: String,
    },
    /// A shortcut in the menu of a message.
    Shortcut {
        /// Its fixed id.
        callback_id: String,
        /// The text that looks up what was found in the message. Of the message itself, nothing is stored.
        found: Vec<String>,
    },
}

impl fmt::Debug for Trigger {
    /// Without the text, the value and what was found, which may contain a phone number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Typed(_) => f.debug_tuple("Typed").finish_non_exhaustive(),
            Self::Pressed { action, .. } => f
                .debug_struct("Pressed")
                .field("action", action)
                .finish_non_exhaustive(),
            Self::Shortcut { callback_id, .. } => f
                .debug_struct("Shortcut")
                .field("callback_id", callback_id)
                .finish_non_exhaustive(),
        }
    }
}

impl Payload for LateReply {
    const KIND: &'static str = "late_reply";
    /// 2: the origin names the project. 3: the trigger can be a shortcut.
    const VERSION: i64 = 3;
    /// The lifetime of a `response_url`.
    const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(30);
}

impl Deliverable for LateReply {
    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    fn request_id(&self) -> &str {
        &self.request_id
    }
}

impl Dispatcher {
    /// Stores the reply to a command as a job that this process runs.
    pub(super) async fn store(&self, invocation: &Invocation) -> LeasedJob<LateReply> {
        let request = &invocation.request;
        let outgoing = Outgoing::new(request.response_url.clone(), request.arrived_at, &request.who.channel);
        let reply = LateReply {
            trigger: invocation.trigger.clone(),
            who: request.who.clone(),
            origin: request.origin.clone(),
            target: request.target,
            request_id: request.request_id.clone(),
            idempotency_key: request.idempotency_key.clone(),
            outgoing: outgoing.with_posts_left(invocation.posts()),
            rendered: None,
        };
        if self.response_urls.allows(&request.response_url) {
            self.queue.enqueue(reply, request.arrived_at).await
        } else {
            // It cannot be delivered, so no other process needs to attempt it.
            self.queue.enqueue_in_memory(reply, request.arrived_at).await
        }
    }

    /// Waits for the response for as long as this process has the job, and makes the first attempt to deliver it.
    pub(super) async fn finish(
        &self,
        invocation: &Invocation,
        job: LeasedJob<LateReply>,
        mut work: Pin<&mut MaybeDone<impl Future<Output = Response>>>,
    ) {
        let response = tokio::select! {
            biased;
            () = work.as_mut() => match work.take_output() {
                Some(response) => response,
                None => return,
            },
            () = self.lease_lost(&job) => return self.log_handed_over(invocation),
            () = self.give_up.cancelled() => match self.queue.release_for_retry(job).await {
                Ok(()) => return self.log_handed_over(invocation),
                Err(job) => {
                    let response = self.problem(Problem::NoAnswer, invocation);
                    let entry = LogEntry::from(&response);
                    return self.deliver(invocation, job, &entry, response).await;
                }
            },
        };
        let entry = LogEntry::from(&response);
        self.deliver(invocation, job, &entry, response).await;
    }

    /// Makes the first attempt to deliver a response. A form that was opened is the reply already.
    pub(super) async fn deliver(
        &self,
        invocation: &Invocation,
        mut job: LeasedJob<LateReply>,
        entry: &LogEntry,
        response: Response,
    ) {
        let Some(message) = &response.message else {
            self.queue.complete(job).await;
            return self.log_reply(invocation, entry, Delivered::By(Delivery::Late));
        };
        let follow_up = response.follow_up.as_ref();
        job.payload.outgoing.message = Some(message.into());
        let shown = follow_up.and_then(|follow_up| follow_up.shown.clone());
        let shown = shown.filter(|_| self.commands.web_api.has_token());
        job.payload.outgoing.with_token = shown.is_some();
        job.payload.rendered = Some(Rendered {
            outcome: entry.outcome,
            session: entry.session.clone(),
            kapso_ms: super::milliseconds(entry.kapso),
            error: entry.error.clone(),
            if_delivered: follow_up.map(|follow_up| (&follow_up.delivered).into()),
            if_undelivered: follow_up.map(|follow_up| (&follow_up.undelivered).into()),
            shown,
        });
        self.attempt_reply(invocation, job).await;
    }

    /// Makes the next attempt to deliver a reply that is rendered.
    async fn attempt_reply(&self, invocation: &Invocation, mut job: LeasedJob<LateReply>) {
        let attempt = self.attempt(&mut job).await;
        let Some(rendered) = job.payload.rendered.clone() else {
            return;
        };
        let entry = LogEntry {
            outcome: rendered.outcome,
            session: rendered.session,
            kapso: Duration::from_millis(rendered.kapso_ms),
            error: rendered.error,
        };
        let delivered = match attempt {
            Attempt::Delivered => Delivered::By(Delivery::Late),
            Attempt::LeaseLost => return self.log_handed_over(invocation),
            Attempt::Dead(error) => Delivered::Not(error),
            Attempt::RetryAt(due_at) => {
                let payload = job.payload.clone();
                if self.queue.reschedule(job, payload, due_at).await {
                    return;
                }
                return self.log_reply(invocation, &entry, Delivered::Not(DeliveryError::NotStored));
            }
        };
        self.log_reply(invocation, &entry, delivered);
        let posts_left = job.payload.outgoing.posts_left + invocation.posts_reserved;
        if let (Some(posted), Some(shown), Some(id)) =
            (job.payload.outgoing.posted.take(), rendered.shown, &entry.session)
        {
            self.keep_true(&job.payload, id, posted, shown).await;
        }
        // Completed before the follow-up, so that it is not delivered again.
        self.queue.complete(job).await;
        let follow_up = match delivered {
            Delivered::By(_) => rendered.if_delivered,
            Delivered::Not(_) => rendered.if_undelivered,
        };
        if let Some(message) = follow_up {
            self.follow_up(&invocation.request, message, posts_left).await;
        }
    }

    /// Continues with a job that waited for its next attempt, or whose process has ended.
    pub(super) async fn resume(&self, job: LeasedJob<LateReply>) {
        let reply = &job.payload;
        let read = match &reply.trigger {
            Trigger::Typed(text) => {
                let (command, project) = self
                    .commands
                    .read_again(text, reply.origin.project.as_ref(), &reply.who);
                Some((command, reply.origin.in_project(project.as_ref())))
            }
            Trigger::Pressed { action, value } => {
                let pressed = self.commands.press(action, value);
                pressed.map(|(command, _)| {
                    let origin = reply.origin.clone();
                    self.commands.resolve_press(action, command, origin, &reply.who)
                })
            }
            Trigger::Shortcut { callback_id, found } => {
                let found: Option<Vec<Found>> = found.iter().map(|typed| Found::parse(typed)).collect();
                found.map(|found| {
                    let (command, project) =
                        self.commands
                            .shortcut(callback_id, &found, reply.origin.project.as_ref(), &reply.who);
                    (command, reply.origin.in_project(project.as_ref()))
                })
            }
        };
        let Some((command, origin)) = read else {
            // It was stored by a version that has another button or shortcut.
            self.count_unreadable(1);
            return self.queue.complete(job).await;
        };
        let request = RequestContext {
            request_id: reply.request_id.clone(),
            origin,
            idempotency_key: reply.idempotency_key.clone(),
            ..request_context(
                reply.who.clone(),
                reply.outgoing.response_url.clone(),
                reply.outgoing.received_at,
                reply.target,
            )
        };
        // As long ago as Slack says, so that the log shows how long the person waited.
        let waited = self.clock.now().duration_since(reply.outgoing.received_at);
        let received = Instant::now().checked_sub(waited.max(SignedDuration::ZERO).unsigned_abs());
        let received = received.unwrap_or_else(Instant::now);
        let invocation = Invocation::new(request, reply.trigger.clone(), received, &command, Way::Http);
        if reply.rendered.is_some() {
            return self.attempt_reply(&invocation, job).await;
        }
        if self.response_urls.time_left(reply.outgoing.received_at).is_positive() {
            // The command may already have had effects in another process: never report that nothing was done because
            // the service is stopping.
            let work = self.execute(command, &invocation, true);
            return self.finish(&invocation, job, pin!(maybe_done(work))).await;
        }
        // The reply could not be delivered, so the command is not run: it might create something.
        let entry = LogEntry::without_response();
        self.log_reply(&invocation, &entry, Delivered::Not(DeliveryError::UsedUp));
        self.queue.complete(job).await;
    }

    /// Resolves when another process has the job.
    async fn lease_lost(&self, job: &LeasedJob<LateReply>) {
        let mut renewals = interval(RENEWAL);
        renewals.tick().await;
        loop {
            renewals.tick().await;
            if !self.queue.renew_lease(job).await {
                return;
            }
        }
    }

    fn log_handed_over(&self, invocation: &Invocation) {
        let entry = LogEntry::without_response();
        self.log_reply(invocation, &entry, Delivered::By(Delivery::HandedOver));
    }
}

impl LogEntry {
    /// For a command whose response is not known here.
    fn without_response() -> Self {
        Self {
            outcome: Outcome::NoAnswer,
            session: None,
            kapso: Duration::ZERO,
            error: None,
        }
    }
}
