//! The polling plan: 60 watchers are notified within 60 s at 100 requests a minute, and a fifth of the limit stays free.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use jiff::SignedDuration;
use kapso_slack::kapso::RateBudget;
use kapso_slack::kapso::Status;
use kapso_slack::watches::plan::{AHEAD, List, PER_PAGE, Plan, plan};
use kapso_slack::watches::policy::{Decision, PollResult, decide};
use kapso_slack::watches::{DirectWatch, Watch};
use proptest::prelude::*;

use crate::support::databases::{USER, at, watch};

const WINDOW: i64 = 60_000;

/// A rate limit: a sliding window of one minute.
struct FakeRateLimit {
    limit: u32,
    taken: VecDeque<i64>,
    most: usize,
}

impl FakeRateLimit {
    fn budget(&mut self, now: i64) -> RateBudget {
        while self.taken.front().is_some_and(|at| at + WINDOW <= now) {
            self.taken.pop_front();
        }
        let left = self.limit - u32::try_from(self.taken.len()).unwrap();
        RateBudget {
            limit: self.limit,
            left,
        }
    }

    fn take(&mut self, now: i64) {
        self.taken.push_back(now);
        self.most = self.most.max(self.taken.len());
    }
}

/// A watch, when it is due, and when it was polled last; in milliseconds.
struct ActiveWatch {
    watch: Watch,
    due: i64,
    last_poll: i64,
    /// The page of the list that contains its session; `None` if no page does.
    page: Option<u32>,
}

impl ActiveWatch {
    /// Polls the session, which is pending. Returns the time since the poll before.
    fn poll(&mut self, now: i64) -> i64 {
        let pending = PollResult::Status(Status::Pending);
        let Decision::Wait { until, watch } = decide(&self.watch, &pending, at(0) + SignedDuration::from_millis(now))
        else {
            panic!("a watch of a pending session waits");
        };
        self.watch = *watch;
        self.due = milliseconds(until.duration_since(at(0)));
        now - mem::replace(&mut self.last_poll, now)
    }
}

fn milliseconds(span: SignedDuration) -> i64 {
    span.as_millis().try_into().unwrap()
}

/// The outcome of a simulation.
#[derive(Debug)]
struct Outcome {
    /// The longest time between two polls of a watch, in milliseconds.
    longest: i64,
    /// The most requests in any 60 s.
    most: usize,
}

