//! kill -9 at many points between a command's arrival and its answer's, on the real program: whatever was acknowledged
//! is delivered after a restart, once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use kapso_slack::demo::{DeliveryPath, Fault};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use crate::support::crashes::{LATE, RESUMED, answer_counts, pending_replies, surplus_answers};
use crate::support::databases::Database;
use crate::support::program::{Fakes, Program, Running};
use crate::support::store_health::{BROKEN, WORKS};

/// Commands in each story.
const COMMANDS: usize = 8;
/// Far longer than a story takes.
const PATIENCE: Duration = Duration::from_mins(3);

/// When a process is killed.
#[derive(Clone, Copy, Debug)]
enum Point {
    /// It was started.
    Started,
    /// It listens; the store is being opened.
    Listening,
    /// The store is open.
    Open,
    /// Kapso has been asked so many times.
    Asked(usize),
    /// So many commands are acknowledged.
    Acknowledged(usize),
    /// Slack has been posted to so many times.
    Posted(usize),
    /// Slack has failed so many posts.
    Failed(usize),
    /// Slack has taken so many messages, and told nobody that it did.
    Untold(usize),
    /// The log says of so many answers that they were delivered.
    Noted(usize),
}
use Point::{Acknowledged, Asked, Failed, Listening, Noted, Open, Posted, Started, Untold};

/// Where the first process is killed, and where those are that follow it. The last one lives.
const STORIES: [&[Point]; 23] = [
    &[Asked(1)],
    &[Asked(COMMANDS / 2)],
    &[Asked(COMMANDS)],
    &[Acknowledged(1)],
    &[Acknowledged(COMMANDS / 2)],
    &[Acknowledged(COMMANDS)],
    &[Failed(1)],
    &[Failed(COMMANDS)],
    &[Untold(1)],
    &[Untold(COMMANDS / 2)],
    &[Untold(COMMANDS)],
    &[Posted(1)],
    &[Posted(COMMANDS / 2)],
    &[Posted(COMMANDS)],
    &[Noted(1)],
    &[Noted(COMMANDS)],
    &[Acknowledged(COMMANDS), Started],
    &[Acknowledged(COMMANDS), Listening],
    &[Acknowledged(COMMANDS), Open],
    &[Acknowledged(COMMANDS), Asked(1)],
    &[Acknowledged(COMMANDS), Asked(COMMANDS)],
    &[Acknowledged(COMMANDS), Untold(COMMANDS / 2)],
    &[Untold(1), Started, Listening, Posted(1)],
];

/// What came of a story.
struct Told {
    owed: usize,
    /// Posts that were under way when a process was killed: each may have been taken, and is made again.
    in_flight: usize,
    twice: usize,
    /// From the last kill until the last answer.
    took: Duration,
}

struct Crash {
    fakes: Fakes,
    database: Database,
    /// Requests and posts before the process that lives now.
    asked: usize,
    posted: usize,
}

impl Crash {
    fn service(&self) -> Program {
        self.fakes
            .service_that_waits_for_the_store()
            .with("REPLY_BUDGET_MS", "100")
            .with("DATABASE_URL", &self.database.address)
    }

    async fn types(&self, app: &Url) -> BTreeSet<u64> {
        let typing = (0..COMMANDS).map(async |n| self.fakes.send_command(app, &format!("/sandbox s-{n}")).await);
        let sent = join_all(typing).await.into_iter();
        let acknowledged = sent.filter(|sent| sent.status == Some(StatusCode::OK));
        acknowledged
            .map(|sent| {
                assert!(sent.message.is_none(), "it is acknowledged without a word");
                sent.exchange
            })
            .collect()
    }

    /// Waits until so many commands are acknowledged.
    async fn has_acknowledged(&self, count: usize) {
        let mut happened = self.fakes.slack.subscribe();
        let acknowledged = |number| {
            let exchange = self.fakes.slack.exchange(number);
            exchange.is_some_and(|exchange| {
                let mut answers = exchange.replies.iter();
                answers.any(|answer| matches!(answer.by, DeliveryPath::Response) && answer.status == Some(200))
            })
        };
        while (1..=COMMANDS as u64).filter(|number| acknowledged(*number)).count() < count {
            happened.changed().await.unwrap();
        }
    }

    /// Waits until a process has come to this point, as far as it has not got there by starting.
    async fn comes_to(&self, point: Point, running: &mut Running, is_first: bool) {
        let (kapso, slack) = (&self.fakes.kapso, &self.fakes.slack);
        if matches!(point, Posted(_) | Failed(_) | Untold(_) | Noted(_)) {
            if is_first {
                self.has_acknowledged(COMMANDS).await;
            }
            if let Failed(count) = point {
                for _ in 0..count {
                    slack.reject_next_post(StatusCode::INTERNAL_SERVER_ERROR, None);
                }
            }
            if let Untold(_) = point {
                slack.stall_responses(true);
            }
            kapso.set_fault(None);
            kapso.release_stalled_requests();
        }
        match point {
            Started | Listening | Open => {}
            Asked(count) => kapso.wait_for_requests(self.asked + count).await,
            Acknowledged(count) => self.has_acknowledged(count).await,
            Posted(count) | Failed(count) | Untold(count) => slack.wait_for_posts(self.posted + count).await,
            Noted(count) => {
                for _ in 0..count {
                    running.wait_for_line(LATE).await;
                }
            }
        }
    }

