//! The pictures in messages. Slack fetches a picture when it takes the message, takes no message whose picture it cannot
//! get, and shows its own copy; so does FakeSlack, for pictures on this machine.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use reqwest::Client;
use serde_json::Value;
use url::Url;

use super::rules;

/// How long FakeSlack waits for a picture.
const DEADLINE: Duration = Duration::from_secs(3);
/// How every PNG begins.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// How many copies are kept.
const COPIES: usize = 100;

/// The copies.
pub(super) struct Pictures {
    http: Client,
    copies: Mutex<BTreeMap<String, Bytes>>,
}

impl Pictures {
    pub(super) fn new(http: Client) -> Self {
        Self {
            http,
            copies: Mutex::default(),
        }
    }

    /// Fetches the pictures of a message; false if one cannot be had. Nothing is fetched from elsewhere than this
    /// machine: such a picture is taken on trust.
    pub(super) async fn fetch(&self, message: &Value) -> bool {
        for address in rules::pictures(message) {
            let Ok(url) = Url::parse(address) else {
                return false;
            };
            if !matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")) || self.copy(address).is_some() {
                continue;
            }
            let Some(picture) = self.get(url).await else {
                return false;
            };
            let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
            if copies.len() == COPIES {
                copies.pop_first();
            }
            copies.insert(address.to_owned(), picture);
        }
        true
    }

    /// The copy of the picture at this address, if it was fetched.
    pub(super) fn copy(&self, address: &str) -> Option<Bytes> {
        let copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        copies.get(address).cloned()
    }

    async fn get(&self, url: Url) -> Option<Bytes> {
        let answer = self.http.get(url).timeout(DEADLINE).send().await.ok()?;
        let fits = answer.status() == StatusCode::OK && answer.headers().get("content-type")? == "image/png";
        let picture = answer.bytes().await.ok()?;
        (fits && picture.starts_with(PNG)).then_some(picture)
    }
}
