//! A phone number alone: its newest session, or an offer to create one.

use std::time::Duration;

use http::StatusCode;
use jiff::SignedDuration;
use kapso_slack::demo::rules::buttons;
use kapso_slack::demo::{Fault, PostedMessage, plain};
use serde_json::json;

use crate::support::creation::create_requests;
use crate::support::{ID, TestApp, test_app, with_app};

const PHONE: &str = "+12025550123";
const LIST_PAGE: &str = "GET /sandbox_sessions?page=1&per_page=100";

/// Adds sessions of other phones, older than all that are there.
fn add_older(app: &TestApp, count: usize) {
    for n in 0..count {
        let id = format!("older-{n}");
        app.kapso.add_session(&id);
        let created_at = app.now() - SignedDuration::from_hours(24) - SignedDuration::from_secs(n.try_into().unwrap());
        app.kapso.set_field(&id, "created_at", created_at.to_string().into());
    }
}

/// Adds a session of the phone, this many seconds older than the oldest of `add_older`.
fn add_session_of_phone(app: &TestApp, id: &str, age_secs: i64) {
    app.kapso.add_session(id);
    app.kapso.set_field(id, "phone_number", PHONE.into());
    let created_at = app.now() - SignedDuration::from_secs(age_secs);
    app.kapso.set_field(id, "created_at", created_at.to_string().into());
}

