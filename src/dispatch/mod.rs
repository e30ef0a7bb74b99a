//! A verified command comes in, exactly one reply goes out: in the acknowledgement while the budget lasts, else as one
//! message to the `response_url`. The acknowledgement is the HTTP response, or a frame on the socket.
//!
//! Each command runs in a task of its own, which owns the reply from beginning to end. The HTTP handler or the socket
//! only waits for the acknowledgement: with the reply, or empty. When the budget ends first, the task stores a job before it
//! acknowledges, so that another process can finish the work if this one dies.

mod delivery;
mod direct;
mod follow_up;
mod late_reply;
mod notification;
mod replays;
mod shared_card;

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{MaybeDone, maybe_done, poll_fn};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cards::{Problem, ReplyTarget};
use crate::clock::Clock;
use crate::commands::{self, Command, Commands, Found, Outcome, RequestContext, Response};
use crate::config::Alias;
use crate::idempotency::{IdempotencyKeys, fingerprint};
use crate::kapso::SessionId;
use crate::queue::JobStore;
use crate::queue::worker::{Claimer, NextRound, Round};
use crate::slack::Who;
use crate::slack::acknowledgement::Acknowledgement;
use crate::slack::button_value::Origin;
use crate::slack::channel_pace::ChannelPace;
use crate::slack::command::SlashCommand;
use crate::slack::interaction::{FormSubmission, Interaction, MessageShortcut, Press};
use crate::slack::message::Message;
use crate::slack::response_url::{DeliveryError, POSTS, ResponseUrlClient};
use crate::slack::verified::{Verified, Way};
use crate::telemetry::{Delivery, LogLimit, Metrics, chain};

pub use self::delivery::{Outgoing, Recipient, StoredMessage};
pub use self::follow_up::FollowUpJob;
pub use self::late_reply::{LateReply, Trigger};
pub use self::notification::PendingNotification;
pub use self::replays::RecentRequests;
use self::replays::{Occurrence, PendingReply, RecentRequest, Repeated};
pub use self::shared_card::update_pace;

/// Late replies run at the same time: enough for all that a busy process leaves when it dies, so that the last one is
/// finished within 20 s.
const LATE_REPLIES_AT_ONCE: usize = 256;
/// Notifications posted at the same time.
const NOTIFICATIONS_AT_ONCE: usize = 32;
/// The pause between two deletions of expired rows.
const CLEANUP_INTERVAL: SignedDuration = SignedDuration::from_mins(1);

/// Runs commands and delivers their replies.
pub struct Dispatcher {
    /// Runs the commands.
    pub commands: Commands,
    /// Posts late replies.
    pub response_urls: ResponseUrlClient,
    /// Spaces out posts to one channel.
    pub channel_pace: ChannelPace,
    /// Spaces out updates of shared cards, of all channels together.
    pub update_pace: ChannelPace,
    /// Recognizes requests that come again.
    pub recent_requests: RecentRequests,
    /// The clock for due times.
    pub clock: Clock,
    /// How long an acknowledgement waits for the reply.
    pub budget: Duration,
    /// The longest pause between two claims. With the 15 s of a lease, the jobs of a process that died are run within
    /// 20 s.
    pub max_claim_interval: Duration,
    /// Tracks one task per reply in progress.
    pub tasks: TaskTracker,
    /// Ends the wait for Kapso at the end of a shutdown: unfinished jobs are left to another process.
    pub give_up: CancellationToken,
    /// Cancelled when no new work is started.
    pub stopping: CancellationToken,
    /// Ends the worker.
    pub stopped: CancellationToken,
    /// Pending replies.
    pub queue: Arc<JobStore>,
    /// Expired keys are deleted with expired jobs.
    pub idempotency: IdempotencyKeys,
    /// Counts replies.
    pub metrics: Arc<Metrics>,
    /// Limits lines about what Slack sends and this app does not handle.
    pub log_limit: LogLimit,
}

/// A command, and what is known about it before it runs.
struct Invocation {
    request: RequestContext,
    trigger: Trigger,
    received: Instant,
    name: &'static str,
    session_id: Option<SessionId>,
    /// Posts of the `response_url` that are reserved for messages after the reply.
    posts_reserved: u32,
    /// Whether something may have been created if it ends in an unknown way.
    creates: bool,
    /// Whether the same request has come before over HTTP: then the first one posts to the `response_url`, and this one
    /// does not.
    is_replay: bool,
    way: Way,
}

