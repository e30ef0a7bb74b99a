//! Concurrent lookups of one id are joined, and results are cached for a few seconds.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use jiff::SignedDuration;
use kapso_slack::demo::Fault;

use crate::support::{ID, TestApp, test_app, with_app};

async fn shown(app: &TestApp, id: &str) {
    let card = app.command_text(&format!("/sandbox {id}")).await;
    assert!(card.contains("Waiting for activation"), "{card}");
}

#[tokio::test]
async fn five_hundred_look_ups_of_one_id_make_at_most_two_requests() {
    test_app()
        .set(|settings| settings.reply_budget = Duration::from_mins(1))
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let asking = join_all((0..500).map(async |_| app.send_raw(&app.command_request(ID, None)).await.body));
            let released = async {
                app.kapso.wait_for_requests(1).await;
                app.kapso.release_stalled_requests();
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
        app.kapso.set_fault(Some(Fault::answer(StatusCode::UNAUTHORIZED, "")));
        let cards = join_all((0..100).map(|_| app.command_text("/sandbox 123e4567-e89b-12d3-a456-426614174000"))).await;
        assert!(
            cards
                .iter()
                .all(|card| card.starts_with("Kapso refused this app's key"))
        );
        assert!(app.kapso.requests().len() <= 2, "{:?}", app.kapso.requests());
    })
    .await;
}

/// Kapso may have read it at any time since then.
#[tokio::test]
async fn a_cached_session_is_as_old_as_its_request() {
    test_app()
        .with_short_budget()
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let slow = app.expect_ack_only(&format!("/sandbox {ID}")).await;
            app.kapso.wait_for_requests(1).await;
            app.advance_clock(SignedDuration::from_secs(6));
            app.kapso.release_stalled_requests();
            app.late_reply(slow).await;
            app.send(&format!("/sandbox {ID}")).await;
            app.kapso.wait_for_requests(2).await;
        })
        .await;
}

#[tokio::test]
async fn a_session_is_cached_for_five_seconds() {
    with_app(async |app| {
        let requests = || app.kapso.requests().len();
        shown(app, ID).await;
        app.advance_clock(SignedDuration::from_secs(5));
        shown(app, ID).await;
        assert_eq!(requests(), 1, "requested again within 5 s");
        app.advance_clock(SignedDuration::from_millis(1));
        shown(app, ID).await;
        assert_eq!(requests(), 2, "not requested again after 5 s");
    })
    .await;
}

#[tokio::test]
async fn an_error_is_not_cached() {
    with_app(async |app| {
        assert!(
            app.command_text("/sandbox new-one")
                .await
                .contains("There is no session")
        );
        app.kapso.add_session("new-one");
        shown(app, "new-one").await;
        assert_eq!(app.kapso.requests().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn fifty_presses_of_refresh_make_at_most_two_requests() {
    with_app(async |app| {
        let cards = join_all((0..50).map(|_| app.command("/sandbox 123e4567-e89b-12d3-a456-426614174000"))).await;
        assert_eq!(app.kapso.requests().len(), 1);
        app.kapso.activate(ID);
        app.kapso.fail_next_request(Fault::Stall);
        let pressing = join_all(cards.iter().map(|card| app.press(card, "refresh")));
        let released = async {
            app.kapso.wait_for_requests(2).await;
            app.kapso.release_stalled_requests();
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
        let card = app.command("/sandbox 123e4567-e89b-12d3-a456-426614174000").await;
        app.advance_clock(SignedDuration::from_secs(6));
        // A lookup by another person is in flight.
        app.kapso.fail_next_request(Fault::Stall);
        let other = app.command_text("/sandbox 123e4567-e89b-12d3-a456-426614174000");
        let pressing = async {
            app.kapso.wait_for_requests(2).await;
            app.kapso.activate(ID);
            let pressed = app.press(&card, "refresh");
            let released = async {
                app.get("/healthz").await;
                app.kapso.release_stalled_requests();
            };
            tokio::join!(pressed, released).0
        };
        let (_, fresh) = tokio::join!(other, pressing);
        assert!(fresh.message["text"].as_str().unwrap().contains("is active"));
        assert_eq!(app.kapso.requests().len(), 3, "a new request");
    })
    .await;
}
