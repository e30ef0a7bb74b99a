//! What a watch does next: a pure function of the watch, the result of a poll, and the time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{DirectWatch, SharedCard, Watch};
use crate::kapso::Status;

/// When a watch stops: its `response_url` works for one more minute then, enough for retries.
pub const WATCH_DURATION: SignedDuration = SignedDuration::from_mins(28);
/// When a watch with direct messages stops.
pub const DIRECT_DURATION: SignedDuration = SignedDuration::from_hours(7 * 24);
/// When a shared card is no longer updated.
pub const SHARED_DURATION: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The shortest time between two updates of a shared card.
pub const UPDATE_PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// How long before its expiry a person is reminded of a session.
pub const REMIND_BEFORE: SignedDuration = SignedDuration::from_mins(30);
/// After this nothing is posted to a `response_url`. Slack itself allows 30 minutes.
pub const LAST_POST: SignedDuration = SignedDuration::from_mins(29);
/// How long until the next poll, while the session is younger than the first value. Longer pauses would not help: of
/// watches that share one rate limit, those with long pauses would delay those with short ones (see [`super::plan`]).
const PAUSES: [(SignedDuration, SignedDuration); 2] = [
    (SignedDuration::from_mins(2), SignedDuration::from_secs(15)),
    // After 15 minutes codes usually no longer work.
    (SignedDuration::from_mins(15), SignedDuration::from_secs(20)),
];
const LAST_PAUSE: SignedDuration = SignedDuration::from_secs(25);
/// The same for watches with direct messages and of shared cards that are older than half an hour. They end at the same moment for all
/// watches, so that pages of the list poll many at once.
const LONG_PAUSES: [(SignedDuration, SignedDuration); 2] = [
    (SignedDuration::from_hours(2), SignedDuration::from_mins(1)),
    (SignedDuration::from_hours(24), SignedDuration::from_mins(5)),
];
const LAST_LONG_PAUSE: SignedDuration = SignedDuration::from_mins(15);
/// A watch that is younger than this is polled with the short pauses, and before others (see [`super::plan`]).
pub(super) const LONG_PAUSES_AFTER: SignedDuration = SignedDuration::from_mins(30);
/// After this many 404s in a row, a session is gone.
const GONE_AFTER: u32 = 2;

/// The result of polling a session. A list that does not contain it gives no result: the watch does not change, and its
/// session is requested by itself when it is long overdue (see [`super::plan`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PollResult {
    /// Its status, reconciled with its expiry.
    Status(Status),
    /// Kapso has no session with this id.
    NotFound,
    /// There was no usable answer, or no request.
    Unknown,
}

/// A change of a session that is notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The phone talks to the agent.
    Activated,
    /// It expired.
    Expired,
    /// Another project claimed the phone.
    Superseded,
    /// Kapso no longer has it.
    Gone,
}

/// What a person is told about a session that they watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// The session changed.
    Changed(Change),
    /// It expires soon. The watch goes on.
    ExpiresSoon,
    /// The watch's time is up.
    TimeUp,
    /// Its project was taken out of the configuration, or may no longer be used there.
    ProjectUnavailable,
}

/// What a watch does next.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Wait for the next poll.
    Wait {
        /// When that is.
        until: Timestamp,
        /// The watch, with what is known now.
        watch: Box<Watch>,
    },
    /// Send the notification, and wait for the next poll.
    NotifyAndContinue {
        news: News,
        /// When the next poll is.
        until: Timestamp,
        /// The watch, with what is known now.
        watch: Box<Watch>,
    },
    /// Send the notification, and end.
    NotifyAndEnd(News),
    /// Update the shared card.
    Update {
        /// When the next poll is; `None` if this is the last update.
        until: Option<Timestamp>,
        /// The watch, with what is known now.
        watch: Box<Watch>,
    },
    /// End without a word.
    End,
    /// End without a notification, because its `response_url` no longer works: to be counted as lost.
    Expire,
}

impl Change {
    /// The change to this status, if it is notified.
    fn to(status: &Status) -> Option<Self> {
        match status {
            Status::Active => Some(Self::Activated),
            Status::Expired => Some(Self::Expired),
            Status::Superseded => Some(Self::Superseded),
            // The meaning of an unknown status is not known.
            Status::Pending | Status::Other(_) => None,
        }
    }
}

