//! Which requests the poller makes: few, evenly spread, and never from the fifth of the limit reserved for people.
//!
//! The arithmetic, for a key at 100 requests a minute. A fifth is reserved, so the poller makes at most 80 requests in
//! any 60 s, one every 0.75 s ([`RateBudget::pace`]).
//!
//! - One by one, 60 watches take 60 × 0.75 s = 45 s a round. No pause between two polls of a watch is longer than 25 s,
//!   so the poller is never idle for longer than a round takes: each session is polled every 45 s, and its watcher is
//!   notified within 60 s, with 15 s for the response and the post.
//! - A page of a list contains 100 sessions and costs as much as one session. Lists are read while that is cheaper:
//!   while more watches are due than there are pages. 1,000 watches on a project with 1,000 sessions take 10 pages, 7.5 s
//!   a round; on a project with 5,000 sessions 50 pages, 37.5 s a round. 1,000 watchers are notified within 60 s up to there.
//! - A session that is not in a list stays due, and such sessions get every second request once they are overdue for
//!   longer than a round takes. A list that contains nothing that is watched, or cannot be read, is not used for a minute.
//! - A page polls all its watches that are due within the next 15 s, so no watch is late if the next round through the
//!   list begins 15 s after the one before. The requests in between are for sessions that the list does not contain.
//! - Watches last up to a week, and more of them than can be requested one by one may be in no list. So of six requests
//!   for one session, five are for a young watch, if one has been due for 15 s ([`candidates`]). 60 young watches then take
//!   60 × 0.75 s × 6 / 5 = 54 s a round beside any number of old ones, which share at least 80 / 6 = 13 requests a minute,
//!   and all that the young ones do not need: 20 of those need 20 × 60 s / 40 s = 30 a minute, and leave 50.
//!
//! Requests for people delay polls, never the other way round.

use jiff::{SignedDuration, Timestamp};

use super::policy::LONG_PAUSES_AFTER;
use crate::kapso::RateBudget;

/// Sessions on one page of a list, the most that Kapso gives.
pub const PER_PAGE: u32 = 100;
/// A list also counts as a poll of watches that are due this much later.
pub const AHEAD: SignedDuration = SignedDuration::from_secs(15);

/// How long the last known length of the list is used, or a list is not used at all.
const LENGTH_VALID: SignedDuration = SignedDuration::from_mins(1);
/// While lists are read, every second request is for a session that they do not contain, if there is one.
const TURNS: u64 = 2;
/// Of so many requests for one session, one is for the watch that is the longest due, and the others for a young one, if
/// one is late.
const OLD_TURNS: u64 = 6;
/// A young watch is late when it has been due for this long.
const LATE: SignedDuration = SignedDuration::from_secs(15);

/// The next request to make for the watches that are due. One at a time: its answer may make others unnecessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// None now.
    Nothing,
    /// Request the session of one of the [`candidates`].
    RequestOne,
    /// Read the next page of the list, after the last the first. It polls all watches whose sessions it contains.
    ReadPage,
    /// Request the session of one of the [`candidates`] that are overdue for longer than this, although the whole list was
    /// read in the meantime; if there is none, read the next page.
    RequestUnlisted {
        /// A round through the list.
        overdue: SignedDuration,
    },
}

/// What is known about Kapso's list of sessions.
#[derive(Clone, Copy, Debug, Default)]
pub struct List {
    /// How many pages it has, if known.
    pages: Option<u32>,
    /// When that became known.
    known_since: Timestamp,
    /// The page that was read last.
    read: u32,
    /// Whether this round contained a watched session.
    has_watched: bool,
    round_began: Timestamp,
    /// How long the last round took; `None` during the first.
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

    /// Records that `page` of `pages` was read, and whether it contained a watched session. After a whole round
    /// without any, the list is disabled.
    pub fn record_page(&mut self, page: u32, pages: u32, has_watched: bool, now: Timestamp) {
        if page <= 1 {
            self.round_began = now;
            self.has_watched = false;
        }
        self.has_watched |= has_watched;
        self.read = page;
        self.pages = Some(pages);
        self.known_since = now;
        if page >= pages {
            self.round_took = Some(now.duration_since(self.round_began));
            if !self.has_watched {
                self.disable(now);
            }
        }
    }

    /// Disables the list for a minute, as if it had no end: sessions are requested one by one.
    pub fn disable(&mut self, now: Timestamp) {
        self.pages = Some(u32::MAX);
        self.known_since = now;
        self.read = u32::MAX;
    }

    /// Whether all watches in it that are due were polled: a round has ended, and began less than [`AHEAD`] ago.
    fn is_fresh(&self, now: Timestamp) -> bool {
        let has_ended = self.pages == Some(self.read);
        let age = now.duration_since(self.round_began);
        has_ended && (SignedDuration::ZERO..AHEAD).contains(&age)
    }

    fn pages(&self, now: Timestamp) -> Option<u32> {
        self.pages
            .filter(|_| now.duration_since(self.known_since).abs() < LENGTH_VALID)
    }
}

/// The next request for watches of `due` sessions. `turn` counts requests.
#[must_use]
pub fn plan(due: u64, list: &List, budget: RateBudget, turn: u64, now: Timestamp) -> Plan {
    if due == 0 || budget.spare() == 0 {
        return Plan::Nothing;
    }
    // If not known, the first page says so, and may be the only one.
    let pages = list.pages(now).unwrap_or(1).max(1);
    if due <= u64::from(pages) || list.is_fresh(now) {
        return Plan::RequestOne;
    }
    match list.round_took {
        Some(took) if turn.is_multiple_of(TURNS) => {
            let shortest = SignedDuration::try_from(budget.pace() * pages).unwrap_or(SignedDuration::MAX);
            Plan::RequestUnlisted {
                overdue: took.max(shortest),
            }
        }
        _ => Plan::ReadPage,
    }
}

/// Watches of which one is polled: the one that has been due for the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidates {
    /// They were due by then.
    pub due_by: Timestamp,
    /// They began after that.
    pub began_after: Timestamp,
}

/// The watches for one of which a session is requested: of the first group that contains any. `single` counts these
/// requests; `overdue` is how long the watches must have been due.
pub fn candidates(single: u64, overdue: SignedDuration, now: Timestamp) -> impl Iterator<Item = Candidates> {
    let young = Candidates {
        due_by: now - overdue.max(LATE),
        began_after: now - LONG_PAUSES_AFTER,
    };
    let all = Candidates {
        due_by: now - overdue,
        began_after: Timestamp::MIN,
    };
    let young = Some(young).filter(|_| !single.is_multiple_of(OLD_TURNS));
    young.into_iter().chain([all])
}
