//! `/sandbox new` with nothing behind it opens a form, where the app has a bot token.

use std::time::Duration;

use http::StatusCode;
use insta::assert_json_snapshot;
use jiff::SignedDuration;
use kapso_slack::demo::{Fault, OpenedView, Person, PostedMessage, WebFault, plain};
use serde_json::{Value, json};

use crate::support::cards::sorted;
use crate::support::creation::{create_requests, created_session};
use crate::support::databases::Database;
use crate::support::{TestApp, TestAppBuilder, test_app};

const NEW: &str = "/sandbox new";
const PHONE: (&str, &str) = ("phone", "+1 202 555 0123");
const AGENT: (&str, &str) = ("agent", "agent-123abc");
const TOO_OLD: &str = "This form is too old. Close it, and type /sandbox new again.";
const NOT_OPENED: &str = "I couldn't open the form. Type it instead, for example `/sandbox new +12025550123`.";
const USAGE: &str = "I couldn't read a phone number.";

fn with_token() -> TestAppBuilder {
    test_app().with_creation().with_bot_token()
}

fn text(posted: &PostedMessage) -> &str {
    posted.message["text"].as_str().unwrap()
}

fn expect_created(app: &TestApp, card: &PostedMessage) {
    let shown = plain::text(&card.message);
    assert!(shown.contains("Session created."), "{shown}");
    assert!(shown.contains(&created_session(app)), "{shown}");
    assert_eq!(card.message["response_type"], "ephemeral");
    assert_eq!(create_requests(app), 1);
}

#[tokio::test]
async fn the_form_is_the_reply_and_creates_the_session() {
    with_token()
        .run(async |app| {
            let (exchange, form) = app.opened_form(NEW).await;
            let mut view = form.view.clone();
            view["private_metadata"] = "…".into();
            assert_json_snapshot!(sorted(view));
            let sent = app.submit(&form, &[PHONE, AGENT]).await;
            assert_eq!(sent.errors, Value::Null, "the form is closed");
            expect_created(app, &app.late_reply(exchange).await);
            let wanted = json!({"phone_number": "+12025550123", "agent_id": "agent-123abc"});
            assert_eq!(
                app.kapso.create_requests(),
                [json!({"whatsapp_sandbox_session": wanted})]
            );
            let lines = app.wait_for_commands(2).await;
            let words = |line: &Value| [line["verb"].clone(), line["outcome"].clone(), line["answer"].clone()];
            assert_eq!(words(&lines[0]), ["form", "form_opened", "in_time"]);
            assert_eq!(words(&lines[1]), ["new", "created", "late"]);
        })
        .await;
}

#[tokio::test]
async fn the_form_works_over_the_socket() {
    with_token()
        .over_socket()
        .run(async |app| {
            let (exchange, form) = app.opened_form(NEW).await;
            let sent = app.submit(&form, &[("phone", "12")]).await;
            assert!(sent.errors["phone"].is_string(), "{sent:?}");
            let sent = app.submit(&form, &[PHONE, AGENT]).await;
            assert_eq!(sent.errors, Value::Null, "the form is closed");
            expect_created(app, &app.late_reply(exchange).await);
        })
        .await;
}

#[tokio::test]
async fn two_replicas_that_get_one_form_create_one_session() {
    let database = Database::postgres().await;
    with_token()
        .with("DATABASE_URL", &database.address)
        .run(async |app| {
            let replica = app.start_replica().await;
            // Each replica answers what it received.
            app.expect_complaint("got too many messages");
            let (exchange, form) = app.opened_form(NEW).await;
            let values = [PHONE, AGENT].map(|(id, value)| (id.to_owned(), value.to_owned()));
            let submit = |url| app.slack.submit_form(url, &app.person, &form.id, &values);
            let (one, other) = futures_util::join!(submit(&app.app_url), submit(&replica));
            for sent in [one, other] {
                assert_eq!(sent.unwrap().status, Some(StatusCode::OK));
            }
            let card = app.late_reply(exchange).await;
            let session = created_session(app);
            assert!(plain::text(&card.message).contains(&session), "{card:?}");
            app.wait_for_commands(3).await;
            assert_eq!(create_requests(app), 1);
        })
        .await;
    database.drop().await;
}

