//! "Share in channel": one card for everybody, in the name of the presser, who gets a confirmation.

use insta::{assert_json_snapshot, assert_snapshot};
use kapso_slack::demo::plain;
use kapso_slack::demo::rules::buttons;
use serde_json::{Value, json};

use crate::support::button_values::{session_value, shared_value};
use crate::support::cards::{SHOW, channel_messages, share};
use crate::support::cards::{expect_private_reply, shared_card};
use crate::support::cards::{sorted, with_fresh_lookups};
use crate::support::inert_text::expect_inert;
use crate::support::{ID, test_app};

/// The default user.
const USER: &str = "U2147483697";

fn labels(message: &Value) -> Vec<&str> {
    buttons(message)
        .filter_map(|button| button["text"]["text"].as_str())
        .collect()
}

#[tokio::test]
async fn the_channel_gets_a_masked_card_and_the_presser_a_confirmation() {
    with_fresh_lookups(async |app| {
        let card = app.command(SHOW).await;
        let (for_all, own) = share(app, &card).await;
        assert_snapshot!(
            "the_channel_gets_a_masked_card_and_the_presser_a_confirmation",
            plain::text(&for_all.message)
        );
        assert_snapshot!(
            "the_channel_gets_a_masked_card_and_the_presser_a_confirmation_2",
            plain::text(&own.message)
        );
        assert!(!for_all.message.to_string().contains("+1234"), "{for_all:?}");
        assert_json_snapshot!("shared", sorted(for_all.message));
        assert_json_snapshot!("was_shared", sorted(own.message));
        assert_eq!(app.slack.post_count(), 2);
        let line = &app.wait_for_commands(2).await[1];
        assert_eq!(
            (&line["verb"], &line["outcome"], &line["answer"], &line["session_id"]),
            (&json!("share"), &json!("shared"), &json!("late"), &json!(ID))
        );
    })
    .await;
}

#[tokio::test]
async fn sharing_has_a_confirmation_dialog() {
    with_fresh_lookups(async |app| {
        let card = app.command(SHOW).await;
        let share = buttons(&card.message)
            .find(|button| button["action_id"] == "share")
            .unwrap();
        let words = |part: &str| share["confirm"][part]["text"].as_str().unwrap().to_owned();
        assert_snapshot!(
            "sharing_has_a_confirmation_dialog",
            ["title", "text", "confirm", "deny"].map(words).join("\n")
        );
        for button in buttons(&card.message).filter(|button| button["action_id"] != "share") {
            assert_eq!(button["confirm"], Value::Null, "{button}");
        }
    })
    .await;
}

