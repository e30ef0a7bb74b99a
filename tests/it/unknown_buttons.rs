//! Presses that this app's cards cannot produce: each is acknowledged, and none leads to a request to Kapso.

use http::StatusCode;
use kapso_slack::slack::form_fields::form_fields;
use kapso_slack::slack::interaction::Interaction;
use kapso_slack::slack::request::Form;
use serde_json::{Value, json};

use crate::support::button_values::{session_value, signed};
use crate::support::cards::{expect_private_reply, shared_card};
use crate::support::raw_request::INTERACTIONS;
use crate::support::{ID, TestApp, with_app};

#[tokio::test]
async fn a_button_with_an_invalid_value_makes_no_request() {
    with_app(async |app| {
        let own = app.command(&format!("/sandbox {ID}")).await;
        let shared = shared_card(app, &session_value(ID));
        let requests = app.kapso.requests();
        let hostile = [
            "",
            " ",
            "v1",
            "v1:",
            ":",
            "v1::",
            ID,
            "v0:ID",
            "v2:ID",
            "V1:ID",
            "v1;ID",
            " v1:ID",
            "v1: ID",
            "v1:ID ",
            "v1:ID\n",
            "v1:ID:",
            "v1:ID:steve",
            "v1:ID:u0sharer00",
            "v1:ID:T0001ABCD",
            "v1:ID:U",
            "v1:ID:U1:U2",
            "v1:ID:<!channel>",
            "v1:ID:U1><!channel>",
            "v1:ID:U0SHARER00 ",
            "v1::U0SHARER00",
            "v1:..",
            "v1:../x",
            "v1:a/b",
            "v1:a%2Fb",
            "v1:a?b",
            "v1:a#b",
            "v1:a\\b",
            "v1:a@b",
            "v1:a b",
            "v1:a\0b",
            "v1:sessión",
            "v1:🙂",
            "v1:<!channel>",
            "v1:https://app.kapso.ai/ID",
            "{\"v\":1,\"id\":\"ID\"}",
        ];
        let too_long = [
            format!("v1:{}", "x".repeat(65)),
            format!("v1:{}", "x".repeat(1_997)),
            format!("v1:ID:U{}", "1".repeat(32)),
        ];
        let hostile = hostile.map(str::to_owned).into_iter().chain(too_long);
        let hostile = hostile
            .map(|value| value.replace("ID", ID))
            .flat_map(|value| [Value::from(signed(&value)), Value::from(value)])
            .chain([Value::Null]);
        for value in hostile {
            let presses = ["refresh", "qr", "share"]
                .into_iter()
                .flat_map(|button| [(&own, button), (&shared, button)]);
            for (card, button) in presses {
                let press = app
                    .slack
                    .press_button_with_value(&app.app_url, &app.person, card, button, value.clone());
                let sent = press.await;
                assert_eq!(sent.status, Some(StatusCode::OK), "{value}");
                let answer = app.late_reply(sent.exchange).await;
                expect_private_reply(
                    app,
                    card,
                    &answer,
                    "This button is too old, or from another version of the app.",
                );
                assert_eq!(app.kapso.requests(), requests, "{value} made us ask");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn presses_of_unknown_buttons_are_only_acknowledged() {
    with_app(async |app| {
        let own = app.command(&format!("/sandbox {ID}")).await;
        let shared = shared_card(app, &session_value(ID));
        let before = effects(app);
        app.press_expecting_nothing(&own, "open").await;
        app.press_expecting_nothing(&shared, "open").await;
        for action_id in ["Refresh", "refresh ", "refresh/../open", "", "🙂", "frobnicate"] {
            let press =
                app.slack
                    .press_button_with_value(&app.app_url, &app.person, &own, action_id, json!(session_value(ID)));
            assert_eq!(press.await.status, Some(StatusCode::OK), "{action_id:?}");
        }
        expect_no_more_effects(app, before).await;
        app.expect_complaint("a button with an action id that this version does not know");
        let unknown = app.wait_for_log_lines("a button with an action id", 6).await;
        let actions: Vec<_> = unknown.iter().map(|line| line["action"].as_str().unwrap()).collect();
        assert_eq!(actions[..5], ["not a word"; 5], "foreign text is not logged");
        assert_eq!(actions[5], "frobnicate");
    })
    .await;
}

#[tokio::test]
#[should_panic(expected = "is missing in cards::Action")]
async fn an_unknown_action_fails_a_test_at_once() {
    with_app(async |app| {
        let own = app.command(&format!("/sandbox {ID}")).await;
        app.press(&own, "frobnicate").await;
    })
    .await;
}

#[tokio::test]
async fn other_payloads_are_only_acknowledged() {
    with_app(async |app| {
        let before = effects(app);
        let press = json!({"action_id": "refresh", "value": session_value(ID)});
        let payloads = [
            json!(null),
            json!(true),
            json!(7),
            json!("block_actions"),
            json!([]),
            json!([press]),
            json!({}),
            json!({"type": null, "actions": [press]}),
            json!({"type": 7, "actions": [press]}),
            json!({"type": "view_submission", "view": {"state": {}}, "actions": [press]}),
            json!({"type": "view_closed", "actions": [press]}),
            json!({"type": "shortcut", "callback_id": "refresh", "actions": [press]}),
            json!({"type": "block_suggestion", "action_id": "refresh", "value": session_value(ID)}),
            json!({"type": "interactive_message", "actions": [press]}),
            json!({"type": "Block_Actions", "actions": [press]}),
            json!({"type": "block_actions"}),
            json!({"type": "block_actions", "actions": []}),
            json!({"type": "block_actions", "actions": null}),
            json!({"type": "block_actions", "actions": press}),
            json!({"type": "block_actions", "actions": ["refresh"]}),
            json!({"type": "block_actions", "actions": [{}]}),
            json!({"type": "block_actions", "actions": [{"action_id": null, "value": session_value(ID)}]}),
            json!({"type": "block_actions", "actions": [{"action_id": "refresh", "value": {"id": ID}}]}),
            json!({"type": "block_actions", "actions": [press], "user": "U1"}),
            json!({"type": "block_actions", "actions": [press], "response_url": 7}),
        ];
        let unreadable = [
            "",
            "{",
            "payload",
            "{\"type\":\"block_actions\",\"actions\":[",
            "\u{FEFF}{}",
            "{\"type\":\"\\ud800\"}",
        ];
        let deep = "[".repeat(20_000);
        let texts = payloads.iter().map(ToString::to_string);
        for payload in texts.chain(unreadable.map(str::to_owned)).chain([deep]) {
            let form = form_urlencoded::Serializer::new(String::new())
                .append_pair("payload", &payload)
                .finish();
            let reply = app.send_raw(&app.signed_request(INTERACTIONS, form)).await;
            assert_eq!((reply.status, reply.body.as_str()), (200, ""), "{payload:.200}");
        }
        expect_no_more_effects(app, before).await;
        // The action `{}`.
        app.expect_complaint("a button with an action id that this version does not know");
    })
    .await;
}

#[tokio::test]
async fn a_press_with_missing_fields_is_answered() {
    with_app(async |app| {
        let card = app.command(&format!("/sandbox {ID}")).await;
        // An app installed for a whole organisation gets no team.
        app.person.team = String::new();
        assert_eq!(app.press(&card, "refresh").await.id, card.id, "no team");
        app.person.channel = String::new();
        assert_eq!(app.press(&card, "refresh").await.id, card.id, "no channel");
        app.person.user = String::new();
        assert_eq!(app.press(&card, "refresh").await.id, card.id, "no user");
    })
    .await;
}

#[test]
fn a_card_counts_as_shared_unless_slack_says_it_is_ephemeral() {
    for (container, shared) in [
        (json!({"is_ephemeral": true}), false),
        (json!({"is_ephemeral": false}), true),
        (json!({}), true),
        (json!(null), true),
    ] {
        let payload = json!({"type": "block_actions", "actions": [{"action_id": "refresh"}], "container": container});
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("payload", &payload.to_string())
            .finish();
        match Interaction::parse(form_fields(form.as_bytes())) {
            Ok(Interaction::Press(press)) => assert_eq!(press.shared, shared, "{container}"),
            other => panic!("{container}: {other:?}"),
        }
    }
}

/// The number of commands run, requests made and messages posted so far.
fn effects(app: &TestApp) -> [usize; 3] {
    [
        app.command_log_lines().len(),
        app.kapso.requests().len(),
        app.slack.conversation().len(),
    ]
}

/// Shuts the service down, so that nothing is pending, and checks that there were no more effects.
async fn expect_no_more_effects(app: &mut TestApp, before: [usize; 3]) {
    app.shut_down().await;
    assert_eq!(effects(app), before, "commands, requests, messages");
}
