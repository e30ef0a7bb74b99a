//! Pictures in messages. Slack fetches each picture when it accepts a message, rejects the message if it cannot, and
//! shows its own copy. FakeSlack does the same for pictures on loopback.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use reqwest::Client;
use serde_json::Value;
use url::Url;

use super::rules;

/// Timeout for fetching one picture.
const DEADLINE: Duration = Duration::from_secs(3);
/// First bytes of every PNG file.
const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Number of cached copies, at most.
const MAX_COPIES: usize = 100;

/// Fetched copies, by address.
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

    /// Fetches the pictures of a message; false if one cannot be fetched. A picture on another host counts as present:
    /// the demo sends nothing beyond loopback.
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
            self.add(address, picture);
        }
        true
    }

    pub(super) fn add(&self, address: &str, picture: Bytes) {
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        if copies.len() == MAX_COPIES {
            copies.pop_first();
        }
        copies.insert(address.to_owned(), picture);
    }

    pub(super) fn copy(&self, address: &str) -> Option<Bytes> {
        let copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        copies.get(address).cloned()
    }

    async fn get(&self, url: Url) -> Option<Bytes> {
        let response = self.http.get(url).timeout(DEADLINE).send().await.ok()?;
        let is_png = response.status() == StatusCode::OK && response.headers().get("content-type")? == "image/png";
        let picture = response.bytes().await.ok()?;
        (is_png && picture.starts_with(PNG_SIGNATURE)).then_some(picture)
    }
}
