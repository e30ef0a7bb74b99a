//! Answers in time: in the HTTP response while the budget lasts, else with one message to the `response_url`.
//!
//! The work begins inside the HTTP handler, which costs nothing more than awaiting it. Where the handler ends before
//! the work does, because the budget is over or Slack has hung up, the work moves into a task of its own and its
//! message goes to the other letterbox. It has one owner at any time, which is what makes the answer exactly one.

mod late_reply;
mod notification;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use secrecy::ExposeSecret;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::cards::{ButtonValue, Problem, ReplyTarget};
use crate::clock::Clock;
use crate::commands::{self, Command, Commands, RequestContext, Response};
use crate::jobs::{JobStore, Persistence, Trigger, fingerprint};
use crate::kapso::{Client, SessionId};
use crate::qr;
use crate::slack::command::SlashCommand;
use crate::slack::interaction::Interaction;
use crate::slack::message::Message;
use crate::slack::request::Signed;
use crate::slack::response_url::{DeliveryError, ResponseUrl, ResponseUrlClient};
use crate::telemetry::{Delivery, Metrics, chain};

/// Takes what Slack sends and sees to it that each command gets its one answer.
pub struct Bot {
    /// Decides.
    pub commands: Commands,
    /// Where QR codes are shown; none where Slack could not fetch them.
    pub qr: Option<Arc<qr::Addresses>>,
    /// Takes late answers to Slack.
    pub postman: ResponseUrlClient,
    /// Asks Kapso for those who watch.
    pub kapso: Arc<Client>,
    /// Lets so many notices be posted at once.
    pub notices: Semaphore,
    /// Tells the time to the cards.
    pub clock: Clock,
    /// The slash command's name in help and hints.
    pub command_name: String,
    /// How long the HTTP response waits for the answer.
    pub budget: Duration,
    /// Every answer that is owed is on it, as a task or as a token.
    pub tasks: TaskTracker,
    /// Ends the wait for Kapso: what is still owed is answered with what is known.
    pub give_up: CancellationToken,
    /// Cancelled once no new work is taken.
    pub stopping: CancellationToken,
    /// Keeps what is owed.
    pub ledger: Arc<JobStore>,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// Who asked for what, and since when they wait.
struct Asked {
    asker: RequestContext,
    ask: Trigger,
    received: Instant,
}

/// What there is to know of a command while it is on its way to an answer.
struct Invocation {
    asked: Asked,
    verb: &'static str,
    session_id: Option<SessionId>,
    /// Posts of the `response_url` that are for what may come after the answer.
    kept_back: u32,
    /// Whether something may have been created where nobody knows how it ended.
    creates: bool,
}

type Work = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A command being carried out. Dropped unfinished, it goes on as a task.
struct PendingReply {
    bot: Arc<Bot>,
    /// None once it is finished or has become a task.
    unfinished: Option<(Arc<Invocation>, Work)>,
    kept: Persistence,
    _owed: TaskTrackerToken,
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        if let Some((order, work)) = self.unfinished.take() {
            let letterbox = self.bot.letterbox(&order);
            let kept = std::mem::replace(&mut self.kept, Persistence::InMemory);
            let late = Arc::clone(&self.bot).finish_late(order, work, kept, letterbox);
            self.bot.tasks.spawn(late);
        }
    }
}

impl Bot {
    /// Answers a slash command: with a message, or with `None`, the empty acknowledgement of a command whose
    /// message will come to its `response_url`.
    pub async fn command(self: &Arc<Self>, signed: Signed<SlashCommand>) -> Option<Message> {
        let Signed {
            form,
            received,
            sent_at,
        } = signed;
        let command = commands::parse(&form.text);
        let idempotency_key = if command.creates() { trigger(&form) } else { None };
        let asked = Asked {
            asker: RequestContext {
                who: form.who,
                response_url: form.response_url,
                arrived_at: sent_at,
                request_id: request_id(),
                target: ReplyTarget::Command,
                shared_by: None,
                idempotency_key,
            },
            ask: Trigger::Typed(form.text),
            received,
        };
        let mut carried = self.carry(asked, command);
        let (order, work) = carried.unfinished.as_mut()?;
        let response = match timeout_at(received + self.budget, work).await {
            Ok(done) => done,
            Err(_) => match self.letterbox(order) {
                Some(letterbox) => {
                    self.keep(order, &letterbox, &mut carried.kept).await;
                    return None;
                }
                None => self.instead(Problem::NoAnswer, order),
            },
        };
        self.note(order, &response, Ok(Delivery::InTime));
        carried.unfinished = None;
        Some(response.message)
    }

