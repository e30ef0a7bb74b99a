//! Durations in words, rounded to the largest unit of which there are at least two.

use jiff::{SignedDuration, Timestamp};

use super::sentence::{fill, number};
use crate::slack::text::Mrkdwn;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

enum Span {
    LessThanAMinute,
    AMinute,
    Minutes(u64),
    AnHour,
    Hours(u64),
    Days(u64),
}

impl Span {
    fn of(duration: SignedDuration) -> Self {
        let seconds = duration.unsigned_abs().as_secs();
        let rounded = |unit: u64| (seconds + unit / 2) / unit;
        let (minutes, hours, days) = (rounded(MINUTE), rounded(HOUR), rounded(DAY));
        if seconds < MINUTE {
            Self::LessThanAMinute
        } else if minutes == 1 {
            Self::AMinute
        } else if minutes < 60 {
            Self::Minutes(minutes)
        } else if hours == 1 {
            Self::AnHour
        } else if hours < 48 {
            Self::Hours(hours)
        } else {
            Self::Days(days)
        }
    }
}

/// `in 23 hours` or `5 minutes ago`. The time `now` counts as future: `in less than a minute`.
pub(crate) fn from_now(at: Timestamp, now: Timestamp) -> Mrkdwn {
    let span = at.duration_since(now);
    if span >= SignedDuration::ZERO {
        to_come(span)
    } else {
        past(span)
    }
}

fn to_come(span: SignedDuration) -> Mrkdwn {
    match Span::of(span) {
        Span::LessThanAMinute => Mrkdwn::new("in less than a minute"),
        Span::AMinute => Mrkdwn::new("in a minute"),
        Span::Minutes(count) => fill("in {count} minutes", [("count", number(count))]),
        Span::AnHour => Mrkdwn::new("in an hour"),
        Span::Hours(count) => fill("in {count} hours", [("count", number(count))]),
        Span::Days(count) => fill("in {count} days", [("count", number(count))]),
    }
}

fn past(span: SignedDuration) -> Mrkdwn {
    match Span::of(span) {
        Span::LessThanAMinute => Mrkdwn::new("less than a minute ago"),
        Span::AMinute => Mrkdwn::new("a minute ago"),
        Span::Minutes(count) => fill("{count} minutes ago", [("count", number(count))]),
        Span::AnHour => Mrkdwn::new("an hour ago"),
        Span::Hours(count) => fill("{count} hours ago", [("count", number(count))]),
        Span::Days(count) => fill("{count} days ago", [("count", number(count))]),
    }
}

/// `23 hours`.
pub(crate) fn length(span: SignedDuration) -> Mrkdwn {
    match Span::of(span) {
        Span::LessThanAMinute => Mrkdwn::new("less than a minute"),
        Span::AMinute => Mrkdwn::new("a minute"),
        Span::Minutes(count) => fill("{count} minutes", [("count", number(count))]),
        Span::AnHour => Mrkdwn::new("an hour"),
        Span::Hours(count) => fill("{count} hours", [("count", number(count))]),
        Span::Days(count) => fill("{count} days", [("count", number(count))]),
    }
}
