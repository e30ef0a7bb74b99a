//! `/sandbox new`: who may create sessions, and what the reply is.

use std::time::Duration;

use insta::assert_snapshot;
use jiff::SignedDuration;
use kapso_slack::demo::{Fault, Person, plain};
use serde_json::{Value, json};

use crate::support::cards::text;
use crate::support::creation::{NEW, create_requests, created_session, text_without_request_id};
use crate::support::raw_request::{COMMANDS, RawRequest};
use crate::support::{ID, TestAppBuilder, test_app, with_app};

#[tokio::test]
async fn a_created_session_is_shown_as_a_card() {
    test_app()
        .with_creation()
        .run(async |app| {
            let card = app.command(&format!("{NEW} agent-123abc")).await.message;
            let id = created_session(app);
            assert_eq!(app.kapso.requests(), ["POST /sandbox_sessions"]);
            let wanted = json!({"phone_number": "+12345678901", "agent_id": "agent-123abc"});
            assert_eq!(
                app.kapso.create_requests(),
                [json!({"whatsapp_sandbox_session": wanted})]
            );
            let code = app.kapso.sessions()[&id]["activation_code"]
                .as_str()
                .unwrap()
                .to_owned();
            let read = plain::text(&card).replace(&id, "ID").replace(&code, "CODE42");
            assert_snapshot!("a_created_session_is_shown_as_a_card", read);
            assert_eq!(card["response_type"], "ephemeral");
            assert!(text(&card).contains("is waiting for activation"), "{card}");

            let typed = app.command(&format!("/sandbox {id}")).await.message;
            let mut blocks = card["blocks"].as_array().unwrap().clone();
            blocks.remove(1);
            assert_eq!(
                blocks,
                *typed["blocks"].as_array().unwrap(),
                "the same card as for a lookup, but for what was done"
            );
            assert_eq!(app.kapso.requests().len(), 1, "the created session is cached");
            let line = &app.wait_for_commands(2).await[0];
            assert_eq!(
                (&line["verb"], &line["outcome"], &line["session_id"]),
                (&json!("new"), &json!("created"), &json!(id))
            );
        })
        .await;
}

#[tokio::test]
async fn without_an_agent_the_request_names_none() {
    test_app()
        .with_creation()
        .with("DEFAULT_AGENT", "")
        .run(async |app| {
            app.kapso.accept_missing_agent();
            app.command(NEW).await;
            let wanted = json!({"phone_number": "+12345678901"});
            assert_eq!(
                app.kapso.create_requests(),
                [json!({"whatsapp_sandbox_session": wanted})]
            );
        })
        .await;
}

#[tokio::test]
async fn without_an_agent_the_request_names_the_default_one() {
    test_app()
        .with_creation()
        .run(async |app| {
            let card = app.command_text(NEW).await;
            assert!(card.contains("Customer Support Agent"), "{card}");
            let wanted = json!({"phone_number": "+12345678901", "agent_id": "agent-123abc"});
            assert_eq!(
                app.kapso.create_requests(),
                [json!({"whatsapp_sandbox_session": wanted})]
            );
        })
        .await;
}

#[tokio::test]
async fn an_agent_that_is_named_is_used_instead_of_the_default_one() {
    test_app()
        .with_creation()
        .with("DEFAULT_AGENT", "agent-of-another-project")
        .run(async |app| {
            let card = app.command_text(&format!("{NEW} agent-123abc")).await;
            assert!(card.contains("Waiting for activation"), "{card}");
        })
        .await;
}

#[tokio::test]
async fn a_slow_creation_is_made_once_and_is_a_late_reply() {
    test_app()
        .with_creation()
        .with_short_budget()
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let exchange = app.expect_ack_only(NEW).await;
            app.kapso.wait_for_requests(1).await;
            app.kapso.release_stalled_requests();
            let card = app.late_reply(exchange).await;
            assert!(
                plain::text(&card.message).contains("Waiting for activation"),
                "{card:?}"
            );
            assert_eq!(create_requests(app), 1);
            let line = &app.wait_for_commands(1).await[0];
            assert_eq!(
                (&line["outcome"], &line["answer"], &line["session_id"]),
                (&json!("created"), &json!("late"), &json!(created_session(app)))
            );
        })
        .await;
}

/// `CREATE_USERS`, a person, and whether this person may create sessions.
const CREATORS: &[(&str, &str, bool)] = &[
    ("", "U2147483697", false),
    (" ", "U2147483697", false),
    ("*", "U2147483697", true),
    (" * ", "U2147483697", true),
    ("*", "", true),
    ("U2147483697", "U2147483697", true),
    ("U0OTHER, U2147483697 ,", "U2147483697", true),
    ("W0OTHER", "W0OTHER", true),
    ("U0OTHER", "U2147483697", false),
    ("U2147483697", "U214748369", false),
    ("U2147483697", "u2147483697", false),
    ("U0OTHER", "", false),
];

