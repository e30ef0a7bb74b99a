//! No message is a dead end: each says what happened and offers the next step.

use jiff::SignedDuration;
use kapso_slack::demo::rules::buttons;
use kapso_slack::demo::{PostedMessage, plain};
use serde_json::json;

use crate::support::cards::{SHOW, share};
use crate::support::creation::{NEW, create_requests, created_session};
use crate::support::{ID, TestApp, test_app, with_app};

const EXPIRED: &str = "expired";
const SUPERSEDED: &str = "superseded";

fn labels(posted: &PostedMessage) -> Vec<String> {
    buttons(&posted.message)
        .map(|button| button["text"]["text"].as_str().unwrap().to_owned())
        .collect()
}

fn offers_new_session(posted: &PostedMessage) -> bool {
    labels(posted).iter().any(|label| label == "Create a new session")
}

/// Runs `test` where everybody may create, without a cache.
async fn with_creation(test: impl AsyncFnOnce(&mut TestApp)) {
    test_app()
        .with_creation()
        .without_cache()
        .run(async |app| {
            app.kapso.set_rate_limit(10_000);
            test(app).await;
        })
        .await;
}

#[tokio::test]
async fn a_session_that_has_ended_can_be_created_again_with_one_confirmation() {
    for (ended, phone, agent) in [
        (EXPIRED, "+12345678901", "agent-123abc"),
        (SUPERSEDED, "+12345678901", "agent-123abc"),
    ] {
        with_creation(async |app| {
            app.kapso.allow_undocumented();
            app.kapso.set_field(ID, "status", ended.into());
            let card = app.command(SHOW).await;
            assert!(offers_new_session(&card), "{ended}: {card:?}");
            let question = app.press(&card, "create").await;
            assert_eq!(
                question.message["text"],
                "Create a new session for `+12345678901` with the agent Customer Support Agent?"
            );
            assert_eq!(question.message["response_type"], "ephemeral");
            assert_ne!(question.id, card.id, "the card stays");
            assert_eq!(create_requests(app), 0, "nothing is created before the confirmation");
            let created = app.press(&question, "again").await;
            assert_eq!(created.id, question.id, "the card replaces the question");
            assert!(
                plain::text(&created.message).contains("Session created."),
                "{created:?}"
            );
            let wanted = json!({"phone_number": phone, "agent_id": agent});
            assert_eq!(
                app.kapso.create_requests(),
                [json!({"whatsapp_sandbox_session": wanted})]
            );
            // The confirmation is valid once.
            app.press(&question, "again").await;
            assert_eq!(create_requests(app), 1);
        })
        .await;
    }
}

#[tokio::test]
async fn the_question_says_so_if_a_session_was_created_less_than_a_minute_ago() {
    with_creation(async |app| {
        app.kapso.expire(ID);
        let card = app.command(SHOW).await;
        app.command(NEW).await;
        let question = app.press(&card, "create").await;
        let text = plain::text(&question.message);
        assert!(
            text.contains("less than a minute ago, and one was created. Do you want another one?"),
            "{text}"
        );
    })
    .await;
}

#[tokio::test]
async fn without_an_agent_the_new_session_gets_the_default_one() {
    with_creation(async |app| {
        app.kapso.allow_undocumented();
        app.kapso.expire(ID);
        app.kapso.set_field(ID, "agent", json!(null));
        let card = app.command(SHOW).await;
        let question = app.press(&card, "create").await;
        assert_eq!(question.message["text"], "Create a new session for `+12345678901`?");
        app.press(&question, "again").await;
        let wanted = json!({"phone_number": "+12345678901", "agent_id": "agent-123abc"});
        assert_eq!(
            app.kapso.create_requests(),
            [json!({"whatsapp_sandbox_session": wanted})]
        );
    })
    .await;
}

