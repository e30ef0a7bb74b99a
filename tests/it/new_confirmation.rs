//! A second session for the same phone within a minute needs a confirmation.

use http::StatusCode;
use insta::assert_snapshot;
use jiff::SignedDuration;
use kapso_slack::demo::rules::buttons;
use kapso_slack::demo::{Fault, PostedMessage, plain};
use serde_json::{Value, json};

use crate::support::button_values::{content, signed};
use crate::support::cards::expect_private_reply;
use crate::support::creation::{NEW, create_requests, created_session};
use crate::support::inert_text::WORDS;
use crate::support::{ID, TestApp, test_app};

const UNSURE: &str = "one may have been created";

/// Whether the message asks for a confirmation.
fn is_question(posted: &PostedMessage) -> bool {
    posted.message["text"]
        .as_str()
        .unwrap()
        .ends_with("Do you want another one?")
}

#[tokio::test]
async fn a_second_session_for_the_same_phone_needs_a_confirmation() {
    test_app()
        .with_creation()
        .run(async |app| {
            app.command(NEW).await;
            let first = created_session(app);
            app.advance_clock(SignedDuration::from_secs(20));
            let question = app.command("/sandbox new +12345678901 agent-123abc").await;
            assert_snapshot!(
                "a_second_session_for_the_same_phone_needs_a_confirmation",
                plain::text(&question.message)
            );
            assert_eq!(question.message["response_type"], "ephemeral");
            assert_eq!(create_requests(app), 1);

            let shown = app.press(&question, "show").await;
            assert_ne!(shown.id, question.id, "the question stays");
            assert!(plain::text(&shown.message).contains(&first), "{shown:?}");

            let second = app.press(&question, "again").await;
            assert_eq!(second.id, question.id, "the card replaces the question");
            assert!(
                plain::text(&second.message).contains("Waiting for activation"),
                "{second:?}"
            );
            assert_eq!(create_requests(app), 2);
            let wanted = json!({"phone_number": "+12345678901", "agent_id": "agent-123abc"});
            assert_eq!(
                app.kapso.create_requests()[1],
                json!({"whatsapp_sandbox_session": wanted})
            );
            let lines = app.wait_for_commands(4).await;
            let outcomes: Vec<_> = lines
                .iter()
                .map(|line| format!("{} {}", line["verb"], line["outcome"]))
                .collect();
            assert_eq!(
                outcomes.join(", ").replace('"', ""),
                "new created, new asked_again, show shown, new created"
            );
        })
        .await;
}

#[tokio::test]
async fn a_confirmation_pressed_several_times_creates_one_session() {
    test_app()
        .with_creation()
        .run(async |app| {
            app.command(NEW).await;
            let question = app.command(NEW).await;
            app.kapso.fail_next_request(Fault::Stall);
            let released = async {
                app.kapso.wait_for_requests(2).await;
                app.kapso.release_stalled_requests();
            };
            // A double click: the second press waits for the outcome of the first.
            let pressing = async { tokio::join!(app.press(&question, "again"), app.press(&question, "again")) };
            let ((first, second), ()) = tokio::join!(pressing, released);
            assert_eq!(plain::text(&first.message), plain::text(&second.message));
            app.press(&question, "again").await;
            assert_eq!(create_requests(app), 2);
            assert_eq!(app.kapso.sessions().len(), 3, "with the documented one");
        })
        .await;
}

/// In an app installed for a whole organisation, a press has no workspace, but a command has.
#[tokio::test]
async fn a_confirmation_without_a_workspace_is_accepted() {
    test_app()
        .with_creation()
        .run(async |app| {
            app.person.enterprise = Some("E0001".to_owned());
            app.command(NEW).await;
            let question = app.command(NEW).await;
            app.person.team = String::new();
            let answer = app.press(&question, "again").await;
            assert!(
                plain::text(&answer.message).contains("Waiting for activation"),
                "{answer:?}"
            );
            assert_eq!(create_requests(app), 2);
        })
        .await;
}

#[tokio::test]
async fn another_phone_person_or_minute_needs_no_confirmation() {
    test_app()
        .with_creation()
        .run(async |app| {
            let other = app.command(NEW).await;
            assert!(!is_question(&other));
            assert!(
                !is_question(&app.command("/sandbox new +1 234 567 8902").await),
                "another phone"
            );
            let own = std::mem::take(&mut app.person.user);
            app.person.user = "U0OTHER".to_owned();
            assert!(!is_question(&app.command(NEW).await), "another person");
            app.person.user = own;
            app.advance_clock(SignedDuration::from_secs(60));
            let question = app.command(NEW).await;
            assert!(is_question(&question), "up to 60 s");
            app.advance_clock(SignedDuration::from_millis(1));
            assert!(!is_question(&app.command(NEW).await), "after 60 s");
            assert_eq!(create_requests(app), 4);
        })
        .await;
}

