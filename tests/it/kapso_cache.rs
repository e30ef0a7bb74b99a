//! Concurrent look-ups of one id are joined, and results are cached for a few seconds.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use jiff::SignedDuration;
use kapso_slack::demo::Fault;

use crate::support::{TestApp, ID, with_app, plan};

async fn shown(app: &TestApp, id: &str) {
    let card = app.reads(&format!("/sandbox {id}")).await;
    assert!(card.contains("Waiting for activation"), "{card}");
}

#[tokio::test]
async fn five_hundred_look_ups_of_one_id_make_at_most_two_requests() {
    plan()
        .set(|settings| settings.reply_budget = Duration::from_mins(1))
        .run(async |app| {
            app.kapso.fail_next(Fault::Hold);
            let asking = join_all((0..500).map(async |_| app.answers(&app.slip(ID, None)).await.body));
            let released = async {
                app.kapso.has_been_asked(1).await;
                app.kapso.release();
            };
            let (cards, ()) = tokio::join!(asking, released);
            assert_eq!(cards.len(), 500);
            for card in &cards {
                assert!(card.contains("is waiting for activation"), "{card}");
                assert_eq!(card, &cards[0]);
            }
            assert!(app.kapso.requests().len() <= 2, "{:?}", app.kapso.requests());
        })
        .await;
}

#[tokio::test]
async fn an_error_is_shared_too() {
    with_app(async |app| {
        app.kapso.fail(Some(Fault::answer(StatusCode::UNAUTHORIZED, "")));
        let cards = join_all((0..100).map(|_| app.reads("/sandbox 123e4567-e89b-12d3-a456-426614174000"))).await;
        assert!(
            cards
                .iter()
                .all(|card| card.starts_with("Kapso refused this app's key"))
        );
        assert!(app.kapso.requests().len() <= 2, "{:?}", app.kapso.requests());
    })
    .await;
}

#[tokio::test]
async fn a_session_is_cached_for_five_seconds() {
    with_app(async |app| {
        let requests = || app.kapso.requests().len();
        shown(app, ID).await;
        app.passes(SignedDuration::from_secs(5));
        shown(app, ID).await;
        assert_eq!(requests(), 1, "requested again within 5 s");
        app.passes(SignedDuration::from_millis(1));
        shown(app, ID).await;
        assert_eq!(requests(), 2, "not requested again after 5 s");
    })
    .await;
}

#[tokio::test]
async fn an_error_is_not_cached() {
    with_app(async |app| {
        assert!(app.reads("/sandbox new-one").await.contains("There is no session"));
        app.kapso.add("new-one");
        shown(app, "new-one").await;
        assert_eq!(app.kapso.requests().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn fifty_presses_of_refresh_make_at_most_two_requests() {
    with_app(async |app| {
        let cards = join_all((0..50).map(|_| app.types("/sandbox 123e4567-e89b-12d3-a456-426614174000"))).await;
        assert_eq!(app.kapso.requests().len(), 1);
        app.kapso.activate(ID);
        app.kapso.fail_next(Fault::Hold);
        let pressing = join_all(cards.iter().map(|card| app.presses(card, "refresh")));
        let released = async {
            app.kapso.has_been_asked(2).await;
            app.kapso.release();
        };
        let (cards, ()) = tokio::join!(pressing, released);
        assert_eq!(cards.len(), 50);
        for card in cards {
            assert!(card.message["text"].as_str().unwrap().contains("is active"), "{card:?}");
        }
        assert!(app.kapso.requests().len() <= 3, "{:?}", app.kapso.requests());
    })
    .await;
}

#[tokio::test]
async fn refresh_shows_no_result_that_was_requested_before_the_press() {
    with_app(async |app| {
        let card = app.types("/sandbox 123e4567-e89b-12d3-a456-426614174000").await;
        app.passes(SignedDuration::from_secs(6));
        // Another person's look-up is in flight.
        app.kapso.fail_next(Fault::Hold);
        let other = app.reads("/sandbox 123e4567-e89b-12d3-a456-426614174000");
        let pressing = async {
            app.kapso.has_been_asked(2).await;
            app.kapso.activate(ID);
            let pressed = app.presses(&card, "refresh");
            let released = async {
                app.gets("/healthz").await;
                app.kapso.release();
            };
            tokio::join!(pressed, released).0
        };
        let (_, fresh) = tokio::join!(other, pressing);
        assert!(fresh.message["text"].as_str().unwrap().contains("is active"));
        assert_eq!(app.kapso.requests().len(), 3, "a new request");
    })
    .await;
}
