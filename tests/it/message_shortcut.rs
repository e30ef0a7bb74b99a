//! The shortcut *Look up sandbox session* in the menu of a message: finds the session that somebody wrote about, and
//! shows it to the one person who chose it.

use http::StatusCode;
use insta::assert_json_snapshot;
use kapso_slack::commands::Shortcut;
use kapso_slack::demo::rules::buttons;
use kapso_slack::demo::{PostedMessage, plain};
use serde_json::{Value, json};

use crate::support::cards::{SHOW, share, sorted};
use crate::support::{ID, TestApp, test_app, with_app};

const LOOK_UP: &str = Shortcut::LookUpSession.callback_id();
const OTHER_ID: &str = "0a1b2c3d-0000-4000-8000-00000000000f";
const NOTHING: &str = "I found no session ID, Kapso URL or phone number with `+` in that message.";

fn expect_card(answer: &PostedMessage, what: &str) {
    let text = plain::text(&answer.message);
    assert!(text.contains("Waiting for activation"), "{what}: {text}");
    assert!(text.contains(ID), "{what}: {text}");
    expect_private(answer, what);
}

fn expect_private(answer: &PostedMessage, what: &str) {
    assert_eq!(answer.message["response_type"], "ephemeral", "{what}");
    assert_eq!(answer.message["replace_original"], false, "{what}");
    assert!(!answer.in_channel, "{what}");
}

fn text(answer: &PostedMessage) -> &str {
    answer.message["text"].as_str().unwrap()
}

/// What the rows of a choice are about.
fn rows(answer: &PostedMessage) -> Vec<String> {
    let blocks = answer.message["blocks"].as_array().unwrap();
    blocks
        .iter()
        .filter(|block| block["accessory"]["type"] == "button")
        .map(|block| block["text"]["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_session_of_a_message_is_shown_to_the_one_who_chose_the_shortcut() {
    with_app(async |app| {
        for written in [
            format!("Can anybody activate {ID}? It ends tomorrow."),
            format!("https://app.kapso.ai/projects/{OTHER_ID}/sandbox_sessions/{ID}"),
            format!("*{}*", ID.to_uppercase()),
            "Please add +1 234 567 8901 to the test.".to_owned(),
        ] {
            let message = app.written(&written);
            expect_card(&app.look_up(&message).await, &written);
        }
        let line = &app.wait_for_commands(1).await[0];
        assert_eq!(
            [&line["verb"], &line["outcome"], &line["session_id"]],
            ["show", "shown", ID]
        );
    })
    .await;
}

#[tokio::test]
async fn it_works_in_threads_and_the_buttons_of_the_card_too() {
    test_app()
        .without_cache()
        .run(async |app| {
            let question = app.written("Which session is it?");
            let reply = app.written_in(&format!("This one: {ID}"), Some(question.id));
            let card = app.look_up(&reply).await;
            expect_card(&card, "in a thread");
            assert_eq!(card.thread, Some(question.id));
            app.kapso.activate(ID);
            let refreshed = app.press(&card, "refresh").await;
            assert_eq!((refreshed.id, refreshed.thread), (card.id, card.thread));
            assert!(plain::text(&refreshed.message).contains("Active"), "{refreshed:?}");
        })
        .await;
}

#[tokio::test]
async fn blocks_and_attachments_of_other_apps_are_read_too() {
    with_app(async |app| {
        let section = json!({"type": "section", "text": {"type": "mrkdwn", "text": format!("Session `{ID}`")}});
        for message in [
            json!({"text": "An alert", "blocks": [section]}),
            json!({"blocks": [{"type": "context", "elements": [{"type": "plain_text", "text": format!("<{ID}>")}]}]}),
            json!({"blocks": [{"type": "header", "text": {"type": "plain_text", "text": ID}}]}),
            json!({"text": "", "attachments": [{"fallback": "…", "blocks": [section]}]}),
            json!({"attachments": [{"title": "Session", "title_link": format!("https://app.kapso.ai/s/{ID}")}]}),
            json!({"attachments": [{"fields": [{"title": "Session", "value": ID, "short": true}]}]}),
            json!({"attachments": [{"message_blocks": [{"message": {"blocks": [section]}}]}]}),
            json!({"blocks": [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [
                {"type": "text", "text": "Try "},
                {"type": "link", "url": "tel:+12345678901", "text": "+1 234 567 8901"},
            ]}]}]}),
        ] {
            let posted = app.slack.add_shared_message(json!({"text": "…"}));
            let answer = app.choose_shortcut(&posted, LOOK_UP, |payload| payload["message"] = message.clone());
            expect_card(&answer.await, &message.to_string());
        }
    })
    .await;
}

