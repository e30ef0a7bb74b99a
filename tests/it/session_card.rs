//! The card of a session in every status.

use insta::{assert_json_snapshot, assert_snapshot};
use jiff::SignedDuration;
use kapso_slack::demo::plain;
use kapso_slack::demo::rules::buttons;
use serde_json::{Value, json};

use crate::support::ID;
use crate::support::button_values::content;
use crate::support::cards::{show_session, sorted, text, with_fresh_lookups};

#[tokio::test]
async fn a_pending_session_shows_its_status_expiry_code_and_link() {
    with_fresh_lookups(async |app| {
        let card = show_session(app).await;
        assert_snapshot!(
            "a_pending_session_shows_its_status_expiry_code_and_link",
            plain::text(&card)
        );
        assert_snapshot!(
            "a_pending_session_shows_its_status_expiry_code_and_link_text",
            text(&card)
        );
        assert_json_snapshot!("pending", sorted(card));
    })
    .await;
}

#[tokio::test]
async fn an_old_pending_session_warns_about_its_code() {
    with_fresh_lookups(async |app| {
        app.advance_clock(SignedDuration::from_secs(15 * 60 - 1));
        let card = plain::text(&show_session(app).await);
        assert!(!card.contains("may no longer work"), "{card}");
        app.advance_clock(SignedDuration::from_secs(1));
        let card = plain::text(&show_session(app).await);
        assert!(card.contains("created 15 minutes ago"), "{card}");
        app.advance_clock(SignedDuration::from_mins(5));
        assert_snapshot!(
            "an_old_pending_session_warns_about_its_code",
            plain::text(&show_session(app).await)
        );
        app.kapso.activate(ID);
        app.advance_clock(SignedDuration::from_mins(5));
        let card = plain::text(&show_session(app).await);
        assert!(
            !card.contains("may no longer work"),
            "an active session needs no code: {card}"
        );
    })
    .await;
}