#[tokio::test]
async fn every_spelling_of_new_alone_opens_it_and_nothing_else_does() {
    with_token()
        .run(async |app| {
            for typed in [
                "/sandbox NEW",
                "/sandbox  `new` ",
                "/sandbox /sandbox new",
                "/sandbox /new",
            ] {
                app.opened_form(typed).await;
            }
            for typed in ["/sandbox new ?", "/sandbox new agent-123abc", "/sandbox create"] {
                let answer = app.command(typed).await;
                assert!(text(&answer).starts_with(USAGE), "{typed}: {answer:?}");
            }
            assert_eq!(app.slack.web_api().opened_views().len(), 4);
        })
        .await;
}

#[tokio::test]
async fn without_a_token_the_reply_says_how_to_type_it() {
    test_app()
        .with_creation()
        .without_bot_token()
        .run(async |app| {
            assert!(text(&app.command(NEW).await).starts_with(USAGE));
        })
        .await;
}

#[tokio::test]
async fn people_who_may_not_create_get_no_form() {
    for (name, value) in [("CREATE_USERS", "U0BOSS"), ("ALLOWED_USERS", "U0BOSS")] {
        with_token()
            .with(name, value)
            .run(async |app| {
                let answer = app.command(NEW).await;
                assert!(text(&answer).starts_with("You cannot"), "{answer:?}");
                assert_eq!(app.slack.web_api().calls_of("views.open").len(), 0);
            })
            .await;
    }
}

#[tokio::test]
async fn errors_are_shown_at_their_fields_and_can_be_corrected() {
    with_token()
        .run(async |app| {
            let (exchange, form) = app.opened_form(NEW).await;
            for (values, expected) in [
                (
                    vec![("phone", "555-0123")],
                    json!({"phone": "Enter a phone number with + and the country code, such as +12025550123."}),
                ),
                (
                    vec![("phone", "12025550123")],
                    json!({"phone": "Start with + and the country code. Is it +12025550123?"}),
                ),
                (
                    vec![("phone", "<!channel> +1"), ("agent", "my agent")],
                    json!({
                        "phone": "Enter a phone number with + and the country code, such as +12025550123.",
                        "agent": "An agent ID has only letters, digits, - and _. Copy it from Kapso.",
                    }),
                ),
                (
                    vec![PHONE, ("agent", "../../x")],
                    json!({"agent": "An agent ID has only letters, digits, - and _. Copy it from Kapso."}),
                ),
            ] {
                let sent = app.submit(&form, &values).await;
                assert_eq!(sent.errors, expected, "{values:?}");
            }
            assert_eq!(create_requests(app), 0);
            // Pasted numbers come with invisible and other characters.
            let sent = app
                .submit(&form, &[("phone", "\u{202a}+1 (202) 555‑0123\u{202c}")])
                .await;
            assert_eq!(sent.errors, Value::Null);
            expect_created(app, &app.late_reply(exchange).await);
        })
        .await;
}

#[tokio::test]
async fn one_form_creates_one_session() {
    with_token()
        .run(async |app| {
            let (exchange, form) = app.opened_form(NEW).await;
            tokio::join!(
                app.submit(&form, &[PHONE]),
                app.submit(&form, &[PHONE]),
                app.submit(&form, &[("phone", "+12345678901")])
            );
            expect_created(app, &app.late_reply(exchange).await);
            app.submit(&form, &[PHONE]).await;
            app.shut_down().await;
            assert_eq!((create_requests(app), app.slack.post_count()), (1, 1));
        })
        .await;
}

