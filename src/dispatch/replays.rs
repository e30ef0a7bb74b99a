//! Recognizes requests that come again.
//!
//! Over HTTP, a signature is valid for five minutes, so whoever has recorded a request can send it many times. Through the
//! socket, Slack delivers a request again if it has not received the acknowledgement, perhaps under another envelope id.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::slack::acknowledgement::Acknowledgement;

/// How long a request is remembered if all come over HTTP. A signature is accepted from five minutes before its timestamp to
/// five minutes after it; the rest is for a clock that is set back meanwhile.
const WINDOW: Duration = Duration::from_mins(15);
/// How long with Socket Mode: a request that Slack delivers again has no age. It has been seen to come after six minutes,
/// and with each new connection.
const SOCKET_WINDOW: Duration = Duration::from_hours(1);
/// Most requests remembered; the oldest are forgotten first. They take about 300 bytes each, without their replies.
const REQUESTS_MAX: usize = 100_000;
/// The latest requests, whose replies are kept until Slack has received them. A reply has up to 19 KiB.
const REPLIES_MAX: usize = 1_000;
/// How long a reply is kept, which may contain an activation code.
const REPLY_WINDOW: Duration = Duration::from_mins(10);
/// How often a request may come over HTTP before it is not run any more.
const RUNS_MAX: u32 = 20;

/// The start of a hash: keys may be secrets, such as a `response_url`.
type Key = [u8; 16];

/// The requests that one process has accepted within the window.
pub struct RecentRequests {
    window: Duration,
    recent: Mutex<Recent>,
}

/// Whether a request has come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occurrence {
    First,
    Replay,
    /// It has come so often that it is not run any more.
    ReplayTooOften,
}

#[derive(Default)]
struct Recent {
    /// By each of its keys.
    requests: HashMap<Key, Arc<RecentRequest>>,
    /// The same keys, oldest first.
    by_time: VecDeque<(Instant, Vec<Key>)>,
    /// Those whose replies are kept, oldest first.
    with_reply: VecDeque<(Instant, Arc<RecentRequest>)>,
}

/// A request that is remembered.
#[derive(Default)]
pub(super) struct RecentRequest {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How often it has come.
    count: u32,
    reply: Reply,
}

/// How far the reply to a request is.
#[derive(Default)]
enum Reply {
    /// The command runs, and its reply goes to the latest delivery of the request, which waits here.
    Awaited {
        sender: oneshot::Sender<Acknowledgement>,
        max_message_bytes: usize,
    },
    /// It went into an acknowledgement that Slack may not have received.
    Unconfirmed {
        /// `None` when it is kept no more.
        message: Option<Bytes>,
        /// Whether it has gone into the acknowledgement of a later delivery, too.
        was_repeated: bool,
    },
    /// Slack has received it, or it is posted to the `response_url`.
    #[default]
    Settled,
}

/// What the acknowledgement of a request that came again is.
pub(super) enum Repeated {
    /// Without a message: the first one is answered.
    Empty,
    /// With the reply to the first one, once it is there.
    Awaits(oneshot::Receiver<Acknowledgement>),
    /// With the reply to the first one, whose acknowledgement Slack did not receive.
    Message(Acknowledgement),
    /// There is no room for that reply: the command runs once more, and this waits for the acknowledgement.
    RunsAgain(oneshot::Receiver<Acknowledgement>),
}

/// A reply that is still to be sent. Dropped without one, the request is acknowledged without a message.
pub(super) struct PendingReply(pub(super) Arc<RecentRequest>);

impl RecentRequests {
    /// For a process that receives requests over HTTP only, or `with_socket`.
    #[must_use]
    pub fn new(with_socket: bool) -> Self {
        Self {
            window: if with_socket { SOCKET_WINDOW } else { WINDOW },
            recent: Mutex::default(),
        }
    }

    /// Remembers a request that has these keys, and says whether one with any of them has come before. Blank keys are
    /// none.
    pub(super) fn insert<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k str>,
        received: Instant,
    ) -> (Occurrence, Arc<RecentRequest>) {
        let keys: Vec<Key> = keys.into_iter().filter(|key| !key.is_empty()).map(hash).collect();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        while recent.by_time.len() >= REQUESTS_MAX
            || recent
                .by_time
                .front()
                .is_some_and(|(at, _)| received.duration_since(*at) > self.window)
        {
            let (_, oldest) = recent.by_time.pop_front().unwrap_or((received, Vec::new()));
            for key in oldest {
                recent.requests.remove(&key);
            }
        }
        recent.forget_replies(received);
        let known = keys.iter().find_map(|key| recent.requests.get(key).map(Arc::clone));
        let request = known.unwrap_or_default();
        // A delivery under another envelope id has a new key.
        let new: Vec<Key> = keys
            .into_iter()
            .filter(|key| !recent.requests.contains_key(key))
            .collect();
        for key in &new {
            recent.requests.insert(*key, Arc::clone(&request));
        }
        if !new.is_empty() {
            recent.by_time.push_back((received, new));
        }
        let mut state = request.state();
        state.count = state.count.saturating_add(1);
        if state.count == 1 {
            recent.with_reply.push_back((received, Arc::clone(&request)));
        }
        drop(recent);
        let occurrence = match state.count {
            1 => Occurrence::First,
            2..=RUNS_MAX => Occurrence::Replay,
            _ => Occurrence::ReplayTooOften,
        };
        drop(state);
        (occurrence, request)
    }
}