impl News {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Changed(Change::Activated),
        Self::Changed(Change::Expired),
        Self::Changed(Change::Superseded),
        Self::Changed(Change::Gone),
        Self::ExpiresSoon,
        Self::TimeUp,
        Self::ProjectUnavailable,
    ];

    /// The word for log and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changed(Change::Activated) => "activated",
            Self::Changed(Change::Expired) => "expired",
            Self::Changed(Change::Superseded) => "superseded",
            Self::Changed(Change::Gone) => "gone",
            Self::ExpiresSoon => "expires_soon",
            Self::TimeUp => "time_up",
            Self::ProjectUnavailable => "project_unavailable",
        }
    }
}

/// Whether a session with this status can still change in a way that is notified.
#[must_use]
pub fn may_change(status: &Status) -> bool {
    Change::to(status).is_none()
}

/// When a watch that begins now is polled for the first time: its command has just seen the session.
#[must_use]
pub fn first_poll(watch: &Watch, now: Timestamp) -> Timestamp {
    match (&watch.direct, &watch.shared) {
        (Some(direct), _) => next_direct_poll(watch, direct, now),
        (None, Some(card)) => next_card_poll(watch, card, now),
        (None, None) => now + pause(watch, SignedDuration::ZERO, now),
    }
}

/// What `watch` does after a poll with this result.
#[must_use]
pub fn decide(watch: &Watch, result: &PollResult, now: Timestamp) -> Decision {
    if let Some(direct) = &watch.direct {
        return decide_direct(watch, direct, result, now);
    }
    if let Some(card) = &watch.shared {
        return decide_shared(watch, card, result, now);
    }
    // If the clock was set back, the watch counts as new.
    let age = now.duration_since(watch.arrived_at).max(SignedDuration::ZERO);
    if age >= LAST_POST || watch.posts_left == 0 {
        return Decision::Expire;
    }
    let mut watch = watch.clone();
    let pause = pause(&watch, age, now);
    if let Some(change) = change(&mut watch, result) {
        return Decision::NotifyAndEnd(News::Changed(change));
    }
    if age >= WATCH_DURATION {
        return Decision::NotifyAndEnd(News::TimeUp);
    }
    // The last poll is at the end of the watch, whatever the pause.
    let until = now + pause.min(WATCH_DURATION - age);
    Decision::Wait {
        until,
        watch: Box::new(watch),
    }
}

/// The change that a poll has found, if it is notified.
fn change(watch: &mut Watch, result: &PollResult) -> Option<Change> {
    match result {
        PollResult::Status(status) => {
            watch.not_found = 0;
            Change::to(status)
        }
        PollResult::NotFound => {
            watch.not_found += 1;
            (watch.not_found >= GONE_AFTER).then_some(Change::Gone)
        }
        PollResult::Unknown => None,
    }
}

/// A watch with direct messages goes on after the session is active, and reminds of its expiry.
fn decide_direct(watch: &Watch, direct: &DirectWatch, result: &PollResult, now: Timestamp) -> Decision {
    let mut watch = watch.clone();
    let mut direct = direct.clone();
    if direct.refused && (now >= watch.arrived_at + LAST_POST || watch.posts_left == 0) {
        return Decision::Expire;
    }
    let is_soon = |at: &Timestamp| *at <= now + REMIND_BEFORE && *at > now;
    let news = match change(&mut watch, result) {
        Some(change @ (Change::Expired | Change::Superseded | Change::Gone)) => {
            return Decision::NotifyAndEnd(News::Changed(change));
        }
        Some(Change::Activated) if !direct.knows_active => {
            direct.knows_active = true;
            Some(News::Changed(Change::Activated))
        }
        Some(Change::Activated) | None if now >= direct.until => return Decision::NotifyAndEnd(News::TimeUp),
        Some(Change::Activated) | None if direct.expires_at != direct.reminded_of => {
            direct.reminded_of = direct.expires_at.filter(is_soon).or(direct.reminded_of);
            (direct.reminded_of == direct.expires_at).then_some(News::ExpiresSoon)
        }
        Some(Change::Activated) | None => None,
    };
    let until = next_direct_poll(&watch, &direct, now);
    if news.is_some() {
        // The notification has this one.
        watch.posts_left = watch.posts_left.saturating_sub(1);
    }
    if let Some(news) = news.filter(|_| direct.refused && watch.posts_left == 0) {
        return Decision::NotifyAndEnd(news);
    }
    watch.direct = Some(direct);
    watch.drop_response_url(until);
    let watch = Box::new(watch);
    match news {
        Some(news) => Decision::NotifyAndContinue { news, until, watch },
        None => Decision::Wait { until, watch },
    }
}

