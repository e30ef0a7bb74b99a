//! Kapso's rate limit as we keep it: a sliding window of 60 s that Kapso's own headers correct.
//!
//! Not a token bucket: one that starts full lets nearly twice the limit through in its first minute.

use std::collections::VecDeque;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

const WINDOW_MS: i64 = 60_000;
/// Kapso's smallest plan.
const FIRST_LIMIT: u32 = 100;
/// What a 429 means that does not say how long: the 60 s that Kapso documents.
const DEFAULT_WAIT: Duration = Duration::from_mins(1);
/// The longest wait believed, so that one odd answer does not shut the app for a day.
const MAX_WAIT_SECONDS: u64 = 600;

/// What is left of the limit of one key.
#[derive(Debug)]
pub(super) struct Limit {
    /// Requests a minute.
    allowed: u32,
    /// When how many places were taken, oldest first, in Unix milliseconds.
    taken: VecDeque<(i64, u32)>,
    used: u32,
    /// When a 429 came and how long it asked us to wait.
    closed: Option<(i64, i64)>,
}

impl Limit {
    pub(super) fn new() -> Self {
        Self {
            allowed: FIRST_LIMIT,
            taken: VecDeque::new(),
            used: 0,
            closed: None,
        }
    }

    /// Takes a place for one request, or says how long until there is one.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<(), Duration> {
        let now = self.forget(now);
        if let Some((at, wait)) = self.closed {
            return Err(whole_seconds(at + wait - now));
        }
        if self.used < self.allowed {
            self.note(now, 1);
            return Ok(());
        }
        let mut to_leave = self.used - self.allowed + 1;
        for (at, count) in &self.taken {
            to_leave = to_leave.saturating_sub(*count);
            if to_leave == 0 {
                return Err(whole_seconds(at + WINDOW_MS - now));
            }
        }
        Err(DEFAULT_WAIT)
    }

    /// Learns from the headers of an answer what the limit is.
    pub(super) fn learn_limit(&mut self, headers: &HeaderMap) {
        if let Some(limit) = number(headers, "x-ratelimit-limit").filter(|limit| *limit > 0) {
            self.allowed = limit;
        }
    }

    /// Learns from the headers of an answer that is no 429 what others with the same key have used.
    pub(super) fn learn_use(&mut self, headers: &HeaderMap, now: Timestamp) {
        let now = self.forget(now);
        if let Some(remaining) = number(headers, "x-ratelimit-remaining") {
            let others = self.allowed.saturating_sub(remaining).saturating_sub(self.used);
            self.note(now, others);
        }
    }

    /// Asks nothing more until the `Retry-After` of a 429 has passed; says how long that is.
    pub(super) fn close(&mut self, headers: &HeaderMap, now: Timestamp) -> Duration {
        let wait = headers
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok())
            .map_or(DEFAULT_WAIT, |seconds| {
                Duration::from_secs(seconds.clamp(1, MAX_WAIT_SECONDS))
            });
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(WINDOW_MS);
        self.closed = Some((now.as_millisecond(), wait_ms));
        wait
    }

    /// How many requests the limit still allows now.
    pub(super) fn left(&mut self, now: Timestamp) -> u32 {
        self.forget(now);
        if self.closed.is_some() {
            return 0;
        }
        self.allowed.saturating_sub(self.used)
    }

    fn note(&mut self, now: i64, count: u32) {
        if count == 0 {
            return;
        }
        self.used = self.used.saturating_add(count);
        match self.taken.back_mut() {
            Some((at, taken)) if *at == now => *taken = taken.saturating_add(count),
            _ => self.taken.push_back((now, count)),
        }
    }

    /// Drops what the window has left behind.
    fn forget(&mut self, now: Timestamp) -> i64 {
        let now = now.as_millisecond();
        // A clock that was set back must not keep the window shut: what lies ahead of it happened just now.
        for (at, _) in self.taken.iter_mut().rev().take_while(|(at, _)| *at > now) {
            *at = now;
        }
        if let Some((at, wait)) = &mut self.closed {
            *at = (*at).min(now);
            if *at + *wait <= now {
                self.closed = None;
            }
        }
        while let Some((at, count)) = self.taken.front().copied()
            && at + WINDOW_MS <= now
        {
            self.used = self.used.saturating_sub(count);
            self.taken.pop_front();
        }
        now
    }
}

fn number(headers: &HeaderMap, name: &'static str) -> Option<u32> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Rounded up, and never nothing.
fn whole_seconds(ms: i64) -> Duration {
    Duration::from_secs(u64::try_from(ms).unwrap_or(0).div_ceil(1_000).max(1))
}