#[tokio::test]
async fn a_card_that_somebody_shared_can_be_looked_up() {
    with_app(async |app| {
        let card = app.command(SHOW).await;
        let (for_all, _) = share(app, &card).await;
        expect_card(&app.look_up(&for_all).await, "a shared card");
    })
    .await;
}

#[tokio::test]
async fn several_sessions_give_a_choice() {
    with_app(async |app| {
        let message = app.written(&format!(
            "{OTHER_ID} or {ID}? Not {OTHER_ID}; it is for +1 234 567 8901"
        ));
        let choice = app.look_up(&message).await;
        expect_private(&choice, "the choice");
        assert_eq!(rows(&choice), [OTHER_ID, ID, "+12345678901"]);
        assert!(text(&choice).contains(ID), "a screen reader gets no more: {choice:?}");
        assert_eq!(app.kapso.requests(), Vec::<String>::new(), "nothing is asked before");
        assert_json_snapshot!(sorted(unsigned(&choice.message)));
        let missing = press_row(app, &choice, 1).await;
        assert!(text(&missing).contains("There is no session"), "{missing:?}");
        assert_ne!(missing.id, choice.id, "the choice stays");
        let card = press_row(app, &choice, 2).await;
        assert_eq!(card.id, choice.id, "the card replaces the choice");
        assert!(plain::text(&card.message).contains(ID), "{card:?}");
        let choice = app.look_up(&message).await;
        let found = press_row(app, &choice, 3).await;
        assert!(
            plain::text(&found.message).contains("Waiting for activation"),
            "{found:?}"
        );
    })
    .await;
}

/// The message without the values of its buttons, which are signed.
fn unsigned(message: &Value) -> Value {
    let mut message = message.clone();
    for block in message["blocks"].as_array_mut().unwrap() {
        if let Some(value) = block["accessory"]["value"].as_str() {
            block["accessory"]["value"] = value.split('|').next().unwrap().into();
        }
    }
    message
}

async fn press_row(app: &TestApp, choice: &PostedMessage, block: usize) -> PostedMessage {
    let button = kapso_slack::demo::ButtonRef {
        block,
        action_id: "run".to_owned(),
    };
    let sent = app
        .slack
        .press_button_at(&app.app_url, &app.person, choice.id, button)
        .await
        .unwrap();
    app.late_reply(sent.exchange).await
}

#[tokio::test]
async fn of_very_many_sessions_the_first_ten_are_offered() {
    with_app(async |app| {
        let ids: Vec<String> = (0..200)
            .map(|n| format!("{n:08x}-0000-4000-8000-000000000000"))
            .collect();
        let choice = app.look_up(&app.written(&ids.join(", "))).await;
        assert_eq!(rows(&choice), ids[..10]);
        let shown = plain::text(&choice.message);
        assert!(shown.contains("Only the first 10 are listed."), "{shown}");
    })
    .await;
}

#[tokio::test]
async fn a_message_without_a_session_gets_one_friendly_sentence() {
    with_app(async |app| {
        for written in [
            "Hello, well-known colleagues! Meet on 2026-11-28 at 10:00 in room 4711, 3rd floor.",
            "<https://sentry.example/issues/0a1b2c3d-0000-4000-8000-00000000000f>",
            "show list watch help new",
            "12345678901",
            "",
        ] {
            let answer = app.look_up(&app.written(written)).await;
            assert!(text(&answer).starts_with(NOTHING), "{written}: {answer:?}");
            expect_private(&answer, written);
            assert_eq!(buttons(&answer.message).count(), 0, "{written}");
        }
        assert_eq!(app.kapso.requests(), Vec::<String>::new());
        let line = &app.wait_for_commands(1).await[0];
        assert_eq!([&line["verb"], &line["outcome"]], ["look_up", "nothing_found"]);
    })
    .await;
}

#[tokio::test]
async fn an_unknown_shortcut_is_answered_and_asks_kapso_nothing() {
    with_app(async |app| {
        let message = app.written(ID);
        let long = "look_up_session".repeat(1_000);
        for callback_id in [
            "",
            "look_up",
            "LOOK_UP_SESSION",
            "look_up_session ",
            "<!channel>",
            &long,
        ] {
            let answer = app.choose_shortcut(&message, callback_id, |_| {}).await;
            let read = text(&answer);
            assert!(
                read.starts_with("This shortcut is from another version of the app"),
                "{read}"
            );
            expect_private(&answer, callback_id);
        }
        assert_eq!(app.kapso.requests(), Vec::<String>::new());
    })
    .await;
}

