//! The polling plan: 60 watchers are notified within 60 s at 100 requests a minute, and a fifth of the limit stays free.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kapso_slack::dispatch::update_pace;
use kapso_slack::kapso::RateBudget;
use kapso_slack::kapso::Status;
use kapso_slack::slack::channel_pace::ChannelPace;
use kapso_slack::slack::web_api::Posted;
use kapso_slack::watches::plan::{AHEAD, List, PER_PAGE, Plan, candidates, plan};
use kapso_slack::watches::policy::{Decision, PollResult, decide};
use kapso_slack::watches::{DirectWatch, SharedCard, Shown, Watch};
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
    /// The page of the list that contains its session, counted from 0; `None` if no page does.
    page: Option<u32>,
    /// When the session last changed in a way that its shared card shows.
    changed_at: i64,
}

impl ActiveWatch {
    fn began(&self) -> i64 {
        milliseconds(self.watch.arrived_at.duration_since(at(0)))
    }

    /// Polls the session, which is pending. Returns the time since the poll before.
    fn poll(&mut self, now: i64, updates: &mut Updates) -> i64 {
        if let Some(card) = &mut self.watch.shared {
            card.current.hash = self.changed_at.to_string();
        }
        let pending = PollResult::Status(Status::Pending);
        match decide(&self.watch, &pending, time(now)) {
            Decision::Wait { until, watch } => {
                self.watch = *watch;
                self.due = milliseconds(until.duration_since(at(0)));
            }
            Decision::Update {
                until: Some(until),
                watch,
            } => {
                self.watch = *watch;
                self.due = self.update(until, now, updates);
            }
            other => panic!("a watch of a pending session goes on: {other:?}"),
        }
        now - mem::replace(&mut self.last_poll, now)
    }

    /// Updates the card as `dispatch/shared_card.rs` does. Returns when the session is polled next.
    fn update(&mut self, until: Timestamp, now: i64, updates: &mut Updates) -> i64 {
        let card = self.watch.shared.as_mut().unwrap();
        if !mem::replace(&mut card.is_paced, false) {
            let allowed_at = updates.pace.reserve("chat.update", time(now));
            if allowed_at > time(now) {
                card.is_paced = true;
                card.not_before = allowed_at;
                return milliseconds(allowed_at.duration_since(at(0))).min(now + 15 * WINDOW);
            }
        }
        updates.record(now, self.changed_at);
        card.record_update(time(now));
        milliseconds(until.duration_since(at(0)))
    }
}

/// The updates of shared cards.
struct Updates {
    pace: ChannelPace,
    taken: VecDeque<i64>,
    count: u32,
    most: usize,
    /// The longest time from a change to its update.
    latest: i64,
}

impl Updates {
    fn record(&mut self, now: i64, changed_at: i64) {
        self.count += 1;
        self.taken.retain(|at| at + WINDOW > now);
        self.taken.push_back(now);
        self.most = self.most.max(self.taken.len());
        self.latest = self.latest.max(now - changed_at);
    }
}

fn milliseconds(span: SignedDuration) -> i64 {
    span.as_millis().try_into().unwrap()
}

fn time(now: i64) -> Timestamp {
    at(0) + SignedDuration::from_millis(now)
}

/// The longest time between two polls of a watch, in milliseconds, by its age at the second one.
#[derive(Clone, Copy, Debug, Default)]
struct Longest {
    /// Up to half an hour.
    young: i64,
    /// Up to 2 hours.
    hours: i64,
    /// Up to a day.
    day: i64,
    older: i64,
}

impl Longest {
    fn record(&mut self, interval: i64, age: i64) {
        let longest = match age / WINDOW {
            0..30 => &mut self.young,
            30..120 => &mut self.hours,
            120..1_440 => &mut self.day,
            _ => &mut self.older,
        };
        *longest = interval.max(*longest);
    }
}

/// The poller of one key.
struct Simulation {
    key: FakeRateLimit,
    /// By number.
    watches: BTreeMap<u32, ActiveWatch>,
    /// When each is due, and its number.
    due: BTreeSet<(i64, u32)>,
    /// When each began, and its number.
    began: BTreeSet<(i64, u32)>,
    pages: u32,
    list: List,
    turn: u64,
    singles: u64,
    now: i64,
    longest: Longest,
    updates: Updates,
}

impl Simulation {
    fn new(limit: u32, pages: u32) -> Self {
        Self {
            key: FakeRateLimit {
                limit,
                taken: VecDeque::new(),
                most: 0,
            },
            watches: BTreeMap::new(),
            due: BTreeSet::new(),
            began: BTreeSet::new(),
            pages,
            list: List::default(),
            turn: 0,
            singles: 0,
            now: 0,
            longest: Longest::default(),
            updates: Updates {
                pace: update_pace(SignedDuration::from_secs(1)),
                taken: VecDeque::new(),
                count: 0,
                most: 0,
                latest: 0,
            },
        }
    }