#[tokio::test]
async fn an_unclear_creation_needs_a_confirmation_and_a_failed_one_does_not() {
    test_app()
        .with_creation()
        .run(async |app| {
            let refused = StatusCode::UNAUTHORIZED;
            app.kapso.fail_next_request(Fault::answer(refused, "{}"));
            app.command(NEW).await;
            app.kapso.fail_next_request(Fault::CloseConnection);
            let unsure = app.command(NEW).await;
            assert!(!is_question(&unsure), "the key was refused, so nothing was created");
            let question = app.command(NEW).await;
            assert!(is_question(&question));
            assert!(plain::text(&question.message).contains(UNSURE), "{question:?}");
            assert_snapshot!(
                "an_unclear_creation_needs_a_confirmation_and_a_failed_one_does_not",
                plain::text(&question.message)
            );
            let card = app.press(&question, "again").await;
            assert!(
                plain::text(&card.message).contains("Waiting for activation"),
                "{card:?}"
            );
            assert_eq!(create_requests(app), 3);
        })
        .await;
}

#[tokio::test]
async fn a_failed_confirmation_is_not_repeated() {
    test_app()
        .with_creation()
        .run(async |app| {
            app.command(NEW).await;
            let question = app.command(NEW).await;
            app.kapso
                .fail_next_request(Fault::answer(StatusCode::UNPROCESSABLE_ENTITY, "{}"));
            let answer = app.press(&question, "again").await;
            expect_private_reply(
                app,
                &question,
                &answer,
                "Kapso rejected this number: `+12345678901`, with this app's default agent",
            );
            let answer = app.press(&question, "again").await;
            expect_private_reply(
                app,
                &question,
                &answer,
                "nothing was created. Type the command once more",
            );
            assert_eq!(create_requests(app), 2);
        })
        .await;
}

#[tokio::test]
async fn a_confirmation_is_authorized_again() {
    test_app()
        .with_creation()
        .with("CREATE_USERS", "U2147483697")
        .run(async |app| {
            app.command(NEW).await;
            let question = app.command(NEW).await;
            app.person.user = "U0OTHER".to_owned();
            let answer = app.press(&question, "again").await;
            expect_private_reply(app, &question, &answer, "You cannot create sessions here.");
            assert_eq!(create_requests(app), 1);
        })
        .await;
}

#[tokio::test]
async fn a_confirmation_with_an_invalid_value_creates_nothing() {
    test_app()
        .with_creation()
        .run(async |app| {
            app.command(NEW).await;
            let question = app.command(NEW).await;
            let genuine = value(&question);
            let genuine = content(&genuine);
            let (head, phone) = genuine.rsplit_once(':').unwrap();
            let hostile = [
                "",
                "v1:",
                "v1:+12345678901",
                "v1::+12345678901",
                &format!("v1:{ID}"),
                &genuine[3..],
                head,
                &format!("{head}:"),
                &format!("{head}:12345678901"),
                &format!("{head}:0012345678901"),
                &format!("{head}:+1 234 567 8901"),
                &format!("{head}:tel:+12345678901"),
                &format!("{head}:+1234567890"),
                &format!("{head}:+999123456789"),
                &format!("{genuine}:"),
                &format!("{genuine}:a/b"),
                &format!("{genuine}:a:b"),
                &format!("{genuine}:{}", "x".repeat(65)),
                &format!("{genuine} "),
                &genuine.replace("v1", "v2"),
                &genuine.to_uppercase(),
                &genuine.replacen(':', ":0", 1),
                &format!("v1:{}:{phone}", "a".repeat(64)),
                &format!("{head}:+12345678902"),
                &format!("v1:{}:{phone}", "g".repeat(64)),
            ]
            .map(str::to_owned);
            let signed = hostile.clone().map(|value| signed(&value));
            let words = WORDS.iter().map(|words| (*words).to_owned());
            let unsigned = [genuine.to_owned()].into_iter().chain(hostile);
            for value in signed.into_iter().chain(unsigned).chain(words) {
                let answer = press_with_value(app, &question, &value).await;
                expect_private_reply(
                    app,
                    &question,
                    &answer,
                    "This button is too old, or from another version of the app.",
                );
                assert_eq!(create_requests(app), 1, "{value:?}");
            }
        })
        .await;
}

fn value(question: &PostedMessage) -> String {
    let again = buttons(&question.message).find(|button| button["action_id"] == "again");
    again.unwrap()["value"].as_str().unwrap().to_owned()
}

async fn press_with_value(app: &TestApp, on: &PostedMessage, value: &str) -> PostedMessage {
    let value = Value::from(value);
    let sent = app
        .slack
        .press_button_with_value(&app.app_url, &app.person, on, "again", value)
        .await;
    app.late_reply(sent.exchange).await
}
