//! The channel in FakeSlack: what a person sees there, the `response_url`s that lead to it, and Slack's rules for
//! both.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::exchange::{Act, Exchange, Way, milliseconds};
use super::pictures::Pictures;
use super::rules;
use crate::clock::Clock;

/// How often a `response_url` may be posted to, and how long it lives.
const USES: u32 = 5;
const LIFETIME: SignedDuration = SignedDuration::from_mins(30);
/// How many exchanges are remembered.
const EXCHANGES: usize = 1_000;

/// A message in the conversation.
#[derive(Clone, Debug, Serialize)]
pub struct Posted {
    /// Its place in the conversation.
    pub id: u64,
    /// The command or press that it answers, see [`super::Sent::exchange`].
    pub exchange: u64,
    /// When it came, in Unix milliseconds.
    pub at_ms: i64,
    /// Which way it came.
    pub by: Way,
    /// How long after the command or press.
    pub after_ms: u64,
    /// Whether everybody in the channel sees it.
    pub in_channel: bool,
    /// The command it answers, which everybody sees with it.
    pub echo: Option<String>,
    /// What the app sent, as it stands.
    pub message: Value,
}

/// What Slack tells a person whose command the app failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failed {
    /// Its place in the conversation.
    pub id: u64,
    /// The command that failed.
    pub exchange: u64,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// Slack's words.
    pub failed: String,
}

/// A button of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ButtonRef {
    /// The place of its block in the message.
    pub block: usize,
    /// Its action id, unique in the block.
    pub action_id: String,
}

/// A status, and the seconds of its `Retry-After`.
pub(super) type Refused = (StatusCode, Option<u64>);

/// The channel.
pub(super) struct Channel {
    pub(super) clock: Clock,
    pub(super) pictures: Pictures,
    state: Mutex<Affairs>,
    /// Changes whenever something happens.
    pub(super) happened: watch::Sender<u64>,
    /// Whether those who post to `response_url`s wait for Slack's word that their message was taken.
    pub(super) keeps_waiting: watch::Sender<bool>,
}

#[derive(Default)]
pub(super) struct Affairs {
    exchanges_begun: u64,
    pub(super) exchanges: BTreeMap<u64, Exchange>,
    letterboxes: HashMap<String, ResponseUrl>,
    lines_written: u64,
    pub(super) conversation: BTreeMap<u64, Posted>,
    pub(super) failures: Vec<Failed>,
    /// Presses without an acknowledgement, by message.
    pub(super) unacknowledged: BTreeMap<u64, ButtonRef>,
    /// How many messages answered an exchange: for whoever asked, and for everybody.
    answers: HashMap<u64, [u32; 2]>,
    /// What `response_url`s answer next instead of taking the message; none where they take it.
    pub(super) next_faults: VecDeque<Option<Refused>>,
    pub(super) posts: Vec<u64>,
    pub(super) broken_rules: Vec<String>,
}

struct ResponseUrl {
    exchange: u64,
    opened_at: Timestamp,
    uses: u32,
    /// The message that was pressed.
    pressed: Option<u64>,
}