    /// Kills a process at this point. Returns the commands that it acknowledged, if it is the first.
    async fn is_killed_at(&mut self, point: Point, is_first: bool) -> BTreeSet<u64> {
        let (kapso, slack) = (&self.fakes.kapso, &self.fakes.slack);
        kapso.set_fault(Some(Fault::Stall));
        (self.asked, self.posted) = (kapso.requests().len(), slack.post_count());
        let mut running = self.service().start();
        let mut acknowledged = BTreeSet::new();
        if !matches!(point, Started) {
            let app = running.wait_until_listening().await;
            if !matches!(point, Listening) {
                running.wait_for_line(WORKS).await;
                let killing = async {
                    self.comes_to(point, &mut running, is_first).await;
                    running.send_signal("KILL").await;
                };
                if is_first {
                    (acknowledged, ()) = tokio::join!(self.types(&app), killing);
                } else {
                    killing.await;
                }
            }
        }
        if matches!(point, Started | Listening) {
            running.send_signal("KILL").await;
        }
        let ended = running.wait_for_exit().await;
        kapso.release_stalled_requests();
        slack.stall_responses(false);
        assert!(!ended.stdout.contains(BROKEN), "{point:?}: the store works: {ended:?}");
        acknowledged
    }
}

/// Tells a story.
async fn tell(points: &[Point], database: Database, turns: &Semaphore) -> Told {
    let mut turn = turns.acquire().await.ok();
    let mut crash = Crash {
        fakes: Fakes::start().await,
        database,
        asked: 0,
        posted: 0,
    };
    for n in 0..COMMANDS {
        crash.fakes.kapso.add_session(&format!("s-{n}"));
    }
    let mut owed = BTreeSet::new();
    let mut posts_left = BTreeMap::new();
    let (mut in_flight, mut left) = (0, 0);
    let mut killed_at = Instant::now();
    for (place, point) in points.iter().enumerate() {
        if place > 0 && matches!(point, Asked(_) | Untold(_) | Posted(_)) {
            // Nothing happens for as long as a lease lasts.
            turn = None;
        }
        owed.extend(crash.is_killed_at(*point, place == 0).await);
        killed_at = Instant::now();
        let rows = pending_replies(&crash.database, "kind = 'late_reply'").await;
        left = rows.len();
        let stored: BTreeSet<u64> = rows.iter().map(|row| row.exchange).collect();
        let answered = answer_counts(&crash.fakes, 1);
        for exchange in &owed {
            assert!(
                stored.contains(exchange) || answered.contains_key(exchange),
                "{point:?}: {exchange} is lost"
            );
        }
        for row in rows {
            let before = posts_left.insert(row.exchange, row.posts_left).unwrap_or(4);
            in_flight += usize::from(row.posts_left < before);
        }
        // What was stored is delivered, though its acknowledgement may not have got through.
        owed.extend(stored);
    }
    crash.fakes.kapso.set_fault(None);
    let mut last = crash.service().start();
    last.wait_until_listening().await;
    last.wait_for_line(WORKS).await;
    drop(turn);
    for _ in 0..left {
        last.wait_for_line(LATE).await;
    }
    let took = killed_at.elapsed();
    last.send_signal("TERM").await;
    let ended = last.wait_for_exit().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(
        pending_replies(&crash.database, "1 = 1").await.len(),
        0,
        "nothing stays"
    );
    let answers = answer_counts(&crash.fakes, 1);
    assert!(answers.keys().eq(owed.iter()), "{owed:?}: {answers:?}");
    crash.database.drop().await;
    Told {
        owed: owed.len(),
        in_flight,
        twice: surplus_answers(&answers, 1),
        took,
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what this is about")]
async fn tell_all(kind: &str, database: impl AsyncFn() -> Database) {
    // A machine that does all at once is too slow to acknowledge commands within Slack's three seconds.
    let turns = Semaphore::new(2);
    let telling = STORIES.map(async |points| {
        let telling = tell(points, database().await, &turns);
        let told = timeout(PATIENCE, telling).await;
        (points, told.unwrap_or_else(|_| panic!("{points:?} hangs")))
    });
    let (mut owed, mut in_flight, mut twice) = (0, 0, 0);
    for (points, told) in join_all(telling).await {
        println!(
            "{kind}: killed at {points:?}: {} owed, none lost, {} in flight, {} answered twice, {:.1} s",
            told.owed,
            told.in_flight,
            told.twice,
            told.took.as_secs_f64()
        );
        assert!(told.twice <= told.in_flight, "{points:?}");
        assert!(told.took < RESUMED, "{points:?}: {:?}", told.took);
        (owed, in_flight, twice) = (owed + told.owed, in_flight + told.in_flight, twice + told.twice);
    }
    let stories = STORIES.len();
    println!("{kind}: {stories} stories: {owed} owed, none lost, {in_flight} in flight, {twice} answered twice");
    assert!(owed > 12 * COMMANDS, "most of them are acknowledged");
}

#[tokio::test]
async fn no_reply_is_lost_wherever_a_process_is_killed_on_sqlite() {
    tell_all("SQLite", async || Database::sqlite()).await;
}

#[tokio::test]
async fn no_reply_is_lost_wherever_a_process_is_killed_on_postgresql() {
    tell_all("PostgreSQL", Database::postgres).await;
}
