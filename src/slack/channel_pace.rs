//! Spaces out messages to one channel: Slack takes about one per second, after a short burst.
//!
//! Source: <https://docs.slack.dev/apis/web-api/rate-limits>, which gives the rate. The burst is not documented; a post
//! beyond it gets 429 and is repeated.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How many messages may be posted at once.
const BURST: i32 = 3;
/// The longest time for which messages to a channel are put off: no `response_url` works longer.
const MAX_WAIT: SignedDuration = SignedDuration::from_mins(30);
/// The longest pause that is followed for messages other than the one that was rejected, so that one faulty response does
/// not block a channel.
const MAX_PAUSE: SignedDuration = SignedDuration::from_mins(10);
/// Channels remembered before those that are idle are forgotten.
const CHANNELS_MAX: usize = 1_000;

/// When messages may be posted to each channel, for one process.
#[derive(Debug)]
pub struct ChannelPace {
    /// The time that one message takes of a channel's limit.
    interval: SignedDuration,
    /// By channel: when the messages reserved so far have used up their time.
    used_until: Mutex<HashMap<String, Timestamp>>,
}

impl ChannelPace {
    /// A pace of one message per `interval` and channel; zero for no limit.
    #[must_use]
    pub fn new(interval: SignedDuration) -> Self {
        Self {
            interval,
            used_until: Mutex::default(),
        }
    }

    /// How much of the limit may be used in advance.
    fn advance(&self) -> SignedDuration {
        self.interval * (BURST - 1)
    }

    /// Reserves a message to a channel, and returns when it may be posted: `now`, or later.
    pub fn reserve(&self, channel: &str, now: Timestamp) -> Timestamp {
        let mut channels = self.used_until.lock().unwrap_or_else(PoisonError::into_inner);
        if channels.len() >= CHANNELS_MAX {
            channels.retain(|_, used_until| *used_until > now);
        }
        let used_until = channels.entry(channel.to_owned()).or_insert(now);
        if *used_until > now + MAX_WAIT {
            // From before the clock was set back.
            *used_until = now;
        }
        *used_until = (*used_until).max(now);
        let allowed_at = (*used_until - self.advance()).max(now);
        *used_until += self.interval;
        allowed_at
    }

    /// Posts nothing to a channel for so long: Slack said so.
    pub fn pause(&self, channel: &str, now: Timestamp, pause: Duration) {
        let until = now + SignedDuration::try_from(pause).map_or(MAX_PAUSE, |pause| pause.min(MAX_PAUSE));
        let mut channels = self.used_until.lock().unwrap_or_else(PoisonError::into_inner);
        let used_until = channels.entry(channel.to_owned()).or_insert(now);
        *used_until = (*used_until).max(until + self.advance());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_burst_is_posted_at_once_and_the_rest_once_per_second() {
        let pace = ChannelPace::new(SignedDuration::from_secs(1));
        let times: Vec<_> = (0..6).map(|_| pace.reserve("C1", at(0))).collect();
        assert_eq!(times, [at(0), at(0), at(0), at(1), at(2), at(3)]);
        assert_eq!(pace.reserve("C2", at(0)), at(0), "each channel by itself");
        assert_eq!(pace.reserve("C1", at(60)), at(60), "the limit recovers");
    }

    #[test]
    fn a_pause_that_slack_asks_for_is_kept_by_all_messages() {
        let pace = ChannelPace::new(SignedDuration::from_secs(1));
        pace.reserve("C1", at(0));
        pace.pause("C1", at(0), Duration::from_secs(30));
        assert_eq!(pace.reserve("C1", at(1)), at(30));
        assert_eq!(pace.reserve("C1", at(1)), at(31));
        pace.pause("C1", at(1), Duration::MAX);
        assert_eq!(pace.reserve("C1", at(2)), at(601), "ten minutes at most");
    }

    #[test]
    fn times_from_before_the_clock_was_set_back_are_forgotten() {
        let pace = ChannelPace::new(SignedDuration::from_secs(1));
        pace.reserve("C1", at(3_600));
        assert_eq!(pace.reserve("C1", at(0)), at(0));
    }
}
