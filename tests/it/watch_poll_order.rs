//! A new watch is polled in time, however many old ones are due and in no list.

use jiff::SignedDuration;
use kapso_slack::queue::Upserted;
use kapso_slack::watches::{DirectWatch, QUOTA, Watch};
use serde_json::json;

use crate::support::databases::{Database, add_watch, on_both_databases, watch};
use crate::support::{ID, START, TestApp, test_app};

const OLD: usize = 120;
const SECOND: SignedDuration = SignedDuration::from_secs(1);

fn id(number: usize) -> String {
    format!("session-{number:04}")
}

/// Stores watches that began three hours ago, all of them due for an hour.
async fn store_old_watches(database: &Database) {
    let jobs = database.jobs().await;
    for number in 0..OLD {
        let began = START - SignedDuration::from_hours(3);
        let old = Watch {
            arrived_at: began,
            session_created_at: Some(began),
            direct: Some(DirectWatch::new(false, None, began)),
            ..watch(&format!("U0OLD{number}"), &id(number))
        };
        let due_at = START - SignedDuration::from_hours(1);
        assert_eq!(add_watch(&jobs, &old, due_at, QUOTA).await, Ok(Upserted::Inserted));
    }
    jobs.database().close().await;
}

/// A page of 100 sessions is over 256 KiB, so that the list cannot be used.
fn add_sessions(app: &TestApp) {
    let words = "an agent with much to say ".repeat(120);
    let agent = json!({"id": "agent-123abc", "name": "Agent", "description": words});
    for number in 0..OLD {
        app.kapso.add_session(&id(number));
        app.kapso.set_field(&id(number), "agent", agent.clone());
    }
}

#[tokio::test]
async fn a_new_watch_does_not_wait_for_old_ones() {
    on_both_databases(async |database| {
        store_old_watches(database).await;
        let url = database.url.clone();
        test_app()
            .set(move |settings| settings.database = url)
            .without_cache()
            .run(async |app| {
                app.wait_for_store().await;
                add_sessions(app);
                app.command_text(&format!("/sandbox watch {ID}")).await;
                let before = app.kapso.requests().len();
                // It is late after 30 s, in which there are at most 40 requests.
                while app.kapso.requests().len() < before + 50 {
                    app.advance_clock(SECOND / 2);
                    app.get("/healthz").await;
                }
                let requests = app.kapso.requests().split_off(before);
                let polled = requests.iter().filter(|request| request.ends_with(ID)).count();
                assert!(polled >= 1, "{requests:#?}");
                assert!(polled <= 45, "the old ones, too: {requests:#?}");
            })
            .await;
    })
    .await;
}
