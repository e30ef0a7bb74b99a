//! Later news of a watch replace earlier ones that wait: nobody reads that a session is active after reading that it
//! has ended.

use std::time::Duration;

use jiff::SignedDuration;
use kapso_slack::demo::TokenState;
use kapso_slack::dispatch::LateReply;
use kapso_slack::queue::{Job, Quota, WorkerId};
use kapso_slack::watches::{Watch, news_key};

use crate::support::databases::{Database, USER, add_watch, at, claim, claim_one, late, on_both_databases, watch};
use crate::support::{BOT_TOKEN, ID, START, TestApp, test_app};

const QUOTA: Quota = Quota { per_owner: 9, total: 9 };

/// Moves the clock so far that the session is polled, and waits for the poll.
async fn poll(app: &TestApp) {
    let requests = app.kapso.requests().len();
    app.advance_clock(SignedDuration::from_mins(6));
    app.kapso.wait_for_requests(requests + 1).await;
}

#[tokio::test]
async fn news_that_wait_are_replaced_by_later_ones() {
    let database = Database::sqlite();
    let url = database.url.clone();
    test_app()
        .with_bot_token()
        .without_cache()
        .set(move |settings| {
            settings.database = url;
            settings.timing.max_claim_interval = Duration::from_millis(10);
        })
        .run(async |app| {
            app.wait_for_store().await;
            let expiry = START + SignedDuration::from_hours(24 * 30);
            app.kapso.set_field(ID, "expires_at", expiry.to_string().into());
            app.command(&format!("/sandbox watch {ID}")).await;
            app.advance_clock(SignedDuration::from_hours(3));
            // An attempt every ten minutes, until the token is replaced.
            let web_api = app.slack.web_api();
            web_api.set_token_state(BOT_TOKEN, TokenState::Revoked);
            app.kapso.activate(ID);
            poll(app).await;
            app.wait_for_log("Slack refused a direct message").await;
            web_api.install(BOT_TOKEN, &["commands", "chat:write"]);
            app.kapso.supersede(ID);
            poll(app).await;
            app.direct_message(1).await;
            for _ in 0..3 {
                app.advance_clock(SignedDuration::from_mins(5));
                // The answer to a command comes after the jobs that were due at its beginning were looked for.
                app.command_text("/sandbox watching").await;
            }
            app.shut_down().await;
            let told = app.direct_texts();
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains("was superseded"), "{told:?}");
        })
        .await;
    assert_eq!(database.payloads("TRUE").await.len(), 0, "nothing waits");
}

#[tokio::test]
async fn news_replace_those_that_are_being_sent_or_wait_in_any_process() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        let worker = WorkerId::random();
        let watched = watch(USER, "a");
        let key = news_key(&watched);
        add_watch(&store, &watched, at(15), QUOTA).await.unwrap();
        // A late reply stands for the news.
        let tell = async |now: i64| {
            let (job, lease) = claim_one::<Watch>(&store, &worker, now).await;
            let news: Job<LateReply> = late(now);
            let told = store
                .reschedule_and_insert(&lease, &job.payload, at(now + 60), (&news, &key))
                .await;
            assert!(told.unwrap());
            let again = store.reschedule_and_insert(&lease, &job.payload, at(99), (&news, &key));
            assert!(!again.await.unwrap(), "its lease is lost, and nothing is replaced");
        };
        tell(15).await;
        let (sending, lost) = claim_one::<LateReply>(&store, &worker, 15).await;
        tell(75).await;
        assert!(!store.reschedule(&lost, &sending.payload, at(80)).await.unwrap());
        assert!(!store.complete(&lost).await.unwrap());

        // The watch ends, and its row becomes the last news.
        let (_, lease) = claim_one::<Watch>(&store, &worker, 135).await;
        let final_news = late(135).payload;
        assert!(store.reschedule_as(&lease, &final_news, at(135), &key).await.unwrap());
        assert!(!store.reschedule_as(&lease, &final_news, at(136), &key).await.unwrap());
        let left = claim::<LateReply>(&store, &worker, 1_000).await;
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(left[0].job.due_at, at(135));
        assert!(claim::<Watch>(&store, &worker, 1_000).await.is_empty());

        // The same person may watch the session again.
        add_watch(&store, &watched, at(2_000), QUOTA).await.unwrap();
        assert_eq!(claim::<Watch>(&store, &worker, 2_000).await.len(), 1);
    })
    .await;
}