#[tokio::test]
async fn only_cards_of_ended_sessions_with_a_phone_offer_a_new_one() {
    with_creation(async |app| {
        app.kapso.allow_undocumented();
        for (status, offers) in [
            ("pending_activation", false),
            ("active", false),
            (EXPIRED, true),
            (SUPERSEDED, true),
            ("paused_by_operator", false),
        ] {
            app.kapso.set_field(ID, "status", status.into());
            assert_eq!(offers_new_session(&app.command(SHOW).await), offers, "{status}");
        }
        app.kapso.expire(ID);
        app.kapso.set_field(ID, "phone_number", json!(null));
        assert!(!offers_new_session(&app.command(SHOW).await), "no phone");
    })
    .await;
    with_app(async |app| {
        app.kapso.expire(ID);
        assert!(!offers_new_session(&app.command(SHOW).await), "nobody may create");
    })
    .await;
}

/// On a shared card it would show the whole channel's members a number that is masked there.
#[tokio::test]
async fn a_shared_card_offers_no_new_session_and_never_shows_the_number() {
    with_creation(async |app| {
        let card = app.command(SHOW).await;
        let (for_all, _) = share(app, &card).await;
        app.kapso.expire(ID);
        let own = app.command(SHOW).await;
        let value = buttons(&own.message)
            .find(|button| button["action_id"] == "create")
            .and_then(|button| button["value"].as_str())
            .unwrap()
            .to_owned();
        let refreshed = app.press(&for_all, "refresh").await;
        assert!(plain::text(&refreshed.message).contains("Expired"), "{refreshed:?}");
        assert!(!offers_new_session(&refreshed), "{refreshed:?}");
        let shared_value = buttons(&refreshed.message)
            .find(|button| button["action_id"] == "refresh")
            .and_then(|button| button["value"].as_str())
            .unwrap()
            .to_owned();
        app.person.user = "U0OTHER".to_owned();
        for (on, value) in [(&refreshed, &value), (&refreshed, &shared_value), (&own, &shared_value)] {
            let answer = app.press_with_value(on, "create", value).await;
            assert!(!answer.message.to_string().contains("+1234"), "{answer:?}");
            assert!(!answer.in_channel, "{answer:?}");
        }
        assert_eq!(create_requests(app), 0);
    })
    .await;
}

#[tokio::test]
async fn a_session_whose_number_became_unreadable_is_not_created_again() {
    with_creation(async |app| {
        app.kapso.expire(ID);
        let card = app.command(SHOW).await;
        app.kapso.set_field(ID, "phone_number", "withheld".into());
        let answer = app.press(&card, "create").await;
        let text = plain::text(&answer.message);
        assert!(
            text.starts_with("I couldn't read this session's phone number in Kapso, so nothing was created."),
            "{text}"
        );
        assert!(text.contains("/sandbox new <+phone>"), "{text}");
        assert_eq!(create_requests(app), 0);
    })
    .await;
}