/// Watches `many` sessions of a project that has `sessions`, for 20 minutes, one request at a time and at the pace of
/// the budget. `unlisted` of them are never in a list.
fn simulate(many: u32, sessions: u32, unlisted: u32, limit: u32) -> Outcome {
    let mut key = FakeRateLimit {
        limit,
        taken: VecDeque::new(),
        most: 0,
    };
    let pages = sessions.div_ceil(PER_PAGE);
    let waiting = (0..many).map(|n| ActiveWatch {
        watch: Watch {
            // Sessions of different ages.
            session_created_at: Some(at(-i64::from(n % 4) * 600)),
            ..watch(USER, "a")
        },
        due: 0,
        last_poll: 0,
        page: (n >= unlisted).then(|| n * sessions / many / PER_PAGE),
    });
    let mut waiting: Vec<_> = waiting.collect();
    let (mut now, mut longest, mut list, mut turn) = (0, 0, List::default(), 0);
    let end = 20 * WINDOW;
    while now < end {
        let budget = key.budget(now);
        let time = at(0) + SignedDuration::from_millis(now);
        let overdue = now - waiting.iter().map(|waiting| waiting.due).min().unwrap();
        let due = waiting.iter().filter(|waiting| waiting.due <= now).count();
        let mut planned = plan(due.try_into().unwrap(), &list, budget, turn, time);
        if let Plan::RequestUnlisted { overdue: by } = planned {
            planned = if overdue > milliseconds(by) {
                Plan::RequestOne
            } else {
                Plan::ReadPage
            };
        }
        match planned {
            Plan::RequestOne => {
                let longest_due = waiting.iter_mut().min_by_key(|waiting| waiting.due).unwrap();
                longest = longest.max(longest_due.poll(now));
            }
            Plan::ReadPage => {
                let page = list.next();
                let by = now + milliseconds(AHEAD);
                let mut has_watched = false;
                for waiting in &mut waiting {
                    if waiting.page == Some(page - 1) && waiting.due <= by {
                        has_watched = true;
                        longest = longest.max(waiting.poll(now));
                    }
                }
                list.record_page(page, pages, has_watched, time);
            }
            _ => {
                now += 250;
                continue;
            }
        }
        key.take(now);
        turn += 1;
        now += i64::try_from(budget.pace().as_millis()).unwrap();
    }
    let unpolled = waiting.iter().map(|waiting| end - waiting.last_poll).max().unwrap();
    Outcome {
        longest: longest.max(unpolled),
        most: key.most,
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are for the documents")]
fn watchers_are_notified_within_a_minute_and_a_fifth_of_the_limit_stays_free() {
    for (many, sessions, unlisted, limit) in [
        // One request for each session: the project has too many for lists to be cheaper.
        (1, 20_000, 0, 100),
        (20, 20_000, 0, 100),
        (60, 20_000, 0, 100),
        (300, 100_000, 0, 500),
        // With lists.
        (60, 60, 0, 100),
        (1_000, 1_000, 0, 100),
        (1_000, 5_000, 0, 100),
        (1_000, 1_000, 10, 100),
        (1_000, 2_000, 5, 100),
        // Sessions that lists do not contain.
        (60, 500, 60, 100),
        (40, 500, 20, 100),
    ] {
        let result = simulate(many, sessions, unlisted, limit);
        let what = format!("{many} watches of {sessions} sessions at {limit} a minute: {result:?}");
        println!("{what}");
        assert!(
            result.longest <= 55_000,
            "5 s are left for the answer and the post; {what}"
        );
        assert!(result.most <= usize::try_from(limit * 4 / 5).unwrap(), "{what}");
    }
}

/// 1,000 watches with direct messages, on a project with as many sessions, for 24 hours.
#[test]
#[expect(clippy::print_stdout, reason = "the figures are for the documents")]
fn a_thousand_long_watches_need_few_requests() {
    const WATCHES: u32 = 1_000;
    const DAY: i64 = 24 * 60 * WINDOW;
    let direct = DirectWatch::new(false, None, at(0));
    let waiting = (0..WATCHES).map(|n| ActiveWatch {
        watch: Watch {
            session_created_at: Some(at(-i64::from(n % 4) * 600)),
            direct: Some(direct.clone()),
            ..watch(USER, "a")
        },
        due: i64::from(n) * 15,
        last_poll: 0,
        page: Some(n / PER_PAGE),
    });
    let mut waiting: Vec<_> = waiting.collect();
    let mut key = FakeRateLimit {
        limit: 100,
        taken: VecDeque::new(),
        most: 0,
    };
    let (mut now, mut list, mut turn) = (0, List::default(), 0);
    let (mut longest, mut in_last_22_hours, mut most_in_last_22_hours) = (0, 0_i64, 0);
    while now < DAY {
        let first = waiting.iter().map(|waiting| waiting.due).min().unwrap();
        // The poller looks once a second.
        now = now.max(first);
        let budget = key.budget(now);
        let time = at(0) + SignedDuration::from_millis(now);
        let due = waiting.iter().filter(|waiting| waiting.due <= now).count();
        match plan(due.try_into().unwrap(), &list, budget, turn, time) {
            Plan::RequestOne => {
                let next = waiting.iter_mut().min_by_key(|waiting| waiting.due).unwrap();
                longest = longest.max(next.poll(now));
            }
            Plan::ReadPage | Plan::RequestUnlisted { .. } => {
                let page = list.next();
                let by = now + milliseconds(AHEAD);
                let mut has_watched = false;
                for waiting in &mut waiting {
                    if waiting.page == Some(page - 1) && waiting.due <= by {
                        has_watched = true;
                        longest = longest.max(waiting.poll(now));
                    }
                }
                list.record_page(page, WATCHES / PER_PAGE, has_watched, time);
            }
            Plan::Nothing => {
                now += 1_000;
                continue;
            }
        }
        key.take(now);
        if now > 2 * 60 * WINDOW {
            in_last_22_hours += 1;
            most_in_last_22_hours = most_in_last_22_hours.max(key.taken.len());
        }
        turn += 1;
        now += i64::try_from(budget.pace().as_millis()).unwrap();
    }
    let minutes = 22 * 60;
    println!(
        "1,000 watches for 24 h: {} requests in the busiest minute, {most_in_last_22_hours} after two hours, then {:.1} a \
         minute, {} s between two polls at most",
        key.most,
        f64::from(i32::try_from(in_last_22_hours).unwrap()) / f64::from(minutes),
        longest / 1_000
    );
    assert!(key.most <= 80, "a fifth of the limit stays free: {}", key.most);
    assert!(most_in_last_22_hours <= 20, "{most_in_last_22_hours}");
    assert!(in_last_22_hours <= 4 * i64::from(minutes), "{in_last_22_hours}");
    assert!(longest <= 5 * WINDOW + 30_000, "{longest}");
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are for the documents")]
fn fifty_projects_stay_within_the_limit_of_each_key() {
    // Projects of 100 to 2,060 sessions, with 0 to 2 of the watched ones missing from the lists.
    let results: Vec<_> = (0..50).map(|n| simulate(100, 100 + n * 40, n % 3, 100)).collect();
    let longest = results.iter().map(|result| result.longest).max().unwrap();
    let most = results.iter().map(|result| result.most).max().unwrap();
    println!(
        "50 projects of 100 watches: {most} requests of a key in a minute at most, {longest} ms between two polls"
    );
    assert!(longest <= 55_000, "{results:?}");
    assert!(most <= 80, "{results:?}");
}

#[test]
fn the_plan_chooses_the_cheaper_request() {
    let left = |left| RateBudget { limit: 100, left };
    let fresh = left(100);
    let unknown = List::default();
    // Read to the end in 10 s.
    let of = |pages| {
        let mut list = List::default();
        list.record_page(1, pages, true, at(-10));
        list.record_page(pages, pages, true, at(0));
        list
    };
    let half_read = {
        let mut list = List::default();
        list.record_page(1, 60, true, at(0));
        list
    };
    let useless = {
        let mut list = List::default();
        list.record_page(1, 1, false, at(0));
        list
    };
    let unlisted = |ms| Plan::RequestUnlisted {
        overdue: SignedDuration::from_millis(ms),
    };
    for (due, list, budget, turn, seconds, planned) in [
        (0, unknown, fresh, 1, 0, Plan::Nothing),
        (1, unknown, fresh, 1, 0, Plan::RequestOne),
        (2, unknown, fresh, 1, 0, Plan::ReadPage),
        (60, of(60), fresh, 1, 0, Plan::RequestOne),
        (61, of(60), fresh, 1, 0, Plan::ReadPage),
        (61, of(60), fresh, 2, 0, unlisted(45_000)),
        (61, half_read, fresh, 2, 0, Plan::ReadPage),
        (3, of(2), fresh, 2, 0, unlisted(10_000)),
        (60, of(60), fresh, 2, 0, Plan::RequestOne),
        // The length of the list is valid for a minute.
        (2, of(60), fresh, 1, 59, Plan::RequestOne),
        (2, of(60), fresh, 1, 60, Plan::ReadPage),
        (1_000, useless, fresh, 1, 59, Plan::RequestOne),
        (1_000, useless, fresh, 1, 60, Plan::ReadPage),
        (1_000, of(10), left(21), 1, 0, Plan::ReadPage),
        (1_000, of(10), left(20), 1, 0, Plan::Nothing),
        (1_000, of(10), left(0), 2, 0, Plan::Nothing),
    ] {
        let case = format!("{due} due, {list:?}, {budget:?}, turn {turn}, after {seconds} s");
        assert_eq!(plan(due, &list, budget, turn, at(seconds)), planned, "{case}");
    }
    assert_eq!(fresh.pace(), Duration::from_millis(750));
    assert_eq!(RateBudget { limit: 500, left: 0 }.pace(), Duration::from_millis(150));
}

proptest! {
    #[test]
    fn the_last_fifth_is_reserved_for_people(
        due in any::<u64>(), pages in any::<Option<u32>>(), limit in any::<u32>(), left in any::<u32>(), turn in any::<u64>(),
    ) {
        let budget = RateBudget { limit, left };
        let mut list = List::default();
        if let Some(pages) = pages {
            list.record_page(1, pages, true, at(0));
        }
        let asks = plan(due, &list, budget, turn, at(0)) != Plan::Nothing;
        prop_assert_eq!(asks, due > 0 && left.min(limit) > limit / 5);
        let at_this_pace = 60_000 / budget.pace().as_millis();
        prop_assert!(at_this_pace <= u128::from((limit - limit / 5).max(1)));
    }
}
