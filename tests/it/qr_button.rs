//! "Show QR code": the activation link in a separate message, which is delivered even if Slack cannot fetch the image.

use http::StatusCode;
use insta::assert_snapshot;
use kapso_slack::demo::plain;
use kapso_slack::demo::rules::buttons;
use serde_json::{Value, json};

use crate::support::button_values::{session_value, shared_value};
use crate::support::cards::{expect_private_reply, shared_card};
use crate::support::qr::{image_url, reachable_app, show_qr_code};
use crate::support::qr_scanner::Picture;
use crate::support::raw_request::Reply;
use crate::support::wire::{ScriptedResponse, ScriptedServer};
use crate::support::{ID, SECRET, port, test_app};

const LINK: &str = "https://wa.me/12345678901?text=ABC123";
const MISSING: &str = "A picture is missing here, because Slack could not fetch it";

fn has_button(card: &Value) -> bool {
    buttons(card).any(|button| button["action_id"] == "qr")
}

#[tokio::test]
async fn the_message_has_the_qr_code_and_the_link() {
    reachable_app()
        .run(async |app| {
            let card = app.command(&format!("/sandbox {ID}")).await;
            let labels: Vec<_> = buttons(&card.message).map(|button| &button["text"]["text"]).collect();
            let all = [
                "Activate in WhatsApp",
                "Show QR code",
                "Refresh",
                "Tell me when it is active",
                "Share in channel",
            ];
            assert_eq!(labels, all);
            let answer = app.press(&card, "qr").await;
            expect_private_reply(app, &card, &answer, LINK);
            assert_snapshot!("the_message_has_the_qr_code_and_the_link", plain::text(&answer.message));
            assert_snapshot!(
                "the_message_has_the_qr_code_and_the_link_text",
                answer.message["text"].as_str().unwrap()
            );

            let address = image_url(&answer.message).expect("there is a picture");
            assert_eq!(address.origin(), app.app_url.origin());
            assert!(!address.as_str().contains("ABC123"), "{address}");
            let png = app.http.get(address).send().await.unwrap().bytes().await.unwrap();
            assert_eq!(Picture::of(&png).scan(), [LINK]);
            let line = &app.wait_for_commands(2).await[1];
            assert_eq!((&line["verb"], &line["outcome"]), (&json!("qr"), &json!("qr")));
        })
        .await;
}

#[tokio::test]
async fn the_qr_code_of_a_shared_card_is_private_and_masked() {
    reachable_app()
        .run(async |app| {
            let earlier = shared_card(app, &shared_value(ID, "U0SHARER00"));
            let card = app.press(&earlier, "refresh").await;
            let value = buttons(&card.message)
                .find(|button| button["action_id"] == "qr")
                .map(|button| button["value"].clone());
            assert_eq!(value, Some(shared_value(ID, "U0SHARER00").into()));
            let answer = app.press(&card, "qr").await;
            expect_private_reply(app, &card, &answer, LINK);
            let text = answer.message["text"].as_str().unwrap();
            assert!(text.starts_with("The sandbox session of •••• 8901 with"), "{text}");
        })
        .await;
}

#[tokio::test]
async fn only_a_card_with_a_usable_link_has_the_button() {
    let long = |length: usize| format!("https://wa.me/{}", "1".repeat(length - 14));
    let rows = [
        ("pending", "status", json!("pending_activation"), true),
        ("active", "status", json!("active"), false),
        ("expired", "status", json!("expired"), false),
        ("superseded", "status", json!("superseded"), false),
        ("of a new status", "status", json!("paused_by_operator"), false),
        ("without a link", "activation_link", json!(null), false),
        (
            "with another link",
            "activation_link",
            json!("https://evil.example/"),
            false,
        ),
        ("with a long link", "activation_link", json!(long(500)), true),
        ("with a link too long", "activation_link", json!(long(501)), false),
    ];
    reachable_app()
        .run(async |app| {
            app.kapso.allow_undocumented();
            for (what, field, value, has) in rows {
                app.kapso.add_session(ID);
                app.kapso.set_field(ID, field, value);
                let card = app.command(&format!("/sandbox {ID}")).await;
                assert_eq!(has_button(&card.message), has, "a session {what}");
            }
        })
        .await;
}