fn labels(posted: &PostedMessage) -> Vec<String> {
    buttons(&posted.message)
        .map(|button| button["text"]["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn every_spelling_of_a_phone_number_alone_shows_its_newest_session() {
    with_app(async |app| {
        app.kapso.set_rate_limit(10_000);
        add_session_of_phone(app, "the-old-one", 7_200);
        add_session_of_phone(app, "the-newest-one", 60);
        add_session_of_phone(app, "the-middle-one", 3_600);
        for typed in [
            PHONE,
            "+1 202-555-0123",
            "(+1) 202 555 0123",
            "<tel:+12025550123|+1 202-555-0123>",
            "<tel:+12025550123>",
            "*<tel:+12025550123|+1 202-555-0123>*",
            "_+1 202 555 0123_",
            "`+12025550123`",
            "tel:+12025550123",
            "＋１２０２５５５０１２３",
            "\u{202A}+1 202 555 0123\u{202C}",
            "/sandbox +12025550123",
            "show +12025550123",
            "show <tel:+12025550123|+1 202-555-0123>",
        ] {
            let before = app.kapso.requests().len();
            let card = app.command_text(&format!("/sandbox {typed}")).await;
            assert!(card.contains("Session the-newest-one"), "{typed}: {card}");
            assert_eq!(app.kapso.requests()[before..], [LIST_PAGE], "{typed}");
        }
        let line = app.wait_for_commands(14).await.remove(13);
        assert_eq!(
            (&line["verb"], &line["outcome"], &line["session_id"]),
            (&json!("find"), &json!("shown"), &json!("the-newest-one"))
        );
        assert!(
            !app.log_lines()
                .iter()
                .any(|line| line.to_string().contains("2025550123"))
        );
    })
    .await;
}

#[tokio::test]
async fn an_unclear_phone_number_alone_is_corrected_without_a_request() {
    with_app(async |app| {
        for (typed, says) in [
            (
                "12025550123",
                "Did you mean `/sandbox +12025550123`? If that's a session ID, type `/sandbox show 12025550123`",
            ),
            (
                "<tel:12025550123|12025550123>",
                "Did you mean `/sandbox +12025550123`? If that's a session ID, type `/sandbox show 12025550123`",
            ),
            (
                "0012025550123",
                "Did you mean `/sandbox +12025550123`? If that's a session ID, type `/sandbox show 0012025550123`",
            ),
            ("1 202 555 0123", "Did you mean `/sandbox +12025550123`?"),
            ("(1) 202 555-0123", "Did you mean `/sandbox +12025550123`?"),
            ("+52 1 55 1234 5678", "Did you mean `/sandbox +525512345678`?"),
            ("find +12025550123", "Did you mean `/sandbox +12025550123`?"),
            ("session of +1 202 555 0123", "Did you mean `/sandbox +12025550123`?"),
            ("watch +12025550123", "Did you mean `/sandbox +12025550123`?"),
        ] {
            let answer = app.command(&format!("/sandbox {typed}")).await;
            assert_eq!(answer.message["text"], says, "{typed}");
            assert_eq!(app.kapso.requests(), Vec::<String>::new(), "{typed}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_button_below_the_correction_looks_the_phone_up() {
    with_app(async |app| {
        add_session_of_phone(app, "the-one", 60);
        let correction = app.command("/sandbox 12025550123").await;
        assert_eq!(labels(&correction), ["Find by phone number", "Show it as a session ID"]);
        let card = app.press(&correction, "run").await;
        assert_eq!(card.id, correction.id, "the card replaces the correction");
        assert!(plain::text(&card.message).contains("Session the-one"), "{card:?}");
    })
    .await;
}

#[tokio::test]
async fn a_phone_without_a_session_is_offered_to_those_who_may_create() {
    test_app()
        .with_creation()
        .run(async |app| {
            let answer = app.command("/sandbox +1 202 555 0123").await;
            assert_eq!(
                answer.message["text"],
                "There is no session for `+12025550123` in this app's Kapso project. Create one: `/sandbox new \
                 +12025550123`"
            );
            assert_eq!(labels(&answer), ["Create a session"]);
            assert_eq!(create_requests(app), 0);
            let created = app.press(&answer, "run").await;
            assert_eq!(created.id, answer.id, "the card replaces the offer");
            assert_eq!(
                app.kapso.create_requests(),
                [json!({"whatsapp_sandbox_session": {"phone_number": PHONE, "agent_id": "agent-123abc"}})]
            );
            let found = app.command_text("/sandbox +12025550123").await;
            assert!(found.contains("Phone: +12025550123"), "{found}");
            // Pressed again, it asks: the offer may still be on another client's screen.
            let again = app.press(&answer, "run").await;
            assert!(
                plain::text(&again.message).contains("Do you want another one?"),
                "{again:?}"
            );
            assert_eq!(create_requests(app), 1);
        })
        .await;
}

#[tokio::test]
async fn people_who_may_not_create_read_so_and_who_may() {
    test_app()
        .with("CREATE_USERS", "U0BOSS")
        .run(async |app| {
            app.wait_for_store().await;
            let answer = app.command("/sandbox +12025550123").await;
            assert_eq!(
                answer.message["text"],
                "There is no session for `+12025550123` in this app's Kapso project. You cannot create sessions here. \
                 These people can create one: <@U0BOSS>. Whoever runs this app can change that."
            );
            assert_eq!(labels(&answer), Vec::<String>::new());
            // The right is checked again at the press.
            let own = std::mem::replace(&mut app.person.user, "U0BOSS".to_owned());
            let offer = app.command("/sandbox +12025550123").await;
            app.person.user = own;
            let refused = app.press(&offer, "run").await;
            assert!(
                plain::text(&refused.message).starts_with("You cannot create sessions here."),
                "{refused:?}"
            );
            assert_eq!(create_requests(app), 0);
        })
        .await;
}

/// Two pages, so that the second one shows whether later pages are read too.
#[tokio::test]
async fn later_pages_are_read_until_the_session_is_found() {
    with_app(async |app| {
        app.kapso.set_rate_limit(10_000);
        add_older(app, 250);
        add_session_of_phone(app, "far-back", 24 * 3_600 + 150);
        let card = app.command_text("/sandbox +12025550123").await;
        assert!(card.contains("Session far-back"), "{card}");
        assert_eq!(
            app.kapso.requests(),
            [LIST_PAGE, "GET /sandbox_sessions?page=2&per_page=100"],
            "newest first, and no further than needed"
        );
    })
    .await;
}

#[tokio::test]
async fn of_thousands_of_sessions_the_newest_thousand_are_searched_and_the_reply_says_so() {
    test_app()
        .with_creation()
        .run(async |app| {
            app.kapso.set_rate_limit(10_000);
            add_older(app, 2_345);
            let exchange = app.send("/sandbox +12025550123").await;
            let answer = match exchange.message {
                Some(message) => message,
                None => app.late_reply(exchange.exchange).await,
            };
            assert_eq!(app.kapso.requests().len(), 10);
            assert_eq!(
                answer.message["text"],
                "I found no session for `+12025550123` among the newest 1000 sessions, and stopped there: there are \
                 2346 in this app's Kapso project. Create one: `/sandbox new +12025550123`"
            );
            assert_eq!(labels(&answer), ["Create a session", "Show the list"]);
        })
        .await;
}

/// The search leaves a fifth of the limit to other people's commands.
#[tokio::test]
async fn the_search_stops_before_it_uses_up_the_rate_limit() {
    with_app(async |app| {
        app.kapso.set_rate_limit(10);
        add_older(app, 1_500);
        // The first answer says what the limit is.
        app.command(&format!("/sandbox {ID}")).await;
        let sent = app.send("/sandbox +12025550123").await;
        let answer = match sent.message {
            Some(message) => message,
            None => app.late_reply(sent.exchange).await,
        };
        let pages = app.kapso.requests().len() - 1;
        assert_eq!(pages, 7, "of ten requests, one was the card, and two are left");
        let text = answer.message["text"].as_str().unwrap();
        assert!(
            text.starts_with("I found no session for `+12025550123` among the newest 700 sessions, and stopped there:"),
            "{text}"
        );
        assert!(text.ends_with("Try again in a minute."), "{text}");
        assert_eq!(labels(&answer), ["Search again", "Show the list"]);
        let card = app.command_text(&format!("/sandbox show {ID}")).await;
        assert!(card.contains("WHATSAPP SANDBOX SESSION"), "{card}");
    })
    .await;
}

#[tokio::test]
async fn sessions_that_cannot_be_read_make_the_result_uncertain() {
    with_app(async |app| {
        app.kapso.allow_undocumented();
        for (unreadable, says) in [
            (1, "1 session could not be read. Please tell whoever runs this app."),
            (2, "2 sessions could not be read. Please tell whoever runs this app."),
        ] {
            app.kapso
                .put_session(&format!("unreadable-{unreadable}"), json!({"status": "active"}));
            let answer = app.command("/sandbox +12025550123").await;
            let text = answer.message["text"].as_str().unwrap();
            assert!(
                text.starts_with("I found no session for `+12025550123` in this app's Kapso project."),
                "it does not say that there is none: {text}"
            );
            assert!(text.contains(says), "{text}");
            assert_eq!(labels(&answer), ["Show the list"]);
        }
    })
    .await;
}

#[tokio::test]
async fn the_search_stops_when_kapso_is_slow_or_fails_on_a_later_page() {
    test_app()
        .with_short_budget()
        .run(async |app| {
            app.kapso.set_rate_limit(10_000);
            add_older(app, 350);
            app.kapso.fail_next_request(Fault::Stall);
            let exchange = app.expect_ack_only("/sandbox +12025550123").await;
            app.kapso.wait_for_requests(1).await;
            app.advance_clock(SignedDuration::from_secs(16));
            app.kapso.release_stalled_requests();
            let answer = app.late_reply(exchange).await;
            let text = answer.message["text"].as_str().unwrap();
            assert!(
                text.contains("among the newest 100 sessions, and stopped there:"),
                "{text}"
            );
            assert_eq!(app.kapso.requests().len(), 1);
        })
        .await;
    test_app()
        .set(|settings| settings.timing.kapso.min_retry_delay = Duration::ZERO)
        .run(async |app| {
            add_older(app, 350);
            app.kapso.fail_next_request(Fault::Delay(Duration::ZERO));
            app.kapso
                .fail_next_request(Fault::answer(StatusCode::INTERNAL_SERVER_ERROR, "{}"));
            let text = app.command("/sandbox +12025550123").await.message["text"].clone();
            let text = text.as_str().unwrap();
            assert!(
                text.contains("among the newest 100 sessions, and stopped there:"),
                "{text}"
            );
            let line = &app.wait_for_commands(1).await[0];
            assert_eq!(line["outcome"], "not_found", "{line}");
            assert_eq!(line["error"], "Kapso did not answer: status 500", "{line}");
        })
        .await;
    with_app(async |app| {
        app.next_kapso_response(401, "{}");
        let text = app.command_text("/sandbox +12025550123").await;
        assert!(text.starts_with("Kapso refused this app's key"), "{text}");
    })
    .await;
}