impl Channel {
    pub(super) fn new(clock: Clock, pictures: Pictures) -> Self {
        Self {
            clock,
            pictures,
            state: Mutex::default(),
            happened: watch::Sender::new(0),
            keeps_waiting: watch::Sender::new(false),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, Affairs> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self) {
        self.happened.send_modify(|count| *count += 1);
    }

    pub(super) fn broke(&self, rule: &str) -> Option<Posted> {
        self.state().broken_rules.push(rule.to_owned());
        None
    }

    /// Begins an exchange; the token is the last part of its `response_url`.
    pub(super) fn begin(&self, act: Act, pressed: Option<u64>) -> (u64, String) {
        let mut state = self.state();
        state.exchanges_begun += 1;
        let exchange = state.exchanges_begun;
        state.exchanges.insert(exchange, Exchange::new(exchange, act));
        if state.exchanges.len() > EXCHANGES {
            state.exchanges.pop_first();
        }
        if let Some(message) = pressed {
            state.unacknowledged.remove(&message);
        }
        let token = format!("T0001ABCD-{exchange}-{:016x}", fastrand::u64(..));
        let letterbox = ResponseUrl {
            exchange,
            opened_at: self.clock.now(),
            uses: 0,
            pressed,
        };
        state.letterboxes.insert(token.clone(), letterbox);
        (exchange, token)
    }

    /// Notes something about an exchange that is still remembered.
    pub(super) fn note(&self, exchange: u64, note: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = self.state().exchanges.get_mut(&exchange) {
            note(exchange);
        }
        self.tell();
    }

    /// Tells the person that the app failed their command. What they typed stays with them.
    pub(super) fn failed(&self, exchange: u64, failed: String) -> Option<Posted> {
        let mut state = self.state();
        let id = state.next_line();
        state.failures.push(Failed {
            id,
            exchange,
            at_ms: self.clock.now().as_millisecond(),
            failed,
        });
        drop(state);
        self.tell();
        None
    }

    /// Marks a button whose press the app did not acknowledge.
    pub(super) fn warn(&self, message: u64, button: ButtonRef) {
        self.state().unacknowledged.insert(message, button);
        self.tell();
    }

    /// Takes a message of the app into the conversation, as Slack would.
    pub(super) fn take(&self, exchange: u64, by: Way, pressed: Option<u64>, message: Value) -> Option<Posted> {
        let now = self.clock.now();
        let mut state = self.state();
        for broken in rules::broken(&message) {
            state.broken_rules.push(format!("{broken}: {message}"));
        }
        let asked = state.exchanges.get(&exchange);
        let (due, alike) = asked.map_or((1, 1), |asked| (asked.due(), asked.due_alike()));
        let answers = state.answers.entry(exchange).or_default();
        answers[usize::from(message["response_type"] == "in_channel")] += 1;
        if answers.iter().sum::<u32>() > due || answers.iter().any(|count| *count > alike) {
            let rule = format!("exchange {exchange} was answered too often");
            state.broken_rules.push(rule);
        }
        let posted = match pressed {
            Some(id) if message["delete_original"] == true => {
                state.conversation.remove(&id);
                None
            }
            Some(id) if message["replace_original"] == true && state.conversation.contains_key(&id) => {
                state.replace(id, exchange, by, message)
            }
            // A command's response_url replaces nothing, whatever the message asks for.
            _ => Some(state.append(exchange, now, by, message)),
        };
        drop(state);
        self.tell();
        posted
    }

    /// Puts a message into the conversation that answers nothing.
    pub(super) fn shared_earlier(&self, message: Value) -> Posted {
        let mut state = self.state();
        let mut posted = state.append(0, self.clock.now(), Way::ResponseUrl, message);
        posted.in_channel = true;
        state.conversation.insert(posted.id, posted.clone());
        drop(state);
        self.tell();
        posted
    }

    /// Uses a `response_url` once: the exchange it answers and the message that was pressed, or what Slack answers
    /// instead of taking the message.
    pub(super) fn open(&self, token: &str) -> Result<(u64, Option<u64>), Refused> {
        self.state().open(token, self.clock.now())
    }
}

impl Affairs {
    fn next_line(&mut self) -> u64 {
        self.lines_written += 1;
        self.lines_written
    }

    fn append(&mut self, exchange: u64, at: Timestamp, by: Way, message: Value) -> Posted {
        let in_channel = message["response_type"] == "in_channel";
        let id = self.next_line();
        let asked = self.exchanges.get(&exchange);
        let posted = Posted {
            id,
            exchange,
            at_ms: at.as_millisecond(),
            by,
            after_ms: milliseconds(asked.map(Exchange::took).unwrap_or_default()),
            in_channel,
            echo: asked
                .and_then(Exchange::typed)
                .filter(|_| in_channel)
                .map(str::to_owned),
            message,
        };
        self.conversation.insert(posted.id, posted.clone());
        posted
    }

    /// Puts a message in another's place: it keeps its time, who sees it and what is seen with it.
    fn replace(&mut self, id: u64, exchange: u64, by: Way, message: Value) -> Option<Posted> {
        let after = self.exchanges.get(&exchange).map(Exchange::took).unwrap_or_default();
        let posted = self.conversation.get_mut(&id)?;
        posted.exchange = exchange;
        posted.by = by;
        posted.after_ms = milliseconds(after);
        posted.message = message;
        Some(posted.clone())
    }

    fn open(&mut self, token: &str, now: Timestamp) -> Result<(u64, Option<u64>), Refused> {
        let mut refuse = |rule: &str| {
            self.broken_rules.push(rule.to_owned());
            Err((StatusCode::NOT_FOUND, None))
        };
        let Some(letterbox) = self.letterboxes.get_mut(token) else {
            return refuse("an unknown response_url was posted to");
        };
        self.posts.push(letterbox.exchange);
        letterbox.uses += 1;
        if letterbox.uses > USES {
            return refuse("a response_url was posted to more than 5 times");
        }
        if now.duration_since(letterbox.opened_at) > LIFETIME {
            return refuse("a response_url was posted to after 30 minutes");
        }
        match self.next_faults.pop_front().flatten() {
            Some(refused) => Err(refused),
            None => Ok((letterbox.exchange, letterbox.pressed)),
        }
    }
}
