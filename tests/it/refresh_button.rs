//! Refresh: acknowledged at once; the reply replaces the card, or is a separate message if it fails.

use http::StatusCode;
use insta::assert_snapshot;
use kapso_slack::demo::{Fault, plain};

use crate::support::button_values::{session_value, shared_value};
use crate::support::cards::{expect_private_reply, shared_card};
use crate::support::{ID, with_app};

const SHARED_BY: &str = "U0SHARER00";

#[tokio::test]
async fn refresh_replaces_the_card_and_bypasses_the_cache() {
    with_app(async |app| {
        let card = app.command(&format!("/sandbox {ID}")).await;
        app.kapso.activate(ID);
        let fresh = app.press(&card, "refresh").await;
        assert_eq!(fresh.id, card.id, "the card is replaced");
        assert_eq!(fresh.message["response_type"], "ephemeral");
        assert_eq!(fresh.message["replace_original"], true);
        assert!(
            fresh.message["text"].as_str().unwrap().contains("is active"),
            "{fresh:?}"
        );

        app.kapso.expire(ID);
        let fresher = app.press(&fresh, "refresh").await;
        assert_eq!(fresher.id, card.id, "the fresh card is replaced as well");
        assert!(
            fresher.message["text"].as_str().unwrap().contains("has expired"),
            "{fresher:?}"
        );
        assert_eq!(app.kapso.requests().len(), 3);

        let typed = app.command_text(&format!("/sandbox {ID}")).await;
        assert!(
            typed.contains("Expired"),
            "what a press has brought is remembered: {typed}"
        );
        assert_eq!(app.kapso.requests().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_press_is_acknowledged_before_kapso_answers() {
    with_app(async |app| {
        let card = app.command(&format!("/sandbox {ID}")).await;
        app.kapso.fail_next_request(Fault::Stall);
        let sent = app
            .slack
            .press_button(&app.app_url, &app.person, &card, "refresh")
            .await;
        assert_eq!(sent.status, Some(StatusCode::OK));
        app.kapso.wait_for_requests(2).await;
        assert_eq!(app.slack.conversation().len(), 1, "nothing is posted meanwhile");
        app.kapso.release_stalled_requests();
        assert_eq!(app.late_reply(sent.exchange).await.id, card.id);
    })
    .await;
}

#[tokio::test]
async fn a_refreshed_shared_card_stays_masked_and_names_who_shared_it() {
    with_app(async |app| {
        let shared = shared_card(app, &shared_value(ID, SHARED_BY));
        app.kapso.activate(ID);
        let fresh = app.press(&shared, "refresh").await;
        assert_eq!(fresh.id, shared.id, "the card is replaced");
        assert!(fresh.in_channel);
        assert_eq!(fresh.message["response_type"], "in_channel");
        assert_eq!(fresh.message["replace_original"], true);
        assert_snapshot!(plain::text(&fresh.message), @"
        WHATSAPP SANDBOX SESSION
        🟢 Active
        Messages from this phone to the sandbox number reach the agent.
        Agent: Customer Support Agent
        Phone: •••• 8901
        Expires Nov 24, 2026 at 10:00 UTC (in 24 hours)
        [ Refresh ]
        Session 123e4567-e89b-12d3-a456-426614174000 · shared by @U0SHARER00
        ");
        assert_snapshot!("shared_card_text", fresh.message["text"].as_str().unwrap());
        assert!(
            !fresh.message.to_string().contains("1234567"),
            "the phone is masked: {fresh:?}"
        );
        let small_print = fresh.message["blocks"].as_array().unwrap().last().unwrap();
        assert_eq!(
            small_print["elements"][0]["text"],
            format!("Session `{ID}` · shared by <@{SHARED_BY}>")
        );

        let again = app.press(&fresh, "refresh").await;
        assert_eq!(again.message, fresh.message, "the card keeps who shared it");
    })
    .await;
}

#[tokio::test]
async fn a_shared_card_without_a_user_in_its_value_names_nobody() {
    with_app(async |app| {
        let shared = shared_card(app, &session_value(ID));
        let fresh = app.press(&shared, "refresh").await;
        assert_eq!(fresh.id, shared.id);
        let card = plain::text(&fresh.message);
        assert!(card.contains("Phone: •••• 8901"), "{card}");
        assert!(!card.contains("shared by"), "{card}");
    })
    .await;
}

#[tokio::test]
async fn a_short_phone_number_is_hidden_entirely() {
    with_app(async |app| {
        for phone in ["1234567", "+1 234", "1", "no number", "１２３４５６７８９"] {
            app.kapso.set_field(ID, "phone_number", phone.into());
            let shared = shared_card(app, &session_value(ID));
            let fresh = app.press(&shared, "refresh").await.message;
            let card = plain::text(&fresh);
            assert!(card.contains("Phone: ••••\n"), "{phone}: {card}");
            let text = fresh["text"].as_str().unwrap();
            assert!(text.starts_with("The sandbox session of •••• with"), "{phone}: {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_failed_refresh_says_so_to_the_presser_and_leaves_the_card() {
    with_app(async |app| {
        let own = app.command(&format!("/sandbox {ID}")).await;
        let shared = shared_card(app, &shared_value(ID, SHARED_BY));
        let faults = [
            (401, "{}", "refused this app's key"),
            (404, r#"{"error":"Sandbox session not found"}"#, "There is no session"),
            (410, "", "Kapso may have moved this API"),
            (503, "", "Kapso had an error"),
            (429, "", "Kapso is limiting this app's requests"),
        ];
        for (status, body, words) in faults {
            for card in [&own, &shared] {
                let status = StatusCode::from_u16(status).unwrap();
                app.kapso.set_fault(Some(Fault::answer(status, body)));
                let answer = app.press(card, "refresh").await;
                expect_private_reply(app, card, &answer, words);
            }
        }
        app.kapso.set_fault(None);
    })
    .await;
}