#[tokio::test]
async fn digits_that_are_no_id_are_explained() {
    with_app(async |app| {
        for (typed, is_explained) in [("1812345678", true), ("555-0123", false), ("Ab12cd", false)] {
            let text = app.command_text(&format!("/sandbox {typed}")).await;
            assert!(text.starts_with("There is no session with this ID"), "{typed}: {text}");
            assert!(!text.contains(typed), "it may be a number or a code: {text}");
            let explained = text.contains("For a phone number, start with + and the country code.");
            assert_eq!(explained, is_explained, "{typed}: {text}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_press_is_checked_again_against_kapso_and_the_rights() {
    with_creation(async |app| {
        app.kapso.expire(ID);
        let card = app.command(SHOW).await;
        app.kapso.activate(ID);
        let current = app.press(&card, "create").await;
        assert_eq!(current.id, card.id, "the card was out of date, and is replaced");
        assert!(plain::text(&current.message).contains("🟢 Active"), "{current:?}");
        app.kapso.delete(ID);
        let gone = app.press(&card, "create").await;
        assert!(
            plain::text(&gone.message).starts_with("There is no session"),
            "{gone:?}"
        );
        assert_eq!(create_requests(app), 0);
    })
    .await;
    test_app()
        .with("CREATE_USERS", "U0BOSS")
        .run(async |app| {
            app.wait_for_store().await;
            app.kapso.expire(ID);
            let own = std::mem::replace(&mut app.person.user, "U0BOSS".to_owned());
            let card = app.command(SHOW).await;
            let question = app.press(&card, "create").await;
            app.person.user = own;
            for (on, button) in [(&card, "create"), (&question, "again")] {
                let refused = app.press(on, button).await;
                let text = plain::text(&refused.message);
                assert!(text.starts_with("You cannot create sessions here."), "{text}");
            }
            assert_eq!(create_requests(app), 0);
        })
        .await;
}

#[tokio::test]
async fn the_notification_of_an_end_offers_a_new_session_too() {
    with_creation(async |app| {
        app.kapso.allow_undocumented();
        for (end, says) in [
            (EXPIRED, "expired before it was activated"),
            (SUPERSEDED, "was superseded"),
        ] {
            app.kapso.add_session(ID);
            let watched = app.command(&format!("/sandbox watch {ID}")).await;
            app.kapso.set_field(ID, "status", end.into());
            app.advance_clock(SignedDuration::from_secs(25));
            let notice = app.next_message(&watched).await;
            assert!(plain::text(&notice.message).contains(says), "{notice:?}");
            assert!(offers_new_session(&notice), "{notice:?}");
            let question = app.press(&notice, "create").await;
            assert!(
                plain::text(&question.message).starts_with("Create a new session for +12345678901"),
                "{question:?}"
            );
        }
    })
    .await;
}

/// What was typed, and what the button below the correction leads to.
const CORRECTIONS: &[(&str, &str, &str)] = &[
    ("hlep", "Show the help", "What you can type"),
    ("lsit 2", "Show the list", "There is nothing to show on page 2"),
    ("lsit", "Show the list", "Page 1 of 1"),
    ("shwo ID", "Show the session", "Session ID"),
    ("please look up ID", "Show the session", "Session ID"),
    ("wacth ID", "Watch the session", "👀 Watching until"),
    ("unwach ID", "Stop watching", "Stopped watching this session."),
    ("shwo", "Show how", "I couldn't find a session ID in that."),
    ("nwe steve", "Show how", "I couldn't read a phone number."),
    ("new 12345678901", "Find by phone number", "Session ID"),
    ("new +12345678901 for steve", "Create the session", "Session created."),
    ("list sessions", "Show the list", "Page 1 of 1"),
];

#[tokio::test]
async fn a_button_below_each_correction_does_what_was_meant() {
    with_creation(async |app| {
        for (typed, label, leads_to) in CORRECTIONS {
            let correction = app.command(&format!("/sandbox {}", typed.replace("ID", ID))).await;
            let text = plain::text(&correction.message);
            assert!(text.starts_with("Did you mean"), "{typed}: {text}");
            assert_eq!(labels(&correction).first().map(String::as_str), Some(*label), "{typed}");
            let answer = app.press(&correction, "run").await;
            let text = plain::text(&answer.message);
            assert!(
                text.contains(&leads_to.replace("Session ID", &format!("Session {ID}"))),
                "{typed}: {text}"
            );
            assert_eq!(answer.message["response_type"], "ephemeral", "{typed}");
        }
        assert_eq!(create_requests(app), 1);
    })
    .await;
}

#[tokio::test]
async fn a_word_that_may_be_an_id_can_be_looked_up_with_one_press() {
    with_app(async |app| {
        app.kapso.add_session("lists");
        let correction = app.command("/sandbox lists").await;
        assert_eq!(labels(&correction), ["Show the list", "Show it as a session ID"]);
        let card = app.press(&correction, "show").await;
        assert!(plain::text(&card.message).contains("Session lists"), "{card:?}");
    })
    .await;
}

#[tokio::test]
async fn a_correction_pressed_twice_asks_before_it_creates_a_second_session() {
    with_creation(async |app| {
        let correction = app.command("/sandbox new +12345678901 for steve").await;
        let (first, second) = tokio::join!(app.press(&correction, "run"), app.press(&correction, "run"));
        let texts = [first, second].map(|posted| plain::text(&posted.message));
        assert_eq!(create_requests(app), 1, "{texts:?}");
        assert!(
            texts.iter().any(|text| text.contains("Do you want another one?")),
            "{texts:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn the_button_of_a_correction_runs_nothing_else() {
    with_creation(async |app| {
        let correction = app.command("/sandbox hlep").await;
        let before = app.kapso.requests();
        for content in [
            "v1:",
            "v1:frobnicate",
            "v1:new 12345678901",
            "v1:NEW +12345678901",
            "v1:show  agent-1",
            "v1:../x",
            "v1:show ../x",
            "v1:list:2",
            "v2:list",
            "list",
        ] {
            let value = crate::support::button_values::signed(content);
            let answer = app.press_with_value(&correction, "run", &value).await;
            let text = plain::text(&answer.message);
            assert!(text.starts_with("This button is too old"), "{content}: {text}");
        }
        assert_eq!(app.kapso.requests(), before);
    })
    .await;
}

#[tokio::test]
async fn a_session_that_is_not_found_is_named_and_the_list_is_one_press_away() {
    const OTHER: &str = "00000000-1111-2222-3333-444444444444";
    with_app(async |app| {
        for id in [OTHER, "agent-123abc", "no-such-session"] {
            let missing = app.command(&format!("/sandbox {id}")).await;
            let text = missing.message["text"].as_str().unwrap();
            assert!(
                text.starts_with(&format!("There is no session `{id}` in this app's Kapso project.")),
                "{text}"
            );
            assert_eq!(labels(&missing), ["Show the list"], "{id}");
            let list = app.press(&missing, "run").await;
            assert_eq!(list.id, missing.id, "the list replaces the message");
            assert!(plain::text(&list.message).contains("Page 1 of 1"), "{list:?}");
        }
        // May be an activation code or a phone number, typed by mistake.
        for id in ["ABC123", "abc123", "123456", "12345678"] {
            let missing = app.command(&format!("/sandbox show {id}")).await;
            assert!(!missing.message.to_string().contains(id), "{missing:?}");
            assert_eq!(labels(&missing), ["Show the list"], "{id}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_card_of_a_created_session_says_that_it_was_created() {
    with_creation(async |app| {
        let created = app.command(NEW).await;
        let text = created.message["text"].as_str().unwrap();
        assert!(
            text.starts_with("Session created. The sandbox session of +12345678901"),
            "{text}"
        );
        let shown = plain::text(&created.message);
        assert_eq!(shown.lines().nth(1), Some("✅ Session created."), "{shown}");
        let id = created_session(app);
        let refreshed = app.press(&created, "refresh").await;
        assert!(plain::text(&refreshed.message).contains(&id), "{refreshed:?}");
        assert!(!plain::text(&refreshed.message).contains("created."), "{refreshed:?}");
    })
    .await;
}

#[tokio::test]
async fn watch_of_a_session_that_needs_no_watching_says_so() {
    with_app(async |app| {
        app.kapso.allow_undocumented();
        app.wait_for_store().await;
        for (status, says) in [
            ("active", "I'm not watching this session: it is active already."),
            (EXPIRED, "I'm not watching this session: it has ended."),
            (SUPERSEDED, "I'm not watching this session: it has ended."),
        ] {
            app.advance_clock(SignedDuration::from_mins(1));
            app.kapso.set_field(ID, "status", status.into());
            let card = app.command(&format!("/sandbox watch {ID}")).await;
            assert!(plain::text(&card.message).contains(says), "{status}: {card:?}");
            assert!(
                card.message["text"].as_str().unwrap().ends_with(says),
                "{status}: {card:?}"
            );
        }
    })
    .await;
}