#[tokio::test]
async fn only_a_private_card_with_a_link_or_code_can_be_shared() {
    let rows = [
        ("pending", json!({}), true),
        ("without a link", json!({"activation_link": null}), true),
        (
            "without a code",
            json!({"activation_code": null, "activation_message": null}),
            true,
        ),
        (
            "without either",
            json!({"activation_link": null, "activation_code": null, "activation_message": null}),
            false,
        ),
        ("active", json!({"status": "active"}), false),
        ("expired", json!({"status": "expired"}), false),
        ("superseded", json!({"status": "superseded"}), false),
        ("of a new status", json!({"status": "paused_by_operator"}), false),
    ];
    with_fresh_lookups(async |app| {
        app.kapso.allow_undocumented();
        for (what, fields, can) in rows {
            app.kapso.add_session(ID);
            for (field, value) in fields.as_object().unwrap() {
                app.kapso.set_field(ID, field, value.clone());
            }
            let card = app.command(SHOW).await.message;
            assert_eq!(
                labels(&card).contains(&"Share in channel"),
                can,
                "a session {what}: {card}"
            );
        }
        app.kapso.add_session(ID);
        let card = app.command(SHOW).await;
        let (for_all, own) = share(app, &card).await;
        assert!(!labels(&for_all.message).contains(&"Share in channel"), "{for_all:?}");
        assert!(!labels(&own.message).contains(&"Share in channel"), "{own:?}");
        let refreshed = app.press(&for_all, "refresh").await;
        assert!(
            !labels(&refreshed.message).contains(&"Share in channel"),
            "{refreshed:?}"
        );
        let again = app.press(&own, "refresh").await;
        assert!(labels(&again.message).contains(&"Share in channel"), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn anybody_can_refresh_the_shared_card_for_everybody() {
    with_fresh_lookups(async |app| {
        let card = app.command(SHOW).await;
        let (for_all, own) = share(app, &card).await;
        app.person.user = "U0OTHER".to_owned();
        app.kapso.activate(ID);
        let fresh = app.press(&for_all, "refresh").await;
        assert_eq!(fresh.id, for_all.id, "the card is replaced");
        assert!(fresh.in_channel);
        let text = plain::text(&fresh.message);
        assert!(
            text.contains("🟢 Active") && text.contains("Phone: •••• 8901"),
            "{text}"
        );
        assert!(text.ends_with("shared by @U2147483697"), "{text}");
        let current = app.slack.conversation().into_iter().find(|posted| posted.id == own.id);
        assert_eq!(current.unwrap().message, own.message);
    })
    .await;
}

#[tokio::test]
async fn sharing_keeps_the_watch() {
    test_app()
        .without_cache()
        .run(async |app| {
            app.wait_for_store().await;
            let card = app.command(&format!("/sandbox watch {ID}")).await;
            let (for_all, own) = share(app, &card).await;
            let text = plain::text(&own.message);
            assert!(text.contains("👀 Watching until"), "{text}");
            assert!(labels(&own.message).contains(&"Stop watching"), "{text}");
            let text = plain::text(&for_all.message);
            assert!(!text.contains("Watching"), "others see this one: {text}");
        })
        .await;
}

#[tokio::test]
async fn a_session_that_cannot_be_activated_is_not_shared() {
    for (end, words) in [
        ("active", "🟢 Active"),
        ("expired", "⚫ Expired"),
        ("superseded", "🔵 Superseded"),
        ("paused_by_operator", "⚪ Status: paused_by_operator"),
    ] {
        // With the cache, too: sharing bypasses it.
        test_app()
            .run(async |app| {
                app.kapso.allow_undocumented();
                let card = app.command(SHOW).await;
                app.kapso.set_field(ID, "status", end.into());
                let instead = app.press(&card, "share").await;
                assert_eq!(instead.id, card.id, "{end}: the card is replaced");
                assert!(plain::text(&instead.message).contains(words), "{end}: {instead:?}");
                app.shut_down().await;
                assert!(channel_messages(app).is_empty(), "{end}");
                assert_eq!(app.slack.post_count(), 1, "{end}");
            })
            .await;
    }
}

#[tokio::test]
async fn a_card_is_shared_in_the_name_of_the_presser() {
    with_fresh_lookups(async |app| {
        let card = app.command(SHOW).await;
        for value in [shared_value(ID, "U0BOSS"), shared_value(ID, USER), session_value(ID)] {
            app.person.user = "U0PRESSER".to_owned();
            let press =
                app.slack
                    .press_button_with_value(&app.app_url, &app.person, &card, "share", value.as_str().into());
            let for_all = app.late_reply(press.await.exchange).await;
            let text = plain::text(&for_all.message);
            assert!(text.ends_with("shared by @U0PRESSER"), "{value}: {text}");
            assert!(!for_all.message.to_string().contains("U0BOSS"), "{value}: {for_all:?}");
        }
    })
    .await;
}

/// Slack always sends the user. If it does not, nothing is shared.
#[tokio::test]
async fn a_press_without_a_valid_user_shares_nothing() {
    with_fresh_lookups(async |app| {
        let card = app.command(SHOW).await;
        for user in ["", "steve", "U1><!channel>", "u2147483697"] {
            app.person.user = user.to_owned();
            let answer = app.press(&card, "share").await;
            expect_private_reply(
                app,
                &card,
                &answer,
                "This button is too old, or from another version of the app.",
            );
        }
        app.shut_down().await;
        assert!(channel_messages(app).is_empty());
    })
    .await;
}

/// Shared cards do not have the button, but Slack may omit that a card is ephemeral.
#[tokio::test]
async fn sharing_from_a_shared_card_leaves_it_unchanged() {
    with_fresh_lookups(async |app| {
        let earlier = shared_card(app, &shared_value(ID, "U0SHARER00"));
        let press =
            app.slack
                .press_button_with_value(&app.app_url, &app.person, &earlier, "share", session_value(ID).into());
        let exchange = press.await.exchange;
        let first = app.late_reply(exchange).await;
        assert!(first.in_channel && first.id != earlier.id, "{first:?}");
        let own = app.next_message(&first).await;
        assert_eq!(
            (&own.message["replace_original"], own.in_channel),
            (&json!(false), false)
        );
        let text = plain::text(&own.message);
        assert!(
            text.contains("📣 Shared") && text.contains("Phone: •••• 8901"),
            "{text}"
        );
    })
    .await;
}

#[tokio::test]
async fn people_without_access_can_use_no_button_of_a_shared_card() {
    test_app()
        .with_public_url()
        .with("ALLOWED_USERS", USER)
        .run(async |app| {
            app.wait_for_store().await;
            let card = app.command(SHOW).await;
            let (for_all, own) = share(app, &card).await;
            let requests = app.kapso.requests();
            app.person.user = "U0OTHER".to_owned();
            for button in ["refresh", "watch", "unwatch", "qr", "share"] {
                for on in [&for_all, &own] {
                    let press = app.slack.press_button_with_value(
                        &app.app_url,
                        &app.person,
                        on,
                        button,
                        session_value(ID).into(),
                    );
                    let answer = app.late_reply(press.await.exchange).await;
                    expect_private_reply(app, on, &answer, "You cannot use this here.");
                }
            }
            assert_eq!(app.kapso.requests(), requests, "no request to Kapso");
            app.shut_down().await;
            assert_eq!(channel_messages(app).len(), 1);
        })
        .await;
}

#[tokio::test]
async fn text_on_a_shared_card_is_inert() {
    with_fresh_lookups(async |app| {
        for words in [
            "MARK<!channel>",
            "MARK <@U1> <#C1|general> <!subteam^S1>",
            "MARK <https://evil.example|Activate>",
            "*MARK* shared by <@U0BOSS>",
            "MARK\n\n> quoted",
        ] {
            app.kapso.set_field(ID, "agent", json!({"name": words}));
            app.kapso.set_field(ID, "activation_code", words.into());
            let card = app.command(SHOW).await;
            let (for_all, own) = share(app, &card).await;
            expect_inert(&for_all.message, words);
            expect_inert(&own.message, words);
        }
    })
    .await;
}