    /// Takes a press on a button, which the caller then acknowledges. What comes of it goes to its `response_url`.
    pub async fn interaction(self: &Arc<Self>, signed: Signed<Interaction>) {
        let Signed {
            form,
            received,
            sent_at,
        } = signed;
        let press = match form {
            Interaction::Press(press) => press,
            Interaction::Other(kind) => {
                tracing::warn!(kind, "Slack sent an interaction this app has no part in");
                return;
            }
        };
        let Some(command) = commands::press(&press.action_id, &press.value) else {
            return;
        };
        let asked = Asked {
            asker: RequestContext {
                who: press.who,
                response_url: press.response_url,
                arrived_at: sent_at,
                request_id: request_id(),
                target: commands::reply_target(&press.action_id, press.shared),
                shared_by: ButtonValue::shared_by(&press.value),
                idempotency_key: None,
            },
            ask: Trigger::Pressed {
                action: press.action_id,
                value: press.value,
            },
            received,
        };
        // Dropped at the end of this, it goes on as a task.
        let mut carried = self.carry(asked, command);
        if let Some((order, _)) = &carried.unfinished
            && let Some(letterbox) = self.letterbox(order)
        {
            self.keep(order, &letterbox, &mut carried.kept).await;
        }
    }

    fn carry(self: &Arc<Self>, asked: Asked, command: Command) -> PendingReply {
        let is_taken = !self.stopping.is_cancelled();
        PendingReply {
            bot: Arc::clone(self),
            unfinished: Some(self.begin(asked, command, is_taken)),
            kept: Persistence::InMemory,
            _owed: self.tasks.token(),
        }
    }

    fn begin(self: &Arc<Self>, asked: Asked, command: Command, is_taken: bool) -> (Arc<Invocation>, Work) {
        let order = Arc::new(Invocation {
            asked,
            verb: command.name(),
            session_id: command.session_id().cloned(),
            kept_back: command.posts_reserved(),
            creates: command.creates(),
        });
        let (bot, ordered) = (Arc::clone(self), Arc::clone(&order));
        let work = async move {
            let working = AssertUnwindSafe(bot.carry_out(command, &ordered, is_taken)).catch_unwind();
            working.await.unwrap_or_else(|_panic| {
                tracing::error!(request_id = ordered.asked.asker.request_id, "a command panicked");
                bot.instead(Problem::Broken, &ordered)
            })
        };
        (order, Box::pin(work))
    }

    async fn carry_out(&self, command: Command, order: &Invocation, is_taken: bool) -> Response {
        let can_tell = order.kept_back == 0 || self.letterbox(order).is_some();
        let request = &order.asked.asker;
        match (is_taken, can_tell) {
            (true, true) => self.commands.run(command, request).await,
            (true, false) => self.commands.problem(&Problem::ResponseUrlNotAllowed, request),
            (false, _) => self.commands.problem(&Problem::Stopping, request),
        }
    }

    /// Where the answer may still go once the HTTP response is gone.
    fn letterbox(&self, order: &Invocation) -> Option<ResponseUrl> {
        let asker = &order.asked.asker;
        let letterbox = self.postman.letterbox(&asker.response_url, asker.arrived_at)?;
        let uses = letterbox.uses_left().saturating_sub(order.kept_back);
        Some(letterbox.with_uses_left(uses))
    }

    fn instead(&self, problem: Problem, order: &Invocation) -> Response {
        let problem = if order.creates { Problem::Unsure } else { problem };
        self.commands.problem(&problem, &order.asked.asker)
    }

    /// The one line that the log has about a command.
    fn note(&self, order: &Invocation, response: &Response, delivery: Result<Delivery, DeliveryError>) {
        let total = order.asked.received.elapsed();
        let word = response.outcome.word();
        // An id that Kapso does not know may be something else that was typed by mistake, such as a phone number.
        let typed = order.session_id.as_ref().filter(|id| id.is_uuid());
        let session_id = response.session.as_ref().or(typed);
        let delivered = *delivery.as_ref().unwrap_or(&Delivery::Lost);
        self.metrics.answered(word, delivered, total);
        tracing::info!(
            request_id = order.asked.asker.request_id,
            team = order.asked.asker.who.team,
            channel = order.asked.asker.who.channel,
            user = order.asked.asker.who.user,
            verb = order.verb,
            session_id = session_id.map(SessionId::as_str),
            outcome = word,
            answer = delivered.name(),
            kapso_ms = milliseconds(response.kapso),
            total_ms = milliseconds(total),
            error = response.error.as_deref().map(|error| chain(error)),
            lost = delivery.err().map(|lost| lost.to_string()),
            "command"
        );
    }
}

/// What a command is known by if it comes again. Neither is what Slack sent kept anywhere, nor can it be told from this.
fn trigger(form: &SlashCommand) -> Option<String> {
    let trigger_id = form.trigger_id.expose_secret();
    (!trigger_id.is_empty()).then(|| fingerprint(&[&form.who.team, &form.who.user, trigger_id]))
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Eight hex digits: enough to find one line among a week's, short enough to be read out.
fn request_id() -> String {
    format!("{:08x}", fastrand::u32(..))
}
