//! Which requests watches make of Kapso: few, evenly spread, and never from the fifth that is kept for people.
//!
//! The arithmetic, for a key at 100 a minute. A fifth is kept free, so watches make at most 80 requests in any 60 s,
//! one every 0.75 s ([`RateBudget::pace`]).
//!
//! - One by one, 60 watches take 60 × 0.75 s = 45 s a round. No pause between two looks is longer than 25 s, so the
//!   line is never idle for longer than a round takes: each is looked at every 45 s, and hears within 60 s with 15 s
//!   for the answer and the post.
//! - A page of a list shows 100 sessions and costs what one session costs. Lists are read while that is cheaper: while
//!   more watches are due than there are pages. 1,000 watches on a project with 1,000 sessions take 10 pages, 7.5 s a
//!   round; on a project with 5,000 sessions 50 pages, 37.5 s a round. 1,000 watches hear within 60 s up to there.
//! - What a list does not show stays due, and has every second request to itself once it is overdue for longer than a
//!   round takes. A list that shows nothing that is watched, or cannot be read, is left alone for a minute.
//!
//! What people use of the 80 delays watches, never the other way round.

use jiff::{SignedDuration, Timestamp};

use crate::kapso::RateBudget;

/// Sessions on one page of a list, the most that Kapso gives.
pub const PER_PAGE: u32 = 100;
/// A list also answers for watches that are due this much later: they need no request of their own then.
pub const AHEAD: SignedDuration = SignedDuration::from_secs(15);

/// How long the length of the list is believed that was last told, or that the list is of no use.
const BELIEVED: SignedDuration = SignedDuration::from_mins(1);
/// While lists are read, one request in so many is for what they do not show, if there is any.
const TURNS: u64 = 2;

/// The next request to make for the watches that are due. One at a time: what it shows may make others needless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// None now.
    Nothing,
    /// Ask for the watch that is the longest due.
    Ask,
    /// Read the next page of the list, after the last the first. It looks at all watches whose sessions it shows.
    ReadPage,
    /// Ask for the watch that is the longest due if it is overdue for longer than this, though the whole list was
    /// read in the meantime; else read the next page.
    AskUnlisted {
        /// A round through the list.
        overdue: SignedDuration,
    },
}

/// What is known of Kapso's list of sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct List {
    /// How many pages it has; none while nobody knows.
    pages: Option<u32>,
    /// When that was said.
    said_at: Timestamp,
    /// The page that was read last.
    read: u32,
    /// Whether this round has shown anything that somebody watches.
    shows: bool,
    round_began: Timestamp,
    /// How long the last round took; none before the first was over.
    round_took: Option<SignedDuration>,
}

impl List {
    /// The page to read next, counted from 1.
    #[must_use]
    pub fn next(&self) -> u32 {
        match self.pages {
            Some(pages) if self.read < pages => self.read + 1,
            _ => 1,
        }
    }

    /// Whether it was read from its beginning to its end at least once.
    #[must_use]
    pub fn is_read_through(&self) -> bool {
        self.round_took.is_some()
    }

    /// A page of so many was read, and `shows` something that is watched, or does not. A whole round that shows none
    /// of it is of no use.
    pub fn was_read(&mut self, page: u32, pages: u32, shows: bool, now: Timestamp) {
        if page <= 1 {
            self.round_began = now;
            self.shows = false;
        }
        self.shows |= shows;
        self.read = page;
        self.pages = Some(pages);
        self.said_at = now;
        if page >= pages {
            self.round_took = Some(now.duration_since(self.round_began));
            if !self.shows {
                self.is_of_no_use(now);
            }
        }
    }

    /// For a while sessions are asked for one by one, as if the list had no end.
    pub fn is_of_no_use(&mut self, now: Timestamp) {
        self.pages = Some(u32::MAX);
        self.said_at = now;
        self.read = u32::MAX;
    }

    fn pages(&self, now: Timestamp) -> Option<u32> {
        self.pages.filter(|_| now.duration_since(self.said_at).abs() < BELIEVED)
    }
}

/// What to ask next for watches of `due` sessions. `turn` counts requests.
#[must_use]
pub fn plan(due: u64, list: &List, budget: RateBudget, turn: u64, now: Timestamp) -> Plan {
    if due == 0 || budget.spare() == 0 {
        return Plan::Nothing;
    }
    // Not known: the first page tells, and may be all there is.
    let pages = list.pages(now).unwrap_or(1).max(1);
    if due <= u64::from(pages) {
        return Plan::Ask;
    }
    match list.round_took {
        Some(took) if turn.is_multiple_of(TURNS) => {
            let at_best = SignedDuration::try_from(budget.pace() * pages).unwrap_or(SignedDuration::MAX);
            Plan::AskUnlisted {
                overdue: took.max(at_best),
            }
        }
        _ => Plan::ReadPage,
    }
}
