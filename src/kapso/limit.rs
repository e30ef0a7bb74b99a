//! Kapso's rate limit as we keep it: a sliding window of 60 s that Kapso's own headers correct.
//!
//! Kapso counts a request when it arrives, which is after it was sent and before it is answered. So its place is taken
//! when it is sent, and given up 60 s after its answer. Not a token bucket: one that starts full lets nearly twice the limit through in its first minute.

use std::collections::VecDeque;
use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

use super::Budget;

const WINDOW_MS: i64 = 60_000;
/// Requests a minute until Kapso says how many there are: its smallest plan's.
pub const FIRST_LIMIT: u32 = 100;
/// What a 429 means that does not say how long: the 60 s that Kapso documents.
const DEFAULT_WAIT: Duration = Duration::from_mins(1);
/// The longest wait believed, so that one odd answer does not shut the app for a day.
const MAX_WAIT_SECONDS: u64 = 600;

/// What is left of the limit of one key.
#[derive(Debug)]
pub(super) struct Limit {
    /// Requests a minute.
    allowed: u32,
    /// Requests that are sent and not answered yet.
    under_way: u32,
    /// When how many requests were answered, oldest first, in Unix milliseconds.
    taken: VecDeque<(i64, u32)>,
    /// All of them.
    used: u32,
    /// When a 429 came and how long it asked us to wait.
    closed: Option<(i64, i64)>,
}

impl Limit {
    pub(super) fn new() -> Self {
        Self {
            allowed: FIRST_LIMIT,
            under_way: 0,
            taken: VecDeque::new(),
            used: 0,
            closed: None,
        }
    }

    /// Takes a place for one request, to be [answered](Limit::answered) whatever comes of it, or says how long until
    /// there is one.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<(), Duration> {
        let now = self.forget(now);
        if let Some((at, wait)) = self.closed {
            return Err(whole_seconds(at + wait - now));
        }
        if self.used < self.allowed {
            self.used = self.used.saturating_add(1);
            self.under_way = self.under_way.saturating_add(1);
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

    /// Takes a place for a request that nobody waits for: none from the fifth that is kept for people.
    pub(super) fn take_spare(&mut self, now: Timestamp) -> Result<(), Duration> {
        match self.budget(now).spare() {
            0 => Err(DEFAULT_WAIT),
            _ => self.take(now),
        }
    }

    /// A request was answered, or given up.
    pub(super) fn answered(&mut self, now: Timestamp) {
        let now = self.forget(now);
        if self.under_way > 0 {
            self.under_way -= 1;
            self.used = self.used.saturating_sub(1);
            self.note(now, 1);
        }
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

    /// What is left now.
    pub(super) fn budget(&mut self, now: Timestamp) -> Budget {
        self.forget(now);
        let left = match self.closed {
            Some(_) => 0,
            None => self.allowed.saturating_sub(self.used),
        };
        Budget {
            limit: self.allowed,
            left,
        }
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

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + ms).unwrap()
    }

    /// A request that is answered at once.
    fn asks(limit: &mut Limit, now: Timestamp) -> Result<(), Duration> {
        limit.take(now).inspect(|()| limit.answered(now))
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
        fn no_60_s_hold_more_than_the_limit(bursts in bursts()) {
            let mut limit = Limit::new();
            let mut now = 0;
            let mut taken = Vec::new();
            for (pause, requests) in bursts {
                now += pause;
                taken.extend((0..requests).filter(|_| asks(&mut limit, at(now)).is_ok()).map(|_| now));
            }
            for window in taken.windows(FIRST_LIMIT as usize + 1) {
                prop_assert!(window[FIRST_LIMIT as usize] - window[0] >= WINDOW_MS, "{window:?}");
            }
        }

        #[test]
        fn whoever_waits_as_long_as_told_gets_in(bursts in bursts()) {
            let mut limit = Limit::new();
            let mut now = 0;
            for (pause, requests) in bursts {
                now += pause;
                let refused = (0..requests).find_map(|_| asks(&mut limit, at(now)).err());
                if let Some(wait) = refused {
                    prop_assert!(wait >= Duration::from_secs(1) && wait <= Duration::from_mins(1), "{wait:?}");
                    now += i64::try_from(wait.as_millis()).unwrap();
                    prop_assert_eq!(asks(&mut limit, at(now)), Ok(()));
                }
            }
        }

        /// However long requests take, and whenever between they arrive, Kapso never counts more than the limit.
        #[test]
        fn what_is_under_way_counts_until_60_s_after_its_answer(
            steps in prop::collection::vec((0..20_000_i64, 0..60_usize, 0..30_000_i64, 0..=100_i64), 0..60),
        ) {
            let mut limit = Limit::new();
            let (mut now, mut answers, mut arrivals) = (0, Vec::new(), Vec::new());
            for (pause, requests, took, arrives) in steps {
                now += pause;
                answers.sort_unstable();
                while answers.first().is_some_and(|answer| *answer <= now) {
                    limit.answered(at(answers.remove(0)));
                }
                for _ in 0..requests {
                    if limit.take(at(now)).is_ok() {
                        answers.push(now + took);
                        arrivals.push(now + took * arrives / 100);
                    }
                }
            }
            arrivals.sort_unstable();
            for window in arrivals.windows(FIRST_LIMIT as usize + 1) {
                prop_assert!(window[FIRST_LIMIT as usize] - window[0] >= WINDOW_MS, "{window:?}");
            }
        }

        /// Whatever Kapso's headers say and wherever the clock goes, the door opens again.
        #[test]
        fn nothing_shuts_it_for_good(
            steps in prop::collection::vec((-100_000_i64..100_000, any::<u32>(), any::<u32>(), 0..4_u8), 0..200),
        ) {
            let mut limit = Limit::new();
            let mut now = 0;
            for (pause, allowed, remaining, what) in steps {
                now += pause;
                let mut headers = HeaderMap::new();
                headers.insert(HeaderName::from_static("x-ratelimit-limit"), allowed.into());
                headers.insert(HeaderName::from_static("x-ratelimit-remaining"), remaining.into());
                headers.insert(http::header::RETRY_AFTER, HeaderValue::from(remaining));
                match what {
                    0 => {
                        limit.learn_limit(&headers);
                        limit.learn_use(&headers, at(now));
                    }
                    1 => drop(limit.close(&headers, at(now))),
                    2 => drop(limit.take(at(now))),
                    _ => limit.answered(at(now)),
                }
            }
            // Every request ends.
            while limit.under_way > 0 {
                limit.answered(at(now));
            }
            now += i64::try_from(MAX_WAIT_SECONDS).unwrap() * 1_000;
            prop_assert_eq!(asks(&mut limit, at(now)), Ok(()));
        }
    }

    #[test]
    fn a_clock_set_back_an_hour_keeps_the_window_at_60_s() {
        let mut limit = Limit::new();
        let now = at(0);
        (0..FIRST_LIMIT).for_each(|_| asks(&mut limit, now).unwrap());
        let back = now - SignedDuration::from_hours(1);
        assert_eq!(asks(&mut limit, back), Err(Duration::from_mins(1)));
        assert_eq!(
            asks(&mut limit, back + SignedDuration::from_secs(59)),
            Err(Duration::from_secs(1))
        );
        assert_eq!(asks(&mut limit, back + SignedDuration::from_mins(1)), Ok(()));
    }
}