    fn add(&mut self, number: u32, watch: ActiveWatch) {
        self.due.insert((watch.due, number));
        self.began.insert((watch.began(), number));
        assert!(self.watches.insert(number, watch).is_none());
    }

    fn remove(&mut self, number: u32) {
        let watch = self.watches.remove(&number).unwrap();
        self.due.remove(&(watch.due, number));
        self.began.remove(&(watch.began(), number));
        let interval = self.now - watch.last_poll;
        self.longest.record(interval, self.now - watch.began() - 1);
    }

    fn poll(&mut self, number: u32) {
        let watch = self.watches.get_mut(&number).unwrap();
        self.due.remove(&(watch.due, number));
        let interval = watch.poll(self.now, &mut self.updates);
        self.due.insert((watch.due, number));
        self.longest.record(interval, self.now - watch.began());
    }

    /// Polls the next watch; false if none has been due for as long as `overdue`.
    fn request_one(&mut self, overdue: SignedDuration) -> bool {
        let next = candidates(self.singles, overdue, time(self.now)).find_map(|candidates| {
            let [due_by, began_after] =
                [candidates.due_by, candidates.began_after].map(|time| milliseconds(time.duration_since(at(0))));
            let young = self.began.range((began_after + 1, 0)..);
            let first = if began_after == milliseconds(Timestamp::MIN.duration_since(at(0))) {
                self.due.first().copied()
            } else {
                young.map(|(_, number)| (self.watches[number].due, *number)).min()
            };
            first.filter(|(due, _)| *due <= due_by).map(|(_, number)| number)
        });
        if let Some(number) = next {
            self.singles += 1;
            self.poll(number);
        }
        next.is_some()
    }

    fn read_page(&mut self) {
        let page = self.list.next();
        let by = self.now + milliseconds(AHEAD);
        let due = self.due.range(..=(by, u32::MAX)).map(|(_, number)| *number);
        let on_page: Vec<u32> = due
            .filter(|number| self.watches[number].page == Some(page - 1))
            .collect();
        for number in &on_page {
            self.poll(*number);
        }
        self.list
            .record_page(page, self.pages, !on_page.is_empty(), time(self.now));
    }

    /// Makes one request if there is one to make, and passes the time until the next one.
    fn step(&mut self) {
        let budget = self.key.budget(self.now);
        // It makes no difference how many more there are than pages.
        let enough = usize::try_from(self.pages).unwrap() + 1;
        let due = self.due.range(..=(self.now, u32::MAX)).take(enough).count();
        let planned = plan(due.try_into().unwrap(), &self.list, budget, self.turn, time(self.now));
        match planned {
            Plan::Nothing => {
                self.now += 250;
                return;
            }
            Plan::RequestOne => assert!(self.request_one(SignedDuration::ZERO), "one is due"),
            Plan::ReadPage => self.read_page(),
            Plan::RequestUnlisted { overdue } => {
                if !self.request_one(overdue) {
                    self.read_page();
                }
            }
        }
        self.key.take(self.now);
        self.turn += 1;
        self.now += i64::try_from(budget.pace().as_millis()).unwrap();
    }