#[tokio::test]
async fn an_outdated_card_is_replaced() {
    reachable_app()
        .run(async |app| {
            let own = app.command(&format!("/sandbox {ID}")).await;
            let earlier = shared_card(app, &shared_value(ID, "U0SHARER00"));
            let shared = app.press(&earlier, "refresh").await;
            app.kapso.activate(ID);
            for card in [own, shared] {
                let now = app.press(&card, "qr").await;
                assert_eq!(now.id, card.id, "the card is replaced");
                assert_eq!(now.message["response_type"], card.message["response_type"]);
                assert!(plain::text(&now.message).contains("🟢 Active"), "{now:?}");
                assert_eq!(image_url(&now.message), None);
            }
        })
        .await;
}

#[tokio::test]
async fn a_failed_lookup_leaves_the_card() {
    reachable_app()
        .run(async |app| {
            let card = app.command(&format!("/sandbox {ID}")).await;
            for (status, words) in [
                (401, "Kapso refused this app's key"),
                (404, "Kapso's sandbox API is not where this app expects it"),
                (429, "Kapso is limiting this app's requests"),
            ] {
                app.next_kapso_response(status, "{}");
                let answer = app.press(&card, "qr").await;
                expect_private_reply(app, &card, &answer, words);
            }
        })
        .await;
}

#[tokio::test]
async fn people_without_access_get_no_qr_code() {
    reachable_app()
        .with("ALLOWED_USERS", "U2147483697")
        .run(async |app| {
            let card = app.command(&format!("/sandbox {ID}")).await;
            let requests = app.kapso.requests();
            app.person.user = "U0OTHER".to_owned();
            let answer = app.press(&card, "qr").await;
            expect_private_reply(app, &card, &answer, "You cannot use this here.");
            assert_eq!(app.kapso.requests(), requests);
        })
        .await;
}

#[tokio::test]
async fn without_a_public_url_there_is_no_button_and_help_says_why() {
    const WHY: &str = "There are no QR codes here";
    test_app()
        .run(async |app| {
            let card = app.command(&format!("/sandbox {ID}")).await;
            assert!(!has_button(&card.message), "{card:?}");
            let help = app.command_text("/sandbox help").await;
            assert!(help.contains(WHY) && help.contains("PUBLIC_URL"), "{help}");
            // A card from the time when `PUBLIC_URL` was set.
            let old =
                app.slack
                    .press_button_with_value(&app.app_url, &app.person, &card, "qr", session_value(ID).into());
            let sent = old.await;
            let answer = app.late_reply(sent.exchange).await;
            expect_private_reply(app, &card, &answer, LINK);
            assert_eq!(image_url(&answer.message), None);
        })
        .await;
    reachable_app()
        .run(async |app| {
            let help = app.command_text("/sandbox help").await;
            assert!(!help.contains(WHY), "{help}");
        })
        .await;
}

/// `PUBLIC_URL` leads nowhere, or to another server: Slack cannot fetch the image, and refuses the message.
#[tokio::test]
async fn a_picture_that_slack_cannot_fetch_is_replaced_by_text() {
    let closed = port().await.local_addr().unwrap();
    let other = ScriptedServer::start().await;
    other.respond(ScriptedResponse::answer("200 OK\ncontent-type: text/html", "<html>"));
    let elsewhere = other.url.join("/behind/a/path/").unwrap();
    let mut texts = Vec::new();
    for (public_url, path) in [
        (format!("http://{closed}"), "/qr/"),
        (elsewhere.to_string(), "/behind/a/path/qr/"),
    ] {
        test_app()
            .with("PUBLIC_URL", public_url.as_str())
            .run(async |app| {
                let card = app.command(&format!("/sandbox {ID}")).await;
                let answer = app.press(&card, "qr").await;
                expect_private_reply(app, &card, &answer, LINK);
                assert_eq!(image_url(&answer.message), None);
                texts.push(plain::text(&answer.message));
                assert_eq!(app.slack.post_count(), 2, "{public_url}");
                let line = &app.wait_for_commands(2).await[1];
                assert_eq!((&line["answer"], &line["lost"]), (&json!("late"), &Value::Null));
                let refused = app.slack.exchange(answer.exchange).unwrap().replies[1].clone();
                let address = image_url(&refused.body).unwrap();
                assert!(address.as_str().starts_with(&public_url), "{address}");
                assert!(address.path().starts_with(path), "{address}");
                let warned = app.log_lines();
                let warned = warned.iter().find(|line| line["level"] == "WARN").unwrap();
                assert_eq!(warned["request_id"], line["request_id"]);
                assert!(warned["lost"].as_str().unwrap().contains("400"), "{warned}");
            })
            .await;
    }
    assert_snapshot!("a_picture_that_slack_cannot_fetch_is_replaced_by_text", texts[0]);
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test]
async fn an_image_address_over_slacks_limit_is_not_sent() {
    test_app()
        .with("PUBLIC_URL", format!("http://127.0.0.1/{}", "x".repeat(2_900)))
        .run(async |app| {
            let answer = show_qr_code(app).await.message;
            assert_eq!(image_url(&answer), None);
            assert!(plain::text(&answer).contains(LINK), "{answer}");
            assert_eq!(app.slack.post_count(), 1, "nothing was refused");
        })
        .await;
}