#[tokio::test]
async fn another_form_for_the_same_phone_needs_a_confirmation() {
    with_token()
        .run(async |app| {
            let (first, form) = app.opened_form(NEW).await;
            app.submit(&form, &[PHONE]).await;
            expect_created(app, &app.late_reply(first).await);
            let (second, form) = app.opened_form(NEW).await;
            app.submit(&form, &[PHONE]).await;
            let question = app.late_reply(second).await;
            assert!(text(&question).contains("less than a minute ago"), "{question:?}");
            assert_eq!(create_requests(app), 1);
        })
        .await;
}

/// A change of the payload of a form.
type Change = Box<dyn FnOnce(&mut Value)>;

#[tokio::test]
async fn a_form_of_somebody_else_or_of_another_app_creates_nothing() {
    with_token()
        .run(async |app| {
            let (_, form) = app.opened_form(NEW).await;
            app.person.user = "U0OTHER".to_owned();
            let (_, others) = app.opened_form(NEW).await;
            app.person = Person::default();
            let sealed = form.view["private_metadata"].as_str().unwrap().to_owned();
            let others = others.view["private_metadata"].clone();
            let mut changed = sealed.clone().into_bytes();
            changed[30] = if changed[30] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let forgeries: Vec<Change> = vec![
                Box::new(|payload| payload["user"]["id"] = "U0OTHER".into()),
                Box::new(|payload| payload["user"] = Value::Null),
                Box::new(|payload| payload["team"]["id"] = "T0OTHER".into()),
                Box::new(|payload| payload["view"]["private_metadata"] = Value::Null),
                Box::new(|payload| payload["view"]["private_metadata"] = "".into()),
                Box::new(|payload| payload["view"]["private_metadata"] = "{}".into()),
                Box::new(move |payload| payload["view"]["private_metadata"] = others),
                Box::new(move |payload| payload["view"]["private_metadata"] = changed.into()),
                Box::new(move |payload| payload["view"]["private_metadata"] = format!("{sealed}A").into()),
            ];
            for change in forgeries {
                let sent = app.submit_with_payload(&form, &[PHONE], change).await;
                assert_eq!(sent.errors, json!({ "phone": TOO_OLD }));
            }
            for callback_id in [Value::Null, "other".into()] {
                let sent = app.submit_with_payload(&form, &[PHONE], |payload| {
                    payload["view"]["callback_id"] = callback_id;
                });
                assert_eq!(sent.await.errors, Value::Null, "it has other fields");
            }
            app.wait_for_log("Slack sent an interaction that this app does not handle")
                .await;
            app.shut_down().await;
            assert_eq!(create_requests(app), 0);
        })
        .await;
}

#[tokio::test]
async fn strange_payloads_are_answered_and_create_nothing() {
    with_token()
        .run(async |app| {
            let (_, form) = app.opened_form(NEW).await;
            let state: [Value; 6] = [
                Value::Null,
                json!({}),
                json!({"values": []}),
                json!({"values": {"phone": []}}),
                json!({"values": {"phone": {"phone": {"value": 7}}}}),
                json!({"values": {"phone": {}, "agent": null}}),
            ];
            for state in state {
                let sent = app.submit_with_payload(&form, &[PHONE], |payload| payload["view"]["state"] = state);
                assert!(
                    sent.await.errors["phone"]
                        .as_str()
                        .unwrap()
                        .starts_with("Enter a phone number")
                );
            }
            assert_eq!(create_requests(app), 0);
        })
        .await;
}

/// In an app that is installed for a whole organisation, Slack names no workspace.
#[tokio::test]
async fn a_form_works_in_an_app_of_a_whole_organisation() {
    with_token()
        .run(async |app| {
            app.person.enterprise = Some("E0001".to_owned());
            app.person.organisation_wide = true;
            let (exchange, form) = app.opened_form(NEW).await;
            app.submit(&form, &[PHONE]).await;
            expect_created(app, &app.late_reply(exchange).await);
        })
        .await;
}

