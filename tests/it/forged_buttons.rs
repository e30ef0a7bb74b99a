//! Values of buttons that a client changed: nobody reads a masked phone number, and nobody stands on a card as the one
//! who shared it, because of a value.

use kapso_slack::demo::{PostedMessage, plain};
use serde_json::{Value, json};

use crate::support::cards::{SHOW, expect_private_reply, share, with_fresh_lookups};
use crate::support::{ID, TestApp, test_app};

const TOO_OLD: &str = "This button is too old, or from another version of the app.";

fn expect_no_phone(posted: &PostedMessage, what: &str) {
    assert!(!posted.message.to_string().contains("+1234"), "{what}: {posted:?}");
}

fn value_of(posted: &PostedMessage, action_id: &str) -> String {
    kapso_slack::demo::rules::buttons(&posted.message)
        .find(|button| button["action_id"] == action_id)
        .and_then(|button| button["value"].as_str())
        .unwrap_or_else(|| panic!("no button {action_id}: {posted:?}"))
        .to_owned()
}

/// With every value that this app has ever written for the session, unsigned and for another card.
#[tokio::test]
async fn a_press_on_a_shared_card_never_shows_the_number_whatever_its_value_says() {
    test_app()
        .with_public_url()
        .without_cache()
        .run(async |app| {
            app.wait_for_store().await;
            app.kapso.set_rate_limit(10_000);
            let card = app.command(SHOW).await;
            let unmasked = value_of(&card, "refresh");
            let (for_all, own) = share(app, &card).await;
            let list = app.command("/sandbox list").await;
            let values = [
                format!("v1:{ID}"),
                unmasked,
                value_of(&own, "refresh"),
                value_of(&list, "show"),
                value_of(&for_all, "refresh"),
            ];
            app.person.user = "U0OTHER".to_owned();
            for value in values {
                for button in ["show", "refresh", "qr", "watch", "unwatch"] {
                    let answer = app.press_with_value(&for_all, button, &value).await;
                    expect_no_phone(&answer, button);
                    if answer.in_channel {
                        continue;
                    }
                    // Nor does what came of it.
                    for action_id in ["refresh", "watch", "unwatch"] {
                        let has_it = kapso_slack::demo::rules::buttons(&answer.message)
                            .any(|found| found["action_id"] == action_id);
                        if has_it {
                            expect_no_phone(&app.press(&answer, action_id).await, action_id);
                        }
                    }
                }
            }
        })
        .await;
}

/// A list that was asked for on a shared card masks the numbers, and so do the cards of its sessions.
#[tokio::test]
async fn a_list_on_a_shared_card_leads_to_masked_cards() {
    with_fresh_lookups(async |app| {
        for n in 0..12 {
            app.kapso.add_session(&format!("another-{n}"));
        }
        let card = app.command(SHOW).await;
        let list = app.command("/sandbox list").await;
        let page = value_of(&list, "page");
        let (for_all, _) = share(app, &card).await;
        app.person.user = "U0OTHER".to_owned();
        let list = app.press_with_value(&for_all, "page", &page).await;
        let shown = app.press(&list, "show").await;
        assert!(plain::text(&shown.message).contains("8901"), "{shown:?}");
        expect_no_phone(&shown, "show");
        let again = app.press(&shown, "refresh").await;
        expect_no_phone(&again, "refresh");
    })
    .await;
}