/// The parts of a response for log and metrics.
struct LogEntry {
    outcome: Outcome,
    session: Option<SessionId>,
    kapso: Duration,
    error: Option<String>,
}

impl From<&Response> for LogEntry {
    fn from(response: &Response) -> Self {
        Self {
            outcome: response.outcome,
            session: response.session.clone(),
            kapso: response.kapso,
            error: response.error.as_deref().map(|error| chain(error)),
        }
    }
}

/// How a reply ended.
#[derive(Clone, Copy, Debug)]
enum Delivered {
    By(Delivery),
    Not(DeliveryError),
}

impl Dispatcher {
    /// Replies to a slash command: with a message in the acknowledgement, or with an empty one, if the reply will come to
    /// its `response_url`.
    pub async fn command(self: &Arc<Self>, verified: Verified<SlashCommand>) -> Acknowledgement {
        let Verified {
            form,
            received,
            sent_at,
            way,
        } = verified;
        let opened = self.commands.form(&form.text, &form.who);
        // What is submitted must be answered there.
        let opened = opened.filter(|_| self.response_urls.allows(&form.response_url));
        let (command, project) = match opened {
            Some((open, project)) => (open.into(), project),
            None => self.commands.read(&form.text, &form.who),
        };
        let trigger_id = form.trigger_id.clone();
        let request = RequestContext {
            idempotency_key: command.leads_to_creation().then(|| idempotency_key(&form)).flatten(),
            origin: Origin::typed(&form.who).in_project(project.as_ref()),
            trigger_id: trigger_id.clone(),
            ..request_context(form.who, form.response_url, sent_at, ReplyTarget::Command)
        };
        let mut invocation = Invocation::new(request, Trigger::Typed(form.text), received, &command, way);
        let (occurrence, mut recent) = self.occurrence(&invocation, &trigger_id);
        let acknowledged = match (occurrence, &invocation.way) {
            (Occurrence::First, Way::Socket(delivery)) => recent.await_reply(delivery.max_message_bytes),
            (Occurrence::First, Way::Http) => recent.await_reply(usize::MAX),
            (_, Way::Socket(delivery)) => match recent.repeat(delivery.max_message_bytes) {
                Repeated::Message(acknowledgement) => {
                    invocation.log_repetition();
                    return acknowledgement;
                }
                Repeated::Awaits(acknowledged) => return acknowledged.await.unwrap_or_default(),
                Repeated::Empty => {
                    invocation.log_replay();
                    return Acknowledgement::empty();
                }
                Repeated::RunsAgain(acknowledged) => {
                    invocation.log_repetition();
                    acknowledged
                }
            },
            (Occurrence::Replay, Way::Http) => {
                // It has a response of its own.
                recent = Arc::default();
                invocation.is_replay = true;
                recent.await_reply(usize::MAX)
            }
            (Occurrence::ReplayTooOften, Way::Http) => {
                invocation.log_replay();
                return Acknowledgement::empty();
            }
        };
        // Boxed, because `spawn` moves the future several times, and it is large.
        self.tasks.spawn(Box::pin(Arc::clone(self).reply(
            invocation,
            command,
            PendingReply(recent),
        )));
        acknowledged.await.unwrap_or_default()
    }

    fn occurrence(&self, invocation: &Invocation, trigger_id: &SecretString) -> (Occurrence, Arc<RecentRequest>) {
        let response_url = invocation.request.response_url.expose_secret();
        let envelope_id = match &invocation.way {
            Way::Http => "",
            Way::Socket(delivery) => &delivery.envelope_id,
        };
        let keys = [response_url, trigger_id.expose_secret(), envelope_id];
        let (occurrence, request) = self.recent_requests.insert(keys, invocation.received);
        if occurrence != Occurrence::First && matches!(invocation.way, Way::Socket(_)) {
            self.metrics.count_redelivery();
        }
        (occurrence, request)
    }