#[tokio::test]
async fn an_active_session_says_what_it_means() {
    with_fresh_lookups(async |app| {
        app.kapso.activate(ID);
        let card = show_session(app).await;
        assert_snapshot!(plain::text(&card), @"
            WHATSAPP SANDBOX SESSION
            🟢 Active
            Messages from this phone to the sandbox number reach the agent.
            Agent: Customer Support Agent
            Phone: +12345678901
            Expires Nov 24, 2026 at 10:00 UTC (in 24 hours)
            [ Refresh ]
            Session 123e4567-e89b-12d3-a456-426614174000
            ");
        assert_snapshot!("an_active_session_says_what_it_means_text", text(&card));
    })
    .await;
}

#[tokio::test]
async fn an_expired_session_says_how_to_continue() {
    with_fresh_lookups(async |app| {
        app.kapso.expire(ID);
        app.advance_clock(SignedDuration::from_hours(25));
        let card = show_session(app).await;
        assert_snapshot!(plain::text(&card), @"
            WHATSAPP SANDBOX SESSION
            ⚫ Expired
            Messages from this phone no longer reach the agent. Ask somebody who may create sessions for a new one.
            Agent: Customer Support Agent
            Phone: +12345678901
            Expired Nov 24, 2026 at 10:00 UTC (an hour ago)
            [ Refresh ]
            Session 123e4567-e89b-12d3-a456-426614174000
            ");
        assert_snapshot!("an_expired_session_says_how_to_continue_text", text(&card));
    })
    .await;
}

#[tokio::test]
async fn a_superseded_session_says_what_it_means() {
    with_fresh_lookups(async |app| {
        app.kapso.supersede(ID);
        let card = show_session(app).await;
        assert_snapshot!("a_superseded_session_says_what_it_means", plain::text(&card));
        assert_snapshot!("a_superseded_session_says_what_it_means_text", text(&card));
    })
    .await;
}

#[tokio::test]
async fn an_unknown_status_is_shown_as_received() {
    with_fresh_lookups(async |app| {
        app.kapso.allow_undocumented();
        app.kapso.set_field(ID, "status", "paused_by_operator".into());
        let card = show_session(app).await;
        assert_snapshot!(plain::text(&card), @"
            WHATSAPP SANDBOX SESSION
            ⚪ Status: paused_by_operator
            This app doesn't recognise this status. Look the session up in Kapso's dashboard.
            Agent: Customer Support Agent
            Phone: +12345678901
            Code: ABC123
            Expires Nov 24, 2026 at 10:00 UTC (in 24 hours)
            [ Refresh ]
            Session 123e4567-e89b-12d3-a456-426614174000
            ");
        assert_snapshot!("an_unknown_status_is_shown_as_received_text", text(&card));
        assert_json_snapshot!("unknown_status", sorted(card));
    })
    .await;
}

#[tokio::test]
async fn a_session_with_only_id_and_status_has_a_card() {
    with_fresh_lookups(async |app| {
        app.kapso.allow_undocumented();
        app.kapso
            .put_session(ID, json!({"id": ID, "status": "pending_activation"}));
        let card = show_session(app).await;
        assert_snapshot!(plain::text(&card), @"
        WHATSAPP SANDBOX SESSION
        🟡 Waiting for activation
        Agent: none assigned
        Phone: not given
        Kapso didn't provide an activation link or a code. Ask somebody who may create sessions for a new one.
        [ Refresh ]  [ Tell me when it is active ]
        Session 123e4567-e89b-12d3-a456-426614174000
        ");
        assert_snapshot!(text(&card), @"The sandbox session is waiting for activation.");
    })
    .await;
}

#[tokio::test]
async fn null_or_mistyped_fields_count_as_missing() {
    with_fresh_lookups(async |app| {
        app.kapso.allow_undocumented();
        app.kapso
            .put_session(ID, json!({"id": ID, "status": "pending_activation"}));
        let bare = show_session(app).await;
        let kinds = [
            Value::Null,
            json!(true),
            json!(123_456),
            json!(1.5e300),
            json!(""),
            json!(" \t"),
            json!([]),
            json!([{}, "ABC123"]),
            json!({}),
            json!({"name": null}),
            json!({"name": ["ABC123"]}),
        ];
        for kind in kinds {
            app.kapso.add_session(ID);
            for field in [
                "phone_number",
                "activation_code",
                "activation_message",
                "activation_link",
                "activated_at",
                "expires_at",
                "created_at",
                "updated_at",
                "agent",
            ] {
                app.kapso.set_field(ID, field, kind.clone());
            }
            assert_eq!(show_session(app).await, bare, "every field is {kind}");
        }
        app.kapso.add_session(ID);
        let whole = show_session(app).await;
        app.kapso
            .set_field(ID, "a_field_of_the_future", json!({"status": "expired", "id": 7}));
        assert_eq!(show_session(app).await, whole, "a new field changes nothing");
    })
    .await;
}

#[tokio::test]
async fn only_a_pending_session_has_a_primary_button() {
    with_fresh_lookups(async |app| {
        app.kapso.allow_undocumented();
        for (status, primaries) in [
            ("pending_activation", 1),
            ("active", 0),
            ("expired", 0),
            ("superseded", 0),
            ("paused_by_operator", 0),
            ("PENDING_ACTIVATION", 0),
        ] {
            app.kapso.set_field(ID, "status", status.into());
            let card = show_session(app).await;
            let links: Vec<_> = buttons(&card).filter(|button| !button["url"].is_null()).collect();
            let primary: Vec<_> = buttons(&card).filter(|button| button["style"] == "primary").collect();
            assert_eq!(links, primary, "{status}");
            assert_eq!(primary.len(), primaries, "{status}");
            for button in primary {
                assert_eq!(button["action_id"], "open");
                assert_eq!(button["text"]["text"], "Activate in WhatsApp");
                assert_eq!(button["url"], "https://wa.me/12345678901?text=ABC123");
            }
            let others: Vec<_> = buttons(&card).filter(|button| button["style"].is_null()).collect();
            let ids: Vec<_> = others.iter().map(|button| &button["action_id"]).collect();
            let expected = if primaries == 1 {
                vec!["refresh", "watch", "share"]
            } else {
                vec!["refresh"]
            };
            assert_eq!(ids, expected, "{status}");
            for button in others {
                assert_eq!(
                    content(button["value"].as_str().unwrap()),
                    format!("v1:{ID}"),
                    "{status}"
                );
            }
        }
    })
    .await;
}

#[tokio::test]
async fn sentences_are_paragraphs_without_unfurling() {
    with_fresh_lookups(async |app| {
        // Its text is in the snapshot of `help_command.rs`.
        let help = app.command("/sandbox help").await.message;
        assert_eq!(
            (&help["unfurl_links"], &help["unfurl_media"]),
            (&false.into(), &false.into())
        );
        let blocks = help["blocks"].as_array().unwrap();
        assert_eq!(blocks[0]["type"], "header");
        for block in &blocks[1..] {
            assert_eq!(block["type"], "section");
            assert_eq!(block["text"]["type"], "mrkdwn");
            assert_eq!(block["text"]["verbatim"], true);
        }
        assert_json_snapshot!("did_you_mean", sorted(app.command("/sandbox hlep").await.message));
        let problem = app.command("/sandbox no-such-session").await.message;
        assert_json_snapshot!("problem", sorted(without_request_id(problem)));
    })
    .await;
}

/// Names the request as every request of every run, for snapshots.
fn without_request_id(mut message: Value) -> Value {
    let request = &mut message["blocks"][2]["elements"][0]["text"];
    let id = request
        .as_str()
        .and_then(|text| text.strip_prefix("Request `")?.strip_suffix('`'));
    assert!(
        id.is_some_and(|id| id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit())),
        "{request}"
    );
    *request = "Request `00000000`".into();
    message
}
