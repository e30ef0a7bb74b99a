//! A thousand watches survive the process that holds them: the real program, killed and started again.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kapso_slack::clock::Clock;
use kapso_slack::demo::{FakeKapso, Person, plain};

use crate::support::databases::Database;
use crate::support::program::{Fakes, Program};
use crate::support::{KEY, port};

const WATCHERS: usize = 50;
/// As many as one person may watch.
const EACH: usize = 20;
const ALL: usize = WATCHERS * EACH;

fn id(number: usize) -> String {
    format!("session-{number:04}")
}

fn service(fakes: &Fakes, database: &Database) -> Program {
    fakes
        .service()
        .with("DATABASE_URL", &database.address)
        // Nobody reads a line for each command, and a full pipe would stop whoever writes them.
        .with("RUST_LOG", "kapso_slack=info,kapso_slack::dispatch=warn")
}

#[tokio::test]
async fn a_thousand_watches_resume_after_a_kill_on_sqlite() {
    a_thousand_watches("SQLite", Database::sqlite()).await;
}

#[tokio::test]
async fn a_thousand_watches_resume_after_a_kill_on_postgresql() {
    a_thousand_watches("PostgreSQL", Database::postgres().await).await;
}

#[expect(clippy::print_stdout, reason = "the figures are for the documents")]
async fn a_thousand_watches(kind: &str, database: Database) {
    let fakes = Fakes::start().await;
    fakes.kapso.set_rate_limit(10_000);
    let second_kapso = FakeKapso::start(port().await, KEY, Clock::system()).unwrap();
    for number in 0..ALL {
        fakes.kapso.add_session(&id(number));
        second_kapso.add_session(&id(number));
    }
    let mut killed = service(&fakes, &database).start();
    let app = killed.wait_until_serving().await;
    // A person's watches one after the other, for the connections' sake.
    let watching = (0..WATCHERS).map(async |watcher| {
        let person = Person {
            user: format!("U{watcher}"),
            ..Person::default()
        };
        for number in watcher * EACH..(watcher + 1) * EACH {
            let command = format!("/sandbox watch {}", id(number));
            let sent = fakes.slack.send_command(&app, &person, &command).await;
            let text = plain::text(&sent.message.unwrap().message);
            assert!(text.contains("I'll post here"), "{number}: {text}");
        }
    });
    join_all(watching).await;
    killed.send_signal("KILL").await;
    killed.wait_for_exit().await;

    // Long enough for all of them to be due.
    database
        .run("UPDATE kapso_slack_jobs SET due_at = due_at - 60000, leased_until = 0")
        .await;
    // With the limit of the smallest plan, of which nothing is used.
    let restarted = service(&fakes, &database)
        .with("KAPSO_BASE_URL", second_kapso.base_url().as_str())
        .start();
    let began = Instant::now();
    // A page of the list shows 100; of the first requests some are for single sessions.
    for count in ALL / 100.. {
        second_kapso.wait_for_requests(count).await;
        let requests = second_kapso.requests();
        if (1..=ALL / 100).all(|page| requests.contains(&format!("GET /sandbox_sessions?page={page}&per_page=100"))) {
            break;
        }
    }
    let polled = began.elapsed();
    for number in 0..ALL {
        second_kapso.activate(&id(number));
    }
    fakes.slack.wait_for_posts(ALL).await;
    let notified = began.elapsed();
    restarted.send_signal("TERM").await;
    assert_eq!(restarted.wait_for_exit().await.code, Some(0));

    println!(
        "1,000 watches on {kind}: all looked at {polled:.1?} after the start, all heard within {notified:.1?} of it"
    );
    assert!(polled < Duration::from_secs(5), "{polled:?}");
    assert!(notified < Duration::from_mins(1), "{notified:?}");
    assert_eq!(fakes.slack.conversation().len(), 2 * ALL, "a card and the news each");
    assert_eq!(fakes.slack.rule_violations(), Vec::<String>::new());
    assert_eq!(
        second_kapso.unexpected_requests(),
        Vec::<String>::new(),
        "within the limit"
    );
}