    /// The times since the last polls count, too.
    fn finish(mut self) -> (Longest, usize) {
        for number in self.watches.keys().copied().collect::<Vec<_>>() {
            self.remove(number);
        }
        (self.longest, self.key.most)
    }
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
    let mut simulation = Simulation::new(limit, sessions.div_ceil(PER_PAGE));
    for n in 0..many {
        let watch = Watch {
            // Sessions of different ages.
            session_created_at: Some(at(-i64::from(n % 4) * 600)),
            ..watch(USER, "a")
        };
        simulation.add(
            n,
            ActiveWatch {
                watch,
                due: 0,
                last_poll: 0,
                page: (n >= unlisted).then(|| n * sessions / many / PER_PAGE),
                changed_at: 0,
            },
        );
    }
    while simulation.now < 20 * WINDOW {
        simulation.step();
    }
    let (longest, most) = simulation.finish();
    Outcome {
        longest: longest.young,
        most,
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
    const TWO_HOURS: i64 = 2 * 60 * WINDOW;
    let mut simulation = Simulation::new(100, WATCHES / PER_PAGE);
    for n in 0..WATCHES {
        let watch = Watch {
            session_created_at: Some(at(-i64::from(n % 4) * 600)),
            direct: Some(DirectWatch::new(false, None, at(0))),
            ..watch(USER, "a")
        };
        let due = i64::from(n) * 15;
        let page = Some(n / PER_PAGE);
        simulation.add(
            n,
            ActiveWatch {
                watch,
                due,
                last_poll: 0,
                page,
                changed_at: 0,
            },
        );
    }
    let (mut in_last_22_hours, mut most_in_last_22_hours) = (0, 0);
    while simulation.now < DAY {
        let turn = simulation.turn;
        simulation.step();
        if simulation.now > TWO_HOURS && simulation.turn > turn {
            in_last_22_hours += 1;
            most_in_last_22_hours = most_in_last_22_hours.max(simulation.key.taken.len());
        }
    }
    let (longest, most) = simulation.finish();
    let minutes = 22 * 60;
    println!(
        "1,000 watches for 24 h: {most} requests in the busiest minute, {most_in_last_22_hours} after two hours, then {:.1} \
         a minute, {longest:?}",
        f64::from(in_last_22_hours) / f64::from(minutes),
    );
    assert!(most <= 80, "a fifth of the limit stays free: {most}");
    assert!(most_in_last_22_hours <= 20, "{most_in_last_22_hours}");
    assert!(in_last_22_hours <= 4 * minutes, "{in_last_22_hours}");
    assert!(longest.day <= 5 * WINDOW + 30_000, "{longest:?}");
}

/// Whether the session of the watch with this number is in a list.
type IsListed = fn(u32) -> bool;

/// 1,000 watches on a project with 1,000 sessions, for 24 hours: `young` of them are always younger than half an hour,
/// because people start new ones and the sessions of the oldest of these end. `is_listed` says which are in a list.
fn simulate_a_day(young: u32, is_listed: IsListed) -> (Longest, usize, f64) {
    const WATCHES: u32 = 1_000;
    const DAY: i64 = 24 * 60 * WINDOW;
    const HALF_AN_HOUR: i64 = 30 * WINDOW;
    let mut simulation = Simulation::new(100, WATCHES / PER_PAGE);
    let page = |n| is_listed(n).then_some(n % WATCHES / PER_PAGE);
    let started = |n: u32, now: i64| ActiveWatch {
        watch: Watch {
            arrived_at: time(now),
            session_created_at: Some(time(now - i64::from(n % 4) * 10 * WINDOW)),
            direct: Some(DirectWatch::new(false, None, time(now))),
            ..watch(USER, "a")
        },
        due: now + 15_000,
        last_poll: now,
        page: page(n),
        changed_at: 0,
    };
    // The others are up to two days old at the beginning, and go on until the end.
    for n in young..WATCHES {
        let mut watch = started(n, -HALF_AN_HOUR - i64::from(n - young) * 3 * WINDOW);
        watch.due = 0;
        watch.last_poll = 0;
        simulation.add(n, watch);
    }
    let every = HALF_AN_HOUR / i64::from(young);
    let (mut started_at, mut next) = (0, WATCHES);
    let mut last = VecDeque::new();
    let mut requests = 0;
    while simulation.now < DAY {
        if simulation.now >= started_at {
            if simulation.now >= HALF_AN_HOUR {
                simulation.remove(last.pop_front().unwrap());
            }
            simulation.add(next, started(next, simulation.now));
            last.push_back(next);
            next += 1;
            started_at += every;
        }
        let turn = simulation.turn;
        simulation.step();
        requests += simulation.turn - turn;
    }
    let (longest, most) = simulation.finish();
    let per_minute = f64::from(u32::try_from(requests).unwrap()) / (24.0 * 60.0);
    (longest, most, per_minute)
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures are for the documents")]
fn young_watches_are_polled_in_time_beside_any_number_of_old_ones() {
    let scenarios: [(&str, u32, IsListed); 4] = [
        ("all in the list", 40, |_| true),
        ("none in the list", 20, |_| false),
        ("none in the list", 40, |_| false),
        ("half of them in the list", 40, |n| n % 2 == 0),
    ];
    let mut late = Vec::new();
    for (what, young, is_listed) in scenarios {
        let (longest, most, per_minute) = simulate_a_day(young, is_listed);
        let result = format!(
            "{what}, {young} young: {most} requests in the busiest minute, {per_minute:.1} on average, {longest:?}"
        );
        println!("{result}");
        assert!(most <= 80, "a fifth of the limit stays free; {result}");
        late.extend((longest.young > 55_000).then_some(result));
    }
    assert!(late.is_empty(), "5 s are left for the answer and the post; {late:#?}");
}

/// 1,000 shared cards for 24 hours, all in the list or none. Each session changes every 6 hours, and all of them at the
/// same moment after 12 hours.
#[test]
#[expect(clippy::print_stdout, reason = "the figures are for the documents")]
fn a_thousand_shared_cards_stay_within_the_limits_of_kapso_and_slack() {
    const CARDS: u32 = 1_000;
    const HOUR: i64 = 60 * WINDOW;
    for is_listed in [true, false] {
        let mut simulation = Simulation::new(100, CARDS / PER_PAGE);
        for n in 0..CARDS {
            let shared_at = time(-i64::from(n) * WINDOW);
            let shown = Shown {
                created_at: None,
                expires_at: None,
                hash: "0".to_owned(),
            };
            let watch = Watch {
                arrived_at: shared_at,
                posts_left: 0,
                shared: Some(SharedCard {
                    posted: Posted {
                        channel: "C2147483705".to_owned(),
                        ts: "1795428000.000001".to_owned(),
                    },
                    until: at(7 * 24 * 3_600),
                    shown: shown.clone(),
                    current: shown,
                    not_before: at(0),
                    is_paced: false,
                }),
                ..watch(USER, "a")
            };
            simulation.add(
                n,
                ActiveWatch {
                    watch,
                    due: 0,
                    last_poll: 0,
                    page: is_listed.then_some(n / PER_PAGE),
                    changed_at: 0,
                },
            );
        }
        let (mut next, mut latest_before) = (0_u32, 0);
        while simulation.now < 24 * HOUR {
            // One after the other, every 21.6 s.
            if simulation.now > i64::from(next) * 21_600 && !(12 * HOUR..14 * HOUR).contains(&simulation.now) {
                let now = simulation.now;
                simulation.watches.get_mut(&(next % CARDS)).unwrap().changed_at = now;
                next += 1;
            }
            if simulation.now > 12 * HOUR && latest_before == 0 {
                latest_before = simulation.updates.latest;
                let now = simulation.now;
                simulation.watches.values_mut().for_each(|watch| watch.changed_at = now);
            }
            simulation.step();
        }
        let updates = &simulation.updates;
        let what = format!(
            "1,000 shared cards, in lists: {is_listed}; {} requests to Kapso in the busiest minute; {} updates, {} in the \
             busiest minute, at the latest {} s after the change, or {} s when all changed at once",
            simulation.key.most,
            updates.count,
            updates.most,
            latest_before / 1_000,
            updates.latest / 1_000,
        );
        println!("{what}");
        assert!(simulation.key.most <= 80, "a fifth of the limit stays free: {what}");
        // A card waits for the next poll of its session, and those of several cards may come together. Without lists, each
        // update takes a request to Kapso; Slack refuses those beyond its limit, and they are sent later.
        let most = if is_listed { 60 } else { 80 };
        assert!(updates.most <= most, "50 a minute, after a burst of three: {what}");
        let in_time = if is_listed { 35 * WINDOW } else { 60 * WINDOW };
        assert!(updates.latest <= in_time, "{what}");
    }
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
    // Read to the end in 15 s.
    let of = |pages| {
        let mut list = List::default();
        list.record_page(1, pages, true, at(-15));
        list.record_page(pages, pages, true, at(0));
        list
    };
    let half_read = {
        let mut list = List::default();
        list.record_page(1, 60, true, at(0));
        list
    };
    let just_read = {
        let mut list = List::default();
        list.record_page(1, 1, true, at(0));
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
        (3, of(2), fresh, 2, 0, unlisted(15_000)),
        (60, of(60), fresh, 2, 0, Plan::RequestOne),
        // What is due is not in the list.
        (1_000, just_read, fresh, 1, 14, Plan::RequestOne),
        (1_000, just_read, fresh, 1, 15, Plan::ReadPage),
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// They are polled every 25 s or more often where nothing delays them.
    #[test]
    fn no_number_of_old_watches_delays_thirty_young_ones_beyond_a_minute(
        young in 1_u32..=30, old in 0_u32..=970, pages in 1_u32..=10, in_lists in 0_u32..=4, ages in 31_i64..9_000,
    ) {
        let mut simulation = Simulation::new(100, pages);
        for n in 0..young + old {
            let age = if n < young { 0 } else { ages + i64::from(n % 7) };
            let watch = Watch {
                arrived_at: time(-age * WINDOW),
                session_created_at: None,
                direct: Some(DirectWatch::new(false, None, time(-age * WINDOW))),
                ..watch(USER, "a")
            };
            let page = (n >= young && n % 4 < in_lists).then(|| n % pages);
            simulation.add(n, ActiveWatch { watch, due: 0, last_poll: 0, page, changed_at: 0 });
        }
        while simulation.now < 20 * WINDOW {
            simulation.step();
        }
        let (longest, most) = simulation.finish();
        prop_assert!(longest.young <= 55_000, "{longest:?}");
        prop_assert!(most <= 80);
    }
}