#[tokio::test]
async fn nobody_stands_on_a_card_as_the_one_who_shared_it_because_of_a_value() {
    with_fresh_lookups(async |app| {
        let card = app.command(SHOW).await;
        let (for_all, _) = share(app, &card).await;
        let genuine = value_of(&for_all, "refresh");
        app.person.user = "U0OTHER".to_owned();
        for value in [
            format!("v1:{ID}:U0BOSS"),
            genuine.replace("U2147483697", "U0BOSS"),
            genuine.replacen('|', ":U0BOSS|", 1),
        ] {
            let answer = app.press_with_value(&for_all, "refresh", &value).await;
            assert!(!answer.message.to_string().contains("U0BOSS"), "{value}: {answer:?}");
            expect_private_reply(app, &for_all, &answer, TOO_OLD);
        }
        let fresh = app.press(&for_all, "refresh").await;
        assert!(
            plain::text(&fresh.message).ends_with("shared by @U2147483697"),
            "{fresh:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_value_with_any_character_changed_is_refused() {
    with_fresh_lookups(async |app| {
        let card = app.command(SHOW).await;
        let genuine = value_of(&card, "refresh");
        let asked = app.kapso.requests();
        let changed = (0..genuine.len()).step_by(7).map(|at| {
            let replacement = if genuine.as_bytes()[at] == b'0' { "1" } else { "0" };
            format!("{}{replacement}{}", &genuine[..at], &genuine[at + 1..])
        });
        let others = [
            format!("{genuine} "),
            format!("{genuine}0"),
            format!(" {genuine}"),
            genuine[..genuine.len() - 1].to_owned(),
            genuine.to_uppercase(),
            genuine
                .rsplit_once('|')
                .map_or(String::new(), |(signed, _)| format!("{signed}|")),
            genuine
                .rsplit_once('|')
                .map_or(String::new(), |(signed, _)| signed.to_owned()),
        ];
        for value in changed.chain(others) {
            let answer = app.press_with_value(&card, "refresh", &value).await;
            expect_private_reply(app, &card, &answer, TOO_OLD);
        }
        assert_eq!(app.kapso.requests(), asked);
        assert_eq!(app.press(&card, "refresh").await.id, card.id);
    })
    .await;
}

/// Cards stay in a channel while the operator replaces the signing secret.
#[tokio::test]
async fn buttons_work_while_the_signing_secret_is_replaced() {
    const NEW: &str = "0123456789abcdef0123456789abcdef";
    let value = with_secrets(crate::support::SECRET, async |app| {
        value_of(&app.command(SHOW).await, "refresh")
    })
    .await;
    for (secrets, works) in [
        (format!("{},{NEW}", crate::support::SECRET), true),
        (format!("{NEW},{}", crate::support::SECRET), true),
        // The fake signs its requests with the old secret, so that one stays accepted.
        (crate::support::SECRET.to_owned(), true),
    ] {
        let newer = with_secrets(&secrets, async |app| {
            let card = app.command(SHOW).await;
            let answer = app.press_with_value(&card, "refresh", &value).await;
            assert_eq!(answer.id == card.id, works, "{answer:?}");
            value_of(&card, "refresh")
        })
        .await;
        assert_eq!(newer == value, !secrets.starts_with(NEW), "the first secret signs");
    }
    let newer = with_secrets(&format!("{NEW},{}", crate::support::SECRET), async |app| {
        value_of(&app.command(SHOW).await, "refresh")
    })
    .await;
    with_secrets(crate::support::SECRET, async |app| {
        let card = app.command(SHOW).await;
        let answer = app.press_with_value(&card, "refresh", &newer).await;
        expect_private_reply(app, &card, &answer, TOO_OLD);
    })
    .await;
}

async fn with_secrets<T>(secrets: &str, test: impl AsyncFnOnce(&mut TestApp) -> T) -> T {
    let mut result = None;
    test_app()
        .with("SLACK_SIGNING_SECRET", secrets)
        .without_cache()
        .run(async |app| result = Some(test(app).await))
        .await;
    result.unwrap()
}

/// Slack takes 2,000 characters: the longest of each kind of value.
#[tokio::test]
async fn the_longest_values_fit_into_a_button() {
    let id = "x".repeat(64);
    let user = format!("U{}", "1".repeat(31));
    test_app()
        .with_creation()
        .run(async |app| {
            app.kapso.add_session(&id);
            app.person.user = user;
            app.person.enterprise = Some(format!("E{}", "1".repeat(31)));
            let card = app.command(&format!("/sandbox show {id}")).await;
            let (for_all, _) = share(app, &card).await;
            let new = "/sandbox new +12025550123 agent-123abc";
            app.command(new).await;
            let question = app.command(new).await;
            for (posted, action_id) in [(&for_all, "refresh"), (&question, "again")] {
                let value = value_of(posted, action_id);
                assert!(value.len() < 1_000, "{value}");
            }
            let created = app.press(&question, "again").await;
            assert_eq!(created.message["response_type"], json!("ephemeral"));
            assert_ne!(created.message["blocks"], Value::Null);
        })
        .await;
}
