//! Kapso's rate limit, counted on our side: a sliding window of 60 s, corrected by the headers of Kapso's responses.
//!
//! Kapso counts a request when it arrives, which is after it was sent and before it is answered. So a request counts
//! from the moment it is sent until 60 s after its response. Not a token bucket: one that starts full lets nearly twice
//! the limit through in its first minute.

use std::collections::VecDeque;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

const LIMIT_HEADER: &str = "x-ratelimit-limit";
const WINDOW_MS: i64 = 60_000;
/// Requests per minute until Kapso's headers say more: the limit of its smallest plan.
pub const DEFAULT_RATE_LIMIT: u32 = 100;
/// The wait after a 429 without `Retry-After`: the 60 s that Kapso documents.
const DEFAULT_WAIT: Duration = Duration::from_mins(1);
/// Images may use one request in so many.
const IMAGE_SHARE: u32 = 10;
/// The longest `Retry-After` that is followed, so that one faulty response does not block the app for a day.
const MAX_WAIT_SECONDS: u64 = 600;

/// The state of a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateBudget {
    /// Requests allowed in 60 s.
    pub limit: u32,
    /// How many of them are left now.
    pub left: u32,
}

impl RateBudget {
    /// How many requests background work may send now. The last fifth of the limit is reserved for people.
    #[must_use]
    pub fn spare(self) -> u32 {
        self.left.min(self.limit).saturating_sub(self.limit / 5)
    }

    /// The shortest time between the starts of two requests for background work. Spread evenly, background work never
    /// uses up at once what people may need in the next minute.
    #[must_use]
    pub fn pace(self) -> Duration {
        let per_minute = (self.limit - self.limit / 5).max(1);
        Duration::from_millis(60_000_u64.div_ceil(u64::from(per_minute)))
    }
}

/// The requests of one API key in the last 60 s.
#[derive(Debug)]
pub(super) struct RateLimit {
    /// Requests per minute.
    allowed: u32,
    /// Requests that were sent and not answered yet.
    in_flight: u32,
    /// Times at which requests were answered, in Unix milliseconds, and how many at each; oldest first.
    answered: VecDeque<(i64, u32)>,
    /// All requests that count now: in flight, and answered in the last 60 s.
    used: u32,
    /// Times of the requests for images in the last 60 s, in Unix milliseconds; oldest first.
    images: VecDeque<i64>,
    /// When a 429 arrived, and how long to wait after it; in milliseconds.
    blocked: Option<(i64, i64)>,
}

impl RateLimit {
    pub(super) fn new() -> Self {
        Self {
            allowed: DEFAULT_RATE_LIMIT,
            in_flight: 0,
            answered: VecDeque::new(),
            used: 0,
            images: VecDeque::new(),
            blocked: None,
        }
    }

    /// Counts a request that is about to be sent. [`RateLimit::release`] must be called when it ends, in whatever way.
    ///
    /// # Errors
    /// How long to wait, if the limit is used up.
    pub(super) fn acquire(&mut self, now: Timestamp) -> Result<(), Duration> {
        let now = self.drop_expired(now);
        if let Some((at, wait)) = self.blocked {
            return Err(whole_seconds(at + wait - now));
        }
        if self.used < self.allowed {
            self.used = self.used.saturating_add(1);
            self.in_flight = self.in_flight.saturating_add(1);
            return Ok(());
        }
        let mut excess = self.used - self.allowed + 1;
        for (at, count) in &self.answered {
            excess = excess.saturating_sub(*count);
            if excess == 0 {
                return Err(whole_seconds(at + WINDOW_MS - now));
            }
        }
        Err(DEFAULT_WAIT)
    }

    /// Like [`RateLimit::acquire`], for background work: leaves the fifth that is reserved for people.
    ///
    /// # Errors
    /// How long to wait, if the limit is used up.
    pub(super) fn acquire_spare(&mut self, now: Timestamp) -> Result<(), Duration> {
        match self.budget(now).spare() {
            0 => Err(DEFAULT_WAIT),
            _ => self.acquire(now),
        }
    }

    /// Like [`RateLimit::acquire_spare`], for the image of a QR code: its address can be requested by anybody who has it,
    /// any number of times, so that all images together have a tenth of the limit.
    ///
    /// # Errors
    /// How long to wait, if the limit or the tenth is used up.
    pub(super) fn acquire_image(&mut self, now: Timestamp) -> Result<(), Duration> {
        let now_ms = self.drop_expired(now);
        let share = (self.allowed / IMAGE_SHARE).max(1) as usize;
        if let Some(first) = self.images.len().checked_sub(share)
            && let Some(at) = self.images.get(first)
        {
            return Err(whole_seconds(at + WINDOW_MS - now_ms));
        }
        self.acquire_spare(now)?;
        self.images.push_back(now_ms);
        Ok(())
    }