    /// Runs a command within its budget, and then for as long as it takes.
    async fn reply(self: Arc<Self>, invocation: Invocation, command: Command, reply: PendingReply) {
        let mut work = pin!(self.execute(command, &invocation, !self.stopping.is_cancelled()));
        let in_time = tokio::select! {
            biased;
            response = &mut work => Some(response),
            () = invocation.end_of_budget(self.budget) => None,
        };
        let mut response = match in_time {
            Some(response) => response,
            None if invocation.is_replay => return invocation.log_replay(),
            None if self.response_urls.allows(&invocation.request.response_url) => {
                let mut work = pin!(maybe_done(work));
                // Boxed, like the other rare paths, so that the future of the usual path is smaller.
                let job = poll_meanwhile(&mut work, Box::pin(self.store(&invocation))).await;
                // If Slack has closed the connection, the reply is still delivered later.
                reply.acknowledge();
                return Box::pin(self.finish(&invocation, job, work)).await;
            }
            None => self.problem(Problem::NoAnswer, &invocation),
        };
        let Some(mut message) = response.message.as_ref().map(Message::to_json).map(Bytes::from) else {
            reply.acknowledge();
            return self.log_reply(&invocation, &LogEntry::from(&response), Delivered::By(Delivery::InTime));
        };
        if !reply.has_room(message.len()) && !self.response_urls.allows(&invocation.request.response_url) {
            // It could not be delivered at all; a short message has room.
            response = self.problem(Problem::ResponseUrlNotAllowed, &invocation);
            message = response
                .message
                .as_ref()
                .map(Message::to_json)
                .unwrap_or_default()
                .into();
        }
        let entry = LogEntry::from(&response);
        if reply.send(message, matches!(invocation.way, Way::Socket(_))).await {
            self.log_reply(&invocation, &entry, Delivered::By(Delivery::InTime));
        } else if invocation.is_replay {
            invocation.log_replay();
        } else {
            // There is no room for it, or the connection is closed.
            let job = Box::pin(self.store(&invocation)).await;
            reply.acknowledge();
            Box::pin(self.deliver(&invocation, job, &entry, response)).await;
        }
    }

    /// Runs the command of a pressed button, a shortcut or a form. The reply goes to its `response_url`; only errors at the
    /// fields of a form are in the acknowledgement.
    pub async fn interaction(self: &Arc<Self>, verified: Verified<Interaction>) -> Acknowledgement {
        let Verified {
            form,
            received,
            sent_at,
            way,
        } = verified;
        match form {
            Interaction::Press(press) => self.press(press, received, sent_at, way).await,
            Interaction::Shortcut(shortcut) => self.shortcut(shortcut, received, sent_at, way).await,
            Interaction::Form(form) if form.callback_id == commands::FORM => {
                return self.form(form, received, sent_at, way).await;
            }
            Interaction::Form(_) => self.log_unhandled("another form"),
            Interaction::Other(kind) => self.log_unhandled(kind),
        }
        Acknowledgement::empty()
    }

    fn log_unhandled(&self, kind: &str) {
        if let Some(suppressed) = self.admit_line("interaction") {
            tracing::warn!(
                kind,
                suppressed,
                "Slack sent an interaction that this app does not handle"
            );
        }
    }

    async fn press(self: &Arc<Self>, press: Press, received: Instant, sent_at: Timestamp, way: Way) {
        let button = commands::own_button(press.buttons);
        let Some((command, origin)) = self.commands.press(&button.action_id, &button.value) else {
            return;
        };
        let mut who = press.who;
        origin.complete(&mut who);
        let origin = origin.restore_channel(&mut who);
        let message = match (press.shared, &origin.direct) {
            (false, _) => ReplyTarget::OwnCard,
            (true, Some(_)) => ReplyTarget::DirectMessage,
            (true, None) => ReplyTarget::SharedCard,
        };
        let (command, origin) = self.commands.resolve_press(&button.action_id, command, origin, &who);
        let target = commands::reply_target(&button.action_id, message);
        let request = RequestContext {
            origin: if message == ReplyTarget::SharedCard {
                origin.on_shared_card()
            } else {
                origin
            },
            // Each press has an address of its own, and keeps it when the request comes again.
            idempotency_key: Some(fingerprint(&["press", press.response_url.expose_secret()])),
            ..request_context(who, press.response_url, sent_at, target)
        };
        let trigger = Trigger::Pressed {
            action: button.action_id,
            value: button.value,
        };
        let invocation = Invocation::new(request, trigger, received, &command, way);
        let (occurrence, _) = self.occurrence(&invocation, &SecretString::default());
        self.reply_late(invocation, command, occurrence).await;
    }

