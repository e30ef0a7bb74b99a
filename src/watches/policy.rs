//! What a watch does next: a pure function of the watch, the result of a poll, and the time.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Watch;
use crate::kapso::Status;

/// When a watch stops: its `response_url` works for one more minute then, enough for retries.
pub const WATCH_DURATION: SignedDuration = SignedDuration::from_mins(28);
/// After this nothing is posted. Slack itself allows 30 minutes.
const LAST_POST: SignedDuration = SignedDuration::from_mins(29);
/// How long until the next poll, while the session is younger than the first value. Longer pauses would not help: of
/// watches that share one rate limit, those with long pauses would delay those with short ones (see [`super::plan`]).
const PAUSES: [(SignedDuration, SignedDuration); 2] = [
    (SignedDuration::from_mins(2), SignedDuration::from_secs(15)),
    // After 15 minutes codes usually no longer work.
    (SignedDuration::from_mins(15), SignedDuration::from_secs(20)),
];
const LAST_PAUSE: SignedDuration = SignedDuration::from_secs(25);
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

/// Why a watch ends with a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The session changed.
    Changed(Change),
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
    /// Send the notification, and end.
    Notify(Ending),
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

impl Ending {
    /// Every ending.
    pub const ALL: [Self; 6] = [
        Self::Changed(Change::Activated),
        Self::Changed(Change::Expired),
        Self::Changed(Change::Superseded),
        Self::Changed(Change::Gone),
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
    now + pause(watch, SignedDuration::ZERO, now)
}

/// What `watch` does after a poll with this result.
#[must_use]
pub fn decide(watch: &Watch, result: &PollResult, now: Timestamp) -> Decision {
    // If the clock was set back, the watch counts as new.
    let age = now.duration_since(watch.arrived_at).max(SignedDuration::ZERO);
    if age >= LAST_POST || watch.posts_left == 0 {
        return Decision::Expire;
    }
    let mut watch = watch.clone();
    let pause = pause(&watch, age, now);
    match result {
        PollResult::Status(status) => {
            watch.not_found = 0;
            if let Some(change) = Change::to(status) {
                return Decision::Notify(Ending::Changed(change));
            }
        }
        PollResult::NotFound => {
            watch.not_found += 1;
            if watch.not_found >= GONE_AFTER {
                return Decision::Notify(Ending::Changed(Change::Gone));
            }
        }
        PollResult::Unknown => {}
    }
    if age >= WATCH_DURATION {
        return Decision::Notify(Ending::TimeUp);
    }
    // The last poll is at the end of the watch, whatever the pause.
    let until = now + pause.min(WATCH_DURATION - age);
    Decision::Wait {
        until,
        watch: Box::new(watch),
    }
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
