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
const A_SESSION: usize = 10;
/// Commands that are typed at once.
const AT_ONCE: usize = 20;
const PATIENCE: Duration = Duration::from_mins(2);

/// Two replicas in one world.
struct Replicas {
    fakes: Fakes,
    database: Database,
    doomed: Running,
    survivor: Running,
    /// Where the doomed one listens, and the other.
    apps: [Url; 2],
}

impl Replicas {
    async fn start() -> Self {
        let fakes = Fakes::start().await;
        for n in 0..COMMANDS / A_SESSION {
            fakes.kapso.add_session(&format!("s-{n}"));
        }
        let database = Database::postgres().await;
        let service = || {
            let service = fakes.service_that_waits_for_the_store().with("REPLY_BUDGET_MS", "100");
            service.with("DATABASE_URL", &database.address).start()
        };
        let (mut doomed, mut survivor) = (service(), service());
        let apps = [doomed.wait_until_serving().await, survivor.wait_until_serving().await];
        Self {
            fakes,
            database,
            doomed,
            survivor,
            apps,
        }
    }

    /// These of the commands are typed, in turn to both replicas, and acknowledged without a word.
    async fn types(&self, which: Range<usize>) -> BTreeSet<u64> {
        let mut owed = BTreeSet::new();
        for first in which.clone().step_by(AT_ONCE) {
            let typing = (first..which.end.min(first + AT_ONCE)).map(async |n| {
                let command = format!("/sandbox s-{}", n / A_SESSION);
                self.fakes.send_command(&self.apps[n % 2], &command).await
            });
            for sent in join_all(typing).await {
                assert_eq!(sent.status, Some(StatusCode::OK));
                assert!(sent.message.is_none(), "it is acknowledged without a word");
                owed.insert(sent.exchange);
            }
        }
        owed
    }

    /// The doomed one is killed, and all that is owed is answered by the other. Returns how many posts were under way
    /// when it was killed, and how many of its answers were left to the other.
    async fn loses_one(mut self, owed: &BTreeSet<u64>, doomed: &str) -> Lost {
        self.doomed.send_signal("KILL").await;
        let killed_at = Instant::now();
        let ended = self.doomed.wait_for_exit().await;
        assert!(!ended.stdout.contains(BROKEN), "the store works: {ended:?}");
        // Its leases last, so this is what it has left.
        let left = pending_replies(&self.database, &format!("leased_by = '{doomed}'")).await;
        self.fakes.kapso.set_fault(None);
        self.fakes.kapso.release_stalled_requests();
        for exchange in owed {
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
        assert!(answers.keys().eq(owed), "one answer each");
        self.database.drop().await;
        Lost {
            left: left.len(),
            in_flight: left.iter().filter(|row| row.posts_left < 4).count(),
            twice: surplus_answers(&answers, 1),
            took,
        }
    }
}

struct Lost {
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

/// Tells the story, with `answered` of the commands answered before the others come, and a kill after `half_way`.
async fn one_is_killed(when: &str, answered: usize, half_way: impl AsyncFn(&Fakes)) -> Lost {
    let telling = tell(when, answered, &half_way);
    timeout(PATIENCE, telling).await.expect("it ends")
}

#[expect(clippy::print_stdout, reason = "the figures are what this is about")]
async fn tell(when: &str, answered: usize, half_way: impl AsyncFn(&Fakes)) -> Lost {
    let replicas = Replicas::start().await;
    let (kapso, slack) = (&replicas.fakes.kapso, &replicas.fakes.slack);
    kapso.set_fault(Some(Fault::Stall));
    let mut owed = replicas.types(0..1).await;
    let doomed = worker(&replicas.database).await.expect("a pending reply is stored");
    owed.extend(replicas.types(1..answered.max(1)).await);
    if answered > 0 {
        kapso.release_stalled_requests();
        for exchange in &owed {
            slack.wait_for_reply(*exchange).await;
        }
    }
    owed.extend(replicas.types(answered.max(1)..COMMANDS).await);
    half_way(&replicas.fakes).await;
    let lost = replicas.loses_one(&owed, &doomed).await;
    println!(
        "two replicas, one killed {when}: {} owed, none lost, {} left by the dead, {} in flight, {} answered twice, {:.1} s",
        owed.len(),
        lost.left,
        lost.in_flight,
        lost.twice,
        lost.took.as_secs_f64()
    );
    assert_eq!(owed.len(), COMMANDS);
    assert!(lost.twice <= lost.in_flight);
    assert!(lost.took < RESUMED, "{:?}", lost.took);
    lost
}

#[tokio::test]
async fn a_replica_delivers_the_replies_of_a_killed_one() {
    let posting = async |fakes: &Fakes| {
        let posts = fakes.slack.post_count();
        fakes.kapso.release_stalled_requests();
        fakes.slack.wait_for_posts(posts + COMMANDS / 10).await;
    };
    // Side by side, since both wait for leases to run out.
    let (asking, _) = tokio::join!(
        one_is_killed("while Kapso is asked", 0, async |_: &Fakes| {}),
        one_is_killed("while it posts", COMMANDS / 2, posting)
    );
    assert_eq!((asking.left, asking.twice), (COMMANDS / 2, 0));
}
