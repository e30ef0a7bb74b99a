//! `/sandbox list [page]`: the project's sessions, ten at a time.

use std::sync::Arc;

use super::show::Asked;
use super::{Problem, Reply};
use crate::config::AccessLists;
use crate::kapso::{Client, Page};

/// Sessions on a page: legible on a phone, and well inside Slack's 50 blocks.
const PER_PAGE: u32 = 10;
/// No project has as many pages; a larger number is this one.
pub(super) const LAST_PAGE: u32 = 999_999;

/// A page of the list.
#[derive(Clone, Debug)]
pub struct Listing {
    /// Which page it is, counted from 1.
    pub number: u32,
    /// What is on it.
    pub page: Page,
    /// Who may create sessions, where the reader may not.
    pub creators: Option<Arc<AccessLists>>,
}

impl Listing {
    /// The number of the page before, or of the last one there is where this one is past the end.
    #[must_use]
    pub fn previous(&self) -> Option<u32> {
        let last = self.page.total_pages.unwrap_or(LAST_PAGE).max(1);
        (self.number > 1).then(|| last.min(self.number - 1))
    }

    /// The number of the page after this one.
    #[must_use]
    pub fn next(&self) -> Option<u32> {
        self.page.has_next(self.number, PER_PAGE).then_some(self.number + 1)
    }

    /// Whether Kapso has no sessions at all.
    #[must_use]
    pub fn is_empty_project(&self) -> bool {
        let none = match self.page.total_count {
            Some(count) => count == 0,
            None => self.number == 1 && self.page.total_pages.unwrap_or(0) == 0,
        };
        none && self.page.count == 0
    }
}

/// Lists a page.
pub(super) async fn list(kapso: &Client, number: u32, creators: Option<Arc<AccessLists>>) -> Asked {
    match kapso.page(number, PER_PAGE).await {
        Ok(mut page) => {
            // However many an odd answer holds: more rows would push the buttons out of the message.
            page.sessions.truncate(PER_PAGE as usize);
            let listing = Listing { number, page, creators };
            (Reply::List(listing), None)
        }
        Err(error) => (Reply::Problem(Problem::of(&error)), Some(Arc::new(error))),
    }
}
