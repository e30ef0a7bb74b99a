//! Two processes on one PostgreSQL database look after 200 watches, of which one is killed while it tells the news:
//! each watcher hears once.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::StatusCode;
use kapso_slack::demo::{Person, plain};

use crate::support::crashes::{answers, rows, too_many};
use crate::support::databases::Database;
use crate::support::program::World;

const WATCHERS: usize = 10;
/// As many as one person may watch.
const EACH: usize = 20;
const ALL: usize = WATCHERS * EACH;
/// Within this after a kill, somebody else goes on: 15 s of a lease, and a little.
const RESUMED: Duration = Duration::from_secs(20);

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the figures are for the documents")]
async fn the_news_that_a_dead_replica_owes_the_other_tells() {
    let world = World::start().await;
    let ids: Vec<_> = (0..EACH).map(|n| format!("session-{n}")).collect();
    for id in &ids {
        world.kapso.add(id);
    }
    let database = Database::postgres().await;
    let service = || {
        let service = world
            .service()
            .with("RUST_LOG", "kapso_slack=info,kapso_slack::dispatch=warn");
        service.with("DATABASE_URL", &database.address).starts()
    };
    let (mut doomed, mut survivor) = (service(), service());
    let apps = [doomed.serves().await, survivor.serves().await];

    let watching = (0..WATCHERS).map(async |watcher| {
        let person = Person {
            user: format!("U{watcher}"),
            ..Person::default()
        };
        for (n, id) in ids.iter().enumerate() {
            let command = format!("/sandbox watch {id}");
            let sent = world.slack.types(&apps[n % 2], &person, &command).await;
            assert_eq!(sent.status, Some(StatusCode::OK), "{command}");
            let confirmed = match sent.message {
                Some(confirmed) => confirmed,
                None => world.slack.later(sent.exchange).await,
            };
            let text = plain::text(&confirmed.message);
            assert!(text.contains("I'll post here"), "{command}: {text}");
        }
    });
    join_all(watching).await;
    let confirmed = world.slack.posts();

    // The survivor sleeps while the doomed one finds out, and begins to tell.
    survivor.is_sent("STOP").await;
    for id in &ids {
        world.kapso.activate(id);
    }
    database.run("UPDATE kapso_slack_jobs SET due_at = 0").await;
    world.slack.has_been_posted_to(confirmed + ALL / 2).await;
    doomed.is_sent("KILL").await;
    let killed_at = Instant::now();
    doomed.ends().await;
    let left = rows(&database, "1 = 1").await;
    let in_flight = left.iter().filter(|row| row.posts_left < 2).count();
    survivor.is_sent("CONT").await;

    for posted in world.slack.conversation().into_iter().take(ALL) {
        world.slack.next(&posted).await;
    }
    let took = killed_at.elapsed();
    survivor.is_sent("TERM").await;
    assert_eq!(survivor.ends().await.code, Some(0));
    assert_eq!(rows(&database, "1 = 1").await.len(), 0, "nothing stays");
    let answers = answers(&world, 2);
    assert_eq!(answers.len(), ALL);
    let twice = too_many(&answers, 2);
    println!(
        "two replicas, one killed while it tells: {ALL} watches, {} left by the dead, {in_flight} in flight, \
         none forgotten, {twice} told twice, {:.1} s",
        left.len(),
        took.as_secs_f64()
    );
    assert!(!left.is_empty() && left.len() < ALL, "it was killed half way");
    assert!(twice <= in_flight);
    assert!(took < RESUMED, "{took:?}");
    database.drop().await;
}
