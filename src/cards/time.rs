//! How long ago, how long still: spans in words.

use jiff::{SignedDuration, Timestamp};

use crate::slack::text::Mrkdwn;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Adds `in 23 hours` or `5 minutes ago`.
pub(super) fn relative(words: Mrkdwn, at: Timestamp, now: Timestamp) -> Mrkdwn {
    let span = at.duration_since(now);
    if span >= SignedDuration::ZERO {
        about(words.own("in "), span)
    } else {
        about(words, span).own(" ago")
    }
}

/// Adds `23 hours`: the largest unit of which there are two, rounded.
pub(super) fn about(words: Mrkdwn, span: SignedDuration) -> Mrkdwn {
    let seconds = span.unsigned_abs().as_secs();
    let rounded = |unit: u64| (seconds + unit / 2) / unit;
    let (minutes, hours, days) = (rounded(MINUTE), rounded(HOUR), rounded(DAY));
    if seconds < MINUTE {
        words.own("less than a minute")
    } else if minutes == 1 {
        words.own("a minute")
    } else if minutes < 60 {
        words.number(minutes).own(" minutes")
    } else if hours == 1 {
        words.own("an hour")
    } else if hours < 48 {
        words.number(hours).own(" hours")
    } else {
        words.number(days).own(" days")
    }
}