#[tokio::test]
async fn people_without_permission_create_nothing() {
    for (creators, user, may) in CREATORS {
        let what = format!("{creators:?}, {user:?}");
        test_app()
            .with_creation()
            .with("CREATE_USERS", *creators)
            // With it, `new` alone opens a form.
            .without_bot_token()
            .run(async |app| {
                app.person.user = (*user).to_owned();
                let read = app.command_text(NEW).await;
                assert_eq!(read.contains("Waiting for activation"), *may, "{what}: {read}");
                assert_eq!(
                    read.starts_with("You cannot create sessions here."),
                    !may,
                    "{what}: {read}"
                );
                assert_eq!(create_requests(app), usize::from(*may), "{what}");
                let help = app.command_text("/sandbox help").await;
                assert_eq!(
                    help.contains("/sandbox new <+phone> [agent id]"),
                    *may,
                    "{what}: {help}"
                );
                // Mistyped commands are not corrected for people without permission.
                for mistyped in [
                    "/sandbox new",
                    "/sandbox new +12345678901 for steve",
                    "/sandbox nwe +12345678901",
                ] {
                    let read = app.command_text(mistyped).await;
                    assert_eq!(read.starts_with("You cannot create"), !may, "{what}: {read}");
                }
                let list = app.command_text("/sandbox list").await;
                assert!(list.contains("Page 1 of 1"), "{what}: everybody lists: {list}");
            })
            .await;
    }
}

#[tokio::test]
async fn the_refusal_names_people_with_permission() {
    let refusal_for = async |creators: &str| {
        let mut read = Value::Null;
        test_app()
            .with_creation()
            .with("CREATE_USERS", creators)
            .run(async |app| read = app.command(NEW).await.message["text"].clone())
            .await;
        read.as_str().unwrap().to_owned()
    };
    assert_snapshot!("the_refusal_names_people_with_permission", refusal_for("").await);
    assert_snapshot!(
        "the_refusal_names_people_with_permission_2",
        refusal_for("U0OTHER,W0BOSS").await
    );
}

#[tokio::test]
async fn people_without_access_create_nothing() {
    test_app()
        .with_creation()
        .with("ALLOWED_USERS", "U0OTHER")
        .run(async |app| {
            let read = app.command_text(NEW).await;
            assert!(read.starts_with("You cannot use this here."), "{read}");
            assert_eq!(create_requests(app), 0);
            app.person = Person {
                user: "U0OTHER".to_owned(),
                ..Person::default()
            };
            app.command(NEW).await;
            assert_eq!(create_requests(app), 1, "everyone with access may create");
        })
        .await;
}

#[tokio::test]
async fn an_unsigned_request_creates_nothing() {
    test_app()
        .with_creation()
        .run(async |app| {
            let request = app.command_request("new +12345678901", None);
            let unsigned = RawRequest::unsigned(COMMANDS, request.body.clone());
            let mut changed = request.clone();
            changed.replace("2345678901", "2345678902");
            let old = RawRequest::unsigned(COMMANDS, request.body.clone())
                .signed(crate::support::SECRET, app.now().as_second() - 301);
            for forged in [unsigned, changed, old] {
                assert_eq!(app.send_raw(&forged).await.status, 401);
            }
            assert_eq!(create_requests(app), 0);
        })
        .await;
}

#[tokio::test]
async fn a_command_without_a_trigger_id_creates_nothing() {
    test_app()
        .with_creation()
        .run(async |app| {
            for trigger in ["", "&trigger_id="] {
                let form = format!("command=%2Fsandbox&user_id=U2147483697&text=new+%2B12345678901{trigger}");
                let reply = app.send_raw(&app.signed_request(COMMANDS, form)).await;
                assert!(reply.body.contains("Storage is unavailable"), "{}", reply.body);
            }
            assert_eq!(create_requests(app), 0);
        })
        .await;
}

#[tokio::test]
async fn a_rate_limited_creation_needs_no_confirmation_later() {
    test_app()
        .with_creation()
        .set(|settings| settings.timing.kapso.max_rate_limit_wait = Duration::ZERO)
        .run(async |app| {
            for page in 1..=100 {
                app.command(&format!("/sandbox list {page}")).await;
            }
            let read = app.command_text(NEW).await;
            assert!(read.starts_with("Kapso is limiting this app's requests."), "{read}");
            assert_eq!(create_requests(app), 0);
            app.advance_clock(SignedDuration::from_secs(60));
            let card = app.command_text(NEW).await;
            assert!(card.contains("Waiting for activation"), "{card}");
        })
        .await;
}

/// An app whose database cannot be opened.
fn without_database() -> TestAppBuilder {
    test_app()
        .with("CREATE_USERS", "*")
        .with("DATABASE_URL", "sqlite:/proc/no-folder-for-this/jobs.db")
}

#[tokio::test]
async fn without_a_database_only_creating_is_unavailable() {
    without_database()
        .run(async |app| {
            assert_snapshot!(
                "without_a_database_only_creating_is_unavailable",
                text_without_request_id(&app.command(NEW).await)
            );
            assert_eq!(create_requests(app), 0);
            assert_eq!(app.command_log_lines()[0]["outcome"], "no_store");
            app.command("/sandbox list").await;
            app.command(&format!("/sandbox {ID}")).await;
        })
        .await;
}

#[tokio::test]
async fn a_database_that_breaks_later_makes_creating_unavailable() {
    let folder = crate::support::databases::Folder::new();
    let file = folder.join("jobs.db");
    test_app()
        .with_creation()
        .with("DATABASE_URL", format!("sqlite:{}", file.display()))
        .run(async |app| {
            app.command(NEW).await;
            assert_eq!(create_requests(app), 1);
            std::fs::remove_file(&file).unwrap();
            let read = app.command_text("/sandbox new +1 (234) 567-8902").await;
            assert!(read.contains("Storage is unavailable"), "{read}");
            assert_eq!(create_requests(app), 1);
        })
        .await;
}

#[tokio::test]
async fn help_omits_creating_without_permission() {
    with_app(async |app| {
        let help = app.command_text("/sandbox help").await;
        assert!(!help.contains("/sandbox new"), "{help}");
        assert!(help.contains("/sandbox list [page]"), "{help}");
    })
    .await;
}
