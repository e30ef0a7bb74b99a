//! The channel of `FakeSlack`: the conversation as a person sees it, and the `response_url`s that post to it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{self, Path};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::exchange::{DeliveryPath, Exchange, UserAction, milliseconds};
use super::pictures::Pictures;
use super::rules;
use crate::clock::Clock;

/// Posts that Slack accepts at one `response_url`.
const MAX_POSTS: u32 = 5;
/// Lifetime of a `response_url`.
const LIFETIME: SignedDuration = SignedDuration::from_mins(30);
/// Messages that Slack accepts at once in one channel, and then one per second.
/// Source: <https://docs.slack.dev/apis/web-api/rate-limits>, which gives the rate but not the burst.
const BURST: u32 = 3;
/// Number of exchanges in memory, at most; the oldest are dropped first.
const MAX_EXCHANGES: usize = 1_000;

/// A message in the conversation.
#[derive(Clone, Debug, Serialize)]
pub struct PostedMessage {
    /// Ids ascend in the order of the conversation.
    pub id: u64,
    /// Number of the command or press that it replies to, see [`super::DirectResponse::exchange`].
    pub exchange: u64,
    /// Time of arrival in Unix milliseconds.
    pub at_ms: i64,
    pub by: DeliveryPath,
    /// Milliseconds since the command or press.
    pub after_ms: u64,
    /// Visible to everyone in the channel, not only to one person.
    pub in_channel: bool,
    /// The command, if Slack shows it with the message.
    pub echo: Option<String>,
    /// The person who wrote it; `None` for a message of the app.
    pub author: Option<String>,
    /// The message in whose thread it is.
    pub thread: Option<u64>,
    /// Where it was posted through the Web API: `C…`, or `D…` for the app's direct messages with a person. A message that
    /// answers a press is where the button is; it is empty for all others.
    pub channel: String,
    /// Identifies a message that was posted through the Web API in its channel.
    pub ts: Option<String>,
    /// The message as the app sent it.
    pub message: Value,
}

impl PostedMessage {
    /// Whether only one person sees it, and Slack does not keep it. A direct message of the app is not ephemeral.
    #[must_use]
    pub fn is_ephemeral(&self) -> bool {
        !self.in_channel && self.ts.is_none()
    }
}

/// Slack's error message to a person whose command failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailureNotice {
    /// Shares its sequence with [`PostedMessage::id`].
    pub id: u64,
    /// Number of the command.
    pub exchange: u64,
    /// Time in Unix milliseconds.
    pub at_ms: i64,
    /// The text that Slack shows.
    pub failed: String,
}

/// Identifies a button within a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ButtonRef {
    /// Index of its block.
    pub block: usize,
    /// Its action id, unique in the block.
    pub action_id: String,
}

/// A status, and the seconds of its `Retry-After`.
pub(super) type Rejection = (StatusCode, Option<u64>);

pub(super) struct Channel {
    pub(super) clock: Clock,
    pub(super) pictures: Pictures,
    state: Mutex<State>,
    /// Changes with every change of the state.
    pub(super) changed: watch::Sender<u64>,
    /// While true, accepted posts to a `response_url` get no response.
    pub(super) responses_stalled: watch::Sender<bool>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) last_exchange: u64,
    pub(super) exchanges: BTreeMap<u64, Exchange>,
    /// By the token in their path.
    response_urls: HashMap<String, ResponseUrl>,
    last_id: u64,
    pub(super) conversation: BTreeMap<u64, PostedMessage>,
    pub(super) failures: Vec<FailureNotice>,
    /// By message: the button whose last press was not acknowledged.
    pub(super) unacknowledged: BTreeMap<u64, ButtonRef>,
    /// Messages received for each exchange: ephemeral, and in the channel.
    message_counts: HashMap<u64, [u32; 2]>,
    /// Outcome of the next posts to `response_url`s: a rejection, or `None` to accept.
    pub(super) next_faults: VecDeque<Option<Rejection>>,
    /// Whether a channel takes only one message per second.
    pub(super) limits_channels: bool,
    /// By channel: when the messages so far will be paid off, at one per second.
    pub(super) paid_off_at: HashMap<String, Timestamp>,
    /// The exchange of each post to a `response_url`, accepted or not.
    pub(super) posts: Vec<u64>,
    pub(super) rule_violations: Vec<String>,
    /// Whether a direct message was refused.
    pub(super) has_refused_direct: bool,
}

