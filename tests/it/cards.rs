//! Somebody types `/sandbox <id>` and reads a card.

use insta::assert_snapshot;
use jiff::SignedDuration;

use crate::house::{ID, house};

#[tokio::test]
async fn a_pending_session_shows_its_status_expiry_and_link() {
    house(async |house| {
        assert_snapshot!(house.reads(&format!("/sandbox {ID}")).await, @r"
        WHATSAPP SANDBOX SESSION
        🟡 Waiting for activation
        Open the link on the tester's phone and send the message it holds.
        Agent: Customer Support Agent
        Phone: +12345678901
        Code: ABC123
        Expires Nov 24, 2026 at 10:00 UTC (in 24 hours)
        [ Activate in WhatsApp → https://wa.me/12345678901?text=ABC123 ]  [ Refresh ]
        Session 123e4567-e89b-12d3-a456-426614174000
        ");
    })
    .await;
}

#[tokio::test]
async fn a_pending_session_of_twenty_minutes_ago_may_have_lost_its_code() {
    house(async |house| {
        house.passes(SignedDuration::from_mins(20));
        let card = house.reads(&format!("/sandbox {ID}")).await;
        assert!(card.contains("created 20 minutes ago"), "{card}");
        assert!(card.contains("may have lapsed"), "{card}");
    })
    .await;
}

#[tokio::test]
async fn refresh_replaces_the_card_and_goes_past_the_cache() {
    house(async |house| {
        let card = house.types(&format!("/sandbox {ID}")).await;
        house.kapso.activate(ID);
        let fresh = house.presses(&card, "refresh").await;
        assert_eq!(fresh.id, card.id, "the card is replaced");
        assert!(fresh.message["text"].as_str().unwrap().contains("is active"));
        assert_eq!(house.kapso.requests().len(), 2);
    })
    .await;
}
