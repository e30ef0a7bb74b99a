//! When a session expires, or expired, in words.

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::sentence::{date, fill, number, utc};
use super::time::from_now;
use crate::kapso::{Expiry, Session};
use crate::slack::text::Mrkdwn;

/// Of an expiry that is farther away, only the year is shown: it means "never".
const NEVER: SignedDuration = SignedDuration::from_hours(100 * 365 * 24);

/// For a card, with the time in the reader's time zone.
pub(crate) fn on_card(session: &Session, now: Timestamp) -> Option<Mrkdwn> {
    Some(match shown(session, now)? {
        Shown::Year(year) => fill("Expires in the year {year}", [("year", number(year))]),
        Shown::At(Expiry::Future(at)) => fill("Expires {date} ({relative})", dated(at, now)),
        Shown::At(Expiry::Past(at)) => fill("Expired {date} ({relative})", dated(at, now)),
    })
}

/// The same as a sentence for screen readers and notifications, with the time in UTC.
pub(crate) fn spoken(session: &Session, now: Timestamp) -> Option<Mrkdwn> {
    let values = |at| [("date", utc(at)), ("relative", from_now(at, now))];
    Some(match shown(session, now)? {
        Shown::Year(year) => fill("It expires in the year {year}.", [("year", number(year))]),
        Shown::At(Expiry::Future(at)) => fill("It expires at {date}, {relative}.", values(at)),
        Shown::At(Expiry::Past(at)) => fill("It expired at {date}, {relative}.", values(at)),
    })
}

/// For a row of a list, with the time in the reader's time zone.
pub(crate) fn in_row(session: &Session, now: Timestamp) -> Option<Mrkdwn> {
    Some(match shown(session, now)? {
        Shown::Year(year) => fill("Expires in the year {year}", [("year", number(year))]),
        Shown::At(Expiry::Future(at)) => fill("Expires {date}", [("date", date(at))]),
        Shown::At(Expiry::Past(at)) => fill("Expired {date}", [("date", date(at))]),
    })
}

/// The same for screen readers, with the time in UTC.
pub(crate) fn in_spoken_row(session: &Session, now: Timestamp) -> Option<Mrkdwn> {
    Some(match shown(session, now)? {
        Shown::Year(year) => fill("expires in the year {year}", [("year", number(year))]),
        Shown::At(Expiry::Future(at)) => fill("expires {date}", [("date", utc(at))]),
        Shown::At(Expiry::Past(at)) => fill("expired {date}", [("date", utc(at))]),
    })
}

enum Shown {
    At(Expiry),
    Year(u64),
}

fn shown(session: &Session, now: Timestamp) -> Option<Shown> {
    let expiry = session.expiry_at(now)?;
    Some(match expiry {
        Expiry::Future(at) if at.duration_since(now) > NEVER => {
            let year = Offset::UTC.to_datetime(at).year();
            Shown::Year(u64::try_from(year).unwrap_or_default())
        }
        Expiry::Future(_) | Expiry::Past(_) => Shown::At(expiry),
    })
}

fn dated(at: Timestamp, now: Timestamp) -> [(&'static str, Mrkdwn); 2] {
    [("date", date(at)), ("relative", from_now(at, now))]
}
