//! Presses in whose payload something is null, missing or in another place: each is answered.

use kapso_slack::demo::plain;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::cards::{SHOW, with_fresh_lookups};

/// A change of the payload of a press.
type Change = fn(&mut Value);

fn remove(payload: &mut Value, at: &[&str]) {
    let (last, parents) = at.split_last().unwrap();
    let parent = parents.iter().fold(payload, |value, key| &mut value[*key]);
    parent.as_object_mut().unwrap().remove(*last);
}

fn set(payload: &mut Value, at: &[&str], value: Value) {
    *at.iter().fold(payload, |value, key| &mut value[*key]) = value;
}

async fn refreshes(app: &TestApp, what: &str, change: impl FnOnce(&mut Value)) {
    let card = app.command(SHOW).await;
    let answer = app.press_with_payload(&card, "refresh", change).await;
    let text = plain::text(&answer.message);
    assert!(text.contains("Waiting for activation"), "{what}: {text}");
}

#[tokio::test]
async fn a_press_in_which_an_id_is_null_or_missing_is_answered() {
    with_fresh_lookups(async |app| {
        app.person.enterprise = Some("E0001".to_owned());
        let paths: &[&[&str]] = &[
            &["team"],
            &["team", "id"],
            &["channel"],
            &["channel", "id"],
            &["enterprise"],
            &["enterprise", "id"],
            &["user", "team_id"],
            &["user", "id"],
            &["user"],
            &["container"],
            &["container", "is_ephemeral"],
            &["container", "channel_id"],
            &["state"],
            &["is_enterprise_install"],
        ];
        for path in paths {
            refreshes(app, &format!("{path:?} null"), |payload| {
                set(payload, path, Value::Null);
            })
            .await;
            refreshes(app, &format!("{path:?} missing"), |payload| remove(payload, path)).await;
        }
        for path in [&["team", "id"], &["channel", "id"], &["enterprise", "id"]] {
            refreshes(app, &format!("{path:?} empty"), |payload| set(payload, path, json!(""))).await;
        }
    })
    .await;
}

/// Where Slack does not say that only the presser sees a message, less is shown.
#[tokio::test]
async fn a_card_that_others_may_see_is_answered_with_a_masked_number() {
    with_fresh_lookups(async |app| {
        app.wait_for_store().await;
        let ways: [(&str, Change); 4] = [
            ("null", |payload| {
                set(payload, &["container", "is_ephemeral"], Value::Null);
            }),
            ("missing", |payload| remove(payload, &["container", "is_ephemeral"])),
            ("no container", |payload| remove(payload, &["container"])),
            ("null container", |payload| set(payload, &["container"], Value::Null)),
        ];
        for (what, way) in ways {
            for button in ["refresh", "watch"] {
                let card = app.command(SHOW).await;
                let answer = app.press_with_payload(&card, button, way).await;
                let message = answer.message.to_string();
                assert!(
                    message.contains("8901") && !message.contains("+1234"),
                    "{what}: {message}"
                );
            }
            let list = app.command("/sandbox list").await;
            let answer = app.press_with_payload(&list, "show", way).await;
            let message = answer.message.to_string();
            assert!(
                message.contains("8901") && !message.contains("+1234"),
                "{what}: {message}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn our_action_is_found_wherever_it_stands_among_the_actions() {
    with_fresh_lookups(async |app| {
        let others = [
            Value::Null,
            json!("refresh"),
            json!({}),
            json!({"action_id": null, "value": null}),
            json!({"action_id": "of_another_block", "type": "static_select", "selected_option": {"value": "x"}}),
            json!({"action_id": "of_another_block", "type": "button", "value": {"not": "text"}}),
            json!({"action_id": 7, "value": 7}),
        ];
        for other in others {
            refreshes(app, &other.to_string(), |payload| {
                payload["actions"].as_array_mut().unwrap().insert(0, other.clone());
            })
            .await;
        }
    })
    .await;
}
