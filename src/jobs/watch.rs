//! What a watch does next: pure, of the watch, of what was seen, and of the time.

use jiff::{SignedDuration, Timestamp};

use super::payload::Watch;
use super::watches::Caps;
use crate::kapso::Status;

/// How many watches there may be.
pub const CAPS: Caps = Caps { mine: 20, all: 1_000 };
/// Posts of its `response_url` that are kept for what a watch says at its end; the others are for the answer to
/// whoever asked for it.
pub const POSTS: u32 = 2;
/// When a watch stops: its `response_url` takes posts for one more minute then, time enough to try again.
pub const GOODBYE: SignedDuration = SignedDuration::from_mins(28);
/// After this nothing is posted. Slack itself allows 30 minutes.
const LAST_POST: SignedDuration = SignedDuration::from_mins(29);
/// How long until the next look, while the session is younger than that. Not further apart: of watches that wait in
/// one line, those with the long pauses would pay for those with the short ones (see [`super::budget`]).
const PAUSES: [(SignedDuration, SignedDuration); 2] = [
    (SignedDuration::from_mins(2), SignedDuration::from_secs(15)),
    // Later the code is said to have lapsed.
    (SignedDuration::from_mins(15), SignedDuration::from_secs(20)),
];
const LAST_PAUSE: SignedDuration = SignedDuration::from_secs(25);
/// How often in a row Kapso must not know a session for it to be gone.
const GONE: u32 = 2;

/// What there was to see of a session that was looked at. That a list does not show it proves nothing and is no look:
/// the watch is left as it is, and asked for by itself when it is long overdue (see [`super::budget`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Kapso's word on it.
    Status(Status),
    /// Kapso, asked for this session, has none with this id.
    NotFound,
    /// There was no answer, or none to understand, or nobody asked.
    Unknown,
}

/// News of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// The phone talks to the agent.
    Activated,
    /// Its time is over.
    Expired,
    /// Another project has claimed the phone.
    Superseded,
    /// Kapso has no such session any more.
    Gone,
}

/// What a watch does next.
#[derive(Clone, Debug)]
pub enum Next {
    /// It waits.
    Wait {
        /// Until then, for the next look.
        until: Timestamp,
        /// With what it knows now.
        watch: Box<Watch>,
    },
    /// It tells the news, and ends.
    Notify(News),
    /// It says that it stops watching, and how to go on, and ends.
    SayGoodbye,
    /// It ends without a word, since its `response_url` takes none any more: lost, to be counted and logged.
    Lapsed,
}

impl News {
    /// What a watcher is told of a session in this state, if it is an end.
    fn of(status: &Status) -> Option<Self> {
        match status {
            Status::Active => Some(Self::Activated),
            Status::Expired => Some(Self::Expired),
            Status::Superseded => Some(Self::Superseded),
            // The latter is a word of a later Kapso: no end that this version knows.
            Status::Pending | Status::Other(_) => None,
        }
    }

    /// The word for log and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Activated => "activated",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Gone => "gone",
        }
    }
}

/// Whether a session in this state is worth watching: as long as there is nothing to tell of it.
#[must_use]
pub fn may_change(status: &Status) -> bool {
    News::of(status).is_none()
}

/// When a watch that begins now is due for the first time: what its command saw is as good as a look.
#[must_use]
pub fn first_look(watch: &Watch, now: Timestamp) -> Timestamp {
    now + pause(watch, SignedDuration::ZERO, now)
}

/// What `watch` does, now that this was seen.
#[must_use]
pub fn decide(watch: &Watch, seen: &Seen, now: Timestamp) -> Next {
    // A clock that was set back makes a watch young, not old.
    let age = now.duration_since(watch.arrived_at).max(SignedDuration::ZERO);
    if age >= LAST_POST || watch.uses_left == 0 {
        return Next::Lapsed;
    }
    let mut watch = watch.clone();
    let pause = pause(&watch, age, now);
    match seen {
        Seen::Status(status) => {
            watch.not_found = 0;
            if let Some(news) = News::of(status) {
                return Next::Notify(news);
            }
        }
        Seen::NotFound => {
            watch.not_found += 1;
            if watch.not_found >= GONE {
                return Next::Notify(News::Gone);
            }
        }
        Seen::Unknown => {}
    }
    if age >= GOODBYE {
        return Next::SayGoodbye;
    }
    // A look falls on the goodbye itself, whatever the pause.
    let until = now + pause.min(GOODBYE - age);
    Next::Wait {
        until,
        watch: Box::new(watch),
    }
}

/// Backs off as the session grows old: somebody who has just got the link is about to use it.
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
