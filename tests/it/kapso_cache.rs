//! Those who ask for one id share what Kapso says, for a moment.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use jiff::SignedDuration;
use kapso_slack::demo::Fault;

use crate::support::{TestApp, ID, house, plan};

async fn shown(house: &TestApp, id: &str) {
    let card = house.reads(&format!("/sandbox {id}")).await;
    assert!(card.contains("Waiting for activation"), "{card}");
}

#[tokio::test]
async fn five_hundred_who_ask_for_one_id_make_at_most_two_requests() {
    plan()
        .set(|settings| settings.reply_budget = Duration::from_mins(1))
        .house(async |house| {
            house.kapso.fail_next(Fault::Hold);
            let asking = join_all((0..500).map(async |_| house.answers(&house.slip(ID, None)).await.body));
            let released = async {
                house.kapso.has_been_asked(1).await;
                house.kapso.release();
            };
            let (cards, ()) = tokio::join!(asking, released);
            assert_eq!(cards.len(), 500);
            for card in &cards {
                assert!(card.contains("is waiting for activation"), "{card}");
                assert_eq!(card, &cards[0]);
            }
            assert!(house.kapso.requests().len() <= 2, "{:?}", house.kapso.requests());
        })
        .await;
}

#[tokio::test]
async fn a_failure_is_shared_as_well() {
    house(async |house| {
        house.kapso.fail(Some(Fault::answer(StatusCode::UNAUTHORIZED, "")));
        let cards = join_all((0..100).map(|_| house.reads("/sandbox 123e4567-e89b-12d3-a456-426614174000"))).await;
        assert!(
            cards
                .iter()
                .all(|card| card.starts_with("Kapso refused this app's key"))
        );
        assert!(house.kapso.requests().len() <= 2, "{:?}", house.kapso.requests());
    })
    .await;
}

#[tokio::test]
async fn a_card_is_remembered_for_five_seconds() {
    house(async |house| {
        let asked = || house.kapso.requests().len();
        shown(house, ID).await;
        house.passes(SignedDuration::from_secs(5));
        shown(house, ID).await;
        assert_eq!(asked(), 1, "asked again within 5 s");
        house.passes(SignedDuration::from_millis(1));
        shown(house, ID).await;
        assert_eq!(asked(), 2, "not asked again after 5 s");
    })
    .await;
}

#[tokio::test]
async fn a_failure_is_not_remembered() {
    house(async |house| {
        assert!(house.reads("/sandbox new-one").await.contains("There is no session"));
        house.kapso.add("new-one");
        shown(house, "new-one").await;
        assert_eq!(house.kapso.requests().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn fifty_who_press_refresh_make_at_most_two_requests() {
    house(async |house| {
        let cards = join_all((0..50).map(|_| house.types("/sandbox 123e4567-e89b-12d3-a456-426614174000"))).await;
        assert_eq!(house.kapso.requests().len(), 1);
        house.kapso.activate(ID);
        house.kapso.fail_next(Fault::Hold);
        let pressing = join_all(cards.iter().map(|card| house.presses(card, "refresh")));
        let released = async {
            house.kapso.has_been_asked(2).await;
            house.kapso.release();
        };
        let (cards, ()) = tokio::join!(pressing, released);
        assert_eq!(cards.len(), 50);
        for card in cards {
            assert!(card.message["text"].as_str().unwrap().contains("is active"), "{card:?}");
        }
        assert!(house.kapso.requests().len() <= 3, "{:?}", house.kapso.requests());
    })
    .await;
}

#[tokio::test]
async fn who_presses_refresh_reads_no_answer_that_was_asked_for_before() {
    house(async |house| {
        let card = house.types("/sandbox 123e4567-e89b-12d3-a456-426614174000").await;
        house.passes(SignedDuration::from_secs(6));
        // Somebody else's look-up is under way.

        house.kapso.fail_next(Fault::Hold);
        let other = house.reads("/sandbox 123e4567-e89b-12d3-a456-426614174000");
        let pressing = async {
            house.kapso.has_been_asked(2).await;
            house.kapso.activate(ID);
            let pressed = house.presses(&card, "refresh");
            let released = async {
                house.gets("/healthz").await;
                house.kapso.release();
            };
            tokio::join!(pressed, released).0
        };
        let (_, fresh) = tokio::join!(other, pressing);
        assert!(fresh.message["text"].as_str().unwrap().contains("is active"));
        assert_eq!(house.kapso.requests().len(), 3, "it asked again");
    })
    .await;
}
