//! Which requests watches make of Kapso: few, evenly spread, and never from the fifth that is kept for people.
//!
//! The arithmetic, for a key at 100 a minute. A fifth is kept free, so watches make at most 80 requests in any 60 s,
//! one every 0.75 s ([`Budget::pace`]).
//!
//! - One by one, 60 watches take 60 × 0.75 s = 45 s a round. No pause between two looks is longer than 25 s, so the
//!   line is never idle for longer than a round takes: each is looked at every 45 s, and hears within 60 s with 15 s
//!   for the answer and the post.
//! - A page of a list shows 100 sessions and costs what one session costs. Lists are read while that is cheaper: while
//!   more watches are due than there are pages. 1,000 watches on a project with 1,000 sessions take 10 pages, 7.5 s a
//!   round; on a project with 5,000 sessions 50 pages, 37.5 s a round. 1,000 watches hear within 60 s up to there.
//! - What a list does not show stays due, and has every fifth request to itself once it is overdue for longer than a
//!   round takes.
//!
//! What people use of the 80 delays watches, never the other way round.

use std::time::Duration;

use jiff::SignedDuration;

use crate::kapso::Budget;

/// Sessions on one page of a list, the most that Kapso gives.
pub const PER_PAGE: u32 = 100;
/// A list also answers for watches that are due this much later: they need no request of their own then.
pub const AHEAD: SignedDuration = SignedDuration::from_secs(15);

/// While lists are read, one request in so many is kept for what they do not show.
const TURNS: u64 = 5;

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
        overdue: Duration,
    },
}

/// What to ask next, for `due` watches, if the list had `pages` pages when one was last read. `turn` counts requests.
#[must_use]
pub fn plan(due: u64, pages: Option<u32>, budget: Budget, turn: u64) -> Plan {
    if due == 0 || budget.spare() == 0 {
        return Plan::Nothing;
    }
    // Not known: the first page tells, and may be all there is.
    let pages = pages.unwrap_or(1).max(1);
    if due <= u64::from(pages) {
        return Plan::Ask;
    }
    if turn.is_multiple_of(TURNS) {
        let overdue = budget.pace() * pages;
        return Plan::AskUnlisted { overdue };
    }
    Plan::ReadPage
}
