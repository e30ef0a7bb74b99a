//! `/sandbox list`: the pages of the list, and showing a session of it.

use http::StatusCode;
use insta::{assert_json_snapshot, assert_snapshot};
use jiff::SignedDuration;
use kapso_slack::demo::rules::buttons;
use kapso_slack::demo::{Fault, PostedMessage, plain};
use serde_json::{Value, json};

use crate::support::button_values::{content, session_value, signed};
use crate::support::cards::{expect_private_reply, shared_card};
use crate::support::cards::{sorted, text};
use crate::support::inert_text::WORDS;
use crate::support::inert_text::expect_inert;
use crate::support::spelling::{command_with_requests, expect_only_text};
use crate::support::{ID, TestApp, test_app, with_app};

/// Replaces the sessions of the project with `many`, created in the order of their numbers.
fn fill(app: &TestApp, many: i64) {
    app.kapso.delete(ID);
    for n in 1..=many {
        let id = format!("session-{n}");
        app.kapso.add_session(&id);
        let made = app.now() + SignedDuration::from_secs(n);
        app.kapso.set_field(&id, "created_at", made.to_string().into());
        app.kapso
            .set_field(&id, "phone_number", format!("+1202555{n:04}").into());
    }
}

/// The ids in the "Show" buttons.
fn shown_ids(message: &Value) -> Vec<&str> {
    buttons(message)
        .filter(|button| button["action_id"] == "show")
        .map(|button| content(button["value"].as_str().unwrap()).strip_prefix("v1:").unwrap())
        .collect()
}

