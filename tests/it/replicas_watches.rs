//! Two processes with 200 watches on one PostgreSQL database, one of which is killed while it sends notifications: each
//! watcher gets one.

use std::time::Instant;

use futures_util::future::join_all;
use http::StatusCode;
use kapso_slack::demo::{Person, plain};

use crate::support::crashes::{RESUMED, answer_counts, pending_replies, surplus_answers};
use crate::support::databases::Database;
use crate::support::program::Fakes;

const WATCHERS: usize = 10;
/// Watches of one person: the limit.
const EACH: usize = 20;
const ALL: usize = WATCHERS * EACH;
#[tokio::test]
#[expect(clippy::print_stdout, reason = "the figures are for the documents")]
async fn a_replica_sends_the_notifications_of_a_killed_one() {
    let fakes = Fakes::start().await;
    let ids: Vec<_> = (0..EACH).map(|n| format!("session-{n}")).collect();
    for id in &ids {
        fakes.kapso.add_session(id);
    }
    let database = Database::postgres().await;
    let service = || {
        let service = fakes
            .service()
            .with("RUST_LOG", "kapso_slack=info,kapso_slack::dispatch=warn");
        service.with("DATABASE_URL", &database.address).start()
    };
    let (mut killed, mut survivor) = (service(), service());
    let apps = [killed.wait_until_serving().await, survivor.wait_until_serving().await];

    let watching = (0..WATCHERS).map(async |watcher| {
        for (n, id) in ids.iter().enumerate() {
            // One channel takes a message per second.
            let person = Person {
                user: format!("U{watcher}"),
                channel: format!("C{watcher}-{n}"),
                ..Person::default()
            };
            let command = format!("/sandbox watch {id}");
            let sent = fakes.slack.send_command(&apps[n % 2], &person, &command).await;
            assert_eq!(sent.status, Some(StatusCode::OK), "{command}");
            let confirmed = match sent.message {
                Some(confirmed) => confirmed,
                None => fakes.slack.wait_for_reply(sent.exchange).await,
            };
            let text = plain::text(&confirmed.message);
            assert!(text.contains("I'll post here"), "{command}: {text}");
        }
    });
    join_all(watching).await;
    let confirmed = fakes.slack.post_count();

    // The survivor is stopped until the other process has begun to send notifications.
    survivor.send_signal("STOP").await;
    for id in &ids {
        fakes.kapso.activate(id);
    }
    database.run("UPDATE kapso_slack_jobs SET due_at = 0").await;
    fakes.slack.wait_for_posts(confirmed + ALL / 2).await;
    killed.send_signal("KILL").await;
    let killed_at = Instant::now();
    killed.wait_for_exit().await;
    let left = pending_replies(&database, "1 = 1").await;
    let in_flight = left.iter().filter(|row| row.posts_left < 2).count();
    survivor.send_signal("CONT").await;

    for posted in fakes.slack.conversation().into_iter().take(ALL) {
        fakes.slack.next_message(&posted).await;
    }
    let took = killed_at.elapsed();
    survivor.send_signal("TERM").await;
    assert_eq!(survivor.wait_for_exit().await.code, Some(0));
    assert_eq!(pending_replies(&database, "1 = 1").await.len(), 0, "no job is left");
    let answers = answer_counts(&fakes, 2);
    assert_eq!(answers.len(), ALL);
    let twice = surplus_answers(&answers, 2);
    println!(
        "two replicas, one killed while it notifies: {ALL} watches, {} left by the killed one, {in_flight} in flight, \
         none lost, {twice} notified twice, {:.1} s",
        left.len(),
        took.as_secs_f64()
    );
    assert!(
        !left.is_empty() && left.len() < ALL,
        "it was killed before it had sent all"
    );
    assert!(twice <= in_flight);
    assert!(took < RESUMED, "{took:?}");
    database.drop().await;
}