    async fn shortcut(self: &Arc<Self>, shortcut: MessageShortcut, received: Instant, sent_at: Timestamp, way: Way) {
        // For nobody else, the message is searched.
        let texts = Some(&shortcut.texts).filter(|_| self.commands.admits(&shortcut.who));
        let found = texts.map(|texts| commands::found(texts)).unwrap_or_default();
        let (command, project) = self
            .commands
            .shortcut(&shortcut.callback_id, &found, None, &shortcut.who);
        let request = RequestContext {
            origin: Origin::typed(&shortcut.who).in_project(project.as_ref()),
            ..request_context(shortcut.who, shortcut.response_url, sent_at, ReplyTarget::NewMessage)
        };
        let trigger = Trigger::Shortcut {
            callback_id: shortcut.callback_id,
            found: found.iter().map(Found::typed).collect(),
        };
        let invocation = Invocation::new(request, trigger, received, &command, way);
        let (occurrence, _) = self.occurrence(&invocation, &shortcut.trigger_id);
        self.reply_late(invocation, command, occurrence).await;
    }

    /// Creates a session as if the command were typed, once for each form.
    async fn form(
        self: &Arc<Self>,
        form: FormSubmission,
        received: Instant,
        sent_at: Timestamp,
        way: Way,
    ) -> Acknowledgement {
        let is_usable = |arrived_at| self.response_urls.time_left(arrived_at).is_positive();
        let submitted = match self.commands.submitted(&form, is_usable) {
            Ok(submitted) => submitted,
            Err(errors) => return Acknowledgement::with_message(errors.to_json().into(), None),
        };
        let key = fingerprint(&["form", &submitted.who.team, &submitted.who.user, &form.view_id]);
        let request = RequestContext {
            origin: Origin::typed(&submitted.who).in_project(submitted.project.as_ref()),
            idempotency_key: Some(key.clone()),
            ..request_context(
                submitted.who,
                submitted.response_url,
                submitted.arrived_at.min(sent_at),
                ReplyTarget::Command,
            )
        };
        let command = Command::from(submitted.new);
        let trigger = Trigger::Typed(command.typed().unwrap_or_default());
        let invocation = Invocation::new(request, trigger, received, &command, way);
        // The response_url has come before, with the command.
        let (occurrence, _) = self.recent_requests.insert([key.as_str()], received);
        self.reply_late(invocation, command, occurrence).await;
        Acknowledgement::empty()
    }

    /// Runs a command whose reply always goes to the `response_url`. Returns when its job is stored.
    async fn reply_late(self: &Arc<Self>, invocation: Invocation, command: Command, occurrence: Occurrence) {
        if occurrence != Occurrence::First {
            return invocation.log_replay();
        }
        let (acknowledge, acknowledged) = oneshot::channel::<()>();
        let dispatcher = Arc::clone(self);
        self.tasks.spawn(async move {
            let work = dispatcher.execute(command, &invocation, !dispatcher.stopping.is_cancelled());
            let mut work = pin!(maybe_done(work));
            let job = poll_meanwhile(&mut work, dispatcher.store(&invocation)).await;
            let _ = acknowledge.send(());
            dispatcher.finish(&invocation, job, work).await;
        });
        let _ = acknowledged.await;
    }

    /// Runs the command, unless the service is stopping (`is_accepted`). A panic becomes a response, too.
    async fn execute(&self, command: Command, invocation: &Invocation, is_accepted: bool) -> Response {
        let can_follow_up =
            invocation.posts_reserved == 0 || self.response_urls.allows(&invocation.request.response_url);
        if !is_accepted {
            return self.commands.problem(&Problem::Stopping, &invocation.request);
        }
        if !can_follow_up {
            return self
                .commands
                .problem(&Problem::ResponseUrlNotAllowed, &invocation.request);
        }
        let running = AssertUnwindSafe(self.commands.run(command, &invocation.request)).catch_unwind();
        running.await.unwrap_or_else(|_panic| {
            tracing::error!(request_id = invocation.request.request_id, "a command panicked");
            self.problem(Problem::Broken, invocation)
        })
    }