    /// The request was answered or abandoned.
    pub(super) fn release(&mut self, now: Timestamp) {
        let now = self.drop_expired(now);
        if self.in_flight > 0 {
            self.in_flight -= 1;
            self.used = self.used.saturating_sub(1);
            self.record(now, 1);
        }
    }

    /// Reads from the headers of a response what the limit is.
    pub(super) fn update_limit(&mut self, headers: &HeaderMap) {
        if let Some(limit) = limit(headers) {
            self.allowed = limit;
        }
    }

    /// Reads from the headers of a response other than a 429 what other users of the same key have used.
    pub(super) fn update_use(&mut self, headers: &HeaderMap, now: Timestamp) {
        let now = self.drop_expired(now);
        // With a limit of 0, an answer tells no limit, and so its rest of 0 does not mean that nothing is left.
        if headers.contains_key(LIMIT_HEADER) && limit(headers).is_none() {
            return;
        }
        if let Some(remaining) = number(headers, "x-ratelimit-remaining") {
            let others = self.allowed.saturating_sub(remaining).saturating_sub(self.used);
            self.record(now, others);
        }
    }

    /// Blocks all requests until the `Retry-After` of a 429 has passed; returns how long that is.
    pub(super) fn block(&mut self, headers: &HeaderMap, now: Timestamp) -> Duration {
        let wait = headers
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok())
            .map_or(DEFAULT_WAIT, |seconds| {
                Duration::from_secs(seconds.clamp(1, MAX_WAIT_SECONDS))
            });
        let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(WINDOW_MS);
        self.blocked = Some((now.as_millisecond(), wait_ms));
        wait
    }

    /// Ends the wait after a 429.
    #[cfg(feature = "demo")]
    pub(super) fn unblock(&mut self) {
        self.blocked = None;
    }

    pub(super) fn budget(&mut self, now: Timestamp) -> RateBudget {
        self.drop_expired(now);
        let left = match self.blocked {
            Some(_) => 0,
            None => self.allowed.saturating_sub(self.used),
        };
        RateBudget {
            limit: self.allowed,
            left,
        }
    }

    /// Counts `count` requests as answered at `now`, in Unix milliseconds.
    fn record(&mut self, now: i64, count: u32) {
        if count == 0 {
            return;
        }
        self.used = self.used.saturating_add(count);
        match self.answered.back_mut() {
            Some((at, answered)) if *at == now => *answered = answered.saturating_add(count),
            _ => self.answered.push_back((now, count)),
        }
    }

    /// Removes what is older than the window; returns `now` in Unix milliseconds.
    fn drop_expired(&mut self, now: Timestamp) -> i64 {
        let now = now.as_millisecond();
        // After the clock was set back, times in its future count as now; else the limit would stay used up too long.
        for (at, _) in self.answered.iter_mut().rev().take_while(|(at, _)| *at > now) {
            *at = now;
        }
        for at in self.images.iter_mut().rev().take_while(|at| **at > now) {
            *at = now;
        }
        while self.images.front().is_some_and(|at| at + WINDOW_MS <= now) {
            self.images.pop_front();
        }
        if let Some((at, wait)) = &mut self.blocked {
            *at = (*at).min(now);
            if *at + *wait <= now {
                self.blocked = None;
            }
        }
        while let Some((at, count)) = self.answered.front().copied()
            && at + WINDOW_MS <= now
        {
            self.used = self.used.saturating_sub(count);
            self.answered.pop_front();
        }
        now
    }
}

/// The limit that the headers tell, if any.
fn limit(headers: &HeaderMap) -> Option<u32> {
    number(headers, LIMIT_HEADER).filter(|limit| *limit > 0)
}