#[tokio::test]
async fn a_form_that_was_open_for_half_an_hour_says_so() {
    with_token()
        .run(async |app| {
            let (_, form) = app.opened_form(NEW).await;
            app.advance_clock(SignedDuration::from_mins(30));
            let sent = app.submit(&form, &[PHONE]).await;
            assert_eq!(sent.errors, json!({ "phone": TOO_OLD }));
            assert_eq!(create_requests(app), 0);
        })
        .await;
}

/// Everybody who has the address can post to the conversation.
#[tokio::test]
async fn the_form_does_not_reveal_the_response_url() {
    with_token()
        .run(async |app| {
            let (exchange, form) = app.opened_form(NEW).await;
            let request = app.slack.exchange(exchange).unwrap().request.unwrap();
            let response_url = request.fields["response_url"].as_str().unwrap().to_owned();
            let (_, token) = response_url.rsplit_once('/').unwrap();
            let view = form.view.to_string();
            assert!(!view.contains(token) && !view.contains("/response/"), "{view}");
        })
        .await;
}

#[tokio::test]
async fn a_form_that_cannot_be_opened_leads_to_a_sentence() {
    with_token()
        .run(async |app| {
            for fault in [
                WebFault::Error("expired_trigger_id"),
                WebFault::Error("exchanged_trigger_id"),
                WebFault::Error("trigger_expired"),
                WebFault::Error("token_revoked"),
                WebFault::Error("not an error code"),
                WebFault::RateLimited(30),
                WebFault::Status(StatusCode::INTERNAL_SERVER_ERROR),
                WebFault::Body("<html>".to_owned()),
            ] {
                app.slack.web_api().fail_next("views.open", fault);
                let answer = app.command(NEW).await;
                assert!(text(&answer).starts_with(NOT_OPENED), "{answer:?}");
            }
            assert_eq!(app.slack.web_api().opened_views().len(), 0);
            let line = app.wait_for_log("a form could not be opened").await;
            assert_eq!(line["error"], "Slack refused: expired_trigger_id");
            assert!(line["fix"].as_str().unwrap().contains("within 3 s"), "{line}");
        })
        .await;
}

#[tokio::test]
async fn a_form_that_opens_after_the_budget_is_the_only_reply() {
    with_token()
        .set(|settings| settings.reply_budget = Duration::ZERO)
        .run(async |app| {
            app.slack.stall_responses(true);
            app.expect_ack_only(NEW).await;
            app.slack.web_api().wait_for_calls("views.open", 1).await;
            app.slack.stall_responses(false);
            let line = app.wait_for_commands(1).await.remove(0);
            assert_eq!([&line["outcome"], &line["answer"]], ["form_opened", "late"]);
            assert_eq!(app.slack.post_count(), 0);
            app.slack
                .web_api()
                .fail_next("views.open", WebFault::Error("expired_trigger_id"));
            app.slack.stall_responses(true);
            let exchange = app.expect_ack_only(NEW).await;
            app.slack.stall_responses(false);
            assert!(text(&app.late_reply(exchange).await).starts_with(NOT_OPENED));
        })
        .await;
}

#[tokio::test]
async fn a_slow_kapso_does_not_hold_the_form_open() {
    with_token()
        .run(async |app| {
            let (exchange, form) = app.opened_form(NEW).await;
            app.kapso.fail_next_request(Fault::Stall);
            let sent = app.submit(&form, &[PHONE]).await;
            assert_eq!(sent.errors, Value::Null);
            app.kapso.wait_for_requests(1).await;
            assert_eq!(app.slack.post_count(), 0, "Kapso has not answered");
            app.kapso.release_stalled_requests();
            let reply = app.late_reply(exchange).await;
            assert_eq!(reply.message["response_type"], "ephemeral");
        })
        .await;
}

#[tokio::test]
async fn what_kapso_rejects_is_explained_in_the_channel() {
    with_token()
        .run(async |app| {
            let (exchange, form) = app.opened_form(NEW).await;
            app.submit(&form, &[PHONE, ("agent", "agent-of-others")]).await;
            let reply = app.late_reply(exchange).await;
            assert!(text(&reply).contains("Kapso rejected this number"), "{reply:?}");
        })
        .await;
}