#[tokio::test]
async fn a_page_has_a_row_for_each_session() {
    with_app(async |app| {
        app.kapso.allow_undocumented();
        app.kapso.set_field(ID, "created_at", "2026-11-23T09:00:00Z".into());
        for (id, phone, agent) in [
            ("active", "+4915112345678", json!({"name": "Booking Assistant"})),
            ("expired", "+447700900123", Value::Null),
            ("new-state", "+81 3", json!({"name": "Returns & Refunds"})),
        ] {
            app.kapso.add_session(id);
            app.kapso.set_field(id, "phone_number", phone.into());
            app.kapso.set_field(id, "agent", agent);
        }
        app.kapso.activate("active");
        app.kapso.expire("expired");
        app.kapso
            .set_field("expired", "expires_at", "2026-11-23T09:30:00Z".into());
        app.kapso.set_field("new-state", "status", "paused_by_operator".into());
        app.kapso.set_field("new-state", "expires_at", Value::Null);
        let list = app.command("/sandbox list").await.message;
        assert_eq!(app.kapso.requests(), ["GET /sandbox_sessions?page=1&per_page=10"]);
        assert_eq!(list["response_type"], "ephemeral");
        assert_snapshot!(plain::text(&list), @"
        WHATSAPP SANDBOX SESSIONS
        Page 1 of 1 · 4 sessions
        🟢 Active · •••• 5678 · Booking Assistant · active
        Expires Nov 24, 2026 at 10:00 UTC  [ Show ]
        🟡 Waiting for activation · •••• 8901 · Customer Support Agent · 123e4567
        Expires Nov 24, 2026 at 10:00 UTC  [ Show ]
        ⚪ paused_by_operator · •••• · Returns & Refunds · new-state  [ Show ]
        ⚫ Expired · •••• 0123 · no agent · expired
        Expired Nov 23, 2026 at 09:30 UTC  [ Show ]
        ");
        assert_snapshot!("a_page_has_a_row_for_each_session_text", text(&list));
        assert_eq!(shown_ids(&list), ["active", ID, "new-state", "expired"]);
        assert_json_snapshot!("list", sorted(list));
    })
    .await;
}

#[tokio::test]
async fn page_buttons_replace_the_list() {
    with_app(async |app| {
        fill(app, 23);
        let first = app.command("/sandbox list").await;
        assert!(plain::text(&first.message).contains("Page 1 of 3 · 23 sessions"));
        assert_eq!(page_buttons(&first.message), ["Next page"]);
        assert_eq!(shown_ids(&first.message)[0], "session-23", "the newest");
        assert_eq!(shown_ids(&first.message).len(), 10);

        let second = app.press(&first, "page").await;
        assert_eq!(second.id, first.id, "the list is replaced");
        assert_eq!(second.message["replace_original"], true);
        assert_eq!(second.message["response_type"], "ephemeral");
        assert_eq!(page_buttons(&second.message), ["Previous page", "Next page"]);
        assert_eq!(shown_ids(&second.message)[0], "session-13");

        let third = app.press(&second, "page").await;
        assert_eq!(page_buttons(&third.message), ["Previous page"]);
        assert_eq!(shown_ids(&third.message), ["session-3", "session-2", "session-1"]);
        let back = app.press(&third, "page_back").await;
        assert_eq!(back.id, first.id);
        assert_eq!(back.message, second.message);

        let typed = app.command("/sandbox list 2").await;
        assert_eq!(plain::text(&typed.message), plain::text(&second.message));
        let lines = app.wait_for_commands(5).await;
        assert!(
            lines
                .iter()
                .all(|line| line["verb"] == "list" && line["outcome"] == "listed"),
            "{lines:?}"
        );
    })
    .await;
}

fn page_buttons(message: &Value) -> Vec<&str> {
    buttons(message)
        .filter(|button| button["action_id"].as_str().unwrap().starts_with("page"))
        .map(|button| button["text"]["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn show_posts_the_card_as_a_separate_message() {
    with_app(async |app| {
        let list = app.command("/sandbox list").await;
        let card = app.press(&list, "show").await;
        assert_ne!(card.id, list.id, "the list stays");
        assert_eq!(card.message["replace_original"], false);
        assert_eq!(card.message["response_type"], "ephemeral");
        let typed = app.command(&format!("/sandbox {ID}")).await;
        assert_eq!(plain::text(&card.message), plain::text(&typed.message));
        assert_eq!(app.kapso.requests().len(), 1, "sessions of the list are cached");
        let line = &app.wait_for_commands(2).await[1];
        assert_eq!((&line["verb"], &line["outcome"]), (&json!("show"), &json!("shown")));
        assert_eq!(line["session_id"], ID);

        app.kapso.activate(ID);
        let fresh = app.press(&card, "refresh").await;
        assert_eq!(fresh.id, card.id, "the card can be refreshed");
        app.kapso.delete(ID);
        app.advance_clock(SignedDuration::from_secs(6));
        let gone = app.press(&list, "show").await;
        expect_private_reply(app, &list, &gone, &format!("There is no session `{ID}`"));
    })
    .await;
}

/// Typed text, and the reply: a page or a correction.
const PAGES: &[(&str, &str)] = &[
    ("list", "1"),
    ("LIST", "1"),
    ("`list`", "1"),
    ("list 1", "1"),
    ("list 2", "2"),
    ("list  `2`", "2"),
    ("list\u{A0}2", "2"),
    ("list #2", "2"),
    ("list 2.", "2"),
    ("list 02", "2"),
    ("list 999", "999"),
    ("list 999999", "999999"),
    ("list 1000000", "NO PAGE"),
    ("list 99999999999", "NO PAGE"),
    ("list 99999999999999999999999999999999", "NO PAGE"),
    ("list 0", "NO PAGE"),
    ("list -1", "NO PAGE"),
    ("list 1.5", "NO PAGE"),
    ("list 1e3", "NO PAGE"),
    ("list 0x2", "NO PAGE"),
    ("list zwei", "list"),
    ("list ２", "2"),
    ("list two please", "list"),
    ("list <!channel>", "list"),
    ("list 2 3", "list 2"),
    ("list page 2", "list 2"),
    ("list 1 0", "list"),
    ("lsit 2", "list 2"),
    ("lists page 3", "list 3"),
    ("list ID", "show ID"),
];

#[tokio::test]
async fn only_page_numbers_are_accepted() {
    with_app(async |app| {
        for (typed, read) in PAGES {
            let (requests, answer) = command_with_requests(app, &typed.replace("ID", ID)).await;
            if read.parse::<u32>().is_ok() {
                assert_eq!(
                    requests,
                    [format!("GET /sandbox_sessions?page={read}&per_page=10")],
                    "{typed:?}"
                );
                continue;
            }
            assert!(requests.is_empty(), "{typed:?} led to {requests:?}");
            let expected = match *read {
                "NO PAGE" => "Page numbers go from 1 to 999999. Type `/sandbox list` for the first page, or for \
                              example `/sandbox list 2`."
                    .to_owned(),
                instead => format!("Did you mean `/sandbox {}`?", instead.replace("ID", ID)),
            };
            expect_only_text(&answer, &expected, typed);
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_past_the_end_says_how_many_pages_there_are() {
    with_app(async |app| {
        fill(app, 23);
        let beyond = app.command("/sandbox list 999").await;
        assert_snapshot!(plain::text(&beyond.message), @"
        WHATSAPP SANDBOX SESSIONS
        There is nothing to show on page 999: the list has 3 pages and 23 sessions.
        [ Last page ]
        ");
        let last = app.press(&beyond, "page_back").await;
        assert_eq!(last.id, beyond.id);
        assert!(plain::text(&last.message).contains("Page 3 of 3"), "{last:?}");

        // Sessions may be deleted between two presses.
        let second = app.command("/sandbox list 2").await;
        fill(app, 0);
        for n in 4..=23 {
            app.kapso.delete(&format!("session-{n}"));
        }
        let gone = app.press(&second, "page").await;
        assert_snapshot!(plain::text(&gone.message), @"
        WHATSAPP SANDBOX SESSIONS
        There is nothing to show on page 3: the list has one page and 3 sessions.
        [ Last page ]
        ");
    })
    .await;
}

#[tokio::test]
async fn an_empty_project_says_how_to_create_the_first_session() {
    let text_for = async |creators: &str| {
        let mut read = String::new();
        test_app()
            .with("CREATE_USERS", creators)
            .run(async |app| {
                app.kapso.delete(ID);
                read = app.command_text("/sandbox list").await;
                assert_eq!(
                    app.command_text("/sandbox list 3").await,
                    read,
                    "a later page says the same"
                );
            })
            .await;
        read
    };
    assert_snapshot!(
        "an_empty_project_says_how_to_create_the_first_session",
        text_for("*").await
    );
    assert_snapshot!(
        "an_empty_project_says_how_to_create_the_first_session_2",
        text_for("U0BOSS,W0BOSS").await
    );
    assert_snapshot!(
        "an_empty_project_says_how_to_create_the_first_session_3",
        text_for("").await
    );
}

#[tokio::test]
async fn missing_parts_of_a_list_affect_only_themselves() {
    let session = |id: &str| json!({"id": id, "status": "active"});
    let ten: Vec<_> = (0..10).map(|n| session(&format!("session-{n}"))).collect();
    with_app(async |app| {
        for (name, body, title, turned) in [
            ("no meta", json!({"data": ten}), "Page 1\n", &["Next page"][..]),
            (
                "meta of another form",
                json!({"data": ten, "meta": [7]}),
                "Page 1\n",
                &["Next page"],
            ),
            (
                "no meta, and a short page",
                json!({"data": [session("a")]}),
                "Page 1\n",
                &[],
            ),
            (
                "only a count",
                json!({"data": [session("a")], "meta": {"total_count": 1}}),
                "Page 1 · 1 session",
                &[],
            ),
            (
                "sessions that cannot be read",
                json!({"data": [{"id": 7}, {}, session("a/b")], "meta": {"total_pages": 1, "total_count": 3}}),
                "Page 1 of 1 · 3 sessions\n3 sessions on this page could not be read. Please tell whoever runs this app.",
                &[],
            ),
            (
                "some of them",
                json!({"data": [{"id": 7}, session("a")], "meta": {"total_pages": 2, "total_count": 12}}),
                "\n1 session on this page could not be read. Please tell whoever runs this app.",
                &["Next page"],
            ),
            (
                "nothing but a list",
                json!({"data": []}),
                "There are no sessions yet",
                &[],
            ),
        ] {
            app.advance_clock(SignedDuration::from_secs(61));
            app.next_kapso_response(200, body.to_string());
            let list = app.command("/sandbox list").await.message;
            assert!(plain::text(&list).contains(title), "{name}: {}", plain::text(&list));
            assert_eq!(page_buttons(&list), turned, "{name}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_failed_list_request_becomes_one_sentence() {
    with_app(async |app| {
        let list = app.command("/sandbox list").await;
        for (status, body, words, outcome) in [
            (401, "{}", "Kapso refused this app's key", "key_refused"),
            (404, r#"{"error":"zebra"}"#, "Kapso may have moved this API", "moved"),
            (404, "zebra", "Kapso may have moved this API", "moved"),
            (410, "", "Kapso may have moved this API", "moved"),
            (422, "{}", "sent an unexpected response", "unintelligible"),
            (200, "<!DOCTYPE html>", "sent an unexpected response", "unintelligible"),
            (200, r#"{"data":{}}"#, "sent an unexpected response", "unintelligible"),
            (500, "", "Kapso had an error. Nothing was changed", "no_answer"),
            (
                429,
                "",
                "Kapso is limiting this app's requests. Try again in 60 s.",
                "limited",
            ),
        ] {
            app.advance_clock(SignedDuration::from_secs(61));
            app.kapso
                .set_fault(Some(Fault::answer(StatusCode::from_u16(status).unwrap(), body)));
            let typed = app.command_text("/sandbox list").await;
            assert!(typed.contains(words), "{status}: {typed}");
            assert_eq!(app.command_log_lines().pop().unwrap()["outcome"], outcome, "{status}");
            app.advance_clock(SignedDuration::from_secs(61));
            let pressed = app
                .slack
                .press_button_with_value(&app.app_url, &app.person, &list, "page", json!(signed("v1:1")))
                .await;
            let pressed = app.late_reply(pressed.exchange).await;
            assert!(
                pressed.message["text"].as_str().unwrap().contains(words),
                "{status}: {pressed:?}"
            );
            assert_eq!(pressed.message["replace_original"], false, "{status}: the list stays");
        }
        app.kapso.set_fault(None);
    })
    .await;
}

#[tokio::test]
async fn a_slow_list_is_a_late_reply() {
    test_app()
        .with_short_budget()
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let exchange = app.expect_ack_only("/sandbox list").await;
            app.kapso.release_stalled_requests();
            let list = app.late_reply(exchange).await;
            assert_eq!(shown_ids(&list.message), [ID]);
            assert_eq!(app.wait_for_commands(1).await[0]["answer"], "late");
        })
        .await;
}

#[tokio::test]
async fn text_in_a_row_is_inert() {
    with_app(async |app| {
        app.kapso.allow_undocumented();
        for words in WORDS {
            app.kapso.add_session(ID);
            for field in [
                "status",
                "phone_number",
                "activation_code",
                "activation_link",
                "expires_at",
            ] {
                app.kapso.set_field(ID, field, json!(words));
            }
            app.kapso.set_field(ID, "agent", json!({"name": words}));
            app.advance_clock(SignedDuration::from_secs(61));
            let list = app.command("/sandbox list").await;
            expect_inert(&list.message, words);
            let turned = press(app, &list, "page", &signed("v1:1")).await;
            expect_inert(&turned.message, words);
        }
        let words: String = "MARK <!channel> 🙂 ".chars().cycle().take(60_000).collect();
        app.kapso.add_session(ID);
        app.kapso.set_field(ID, "status", json!(words));
        app.kapso.set_field(ID, "agent", json!({"name": words}));
        app.advance_clock(SignedDuration::from_secs(61));
        let list = app.command("/sandbox list").await.message;
        expect_inert(&list, "60,000 characters");
        assert!(list.to_string().len() < 2_000, "{list}");
    })
    .await;
}

async fn press(app: &TestApp, on: &PostedMessage, action: &str, value: &str) -> PostedMessage {
    let sent = app
        .slack
        .press_button_with_value(&app.app_url, &app.person, on, action, json!(value))
        .await;
    assert_eq!(sent.status, Some(StatusCode::OK), "{action} {value}");
    app.late_reply(sent.exchange).await
}

#[tokio::test]
async fn a_page_button_with_an_invalid_value_makes_no_request() {
    with_app(async |app| {
        let list = app.command("/sandbox list").await;
        let requests = app.kapso.requests();
        for action in ["page", "page_back", "show"] {
            let hostile = [
                "",
                "1",
                "v1",
                "v1:",
                "v1:0",
                "v1:-1",
                "v1:+1",
                "v1:01",
                "v1: 1",
                "v1:1 ",
                "v1:1:2",
                "v2:1",
                "v1:1000000",
                "v1:99999999999",
                "v1:1.5",
                "v1:1e3",
                "v1:１",
                "v1:1&per_page=100",
                "v1:<!channel>",
            ];
            // These numbers are valid ids.
            let ids = ["v1:0", "v1:-1", "v1:01", "v1:1000000", "v1:99999999999", "v1:1e3"];
            for value in hostile
                .into_iter()
                .filter(|value| action != "show" || !ids.contains(value))
            {
                for value in [value.to_owned(), signed(value)] {
                    let answer = press(app, &list, action, &value).await;
                    let words = "This button is too old, or from another version of the app.";
                    expect_private_reply(app, &list, &answer, words);
                    assert_eq!(app.kapso.requests(), requests, "{action} {value:?} made us ask");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn no_list_and_no_unmasked_card_goes_to_a_channel() {
    with_app(async |app| {
        let card = shared_card(app, &session_value(ID));
        for (action, value) in [("page", signed("v1:1")), ("show", session_value(ID))] {
            let answer = press(app, &card, action, &value).await;
            assert_eq!(answer.message["response_type"], "ephemeral", "{action}");
            assert_eq!(answer.message["replace_original"], false, "{action}");
        }
    })
    .await;
}

#[tokio::test]
async fn unreadable_sessions_do_not_make_a_project_look_empty() {
    with_app(async |app| {
        app.next_kapso_response(200, json!({"data": [{"id": "x"}]}).to_string());
        let read = app.command_text("/sandbox list").await;
        assert!(!read.contains("There are no sessions yet"), "{read}");
        let unreadable = vec![json!({"id": "x"}); 10];
        app.next_kapso_response(200, json!({ "data": unreadable }).to_string());
        let list = app.command("/sandbox list").await;
        assert_eq!(page_buttons(&list.message), ["Next page"], "{list:?}");
    })
    .await;
}

#[tokio::test]
async fn sessions_that_cannot_be_read_are_counted() {
    with_app(async |app| {
        app.kapso.allow_undocumented();
        fill(app, 7);
        for id in ["no-status", "status-7", "blank"] {
            app.kapso.add_session(id);
        }
        app.kapso.set_field("no-status", "status", Value::Null);
        app.kapso.set_field("status-7", "status", 7.into());
        app.kapso.set_field("blank", "status", " ".into());
        let list = app.command("/sandbox list").await.message;
        let shown = plain::text(&list);
        assert_eq!(shown_ids(&list).len(), 7, "{shown}");
        assert!(shown.contains("Page 1 of 1 · 10 sessions"), "{shown}");
        let told = "3 sessions on this page could not be read. Please tell whoever runs this app.";
        assert!(shown.contains(told), "{shown}");
        assert!(text(&list).contains(told), "{}", text(&list));
        let line = app.wait_for_log("sessions of a list could not be read").await;
        assert_eq!(line["unreadable"], 3, "{line}");
        assert_eq!(line["request_id"], app.wait_for_commands(1).await[0]["request_id"]);
    })
    .await;
}

/// With the same phone, agent and status.
#[tokio::test]
async fn rows_can_be_told_apart() {
    with_app(async |app| {
        let alike = [
            "7b1e9c52-2f7e-4f5c-9f0f-3a5f6d1c2b3a",
            "7b1e9c52-2f7e-4f5c-9f0f-3a5f6d1c2b3b",
            "7b1e9c52",
            "short",
            "0123456789012345678901234567890123456789012345678901234567890123",
        ];
        for id in alike {
            app.kapso.add_session(id);
        }
        let list = app.command("/sandbox list").await.message;
        let shown = plain::text(&list);
        let rows: Vec<_> = shown.lines().filter(|line| line.starts_with('🟡')).collect();
        let labels: Vec<_> = buttons(&list)
            .map(|button| button["accessibility_label"].as_str().unwrap())
            .collect();
        assert_eq!(rows.len(), alike.len() + 1, "{shown}");
        assert!(shown.contains("Customer Support Agent · 123e4567\n"), "{shown}");
        for mut texts in [rows, labels, text(&list).split("Session ").skip(1).collect()] {
            assert_eq!(texts.len(), alike.len() + 1, "{texts:?}");
            texts.sort_unstable();
            let before = texts.clone();
            texts.dedup();
            assert_eq!(texts, before);
        }
        for id in alike {
            assert!(shown.contains(id), "{id}: {shown}");
        }
    })
    .await;
}

#[tokio::test]
async fn sessions_in_use_come_first_on_a_page() {
    with_app(async |app| {
        app.kapso.allow_undocumented();
        fill(app, 12);
        for (id, status) in [
            ("session-12", "expired"),
            ("session-11", "superseded"),
            ("session-10", "paused"),
            ("session-8", "active"),
            ("session-1", "active"),
        ] {
            app.kapso.set_field(id, "status", status.into());
        }
        app.kapso
            .set_field("session-7", "expires_at", "2026-11-23T09:00:00Z".into());
        let list = app.command("/sandbox list").await.message;
        let order = [9, 8, 6, 5, 4, 3, 10, 12, 11, 7].map(|n| format!("session-{n}"));
        assert_eq!(shown_ids(&list), order, "newest first in each group");
        let second = app.command("/sandbox list 2").await.message;
        assert_eq!(shown_ids(&second), ["session-2", "session-1"], "pages are Kapso's");
    })
    .await;
}
