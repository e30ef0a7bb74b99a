//! A page of Kapso's list of sessions.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Session;
use super::session::{describe, lenient};

/// Most sessions read of one page: Kapso's documented maximum.
const SESSIONS_MAX: usize = 100;

/// A page of the list of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its sessions, in Kapso's order, without those that cannot be parsed.
    pub sessions: Vec<Arc<Session>>,
    /// How many sessions are on it, including those that cannot be parsed.
    pub count: usize,
    /// How many sessions on it cannot be parsed.
    pub unreadable: usize,
    /// How many pages there are, if Kapso says so.
    pub total_pages: Option<u32>,
    /// How many sessions there are, if Kapso says so.
    pub total_count: Option<u64>,
}

impl Page {
    /// Whether there is a page after this one, the `number`th of `per_page` sessions. Without a total, the first page
    /// that is not full is the last one.
    #[must_use]
    pub fn has_next(&self, number: u32, per_page: u32) -> bool {
        match self.total_pages {
            Some(pages) => number < pages,
            None => self.count >= per_page as usize,
        }
    }

    /// Parses Kapso's `{"data": [Session], "meta": {…}}`.
    ///
    /// # Errors
    /// Says what is wrong with it, without quoting it.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let list: List<'_> = serde_json::from_slice(body).map_err(|error| describe(&error))?;
        let items = list.data.len().min(SESSIONS_MAX);
        let read = list.data.iter().take(items);
        let sessions: Vec<_> = read
            .filter_map(|item| Session::parse_item(item).ok().map(Arc::new))
            .collect();
        let meta = lenient::<Meta<'_>>(list.meta);
        Ok(Self {
            count: list.data.len(),
            unreadable: items - sessions.len(),
            sessions,
            total_pages: meta.as_ref().and_then(|meta| lenient(meta.total_pages)),
            total_count: meta.as_ref().and_then(|meta| lenient(meta.total_count)),
        })
    }
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow)]
    total_pages: Option<&'a RawValue>,
    #[serde(borrow)]
    total_count: Option<&'a RawValue>,
}