    /// The response to a command that ended without one of its own.
    fn problem(&self, problem: Problem, invocation: &Invocation) -> Response {
        let problem = if invocation.creates { Problem::Unsure } else { problem };
        self.commands.problem(&problem, &invocation.request)
    }

    /// Runs jobs until the service has stopped.
    pub async fn run_jobs(self: &Arc<Self>) {
        let late_replies = Claimer::new(Arc::clone(&self.queue), LATE_REPLIES_AT_ONCE);
        let notifications = Claimer::new(Arc::clone(&self.queue), NOTIFICATIONS_AT_ONCE);
        let follow_ups = Claimer::new(Arc::clone(&self.queue), NOTIFICATIONS_AT_ONCE);
        let mut cleaned_up_at = None::<Timestamp>;
        while !self.stopped.is_cancelled() {
            let next_round = NextRound::new(&self.queue);
            let now = self.clock.now();
            if cleaned_up_at.is_none_or(|at| now.duration_since(at).abs() >= CLEANUP_INTERVAL) {
                self.count_expired(self.queue.delete_expired(now).await);
                self.idempotency.delete_expired(now).await;
                cleaned_up_at = Some(now);
            }
            let round = self.run_due_jobs(now, &late_replies, &notifications, &follow_ups).await;
            tokio::select! {
                () = next_round.wait(now, round.is_full, self.max_claim_interval) => {}
                () = self.stopped.cancelled() => {}
            }
        }
    }

    async fn run_due_jobs(
        self: &Arc<Self>,
        now: Timestamp,
        late_replies: &Claimer,
        notifications: &Claimer,
        follow_ups: &Claimer,
    ) -> Round {
        // In the last seconds of a shutdown, jobs in the database are left to the next process.
        let memory_only = self.give_up.is_cancelled();
        let rounds = [
            late_replies
                .claim(now, memory_only, |job, slot| {
                    let dispatcher = Arc::clone(self);
                    self.tasks.spawn(async move {
                        Box::pin(dispatcher.resume(job)).await;
                        drop(slot);
                    });
                })
                .await,
            notifications
                .claim(now, memory_only, |job, slot| {
                    let dispatcher = Arc::clone(self);
                    self.tasks.spawn(async move {
                        dispatcher.deliver_notification(job).await;
                        drop(slot);
                    });
                })
                .await,
            follow_ups
                .claim(now, memory_only, |job, slot| {
                    let dispatcher = Arc::clone(self);
                    self.tasks.spawn(async move {
                        dispatcher.deliver_follow_up(job).await;
                        drop(slot);
                    });
                })
                .await,
        ];
        for round in rounds {
            self.count_unreadable(round.unreadable);
        }
        Round {
            unreadable: 0,
            is_full: rounds.iter().any(|round| round.is_full),
        }
    }

    /// Whether a line of this kind may be logged; `Some` with the number of lines like it that were left out before.
    pub fn admit_line(&self, kind: &str) -> Option<u64> {
        let admitted = self.log_limit.admit(kind, self.clock.now());
        if admitted.is_none() {
            self.metrics.count_suppressed_log_line();
        }
        admitted
    }

    /// Counts jobs as lost that were stored and could not be read.
    pub fn count_unreadable(&self, count: u64) {
        if count > 0 {
            self.metrics.count_lost_replies(count);
            tracing::error!(lost = count, "pending jobs could not be read from the database");
        }
    }

    fn count_expired(&self, count: u64) {
        if count > 0 {
            self.metrics.count_lost_replies(count);
            tracing::error!(lost = count, "pending jobs were too old to be delivered");
        }
    }

    /// How many replies are in progress: as tasks, or waiting in memory for their next attempt.
    pub async fn pending(&self) -> u64 {
        let tasks = u64::try_from(self.tasks.len()).unwrap_or(u64::MAX);
        tasks
            + self.queue.count_in_memory::<LateReply>().await
            + self.queue.count_in_memory::<PendingNotification>().await
    }