fn fields(form: &OpenedView) -> Vec<&str> {
    let blocks = form.view["blocks"].as_array().unwrap();
    blocks.iter().map(|block| block["block_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn with_several_projects_the_form_asks_which_one() {
    const KEYS: &str = r#"create_users = ["U2147483697"]
default_agent = "agent-123abc""#;
    let only = |channel: &str| format!("{KEYS}\nchannels = [\"{channel}\", \"C00000003\"]");
    let (support, staging) = (only("C00000001"), only("C00000002"));
    let look = "channels = [\"C00000003\"]";
    let projects = [("support", support.as_str()), ("staging", &staging), ("look", look)];
    test_app()
        .with_bot_token()
        .with_projects(projects)
        .run(async |app| {
            app.wait_for_store().await;
            app.person.channel = "C00000001".to_owned();
            let (exchange, form) = app.opened_form(NEW).await;
            assert_eq!(fields(&form), ["phone", "agent"]);
            assert_eq!(form.view["blocks"][1]["element"]["initial_value"], "agent-123abc");
            app.submit(&form, &[PHONE, AGENT]).await;
            let card = app.late_reply(exchange).await;
            assert!(plain::text(&card.message).contains("Project support"), "{card:?}");

            app.person.channel = "C00000003".to_owned();
            let (exchange, form) = app.opened_form(NEW).await;
            assert_eq!(fields(&form), ["project", "phone", "agent"]);
            let options = form.view["blocks"][0]["element"]["options"].as_array().unwrap();
            let names: Vec<_> = options.iter().map(|option| option["value"].as_str().unwrap()).collect();
            assert!(!names.contains(&"look"), "nobody creates sessions there: {names:?}");
            for forged in ["sales", "../x", "Support"] {
                let sent = app.submit(&form, &[("project", forged), PHONE]).await;
                assert_eq!(
                    sent.errors,
                    json!({"project": "This Kapso project can no longer be used here."}),
                    "{forged}"
                );
            }
            let sent = app.submit(&form, &[("project", "staging"), PHONE]).await;
            assert_eq!(sent.errors, Value::Null);
            let card = app.late_reply(exchange).await;
            assert!(plain::text(&card.message).contains("Project staging"), "{card:?}");
            assert_eq!(app.other_projects[0].create_requests().len(), 1);

            let (_, form) = app.opened_form("/sandbox @staging new").await;
            assert_eq!(fields(&form), ["phone", "agent"]);
            let answer = app.command("/sandbox @sales new").await;
            assert!(text(&answer).contains("no project"), "{answer:?}");
        })
        .await;
}

#[tokio::test]
async fn permissions_are_checked_when_the_form_is_submitted() {
    let may = r#"create_users = ["U2147483697"]"#;
    test_app()
        .with_bot_token()
        .with_projects([("support", may)])
        .run(async |app| {
            app.wait_for_store().await;
            let (exchange, form) = app.opened_form(NEW).await;
            app.reload_projects(&[("support", r#"create_users = ["U0BOSS"]"#)]);
            app.submit(&form, &[PHONE, AGENT]).await;
            let answer = app.late_reply(exchange).await;
            assert!(
                text(&answer).starts_with("You cannot create sessions here."),
                "{answer:?}"
            );
            assert_eq!(create_requests(app), 0);
        })
        .await;
}

#[tokio::test]
async fn the_token_is_replaced_and_removed_while_the_app_runs() {
    with_token()
        .run(async |app| {
            app.opened_form(NEW).await;
            app.slack
                .web_api()
                .set_token_state(crate::support::BOT_TOKEN, kapso_slack::demo::TokenState::Revoked);
            let answer = app.command(NEW).await;
            assert!(text(&answer).starts_with(NOT_OPENED), "{answer:?}");
        })
        .await;
}
