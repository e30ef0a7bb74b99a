//! Recognizes requests that come again: a signature is valid for five minutes, so whoever has recorded a request can
//! send it many times.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// A signature is accepted from five minutes before its timestamp to five minutes after it.
const WINDOW: Duration = Duration::from_mins(10);
/// How often a request may come before it is not run any more.
const RUNS_MAX: u32 = 20;

type Key = [u8; 32];

/// The requests that one process has accepted within the window, by their `response_url`, which Slack makes anew for
/// each request.
#[derive(Debug, Default)]
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

#[derive(Debug, Default)]
struct Recent {
    /// How often each request has come.
    counts: HashMap<Key, u32>,
    /// The same keys, oldest first.
    by_time: VecDeque<(Instant, Key)>,
}

impl RecentRequests {
    /// Remembers a request, and says whether it has come before. Only requests with a `response_url` are recognized.
    pub fn insert(&self, response_url: &SecretString, received: Instant) -> Occurrence {
        let response_url = response_url.expose_secret();
        if response_url.is_empty() {
            return Occurrence::First;
        }
        let key = Sha256::digest(response_url).into();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((_, oldest)) = recent
            .by_time
            .pop_front_if(|(at, _)| received.duration_since(*at) > WINDOW)
        {
            recent.counts.remove(&oldest);
        }
        let count = recent.counts.entry(key).or_default();
        *count = count.saturating_add(1);
        match *count {
            1 => {
                recent.by_time.push_back((received, key));
                Occurrence::First
            }
            2..=RUNS_MAX => Occurrence::Replay,
            _ => Occurrence::ReplayTooOften,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_recognized_for_ten_minutes() {
        let requests = RecentRequests::default();
        let first = Instant::now();
        let [one, other] = ["https://hooks.slack.com/1", "https://hooks.slack.com/2"].map(SecretString::from);
        let end = first + WINDOW + Duration::from_secs(1);
        assert_eq!(requests.insert(&one, first), Occurrence::First);
        assert_eq!(requests.insert(&other, first + WINDOW / 2), Occurrence::First);
        assert_eq!(requests.insert(&one, first + WINDOW), Occurrence::Replay);
        assert_eq!(requests.insert(&one, end), Occurrence::First);
        assert_eq!(requests.insert(&other, end), Occurrence::Replay);
    }

    #[test]
    fn requests_without_a_response_url_are_all_new() {
        let requests = RecentRequests::default();
        let now = Instant::now();
        for _ in 0..2 {
            assert_eq!(requests.insert(&SecretString::from(""), now), Occurrence::First);
        }
    }

    #[test]
    fn a_request_runs_twenty_times_at_most() {
        let requests = RecentRequests::default();
        let url = SecretString::from("https://hooks.slack.com/1");
        let now = Instant::now();
        let occurrences: Vec<Occurrence> = (0..30).map(|_| requests.insert(&url, now)).collect();
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
}