    /// Waits until no reply is in progress: as a task, or in memory. Follow-ups in memory count until `give_up` is
    /// cancelled.
    pub async fn wait_until_idle(&self) {
        loop {
            let finished = self.queue.finished_one();
            tokio::pin!(finished);
            finished.as_mut().enable();
            self.tasks.wait().await;
            let follow_ups = if self.give_up.is_cancelled() {
                0
            } else {
                self.queue.count_in_memory::<FollowUpJob>().await
            };
            if self.pending().await + follow_ups == 0 {
                return;
            }
            if self.tasks.is_empty() {
                finished.await;
            }
        }
    }

    /// The one log line about a command.
    fn log_reply(&self, invocation: &Invocation, entry: &LogEntry, delivered: Delivered) {
        let request = &invocation.request;
        let total = invocation.received.elapsed();
        let (delivery, error) = match delivered {
            Delivered::By(delivery) => (delivery, None),
            Delivered::Not(error) => (Delivery::Lost, Some(error)),
        };
        self.metrics.count_reply(entry.outcome.word(), delivery, total);
        // For a created session, only the response has the id.
        let known = entry.session.as_ref();
        // Any other id may be text that was typed by mistake, such as a code or a phone number.
        let session_id = known.or_else(|| invocation.session_id.as_ref().filter(|id| id.is_uuid()));
        tracing::info!(
            request_id = request.request_id,
            team = request.who.team,
            channel = request.who.channel,
            user = request.who.user,
            verb = invocation.name,
            project = self
                .commands
                .shown_project(&request.origin, &request.who)
                .map(Alias::as_str),
            session_id = session_id.map(SessionId::as_str),
            outcome = entry.outcome.word(),
            answer = delivery.name(),
            kapso_ms = milliseconds(entry.kapso),
            total_ms = milliseconds(total),
            error = entry.error,
            lost = error.map(|error| error.to_string()),
            "command"
        );
    }
}

impl Invocation {
    fn new(request: RequestContext, trigger: Trigger, received: Instant, command: &Command, way: Way) -> Self {
        Self {
            request,
            trigger,
            received,
            name: command.name(),
            session_id: command.session_id().cloned(),
            posts_reserved: command.posts_reserved(),
            creates: command.creates(),
            is_replay: false,
            way,
        }
    }

    /// Resolves when the acknowledgement can wait for the reply no longer.
    async fn end_of_budget(&self, budget: Duration) {
        let end = sleep_until(self.received + budget);
        match &self.way {
            Way::Http => end.await,
            Way::Socket(delivery) => tokio::select! {
                () = end => {}
                () = delivery.hurry.cancelled() => {}
            },
        }
    }

    /// The log line about a reply that is sent once more.
    fn log_repetition(&self) {
        tracing::info!(
            request_id = self.request.request_id,
            verb = self.name,
            "the same request came again, since Slack has not received its reply"
        );
    }

    /// The only log line about a replay that was acknowledged and not answered.
    fn log_replay(&self) {
        tracing::info!(
            request_id = self.request.request_id,
            verb = self.name,
            "the same request came again; only the first is answered"
        );
    }

    /// Posts that the reply may use.
    fn posts(&self) -> u32 {
        POSTS - self.posts_reserved
    }
}

/// Waits for `other`, and polls `work` at the same time, so that the command runs while its job is stored.
async fn poll_meanwhile<T>(
    work: &mut Pin<&mut MaybeDone<impl Future<Output = Response>>>,
    other: impl Future<Output = T>,
) -> T {
    let mut other = pin!(other);
    poll_fn(|context| {
        // Once it is done, polling it again does nothing.
        let _ = work.as_mut().poll(context);
        other.as_mut().poll(context)
    })
    .await
}

fn request_context(who: Who, response_url: SecretString, arrived_at: Timestamp, target: ReplyTarget) -> RequestContext {
    RequestContext {
        who,
        response_url,
        arrived_at,
        request_id: format!("{:08x}", fastrand::u32(..)),
        target,
        origin: Origin::default(),
        trigger_id: SecretString::default(),
        idempotency_key: None,
    }
}

/// Identifies a repeated command. A hash, so that the trigger id is not stored.
fn idempotency_key(form: &SlashCommand) -> Option<String> {
    let trigger_id = form.trigger_id.expose_secret();
    (!trigger_id.is_empty()).then(|| fingerprint(&[&form.who.team, &form.who.user, trigger_id]))
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
