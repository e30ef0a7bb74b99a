//! Recognizes requests that come again: a signature is valid for five minutes, so whoever has recorded a request can
//! send it many times.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// How long a request can come again: its timestamp may be five minutes ahead when it comes first, and five minutes old
/// when it comes last.
const WINDOW: Duration = Duration::from_mins(10);

type Key = [u8; 32];

/// The requests that one process has accepted within the window, by their `response_url`, which Slack makes anew for
/// each request.
#[derive(Debug, Default)]
pub struct RecentRequests {
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    keys: HashSet<Key>,
    /// The same keys, oldest first.
    by_time: VecDeque<(Instant, Key)>,
}

impl RecentRequests {
    /// Remembers a request; false if it has come before. Only requests with a `response_url` are recognized.
    pub fn insert(&self, response_url: &SecretString, received: Instant) -> bool {
        let response_url = response_url.expose_secret();
        if response_url.is_empty() {
            return true;
        }
        let key = Sha256::digest(response_url).into();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((_, oldest)) = recent
            .by_time
            .pop_front_if(|(at, _)| received.duration_since(*at) > WINDOW)
        {
            recent.keys.remove(&oldest);
        }
        let is_new = recent.keys.insert(key);
        if is_new {
            recent.by_time.push_back((received, key));
        }
        is_new
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
        assert!(requests.insert(&one, first));
        assert!(requests.insert(&other, first + WINDOW / 2));
        assert!(!requests.insert(&one, first + WINDOW));
        assert!(requests.insert(&one, first + WINDOW + Duration::from_secs(1)));
        assert!(!requests.insert(&other, first + WINDOW + Duration::from_secs(1)));
    }

    #[test]
    fn requests_without_a_response_url_are_all_new() {
        let requests = RecentRequests::default();
        let now = Instant::now();
        assert!(requests.insert(&SecretString::from(""), now));
        assert!(requests.insert(&SecretString::from(""), now));
    }
}
