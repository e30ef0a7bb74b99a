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

/// How long a request is remembered. A signature is accepted from five minutes before its timestamp to five minutes after
/// it; Slack has been seen to deliver again after six minutes.
const WINDOW: Duration = Duration::from_hours(1);
/// Most requests remembered; the oldest are forgotten first. They take about 300 bytes each.
const REQUESTS_MAX: usize = 100_000;
/// How often a request may come over HTTP before it is not run any more.
const RUNS_MAX: u32 = 20;

/// The start of a hash: keys may be secrets, such as a `response_url`.
type Key = [u8; 16];

/// The requests that one process has accepted within the window.
#[derive(Default)]
pub struct RecentRequests {
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
    Awaited(oneshot::Sender<Acknowledgement>),
    /// It went into an acknowledgement that Slack may not have received.
    Unconfirmed {
        message: Bytes,
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
    Message(Bytes),
}

/// The duty to reply to a request. Dropped without a reply, the request is acknowledged without one.
pub(super) struct ReplyRight(pub(super) Arc<RecentRequest>);

impl RecentRequests {
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
                .is_some_and(|(at, _)| received.duration_since(*at) > WINDOW)
        {
            let (_, oldest) = recent.by_time.pop_front().unwrap_or((received, Vec::new()));
            for key in oldest {
                recent.requests.remove(&key);
            }
        }
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
        drop(recent);
        let mut state = request.state();
        state.count = state.count.saturating_add(1);
        let occurrence = match state.count {
            1 => Occurrence::First,
            2..=RUNS_MAX => Occurrence::Replay,
            _ => Occurrence::ReplayTooOften,
        };
        drop(state);
        (occurrence, request)
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
    pub(super) fn await_reply(&self) -> oneshot::Receiver<Acknowledgement> {
        let (sender, receiver) = oneshot::channel();
        self.state().reply = Reply::Awaited(sender);
        receiver
    }

    /// What to acknowledge another delivery with, in whose acknowledgement there is room for so many bytes.
    pub(super) fn repeat(&self, max_message_bytes: usize) -> Repeated {
        let mut state = self.state();
        match &mut state.reply {
            Reply::Awaited(sender) => {
                let (newer, receiver) = oneshot::channel();
                *sender = newer;
                Repeated::Awaits(receiver)
            }
            Reply::Unconfirmed { message, was_repeated } if message.len() <= max_message_bytes => {
                *was_repeated = true;
                Repeated::Message(message.clone())
            }
            Reply::Unconfirmed { .. } | Reply::Settled => Repeated::Empty,
        }
    }

    /// Slack has received the reply.
    pub(super) fn settle(&self) {
        self.state().reply = Reply::Settled;
    }
}

impl ReplyRight {
    /// Acknowledges the request without a message, since its reply is posted to the `response_url`.
    pub(super) fn acknowledge(&self) {
        if let Reply::Awaited(sender) = std::mem::take(&mut self.0.state().reply) {
            // If nobody waits for it any more, the reply is delivered nevertheless.
            let _ = sender.send(Acknowledgement::empty());
        }
    }

    /// Sends the reply with the acknowledgement. Returns whether it was sent; if not, it is to be posted to the
    /// `response_url`. Where the acknowledgement is not `confirmable`, nobody learns whether Slack received it.
    pub(super) async fn send(&self, message: Bytes, confirmable: bool) -> bool {
        let (written, was_written) = oneshot::channel();
        let mut acknowledgement = Acknowledgement::with_message(message.clone(), Some(written));
        let sent = {
            let mut state = self.0.state();
            let Reply::Awaited(sender) = std::mem::take(&mut state.reply) else {
                return false;
            };
            if confirmable {
                let request = Arc::clone(&self.0);
                acknowledgement = acknowledgement.when_received(move || request.settle());
                state.reply = Reply::Unconfirmed {
                    message,
                    was_repeated: false,
                };
            }
            sender.send(acknowledgement)
        };
        if sent.is_ok() && was_written.await.is_ok() {
            return true;
        }
        // Not sent. If it has come again in the meantime, its reply went there.
        let reply = std::mem::take(&mut self.0.state().reply);
        match reply {
            Reply::Unconfirmed { was_repeated: true, .. } => {
                self.0.state().reply = reply;
                true
            }
            _ => false,
        }
    }
}

impl Drop for ReplyRight {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if matches!(state.reply, Reply::Awaited(_)) {
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
    fn a_request_is_recognized_for_an_hour() {
        let requests = RecentRequests::default();
        let first = Instant::now();
        let [one, other] = URLS;
        let end = first + WINDOW + Duration::from_secs(1);
        assert_eq!(occurrence(&requests, &[one], first), Occurrence::First);
        assert_eq!(occurrence(&requests, &[other], first + WINDOW / 2), Occurrence::First);
        assert_eq!(occurrence(&requests, &[one], first + WINDOW), Occurrence::Replay);
        assert_eq!(occurrence(&requests, &[one], end), Occurrence::First);
        assert_eq!(occurrence(&requests, &[other], end), Occurrence::Replay);
    }

    #[test]
    fn a_request_is_recognized_by_any_of_its_keys() {
        let requests = RecentRequests::default();
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
        let requests = RecentRequests::default();
        let now = Instant::now();
        for _ in 0..2 {
            assert_eq!(occurrence(&requests, &["", ""], now), Occurrence::First);
        }
    }

    #[test]
    fn a_request_runs_twenty_times_at_most() {
        let requests = RecentRequests::default();
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
        let requests = RecentRequests::default();
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
}