impl Recent {
    /// Forgets the replies to old requests, and to those that are too many.
    fn forget_replies(&mut self, now: Instant) {
        while let Some((at, request)) = self.with_reply.front() {
            let is_kept = self.with_reply.len() < REPLIES_MAX && now.duration_since(*at) <= REPLY_WINDOW;
            if is_kept || !request.forget_message() {
                return;
            }
            self.with_reply.pop_front();
        }
    }
}

fn hash(key: &str) -> Key {
    let mut start = Key::default();
    start.copy_from_slice(&Sha256::digest(key)[..size_of::<Key>()]);
    start
}

impl RecentRequest {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the reply, which is to go into the acknowledgement of the delivery that has just come. An earlier
    /// delivery that waits gets none.
    pub(super) fn await_reply(&self, max_message_bytes: usize) -> oneshot::Receiver<Acknowledgement> {
        self.state().await_reply(max_message_bytes)
    }

    /// What to acknowledge another delivery with, in whose acknowledgement there is room for so many bytes.
    pub(super) fn repeat(self: &Arc<Self>, max_message_bytes: usize) -> Repeated {
        let mut state = self.state();
        match &mut state.reply {
            Reply::Awaited { .. } => Repeated::Awaits(state.await_reply(max_message_bytes)),
            Reply::Unconfirmed { message: None, .. } | Reply::Settled => Repeated::Empty,
            Reply::Unconfirmed {
                message: Some(message),
                was_repeated,
            } if message.len() <= max_message_bytes => {
                *was_repeated = true;
                let acknowledgement = Acknowledgement::with_message(message.clone(), None);
                Repeated::Message(self.settled_by(acknowledgement))
            }
            Reply::Unconfirmed { .. } => Repeated::RunsAgain(state.await_reply(max_message_bytes)),
        }
    }

    /// The same acknowledgement; nothing is sent again once Slack has received it.
    fn settled_by(self: &Arc<Self>, acknowledgement: Acknowledgement) -> Acknowledgement {
        let request = Arc::clone(self);
        acknowledgement.when_received(move || request.state().settle())
    }

    /// Forgets the reply, unless it is still awaited. Returns whether there is none now.
    fn forget_message(&self) -> bool {
        match &mut self.state().reply {
            Reply::Awaited { .. } => return false,
            Reply::Unconfirmed { message, .. } => *message = None,
            Reply::Settled => {}
        }
        true
    }
}

impl State {
    fn await_reply(&mut self, max_message_bytes: usize) -> oneshot::Receiver<Acknowledgement> {
        let (sender, receiver) = oneshot::channel();
        self.reply = Reply::Awaited {
            sender,
            max_message_bytes,
        };
        receiver
    }

    fn settle(&mut self) {
        // While the command runs again, another acknowledgement waits.
        if !matches!(self.reply, Reply::Awaited { .. }) {
            self.reply = Reply::Settled;
        }
    }
}

