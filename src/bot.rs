//! Answers in time: in the HTTP response while the budget lasts, else with one message to the `response_url`.
//!
//! The work runs in a task of its own, so neither a hung-up connection nor the end of the budget loses it. It
//! offers its message to the waiting response first; if nobody waits any more, it goes to the other letterbox.
//! That hand-over happens once, which is what makes the answer exactly one.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::commands::{self, Command, Commands, Outcome, Problem, Reply};
use crate::kapso::SessionId;
use crate::slack::Who;
use crate::slack::command::SlashCommand;
use crate::slack::interaction::Interaction;
use crate::slack::message::Message;
use crate::slack::request::Signed;
use crate::slack::response_url::{Letterbox, Lost, Postman};
use crate::telemetry::{Delivery, Metrics, chain};
use crate::views::{self, Look, Place};

/// Takes what Slack sends and sees to it that each command gets its one answer.
pub struct Bot {
    /// Decides.
    pub commands: Commands,
    /// Takes late answers to Slack.
    pub postman: Postman,
    /// Tells the time to the views.
    pub clock: Clock,
    /// The slash command's name in help and hints.
    pub command_name: String,
    /// How long the HTTP response waits for the answer.
    pub budget: Duration,
    /// Every answer that is owed is a task on it.
    pub tasks: TaskTracker,
    /// Ends the wait for Kapso: what is still owed is answered with what is known.
    pub give_up: CancellationToken,
    /// Set once no new work is taken.
    pub stopping: AtomicBool,
    /// Counts.
    pub metrics: Arc<Metrics>,
}

/// A command on its way to an answer.
struct Order {
    command: Command,
    who: Who,
    place: Place,
    request_id: String,
    received: Instant,
    letterbox: Option<Letterbox>,
}

impl Bot {
    /// Answers a slash command: with a message, or with `None`, the empty acknowledgement of a command whose
    /// message will come to its `response_url`.
    pub async fn command(self: &Arc<Self>, signed: Signed<SlashCommand>) -> Option<Message> {
        let Signed { form, received } = signed;
        let letterbox = self.postman.letterbox(&form.response_url);
        let can_be_late = letterbox.is_some();
        let order = Order {
            command: commands::parse(&form.text),
            who: form.who,
            place: Place::Command,
            request_id: request_id(),
            received,
            letterbox,
        };
        let request_id = order.request_id.clone();
        let (asker, mut answer) = oneshot::channel();
        self.tasks.spawn(Arc::clone(self).work(order, Some(asker)));

        if let Ok(Ok(message)) = timeout_at(received + self.budget, &mut answer).await {
            return Some(message);
        }
        // From here on the work finds nobody waiting. What it handed over just before still counts.
        answer.close();
        match answer.try_recv() {
            Ok(message) => Some(message),
            Err(_) if can_be_late => None,
            Err(_) => {
                let reply = Reply::Problem(Problem::NoAnswer);
                Some(self.draw(&reply, &request_id, Place::Command))
            }
        }
    }

    /// Takes a press on a button. The caller acknowledges it at once; what comes of it goes to its `response_url`.
    pub fn interaction(self: &Arc<Self>, signed: Signed<Interaction>) {
        let Signed { form, received } = signed;
        let press = match form {
            Interaction::Press(press) => press,
            Interaction::Other(kind) => {
                tracing::warn!(kind, "Slack sent an interaction this app has no part in");
                return;
            }
        };
        let Some(command) = commands::press(&press) else {
            return;
        };
        let order = Order {
            command,
            letterbox: self.postman.letterbox(&press.response_url),
            who: press.who,
            place: if press.shared {
                Place::SharedCard
            } else {
                Place::OwnCard
            },
            request_id: request_id(),
            received,
        };
        self.tasks.spawn(Arc::clone(self).work(order, None));
    }

    async fn work(self: Arc<Self>, mut order: Order, asker: Option<oneshot::Sender<Message>>) {
        let mut asker = asker;
        let working = AssertUnwindSafe(self.carry_out(&order)).catch_unwind();
        let abandoned = async {
            match &mut asker {
                Some(asker) if order.letterbox.is_none() => asker.closed().await,
                _ => std::future::pending().await,
            }
        };
        let (outcome, message) = tokio::select! {
            biased;
            done = working => match done {
                Ok(done) => done,
                Err(_panic) => {
                    tracing::error!(request_id = order.request_id, "a command panicked");
                    self.instead(Problem::Broken, &order)
                }
            },
            () = self.give_up.cancelled() => self.instead(Problem::NoAnswer, &order),
            () = abandoned => self.instead(Problem::NoAnswer, &order),
        };
        let typed = asker.is_some();
        let late = match asker {
            Some(asker) => asker.send(message).err(),
            None => Some(message),
        };
        let delivery = match (late, &mut order.letterbox) {
            (None, _) => Ok(Delivery::InTime),
            // The response has answered for itself when its budget ended.
            (Some(_), None) if typed => Ok(Delivery::InTime),
            (Some(_), None) => Err(Lost::Forbidden),
            (Some(message), Some(letterbox)) => self.postman.post(letterbox, &message).await.map(|()| Delivery::Late),
        };
        self.note(&order, &outcome, delivery);
    }

    async fn carry_out(&self, order: &Order) -> (Outcome, Message) {
        let outcome = if self.stopping.load(Ordering::Acquire) {
            Reply::Problem(Problem::Stopping).into()
        } else {
            self.commands.run(order.command.clone(), &order.who).await
        };
        let message = self.draw(&outcome.reply, &order.request_id, order.place);
        (outcome, message)
    }

    fn instead(&self, problem: Problem, order: &Order) -> (Outcome, Message) {
        let reply = Reply::Problem(problem);
        let message = self.draw(&reply, &order.request_id, order.place);
        (reply.into(), message)
    }

    fn draw(&self, reply: &Reply, request_id: &str, place: Place) -> Message {
        let look = Look {
            now: self.clock.now(),
            command: &self.command_name,
            request_id,
            place,
        };
        views::draw(reply, &look)
    }

    /// The one line that the log has about a command.
    fn note(&self, order: &Order, outcome: &Outcome, delivery: Result<Delivery, Lost>) {
        let total = order.received.elapsed();
        let word = outcome.reply.outcome();
        let delivered = *delivery.as_ref().unwrap_or(&Delivery::Lost);
        self.metrics.answered(word, delivered, total);
        tracing::info!(
            request_id = order.request_id,
            team = order.who.team,
            channel = order.who.channel,
            user = order.who.user,
            verb = order.command.name(),
            session_id = order.command.session_id().map(SessionId::as_str),
            outcome = word,
            answer = delivered.name(),
            kapso_ms = milliseconds(outcome.kapso),
            total_ms = milliseconds(total),
            error = outcome.error.as_deref().map(|error| chain(error)),
            lost = delivery.err().map(|lost| lost.to_string()),
            "command"
        );
    }
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Eight hex digits: enough to find one line among a week's, short enough to be read out.
fn request_id() -> String {
    format!("{:08x}", fastrand::u32(..))
}
