//! What lists cost, and what becomes of watches where lists are of no use.

use jiff::SignedDuration;
use kapso_slack::demo::{Person, plain};
use serde_json::json;

use crate::support::{TestApp, test_app};

const WATCHES: usize = 20;
const SECOND: SignedDuration = SignedDuration::from_secs(1);

fn id(number: usize) -> String {
    format!("session-{number:04}")
}

/// The clock moves on, and the service has its turn.
async fn advance_seconds(app: &TestApp, many: usize) {
    for _ in 0..many * 2 {
        app.advance_clock(SECOND / 2);
        for _ in 0..4 {
            app.get("/healthz").await;
        }
    }
}

#[tokio::test]
async fn an_unreadable_list_delays_no_poll_beyond_a_minute() {
    test_app()
        .run(async |app| {
            app.wait_for_store().await;
            // A page of a hundred is over 256 KiB.
            let words = "an agent with much to say ".repeat(120);
            let agent = json!({"id": "agent-123abc", "name": "Agent", "description": words});
            for number in 0..100 {
                app.kapso.add_session(&id(number));
                app.kapso.set_field(&id(number), "agent", agent.clone());
            }
            for number in 0..WATCHES {
                app.command_text(&format!("/sandbox watch {}", id(number))).await;
            }
            // The first look is due 15 s after that.
            advance_seconds(app, 16).await;
            let before = app.kapso.requests().len();
            advance_seconds(app, 60).await;
            let requests = app.kapso.requests().split_off(before);
            let unpolled: Vec<_> = (0..WATCHES)
                .map(id)
                .filter(|id| !requests.iter().any(|request| request.ends_with(id)))
                .collect();
            assert!(
                unpolled.is_empty(),
                "{unpolled:?} were not looked at; asked was {requests:?}"
            );
        })
        .await;
}

#[tokio::test]
async fn several_watchers_of_one_session_share_a_request() {
    test_app()
        .without_cache()
        .run(async |app| {
            app.wait_for_store().await;
            for number in 0..250 {
                app.kapso.add_session(&id(number));
            }
            let watched = id(249);
            let mut confirmed = Vec::new();
            for number in 0..5 {
                app.person = Person {
                    user: format!("U{number}"),
                    ..Person::default()
                };
                confirmed.push(app.command(&format!("/sandbox watch {watched}")).await);
            }
            for polls in 1..4 {
                app.advance_clock(SignedDuration::from_secs(25));
                app.kapso.wait_for_requests(5 + polls).await;
            }
            app.kapso.activate(&watched);
            app.advance_clock(SignedDuration::from_secs(25));
            for confirmed in &confirmed {
                let notice = app.next_message(confirmed).await;
                assert!(plain::text(&notice.message).contains("is active now"));
            }
            let requests = app.kapso.requests();
            let pages = requests.iter().filter(|request| request.contains("?page=")).count();
            assert_eq!(pages, 0, "one request looks at it for all five: {requests:?}");
        })
        .await;
}
