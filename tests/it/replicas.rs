//! Two processes on one PostgreSQL database, of which one is killed half way: one answer each, and nothing lost.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use kapso_slack::demo::Fault;
use tokio::time::timeout;
use url::Url;

use crate::support::crashes::{LATE, RESUMED, answer_counts, pending_replies, surplus_answers};
use crate::support::databases::Database;
use crate::support::program::{Fakes, Running};
use crate::support::store_health::BROKEN;

/// Commands, half of them to each replica.
const COMMANDS: usize = 200;
/// Commands for each session: what Kapso has answered is remembered for a while.
const COMMANDS_PER_SESSION: usize = 10;
/// Commands that are typed at once.
const CONCURRENT_COMMANDS: usize = 20;
const TIMEOUT: Duration = Duration::from_mins(2);

/// Two replicas in one world.
struct Replicas {
    fakes: Fakes,
    database: Database,
    killed: Running,
    survivor: Running,
    /// Where the doomed one listens, and the other.
    apps: [Url; 2],
}

impl Replicas {
    async fn start() -> Self {
        let fakes = Fakes::start().await;
        for n in 0..COMMANDS / COMMANDS_PER_SESSION {
            fakes.kapso.add_session(&format!("s-{n}"));
        }
        let database = Database::postgres().await;
        let service = || {
            let service = fakes.service_that_waits_for_the_store().with("REPLY_BUDGET_MS", "100");
            service.with("DATABASE_URL", &database.address).start()
        };
        let (mut killed, mut survivor) = (service(), service());
        let apps = [killed.wait_until_serving().await, survivor.wait_until_serving().await];
        Self {
            fakes,
            database,
            killed,
            survivor,
            apps,
        }
    }

    /// These of the commands are typed, in turn to both replicas, and acknowledged without a word.
    async fn send_commands(&self, numbers: Range<usize>) -> BTreeSet<u64> {
        let mut pending = BTreeSet::new();
        for first in numbers.clone().step_by(CONCURRENT_COMMANDS) {
            let sending = (first..numbers.end.min(first + CONCURRENT_COMMANDS)).map(async |n| {
                let command = format!("/sandbox s-{}", n / COMMANDS_PER_SESSION);
                self.fakes.send_command(&self.apps[n % 2], &command).await
            });
            for sent in join_all(sending).await {
                assert_eq!(sent.status, Some(StatusCode::OK));
                assert!(sent.message.is_none(), "it is acknowledged without a word");
                pending.insert(sent.exchange);
            }
        }
        pending
    }

    /// The doomed one is killed, and all that is owed is answered by the other. Returns how many posts were under way
    /// when it was killed, and how many of its answers were left to the other.
    async fn kill_one(mut self, pending: &BTreeSet<u64>, killed: &str) -> Outcome {
        self.killed.send_signal("KILL").await;
        let killed_at = Instant::now();
        let ended = self.killed.wait_for_exit().await;
        assert!(!ended.stdout.contains(BROKEN), "the store works: {ended:?}");
        // Its leases last, so this is what it has left.
        let left = pending_replies(&self.database, &format!("leased_by = '{killed}'")).await;
        self.fakes.kapso.set_fault(None);
        self.fakes.kapso.release_stalled_requests();
        for exchange in pending {
            self.fakes.slack.wait_for_reply(*exchange).await;
        }
        // Its own, and what was left: some of that may be answered already.
        for _ in 0..COMMANDS / 2 + left.len() {
            self.survivor.wait_for_line(LATE).await;
        }
        let took = killed_at.elapsed();
        self.survivor.send_signal("TERM").await;
        let ended = self.survivor.wait_for_exit().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(pending_replies(&self.database, "1 = 1").await.len(), 0, "nothing stays");
        let answers = answer_counts(&self.fakes, 1);
        assert!(answers.keys().eq(pending), "one answer each");
        self.database.drop().await;
        Outcome {
            left: left.len(),
            in_flight: left.iter().filter(|row| row.posts_left < 4).count(),
            twice: surplus_answers(&answers, 1),
            took,
        }
    }
}

struct Outcome {
    left: usize,
    in_flight: usize,
    twice: usize,
    took: Duration,
}

/// The one who has leased what is in the store.
async fn worker(database: &Database) -> Option<String> {
    let workers = database.words("SELECT DISTINCT leased_by FROM kapso_slack_jobs").await;
    workers.into_iter().next()
}

/// Tells the story, with `answered` of the commands answered before the others come, and a kill after `before_kill`.
async fn kill_one_replica(when: &str, answered: usize, before_kill: impl AsyncFn(&Fakes)) -> Outcome {
    let running = run_scenario(when, answered, &before_kill);
    timeout(TIMEOUT, running).await.expect("it ends")
}

#[expect(clippy::print_stdout, reason = "the figures are what this is about")]
async fn run_scenario(when: &str, answered: usize, before_kill: impl AsyncFn(&Fakes)) -> Outcome {
    let replicas = Replicas::start().await;
    let (kapso, slack) = (&replicas.fakes.kapso, &replicas.fakes.slack);
    kapso.set_fault(Some(Fault::Stall));
    let mut pending = replicas.send_commands(0..1).await;
    let killed = worker(&replicas.database).await.expect("a pending reply is stored");
    pending.extend(replicas.send_commands(1..answered.max(1)).await);
    if answered > 0 {
        kapso.release_stalled_requests();
        for exchange in &pending {
            slack.wait_for_reply(*exchange).await;
        }
    }
    pending.extend(replicas.send_commands(answered.max(1)..COMMANDS).await);
    before_kill(&replicas.fakes).await;
    let outcome = replicas.kill_one(&pending, &killed).await;
    println!(
        "two replicas, one killed {when}: {} owed, none lost, {} left by the dead, {} in flight, {} answered twice, {:.1} s",
        pending.len(),
        outcome.left,
        outcome.in_flight,
        outcome.twice,
        outcome.took.as_secs_f64()
    );
    assert_eq!(pending.len(), COMMANDS);
    assert!(outcome.twice <= outcome.in_flight);
    assert!(outcome.took < RESUMED, "{:?}", outcome.took);
    outcome
}

#[tokio::test]
async fn a_replica_delivers_the_replies_of_a_killed_one() {
    let posting = async |fakes: &Fakes| {
        let posts = fakes.slack.post_count();
        fakes.kapso.release_stalled_requests();
        fakes.slack.wait_for_posts(posts + COMMANDS / 10).await;
    };
    // Side by side, since both wait for leases to run out.
    let (while_requesting, _) = tokio::join!(
        kill_one_replica("while Kapso is asked", 0, async |_: &Fakes| {}),
        kill_one_replica("while it posts", COMMANDS / 2, posting)
    );
    assert_eq!((while_requesting.left, while_requesting.twice), (COMMANDS / 2, 0));
}