/// Slack's responses to the posts, and whether the delivered message has the picture; `None` if it is lost.
#[tokio::test]
async fn a_refused_message_is_sent_again_without_the_picture() {
    let rows: [(&[u16], Option<bool>); 9] = [
        (&[], Some(true)),
        (&[404], Some(false)),
        (&[413], Some(false)),
        (&[500], Some(false)),
        (&[500, 500], Some(false)),
        (&[500, 500, 500], Some(false)),
        (&[400, 400], None),
        (&[500, 400], None),
        (&[500, 500, 500, 500], None),
    ];
    for (refusals, has_picture) in rows {
        reachable_app()
            .with_system_clock()
            .run(async |app| {
                let card = app.command(&format!("/sandbox {ID}")).await;
                for status in refusals {
                    app.slack.reject_next_post(StatusCode::from_u16(*status).unwrap(), None);
                }
                let press = app.slack.press_button(&app.app_url, &app.person, &card, "qr");
                let sent = press.await;
                let line = &app.wait_for_commands(2).await[1];
                if let Some(has) = has_picture {
                    let answer = app.late_reply(sent.exchange).await.message;
                    assert_eq!(image_url(&answer).is_some(), has, "{refusals:?}");
                    assert_eq!(answer.to_string().contains(MISSING), !has, "{refusals:?}");
                    assert_eq!(line["answer"], "late", "{refusals:?}");
                    assert_eq!(app.slack.post_count(), refusals.len() + 1, "{refusals:?}");
                } else {
                    assert_eq!(line["answer"], "lost", "{refusals:?}");
                    assert_eq!(app.slack.post_count(), refusals.len(), "{refusals:?}");
                }
            })
            .await;
    }
}

/// A refused message with a picture is sent again without it; one without a picture is not, see `response_url_delivery.rs`.
#[tokio::test]
async fn slack_can_refuse_a_picture_with_a_200() {
    let slack = ScriptedServer::start().await;
    slack.respond_next(ScriptedResponse::answer(
        "200 OK",
        r#"{"ok":false,"error":"invalid_blocks"}"#,
    ));
    slack.respond(ScriptedResponse::answer("200 OK", "ok"));
    reachable_app()
        .with("SLACK_RESPONSE_HOSTS", slack.origin())
        .run(async |app| {
            let payload = json!({
                "type": "block_actions",
                "response_url": slack.url.join("/actions/1").unwrap().as_str(),
                "actions": [{"action_id": "qr", "value": session_value(ID)}],
            });
            let form = form_urlencoded::Serializer::new(String::new())
                .append_pair("payload", &payload.to_string())
                .finish();
            let Reply { status, .. } = app.send_raw(&app.signed_request("/slack/interactions", form)).await;
            assert_eq!(status, 200);
            let line = app.wait_for_commands(1).await.remove(0);
            assert_eq!(line["answer"], "late");
            let posts = slack.requests();
            let has_picture: Vec<_> = posts.iter().map(|post| post.contains("image_url")).collect();
            assert_eq!(has_picture, [true, false], "{posts:?}");
            assert!(posts[1].contains(MISSING), "{posts:?}");
        })
        .await;
}

/// A reader of the log could fetch the image until its address expires.
#[tokio::test]
async fn image_addresses_are_not_logged() {
    reachable_app()
        .run(async |app| {
            let answer = show_qr_code(app).await;
            let address = image_url(&answer.message).unwrap();
            let (_, signature) = address.as_str().rsplit_once('=').unwrap();
            app.wait_for_commands(2).await;
            let log = format!("{:?}", app.log_lines());
            assert!(!log.contains(signature), "{log}");
            assert!(!format!("{:?}", kapso_slack::qr::Addresses::new(address, &[SECRET.into()])).contains(SECRET));
        })
        .await;
}