/// A change of the payload of a shortcut.
type Change = Box<dyn FnOnce(&mut Value)>;

#[tokio::test]
async fn a_payload_in_which_something_is_missing_or_strange_is_answered() {
    with_app(async |app| {
        app.person.enterprise = Some("E0001".to_owned());
        let message = app.written(ID);
        for field in [
            "team",
            "enterprise",
            "channel",
            "user",
            "trigger_id",
            "token",
            "is_enterprise_install",
            "message_ts",
        ] {
            for value in [Value::Null, json!({})] {
                if field == "trigger_id" && !value.is_null() {
                    continue;
                }
                let answer = app.choose_shortcut(&message, LOOK_UP, |payload| payload[field] = value);
                expect_card(&answer.await, field);
            }
            let removed = app.choose_shortcut(&message, LOOK_UP, |payload| {
                payload.as_object_mut().unwrap().remove(field);
            });
            expect_card(&removed.await, field);
        }
        let deep: Value = (0..40).fold(json!({"text": ID}), |inner, _| json!({"elements": [inner]}));
        let changes: Vec<Change> = vec![
            Box::new(|payload| payload["message"] = Value::Null),
            Box::new(|payload| payload["message"] = json!("…")),
            Box::new(|payload| payload["message"] = json!([ID])),
            Box::new(|payload| payload["message"] = json!({"text": 7, "blocks": 8, "attachments": {"text": null}})),
            Box::new(move |payload| payload["message"] = json!({"blocks": [deep]})),
            Box::new(|payload| payload["message"] = json!({"bot_id": ID, "user": ID, "blocks": [{"block_id": ID}]})),
            Box::new(|payload| {
                payload.as_object_mut().unwrap().remove("message");
            }),
        ];
        for change in changes {
            let answer = app.choose_shortcut(&message, LOOK_UP, change).await;
            assert!(text(&answer).starts_with(NOTHING), "{answer:?}");
        }
    })
    .await;
}

/// A message may have 40,000 characters, and its blocks as many; Slack escapes what is not ASCII.
#[tokio::test]
async fn a_huge_message_is_read() {
    with_app(async |app| {
        let long = "Ж".repeat(10_000);
        let answer = app
            .choose_shortcut(&app.written("…"), LOOK_UP, |payload| {
                let text = format!("{long} {ID}");
                payload["message"] = json!({"text": text, "blocks": [
                    {"type": "section", "text": {"type": "mrkdwn", "text": text}},
                ]});
            })
            .await;
        expect_card(&answer, "a huge message");
    })
    .await;
}