fn number(headers: &HeaderMap, name: &'static str) -> Option<u32> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Rounded up, at least one second.
fn whole_seconds(ms: i64) -> Duration {
    Duration::from_secs(u64::try_from(ms).unwrap_or(0).div_ceil(1_000).max(1))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + ms).unwrap()
    }

    /// Sends a request that is answered at once.
    fn send(limit: &mut RateLimit, now: Timestamp) -> Result<(), Duration> {
        limit.acquire(now).inspect(|()| limit.release(now))
    }

    /// Bursts of requests, each with the pause before it.
    fn bursts() -> impl Strategy<Value = Vec<(i64, usize)>> {
        let pause = prop_oneof![
            0..100_i64,
            0..5_000_i64,
            0..70_000_i64,
            Just(30_000),
            Just(WINDOW_MS - 1)
        ];
        prop::collection::vec((pause, 1..150_usize), 0..40)
    }

    proptest! {
        #[test]
        fn no_more_requests_than_the_limit_in_any_60_s(bursts in bursts()) {
            let mut limit = RateLimit::new();
            let mut now = 0;
            let mut taken = Vec::new();
            for (pause, requests) in bursts {
                now += pause;
                taken.extend((0..requests).filter(|_| send(&mut limit, at(now)).is_ok()).map(|_| now));
            }
            for window in taken.windows(DEFAULT_RATE_LIMIT as usize + 1) {
                prop_assert!(window[DEFAULT_RATE_LIMIT as usize] - window[0] >= WINDOW_MS, "{window:?}");
            }
        }

        #[test]
        fn a_request_after_the_returned_wait_is_allowed(bursts in bursts()) {
            let mut limit = RateLimit::new();
            let mut now = 0;
            for (pause, requests) in bursts {
                now += pause;
                let rejected = (0..requests).find_map(|_| send(&mut limit, at(now)).err());
                if let Some(wait) = rejected {
                    prop_assert!(wait >= Duration::from_secs(1) && wait <= Duration::from_mins(1), "{wait:?}");
                    now += i64::try_from(wait.as_millis()).unwrap();
                    prop_assert_eq!(send(&mut limit, at(now)), Ok(()));
                }
            }
        }

        /// However long requests take, and whenever they arrive in between, Kapso never counts more than the limit.
        #[test]
        fn a_request_counts_until_60_s_after_its_response(
            steps in prop::collection::vec((0..20_000_i64, 0..60_usize, 0..30_000_i64, 0..=100_i64), 0..60),
        ) {
            let mut limit = RateLimit::new();
            let (mut now, mut answers, mut arrivals) = (0, Vec::new(), Vec::new());
            for (pause, requests, took, arrives) in steps {
                now += pause;
                answers.sort_unstable();
                while answers.first().is_some_and(|answer| *answer <= now) {
                    limit.release(at(answers.remove(0)));
                }
                for _ in 0..requests {
                    if limit.acquire(at(now)).is_ok() {
                        answers.push(now + took);
                        arrivals.push(now + took * arrives / 100);
                    }
                }
            }
            arrivals.sort_unstable();
            for window in arrivals.windows(DEFAULT_RATE_LIMIT as usize + 1) {
                prop_assert!(window[DEFAULT_RATE_LIMIT as usize] - window[0] >= WINDOW_MS, "{window:?}");
            }
        }

        /// Whatever Kapso's headers say and however the clock is set, requests are allowed again in the end.
        #[test]
        fn nothing_blocks_requests_for_ever(
            steps in prop::collection::vec((-100_000_i64..100_000, any::<u32>(), any::<u32>(), 0..4_u8), 0..200),
        ) {
            let mut limit = RateLimit::new();
            let mut now = 0;
            for (pause, allowed, remaining, what) in steps {
                now += pause;
                let mut headers = HeaderMap::new();
                headers.insert(HeaderName::from_static("x-ratelimit-limit"), allowed.into());
                headers.insert(HeaderName::from_static("x-ratelimit-remaining"), remaining.into());
                headers.insert(http::header::RETRY_AFTER, HeaderValue::from(remaining));
                match what {
                    0 => {
                        limit.update_limit(&headers);
                        limit.update_use(&headers, at(now));
                    }
                    1 => drop(limit.block(&headers, at(now))),
                    2 => drop(limit.acquire(at(now))),
                    _ => limit.release(at(now)),
                }
            }
            // Every request ends.
            while limit.in_flight > 0 {
                limit.release(at(now));
            }
            now += i64::try_from(MAX_WAIT_SECONDS).unwrap() * 1_000;
            prop_assert_eq!(send(&mut limit, at(now)), Ok(()));
        }
    }

    #[test]
    fn a_clock_set_back_an_hour_keeps_the_window_at_60_s() {
        let mut limit = RateLimit::new();
        let now = at(0);
        (0..DEFAULT_RATE_LIMIT).for_each(|_| send(&mut limit, now).unwrap());
        let back = now - SignedDuration::from_hours(1);
        assert_eq!(send(&mut limit, back), Err(Duration::from_mins(1)));
        assert_eq!(
            send(&mut limit, back + SignedDuration::from_secs(59)),
            Err(Duration::from_secs(1))
        );
        assert_eq!(send(&mut limit, back + SignedDuration::from_mins(1)), Ok(()));
    }
}