impl PendingReply {
    /// Whether there is room for a message of so many bytes in the acknowledgement.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        match self.0.state().reply {
            Reply::Awaited { max_message_bytes, .. } => bytes <= max_message_bytes,
            Reply::Unconfirmed { .. } | Reply::Settled => true,
        }
    }

    /// Acknowledges the request without a message, if it is not yet, since its reply is posted to the `response_url`.
    pub(super) fn acknowledge(&self) {
        if let Reply::Awaited { sender, .. } = std::mem::take(&mut self.0.state().reply) {
            // If nobody waits for it any more, the reply is delivered nevertheless.
            let _ = sender.send(Acknowledgement::empty());
        }
    }

    /// Sends the reply with the acknowledgement. Returns whether it was sent; if not, because there was no room or the
    /// connection is closed, it is to be posted to the `response_url`. Where the acknowledgement is not `confirmable`,
    /// nobody learns whether Slack received it.
    pub(super) async fn send(&self, message: Bytes, confirmable: bool) -> bool {
        let (written, was_written) = oneshot::channel();
        let mut acknowledgement = Acknowledgement::with_message(message.clone(), Some(written));
        let sent = {
            let mut state = self.0.state();
            if matches!(state.reply, Reply::Awaited { max_message_bytes, .. } if message.len() > max_message_bytes) {
                return false;
            }
            let Reply::Awaited { sender, .. } = std::mem::take(&mut state.reply) else {
                return false;
            };
            if confirmable {
                acknowledgement = self.0.settled_by(acknowledgement);
                state.reply = Reply::Unconfirmed {
                    message: Some(message),
                    was_repeated: false,
                };
            }
            sender.send(acknowledgement)
        };
        if sent.is_ok() && was_written.await.is_ok() {
            return true;
        }
        // Not sent. If the request has come again in the meantime, its reply went there, or will.
        let mut state = self.0.state();
        match &state.reply {
            Reply::Unconfirmed { was_repeated, .. } => {
                let was_repeated = *was_repeated;
                if !was_repeated {
                    state.reply = Reply::Settled;
                }
                was_repeated
            }
            Reply::Awaited { .. } => true,
            Reply::Settled => confirmable,
        }
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if matches!(state.reply, Reply::Awaited { .. }) {
            state.reply = Reply::Settled;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URLS: [&str; 2] = ["https://hooks.slack.com/1", "https://hooks.slack.com/2"];

    fn occurrence(requests: &RecentRequests, keys: &[&str], received: Instant) -> Occurrence {
        requests.insert(keys.iter().copied(), received).0
    }

    #[test]
    fn a_request_is_recognized_for_fifteen_minutes_and_with_the_socket_for_an_hour() {
        for (with_socket, minutes) in [(false, 15), (true, 60)] {
            let requests = RecentRequests::new(with_socket);
            let first = Instant::now();
            let window = Duration::from_mins(minutes);
            let [one, other] = URLS;
            let end = first + window + Duration::from_secs(1);
            assert_eq!(occurrence(&requests, &[one], first), Occurrence::First);
            assert_eq!(occurrence(&requests, &[other], first + window / 2), Occurrence::First);
            assert_eq!(occurrence(&requests, &[one], first + window), Occurrence::Replay);
            assert_eq!(occurrence(&requests, &[one], end), Occurrence::First);
            assert_eq!(occurrence(&requests, &[other], end), Occurrence::Replay);
        }
    }

    #[test]
    fn an_hour_at_twenty_requests_a_second_is_no_more_to_remember_than_its_first_quarter() {
        let requests = RecentRequests::new(false);
        let began = Instant::now();
        let remembered_after = |seconds: std::ops::Range<u64>| {
            for number in 20 * seconds.start..20 * seconds.end {
                let received = began + Duration::from_millis(50 * number);
                occurrence(&requests, &[&format!("url-{number}")], received);
            }
            let recent = requests.recent.lock().unwrap_or_else(PoisonError::into_inner);
            (recent.by_time.len(), recent.requests.len(), recent.with_reply.len())
        };
        assert_eq!(remembered_after(0..1_000), remembered_after(1_000..3_600));
    }

    #[test]
    fn a_request_is_recognized_by_any_of_its_keys() {
        let requests = RecentRequests::new(false);
        let now = Instant::now();
        let [url, other] = URLS;
        assert_eq!(
            occurrence(&requests, &[url, "trigger", "envelope-1"], now),
            Occurrence::First
        );
        assert_eq!(
            occurrence(&requests, &[other, "trigger", "envelope-2"], now),
            Occurrence::Replay
        );
        assert_eq!(occurrence(&requests, &["", "", "envelope-2"], now), Occurrence::Replay);
        assert_eq!(
            occurrence(&requests, &["", "trigger-2", "envelope-3"], now),
            Occurrence::First
        );
    }

    #[test]
    fn requests_without_a_key_are_all_new() {
        let requests = RecentRequests::new(false);
        let now = Instant::now();
        for _ in 0..2 {
            assert_eq!(occurrence(&requests, &["", ""], now), Occurrence::First);
        }
    }

    #[test]
    fn a_request_runs_twenty_times_at_most() {
        let requests = RecentRequests::new(false);
        let now = Instant::now();
        let occurrences: Vec<Occurrence> = (0..30).map(|_| occurrence(&requests, &URLS[..1], now)).collect();
        assert_eq!(occurrences[0], Occurrence::First);
        assert!(
            occurrences[1..20]
                .iter()
                .all(|occurrence| *occurrence == Occurrence::Replay)
        );
        assert!(
            occurrences[20..]
                .iter()
                .all(|occurrence| *occurrence == Occurrence::ReplayTooOften)
        );
    }

    #[test]
    fn the_memory_for_requests_is_bounded() {
        let requests = RecentRequests::new(false);
        let now = Instant::now();
        for number in 0..REQUESTS_MAX + 10 {
            occurrence(
                &requests,
                &[&format!("url-{number}"), &format!("trigger-{number}")],
                now,
            );
        }
        let recent = requests.recent.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(
            (recent.by_time.len(), recent.requests.len()),
            (REQUESTS_MAX, 2 * REQUESTS_MAX)
        );
        drop(recent);
        assert_eq!(occurrence(&requests, &["url-0"], now), Occurrence::First);
        let last = format!("url-{}", REQUESTS_MAX + 9);
        assert_eq!(occurrence(&requests, &[&last], now), Occurrence::Replay);
    }

    fn request(requests: &RecentRequests, key: &str, received: Instant) -> Arc<RecentRequest> {
        requests.insert([key], received).1
    }

    /// Writes the acknowledgement of a delivery; Slack receives it if `is_received`.
    async fn write(delivery: oneshot::Receiver<Acknowledgement>, is_received: bool) -> Option<Bytes> {
        let acknowledgement = delivery.await.unwrap_or_default();
        let message = acknowledgement.message().cloned();
        let on_received = acknowledgement.mark_written();
        if is_received && let Some(on_received) = on_received {
            on_received();
        }
        message
    }

    const MESSAGE: Bytes = Bytes::from_static(b"{}");

    /// A request that was replied to in an acknowledgement that Slack did not receive.
    async fn unconfirmed(requests: &RecentRequests, key: &str, received: Instant) -> Arc<RecentRequest> {
        let request = request(requests, key, received);
        let delivery = request.await_reply(100);
        let reply = PendingReply(Arc::clone(&request));
        let (was_sent, _) = tokio::join!(reply.send(MESSAGE, true), write(delivery, false));
        assert!(was_sent);
        request
    }

    #[tokio::test]
    async fn a_reply_is_sent_again_until_slack_has_received_it() {
        let request = unconfirmed(&RecentRequests::new(false), "url", Instant::now()).await;
        for is_received in [false, true] {
            let Repeated::Message(acknowledgement) = request.repeat(100) else {
                unreachable!("it is not received yet");
            };
            assert_eq!(acknowledgement.message(), Some(&MESSAGE));
            let on_received = acknowledgement.mark_written();
            if is_received {
                on_received.unwrap_or_else(|| unreachable!("it can be confirmed"))();
            }
        }
        assert!(matches!(request.repeat(100), Repeated::Empty));
    }

    #[tokio::test]
    async fn the_reply_must_fit_into_the_acknowledgement_of_the_latest_delivery() {
        let request = request(&RecentRequests::new(false), "url", Instant::now());
        let first = request.await_reply(100);
        let reply = PendingReply(Arc::clone(&request));
        let Repeated::Awaits(second) = request.repeat(1) else {
            unreachable!("it is awaited");
        };
        assert!(first.await.is_err());
        assert!(!reply.has_room(MESSAGE.len()));
        assert!(!reply.send(MESSAGE, true).await);
        // Not before its job is stored.
        reply.acknowledge();
        assert_eq!(write(second, true).await, None);
        assert!(matches!(request.repeat(100), Repeated::Empty));
    }

    #[tokio::test]
    async fn a_reply_that_does_not_fit_any_more_is_made_again() {
        let request = unconfirmed(&RecentRequests::new(false), "url", Instant::now()).await;
        let Repeated::RunsAgain(delivery) = request.repeat(1) else {
            unreachable!("it does not fit");
        };
        let reply = PendingReply(Arc::clone(&request));
        assert!(!reply.send(MESSAGE, true).await);
        reply.acknowledge();
        assert_eq!(write(delivery, true).await, None);
        assert!(matches!(request.repeat(100), Repeated::Empty));
    }

    #[tokio::test]
    async fn replies_are_kept_for_ten_minutes_and_a_thousand_of_them() {
        let requests = RecentRequests::new(false);
        let now = Instant::now();
        let old = unconfirmed(&requests, "old", now).await;
        request(&requests, "new", now + REPLY_WINDOW);
        assert!(matches!(old.repeat(100), Repeated::Message(_)));
        request(&requests, "newer", now + REPLY_WINDOW + Duration::from_secs(1));
        assert!(matches!(old.repeat(100), Repeated::Empty));

        let first = unconfirmed(&requests, "first", now + REPLY_WINDOW).await;
        for number in 0..REPLIES_MAX {
            request(&requests, &format!("url-{number}"), now + REPLY_WINDOW);
        }
        let recent = requests.recent.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(recent.with_reply.len(), REPLIES_MAX);
        drop(recent);
        assert!(matches!(first.repeat(100), Repeated::Empty));
    }
}