/// Nothing that the message says is shown but ids and phone numbers.
#[tokio::test]
async fn hostile_text_is_not_repeated() {
    with_app(async |app| {
        for hostile in [
            format!("<!channel> {ID} <https://evil.example|{OTHER_ID}> <@U1>"),
            "<!channel> <!here> @everyone <https://evil.example/|click>".to_owned(),
        ] {
            let answer = app
                .choose_shortcut(&app.written("…"), LOOK_UP, |payload| {
                    payload["message"] = json!({"text": hostile});
                })
                .await;
            let json = answer.message.to_string();
            for part in ["!channel", "!here", "evil.example", "<@"] {
                assert!(!json.contains(part), "{part}: {json}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn only_people_who_may_use_the_app_get_an_answer_from_kapso() {
    test_app()
        .with("ALLOWED_USERS", "U0BOSS")
        .run(async |app| {
            for written in [ID.to_owned(), format!("{ID} {OTHER_ID}"), "nothing".to_owned()] {
                let answer = app.look_up(&app.written(&written)).await;
                assert!(text(&answer).starts_with("You cannot use this here."), "{answer:?}");
            }
            assert_eq!(app.kapso.requests(), Vec::<String>::new());
            app.person.user = "U0BOSS".to_owned();
            let both = app.written(&format!("{ID} {OTHER_ID}"));
            let choice = app.look_up(&both).await;
            // Each press is checked again.
            app.person.user = "U0OTHER".to_owned();
            let answer = press_row(app, &choice, 1).await;
            assert!(text(&answer).starts_with("You cannot use this here."), "{answer:?}");
            assert_eq!(app.kapso.requests(), Vec::<String>::new());
        })
        .await;
}

#[tokio::test]
async fn nothing_is_created_from_a_message() {
    test_app()
        .with_creation()
        .run(async |app| {
            let answer = app.look_up(&app.written("new +12025550123 agent-123abc")).await;
            assert!(
                text(&answer).contains("There is no session for `+12025550123`"),
                "{answer:?}"
            );
            assert_eq!(app.kapso.create_requests(), Vec::<Value>::new());
        })
        .await;
}

#[tokio::test]
async fn with_several_projects_it_is_that_of_the_channel_or_the_one_that_is_asked_for() {
    const SUPPORT: &str = "C00000001";
    const BOTH: &str = "C00000003";
    let projects = [
        ("support", r#"channels = ["C00000001", "C00000003"]"#),
        ("staging", r#"channels = ["C00000002", "C00000003"]"#),
    ];
    test_app()
        .with_projects(projects)
        .run(async |app| {
            app.other_projects[0].add_session(OTHER_ID);
            app.person.channel = SUPPORT.to_owned();
            let one = app.written(ID);
            let card = app.look_up(&one).await;
            expect_card(&card, "in a channel of one project");
            assert!(plain::text(&card.message).contains("Project support"), "{card:?}");

            app.person.channel = BOTH.to_owned();
            let question = app.look_up(&one).await;
            assert!(
                text(&question).starts_with("Which Kapso project do you mean?"),
                "{question:?}"
            );
            // In the order of the file: support comes first.
            let card = press_row(app, &question, 1).await;
            assert!(plain::text(&card.message).contains("Project"), "{card:?}");

            let two = app.written(&format!("{ID} {OTHER_ID}"));
            let choice = app.look_up(&two).await;
            assert_eq!(rows(&choice), [ID, OTHER_ID]);
            let question = press_row(app, &choice, 2).await;
            assert!(
                text(&question).starts_with("Which Kapso project do you mean?"),
                "{question:?}"
            );
            let staging = 1 + rows(&question).iter().position(|alias| alias == "staging").unwrap();
            let card = press_row(app, &question, staging).await;
            assert!(plain::text(&card.message).contains(OTHER_ID), "{card:?}");
            assert!(plain::text(&card.message).contains("Project staging"), "{card:?}");

            // Where no project may be used, none is.
            app.person.channel = "C00000009".to_owned();
            let before = app.kapso.requests().len();
            let nowhere = app.look_up(&one).await;
            assert!(
                text(&nowhere).starts_with("No Kapso project can be used here."),
                "{nowhere:?}"
            );
            assert_eq!(app.kapso.requests().len(), before);
        })
        .await;
}

/// A correction and the help are about no project; what they offer is looked up where it is pressed.
#[tokio::test]
async fn a_corrected_command_asks_for_the_project_too() {
    let projects = [("support", ""), ("staging", "")];
    test_app()
        .with_projects(projects)
        .run(async |app| {
            let correction = app.command(&format!("/sandbox shwo {ID}")).await;
            assert!(text(&correction).starts_with("Did you mean"), "{correction:?}");
            let question = app.press(&correction, "run").await;
            assert!(
                text(&question).starts_with("Which Kapso project do you mean?"),
                "{question:?}"
            );
        })
        .await;
}

#[tokio::test]
async fn a_slow_kapso_delays_the_card_and_a_repeated_request_is_answered_once() {
    with_app(async |app| {
        let message = app.written(ID);
        let mut first = None;
        app.choose_shortcut(&message, LOOK_UP, |payload| first = Some(payload.clone()))
            .await;
        let sent = app
            .slack
            .choose_shortcut_with_payload(&app.app_url, &app.person, &message, LOOK_UP, |payload| {
                *payload = first.unwrap();
            })
            .await;
        assert_eq!(sent.status, Some(StatusCode::OK));
        app.wait_for_log("the same request came again; only the first is answered")
            .await;
        assert_eq!(app.wait_for_commands(1).await.len(), 1);
        assert_eq!(app.slack.post_count(), 1);
    })
    .await;
}

#[tokio::test]
async fn an_address_that_is_not_slacks_gets_nothing() {
    with_app(async |app| {
        let message = app.written(ID);
        let sent = app
            .slack
            .choose_shortcut_with_payload(&app.app_url, &app.person, &message, LOOK_UP, |payload| {
                payload["response_url"] = "https://evil.example/response/x".into();
            })
            .await;
        assert_eq!(sent.status, Some(StatusCode::OK));
        let line = app.wait_for_commands(1).await.remove(0);
        assert!(line["lost"].as_str().unwrap().contains("not"), "{line}");
        assert_eq!(app.slack.post_count(), 0);
    })
    .await;
}