/// A shared card is updated until its session ends. Nothing is shown in place of a session that no longer exists: others
/// may still want to read the card.
fn decide_shared(watch: &Watch, card: &SharedCard, result: &PollResult, now: Timestamp) -> Decision {
    let mut watch = Box::new(watch.clone());
    let change = change(&mut watch, result);
    let until = next_card_poll(&watch, card, now);
    let has_ended = match change {
        Some(Change::Gone) => return Decision::End,
        Some(Change::Expired | Change::Superseded) => true,
        Some(Change::Activated) | None => now >= card.until,
    };
    // Without the session, there is nothing to show.
    let is_known = matches!(result, PollResult::Status(_));
    match (is_known && card.current != card.shown, has_ended) {
        (false, false) => Decision::Wait { until, watch },
        (false, true) => Decision::End,
        (true, _) if now < card.not_before => Decision::Wait {
            until: until.min(card.not_before),
            watch,
        },
        (true, _) => Decision::Update {
            until: (!has_ended).then_some(until),
            watch,
        },
    }
}

/// When the session of a shared card is polled after `now`: at the latest when it has expired.
fn next_card_poll(watch: &Watch, card: &SharedCard, now: Timestamp) -> Timestamp {
    next_long_poll(watch, [expired_at(card.current.expires_at), Some(card.until)], now)
}

/// When it has expired, its expiry is past.
fn expired_at(expires_at: Option<Timestamp>) -> Option<Timestamp> {
    expires_at.and_then(|at| at.checked_add(SignedDuration::from_secs(1)).ok())
}

/// When a watch with direct messages is polled after `now`: at the latest when there is something to tell.
fn next_direct_poll(watch: &Watch, direct: &DirectWatch, now: Timestamp) -> Timestamp {
    let reminder = direct.expires_at.filter(|_| direct.reminded_of != direct.expires_at);
    let reminder = reminder.and_then(|at| at.checked_sub(REMIND_BEFORE).ok());
    let moments = [reminder, expired_at(direct.expires_at), Some(direct.until)];
    next_long_poll(watch, moments, now)
}

/// When a watch that lasts for days is polled after `now`: at the latest at the first of these moments.
fn next_long_poll<const N: usize>(watch: &Watch, moments: [Option<Timestamp>; N], now: Timestamp) -> Timestamp {
    let age = now.duration_since(watch.arrived_at).max(SignedDuration::ZERO);
    let next = if age < LONG_PAUSES_AFTER {
        now + pause(watch, age, now)
    } else {
        let pause = LONG_PAUSES
            .into_iter()
            .find(|(younger_than, _)| age < *younger_than)
            .map_or(LAST_LONG_PAUSE, |(_, pause)| pause);
        let seconds = pause.as_secs();
        let round = (now.as_second().div_euclid(seconds) + 1) * seconds;
        Timestamp::from_second(round).unwrap_or(now + pause)
    };
    let moments = moments.into_iter().flatten();
    moments.filter(|at| *at > now).fold(next, Timestamp::min)
}

/// Grows with the age of the session: a tester usually uses the link soon after getting it.
fn pause(watch: &Watch, age: SignedDuration, now: Timestamp) -> SignedDuration {
    let session_age = watch
        .session_created_at
        .map(|created_at| now.duration_since(created_at));
    let age = session_age.unwrap_or(age).max(age);
    PAUSES
        .into_iter()
        .find(|(younger_than, _)| age < *younger_than)
        .map_or(LAST_PAUSE, |(_, pause)| pause)
}