struct ResponseUrl {
    exchange: u64,
    channel: String,
    issued_at: Timestamp,
    posts: u32,
    target: Target,
}

/// Where a reply is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Target {
    /// The message whose button was pressed.
    pub(super) pressed: Option<u64>,
    /// The message in whose thread it is.
    pub(super) thread: Option<u64>,
}

impl Channel {
    pub(super) fn new(clock: Clock, pictures: Pictures) -> Self {
        Self {
            clock,
            pictures,
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            responses_stalled: watch::Sender::new(false),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn notify(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    pub(super) fn record_violation(&self, rule: &str) {
        self.state().rule_violations.push(rule.to_owned());
    }

    /// Starts an exchange. Returns its number and the token of its `response_url`.
    pub(super) fn start_exchange(&self, act: UserAction, channel: &str, target: Target) -> (u64, String) {
        let mut state = self.state();
        state.last_exchange += 1;
        let exchange = state.last_exchange;
        state.exchanges.insert(exchange, Exchange::new(exchange, act));
        if state.exchanges.len() > MAX_EXCHANGES {
            state.exchanges.pop_first();
        }
        if let Some(message) = target.pressed {
            state.unacknowledged.remove(&message);
        }
        let token = format!("T0001ABCD-{exchange}-{:016x}", fastrand::u64(..));
        let response_url = ResponseUrl {
            exchange,
            channel: channel.to_owned(),
            issued_at: self.clock.now(),
            posts: 0,
            target,
        };
        state.response_urls.insert(token.clone(), response_url);
        (exchange, token)
    }

    /// Updates an exchange, if it is still in memory.
    pub(super) fn update_exchange(&self, exchange: u64, update: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = self.state().exchanges.get_mut(&exchange) {
            update(exchange);
        }
        self.notify();
    }

    /// Shows Slack's error message for a command that failed.
    pub(super) fn show_failure(&self, exchange: u64, text: String) {
        let mut state = self.state();
        let id = state.next_id();
        state.failures.push(FailureNotice {
            id,
            exchange,
            at_ms: self.clock.now().as_millisecond(),
            failed: text,
        });
        drop(state);
        self.notify();
    }

    /// Marks a button whose press was not acknowledged.
    pub(super) fn mark_unacknowledged(&self, message: u64, button: ButtonRef) {
        self.state().unacknowledged.insert(message, button);
        self.notify();
    }

    /// Applies a message of the app to the conversation as Slack would: appends it, replaces the pressed message, or
    /// deletes that. Returns the message as shown, `None` after a deletion.
    pub(super) fn accept(
        &self,
        exchange: u64,
        by: DeliveryPath,
        target: Target,
        message: Value,
    ) -> Option<PostedMessage> {
        let now = self.clock.now();
        let mut state = self.state();
        for violation in rules::violations(&message) {
            state.rule_violations.push(format!("{violation}: {message}"));
        }
        state.count_message(exchange, &message);
        let posted = match target.pressed {
            Some(id) if message["delete_original"] == true => {
                state.conversation.remove(&id);
                None
            }
            Some(id) if message["replace_original"] == true && state.conversation.contains_key(&id) => {
                state.replace(id, exchange, by, message)
            }
            // The response_url of a command replaces nothing, even if the message has `replace_original`.
            _ => {
                let place = target
                    .pressed
                    .and_then(|id| state.conversation.get(&id))
                    .map(|on| on.channel.clone());
                let mut posted = state.append(exchange, now, by, target.thread, message);
                posted.channel = place.unwrap_or_default();
                state.conversation.insert(posted.id, posted.clone());
                Some(posted)
            }
        };
        drop(state);
        self.notify();
        posted
    }

    /// Appends a message that was posted through the Web API, and returns its `ts`.
    pub(super) fn post(&self, channel: &str, message: Value) -> String {
        let now = self.clock.now();
        let mut state = self.state();
        let mut posted = state.append(0, now, DeliveryPath::WebApi, None, message);
        let ts = format!("{}.{:06}", now.as_second(), posted.id);
        posted.in_channel = !channel.starts_with('D');
        channel.clone_into(&mut posted.channel);
        posted.ts = Some(ts.clone());
        state.conversation.insert(posted.id, posted);
        drop(state);
        self.notify();
        ts
    }

    /// Replaces a message that was posted through the Web API; false if there is none with this `ts` in this channel.
    pub(super) fn update(&self, channel: &str, ts: &str, message: Value) -> bool {
        let mut state = self.state();
        let mut messages = state.conversation.values_mut();
        let found = messages.find(|posted| posted.channel == channel && posted.ts.as_deref() == Some(ts));
        let is_found = found.map(|posted| posted.message = message).is_some();
        drop(state);
        self.notify();
        is_found
    }

    /// Adds a message to the channel that belongs to no exchange.
    pub(super) fn add_shared(&self, message: Value) -> PostedMessage {
        let mut state = self.state();
        let mut posted = state.append(0, self.clock.now(), DeliveryPath::ResponseUrl, None, message);
        posted.in_channel = true;
        state.conversation.insert(posted.id, posted.clone());
        drop(state);
        self.notify();
        posted
    }

    /// Adds a message that a person wrote, in the thread of another one or in the channel. It gets the number of an
    /// exchange, but the app is not told.
    pub(super) fn add_written(&self, message: Value, thread: Option<u64>) -> PostedMessage {
        let mut state = self.state();
        state.last_exchange += 1;
        let number = state.last_exchange;
        let author = message["user"].as_str().map(str::to_owned);
        let mut posted = state.append(number, self.clock.now(), DeliveryPath::ResponseUrl, None, message);
        posted.in_channel = true;
        posted.author = author;
        posted.thread = thread;
        state.conversation.insert(posted.id, posted.clone());
        drop(state);
        self.notify();
        posted
    }
}

/// Axum handler for posts to a `response_url`.
pub(super) async fn receive_post(
    extract::State(channel): extract::State<Arc<Channel>>,
    Path(token): Path<String>,
    body: Bytes,
) -> Response {
    let now = channel.clock.now();
    let admitted = channel.state().admit_post(&token, now);
    let (exchange, target) = match admitted {
        Ok(admitted) => admitted,
        Err((status, retry_after)) => {
            channel.notify();
            let mut response = status.into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            return response;
        }
    };
    let record = |status| {
        channel.update_exchange(exchange, |exchange| {
            exchange.record_reply(DeliveryPath::ResponseUrl, Some(status), &body);
        });
    };
    let Ok(message) = serde_json::from_slice(&body) else {
        record(StatusCode::BAD_REQUEST);
        channel.record_violation("a post to a response_url is not JSON");
        return (StatusCode::BAD_REQUEST, "invalid_payload").into_response();
    };
    if !channel.pictures.fetch(&message).await {
        record(StatusCode::BAD_REQUEST);
        return (StatusCode::BAD_REQUEST, "invalid_blocks").into_response();
    }
    record(StatusCode::OK);
    channel.accept(exchange, DeliveryPath::ResponseUrl, target, message);
    // `wait_for` cannot fail: `channel` owns the sender.
    drop(channel.responses_stalled.subscribe().wait_for(|stalled| !stalled).await);
    "ok".into_response()
}

/// Counts a message to a channel, which takes one per second after a burst; false if it has no room for it.
fn has_room(paid_off_at: &mut HashMap<String, Timestamp>, channel: &str, now: Timestamp) -> bool {
    let paid_off_at = paid_off_at.entry(channel.to_owned()).or_insert(now);
    *paid_off_at = (*paid_off_at).max(now);
    if *paid_off_at > now + SignedDuration::from_secs(i64::from(BURST) - 1) {
        return false;
    }
    *paid_off_at += SignedDuration::from_secs(1);
    true
}

impl State {
    /// Whether a channel takes one more message now, where channels are limited.
    pub(super) fn admit_message(&mut self, channel: &str, now: Timestamp) -> bool {
        !self.limits_channels || has_room(&mut self.paid_off_at, channel, now)
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Counts a message for its exchange, and records a violation if there are too many.
    fn count_message(&mut self, exchange: u64, message: &Value) {
        let (max, max_per_visibility) = self.exchanges.get(&exchange).map_or((1, 1), |exchange| {
            (exchange.max_messages(), exchange.max_messages_per_visibility())
        });
        // A watch whose direct message is refused goes on at the response_url, which then gets its end, too.
        let more = u32::from(self.has_refused_direct && max > 1);
        let counts = self.message_counts.entry(exchange).or_default();
        counts[usize::from(message["response_type"] == "in_channel")] += 1;
        if counts.iter().sum::<u32>() > max + more || counts.iter().any(|count| *count > max_per_visibility + more) {
            let rule = format!("exchange {exchange} got too many messages");
            self.rule_violations.push(rule);
        }
    }

    /// `thread` is that of the pressed button or the shortcut: what everybody sees is not shown there.
    fn append(
        &mut self,
        exchange: u64,
        at: Timestamp,
        by: DeliveryPath,
        thread: Option<u64>,
        message: Value,
    ) -> PostedMessage {
        let in_channel = message["response_type"] == "in_channel";
        let id = self.next_id();
        let replied_to = self.exchanges.get(&exchange);
        let posted = PostedMessage {
            id,
            exchange,
            at_ms: at.as_millisecond(),
            by,
            after_ms: milliseconds(replied_to.map(Exchange::elapsed).unwrap_or_default()),
            in_channel,
            echo: replied_to
                .and_then(Exchange::typed)
                .filter(|_| in_channel)
                .map(str::to_owned),
            author: None,
            thread: thread.filter(|_| !in_channel),
            channel: String::new(),
            ts: None,
            message,
        };
        self.conversation.insert(posted.id, posted.clone());
        posted
    }

    /// Replaces a message, which keeps its id, time, visibility and echoed command.
    fn replace(&mut self, id: u64, exchange: u64, by: DeliveryPath, message: Value) -> Option<PostedMessage> {
        let after = self.exchanges.get(&exchange).map(Exchange::elapsed).unwrap_or_default();
        let posted = self.conversation.get_mut(&id)?;
        posted.exchange = exchange;
        posted.by = by;
        posted.after_ms = milliseconds(after);
        posted.message = message;
        Some(posted.clone())
    }

    /// Checks a post to a `response_url` against Slack's limits and the injected faults. Returns the exchange and
    /// where it is shown, or how Slack rejects the post.
    fn admit_post(&mut self, token: &str, now: Timestamp) -> Result<(u64, Target), Rejection> {
        let mut reject = |rule: &str| {
            self.rule_violations.push(rule.to_owned());
            Err((StatusCode::NOT_FOUND, None))
        };
        let Some(response_url) = self.response_urls.get_mut(token) else {
            return reject("an unknown response_url was posted to");
        };
        self.posts.push(response_url.exchange);
        let limit = self.limits_channels.then_some(&mut self.paid_off_at);
        if !limit.is_none_or(|paid_off_at| has_room(paid_off_at, &response_url.channel, now)) {
            return Err((StatusCode::TOO_MANY_REQUESTS, Some(1)));
        }
        let fault = self.next_faults.pop_front().flatten();
        if let Some(rejection @ (StatusCode::TOO_MANY_REQUESTS, _)) = fault {
            // Slack has taken nothing.
            return Err(rejection);
        }
        response_url.posts += 1;
        if response_url.posts > MAX_POSTS {
            return reject("a response_url was posted to more than 5 times");
        }
        if now.duration_since(response_url.issued_at) > LIFETIME {
            return reject("a response_url was posted to after 30 minutes");
        }
        match fault {
            Some(rejection) => Err(rejection),
            None => Ok((response_url.exchange, response_url.target)),
        }
    }
}
