//! The wall clock for signatures, expiry, cache and rate limit; injected, so that tests and the demo can move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// A clock whose clones share one state. Production uses [`Clock::system`]; the demo moves it forward, tests stop it.
///
/// Deadlines on sockets do not use it: they use tokio's timers, with durations from the configuration.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The time of a stopped clock in Unix milliseconds; `None` for a running one.
    stopped_at: Option<i64>,
    shift_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The system's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self {
            stopped_at: None,
            shift_ms: Arc::default(),
        }
    }

    /// A clock that shows `at` until it is moved.
    #[must_use]
    pub fn stopped(at: Timestamp) -> Self {
        Self {
            stopped_at: Some(at.as_millisecond()),
            shift_ms: Arc::default(),
        }
    }

    /// The current time, to the millisecond.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let base = self.stopped_at.unwrap_or_else(|| Timestamp::now().as_millisecond());
        let at = base.saturating_add(self.shift_ms.load(Ordering::Relaxed));
        Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX)
    }

    /// Moves this clock and all its clones by `by`, which may be negative.
    pub fn advance(&self, by: SignedDuration) {
        let ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.shift_ms.fetch_add(ms, Ordering::Relaxed);
    }
}
