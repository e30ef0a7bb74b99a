//! What background work may spend of Kapso's rate limit: never the last fifth, and evenly spread.

use std::time::Duration;

/// A rate limit, as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Requests allowed in 60 s.
    pub limit: u32,
    /// How many of them are left now.
    pub left: u32,
}

impl Budget {
    /// How many requests background work may make now: none from the last fifth, which is kept for people.
    #[must_use]
    pub fn spare(self) -> u32 {
        self.left.min(self.limit).saturating_sub(self.limit / 5)
    }

    /// The least time between the beginnings of two requests for background work. Evenly spread, it never uses up at
    /// once what people may need in the next minute.
    #[must_use]
    pub fn pace(self) -> Duration {
        let a_minute = (self.limit - self.limit / 5).max(1);
        Duration::from_millis(60_000_u64.div_ceil(u64::from(a_minute)))
    }
}
