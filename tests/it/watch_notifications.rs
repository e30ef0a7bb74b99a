//! Who asks to be told when a session is active hears of it, once, beside the conversation.

use insta::assert_snapshot;
use jiff::SignedDuration;
use kapso_slack::demo::{PostedMessage, plain};
use serde_json::json;

use crate::support::button_values::session_value;
use crate::support::{ID, TestApp, TestAppBuilder, test_app};

const WATCH: &str = "/sandbox watch 123e4567-e89b-12d3-a456-426614174000";
const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";

/// The longest pause between two looks at a session.
const LOOK: SignedDuration = SignedDuration::from_secs(25);

/// An app whose store is open.
async fn with_app(test: impl AsyncFnOnce(&mut TestApp)) {
    with_a_store(test_app(), test).await;
}

async fn with_a_store(builder: TestAppBuilder, test: impl AsyncFnOnce(&mut TestApp)) {
    builder
        .run(async |app| {
            app.wait_for_store().await;
            test(app).await;
        })
        .await;
}

/// What a watcher reads next.
pub async fn hears(app: &TestApp, asked: &PostedMessage) -> String {
    let notice = app.next_message(asked).await;
    assert_eq!(notice.message["response_type"], "ephemeral", "to the watcher alone");
    plain::text(&notice.message)
}

#[tokio::test]
async fn who_types_watch_hears_when_the_tester_has_activated_the_session() {
    with_app(async |app| {
        let confirmed = app.command(WATCH).await;
        assert_snapshot!(plain::text(&confirmed.message), @"
        WHATSAPP SANDBOX SESSION
        🟡 Waiting for activation
        Open the link on the tester's phone and send the pre-filled message.
        Agent: Customer Support Agent
        Phone: +12345678901
        Code: ABC123
        Expires Nov 24, 2026 at 10:00 UTC (in 24 hours)
        👀 Watching until Nov 23, 2026 at 10:28 UTC (in 28 minutes). I'll post here when it is activated or ends. (Slack's limit is 30 minutes.)
        [ Activate in WhatsApp → https://wa.me/12345678901?text=ABC123 ]  [ Refresh ]  [ Stop watching ]  [ Share in channel ]
        Session 123e4567-e89b-12d3-a456-426614174000
        ");
        app.advance_clock(SignedDuration::from_mins(3));
        app.kapso.activate(ID);
        assert_snapshot!(hears(app, &confirmed).await, @"
        🟢 The sandbox session of •••• 8901 with the agent Customer Support Agent is active now, 3 minutes after it was created. Messages from this phone to the sandbox number reach the agent.
        [ Show the session ]
        Session 123e4567-e89b-12d3-a456-426614174000
        ");
    })
    .await;
}

#[tokio::test]
async fn who_presses_tell_me_hears_it_too_and_sees_it_on_the_card() {
    with_app(async |app| {
        let card = app.command(SHOW).await;
        let watched = app.press(&card, "watch").await;
        assert_eq!(watched.id, card.id, "the card is redrawn");
        let text = plain::text(&watched.message);
        assert!(text.contains("[ Stop watching ]"), "{text}");
        assert!(!text.contains("Tell me"), "{text}");
        app.kapso.activate(ID);
        app.advance_clock(LOOK);
        let notice = app.next_message(&watched).await;
        assert_ne!(notice.id, card.id, "the news stand beside the card");
        let shown = app.press(&notice, "refresh").await;
        assert_eq!(shown.id, notice.id, "the card takes the place of the news");
        assert!(plain::text(&shown.message).contains("🟢 Active"));
    })
    .await;
}

#[tokio::test]
async fn each_end_is_told_in_its_own_words() {
    for (end, says) in [
        (
            "expired",
            "⚫ The sandbox session of •••• 8901 with the agent Customer Support Agent expired before it was activated.",
        ),
        (
            "superseded",
            "🔵 The sandbox session of •••• 8901 with the agent Customer Support Agent was superseded",
        ),
    ] {
        with_app(async |app| {
            let confirmed = app.command(WATCH).await;
            app.kapso.set_field(ID, "status", end.into());
            app.advance_clock(LOOK);
            let news = hears(app, &confirmed).await;
            assert!(news.starts_with(says), "{end}: {news}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_session_is_gone_only_when_kapso_has_said_so_twice() {
    with_app(async |app| {
        let confirmed = app.command(WATCH).await;
        app.kapso.delete(ID);
        app.advance_clock(LOOK);
        app.kapso.wait_for_requests(2).await;
        app.advance_clock(LOOK);
        let news = hears(app, &confirmed).await;
        assert!(news.starts_with("This session no longer exists in Kapso"), "{news}");
        assert_eq!(app.kapso.requests().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_session_that_lists_leave_out_is_asked_for_by_itself() {
    with_app(async |app| {
        for id in ["one", "two", "left-out"] {
            app.kapso.add_session(id);
        }
        app.kapso.hide_from_lists("left-out");
        app.command("/sandbox watch one").await;
        app.command("/sandbox watch two").await;
        app.advance_clock(SignedDuration::from_secs(1));
        let confirmed = app.command("/sandbox watch left-out").await;
        app.kapso.activate("left-out");
        let heard = hears(app, &confirmed);
        tokio::pin!(heard);
        let mut asked = app.kapso.requests().len();
        let news = loop {
            app.advance_clock(LOOK);
            asked += 1;
            tokio::select! {
                news = &mut heard => break news,
                () = app.kapso.wait_for_requests(asked) => {}
            }
        };
        assert!(news.contains("is active now"), "{news}");
        let requests = app.kapso.requests();
        let pages = requests.iter().filter(|request| request.contains("?page=")).count();
        assert!(pages > 0, "the others are seen in lists: {requests:?}");
    })
    .await;
}

#[tokio::test]
async fn who_hears_nothing_for_28_minutes_is_told_so_and_can_go_on() {
    with_app(async |app| {
        let confirmed = app.command(WATCH).await;
        app.advance_clock(SignedDuration::from_mins(28));
        let goodbye = app.next_message(&confirmed).await;
        assert_snapshot!(plain::text(&goodbye.message), @"
        ⏳ The sandbox session of •••• 8901 with the agent Customer Support Agent is not active yet. I've stopped watching (Slack's 30-minute limit). Press to keep watching.
        [ Keep watching ]  [ Show the session ]
        Session 123e4567-e89b-12d3-a456-426614174000
        ");
        let again = app.press(&goodbye, "watch").await;
        assert!(plain::text(&again.message).contains("[ Stop watching ]"));
        app.kapso.activate(ID);
        app.advance_clock(LOOK);
        let news = hears(app, &again).await;
        assert!(
            news.contains("is active now, 28 minutes after it was created"),
            "{news}"
        );
    })
    .await;
}

#[tokio::test]
async fn watching_twice_is_one_watch() {
    with_app(async |app| {
        let first = app.command(WATCH).await;
        app.advance_clock(SignedDuration::from_mins(10));
        let second = app.command(WATCH).await;
        app.kapso.activate(ID);
        app.advance_clock(LOOK);
        hears(app, &second).await;
        app.shut_down().await;
        let of_the_first = app
            .slack
            .conversation()
            .into_iter()
            .filter(|posted| posted.exchange == first.exchange);
        assert_eq!(of_the_first.count(), 1, "the newer one took its place");
    })
    .await;
}

#[tokio::test]
async fn who_stops_watching_hears_nothing_more() {
    with_app(async |app| {
        let card = app.command(WATCH).await;
        let stopped = app.press(&card, "unwatch").await;
        let text = plain::text(&stopped.message);
        assert!(text.contains("Stopped watching this session."), "{text}");
        assert!(text.contains("[ Tell me when it is active ]"), "{text}");
        // Somebody else's watch shows that looks were taken.
        app.kapso.add_session("other");
        let other = app.command("/sandbox watch other").await;
        app.kapso.activate(ID);
        app.kapso.activate("other");
        app.advance_clock(LOOK);
        hears(app, &other).await;
        app.shut_down().await;
        let about_the_first = app
            .slack
            .conversation()
            .into_iter()
            .filter(|posted| posted.exchange == card.exchange);
        assert_eq!(
            about_the_first.count(),
            0,
            "nothing but its card, which was redrawn since"
        );
        let stopped_again = app
            .slack
            .conversation()
            .into_iter()
            .filter(|posted| posted.exchange == stopped.exchange);
        assert_eq!(stopped_again.count(), 1);
    })
    .await;
}

/// Where the app is installed for a whole organisation, a press names no workspace, though a command does.
#[tokio::test]
async fn who_typed_in_one_of_an_organisations_workspaces_stops_it_by_a_press() {
    with_app(async |app| {
        app.person.enterprise = Some("E0001".to_owned());
        let card = app.command(WATCH).await;
        app.person.team = String::new();
        let refreshed = app.press(&card, "refresh").await;
        assert!(plain::text(&refreshed.message).contains("[ Stop watching ]"));
        app.press(&refreshed, "unwatch").await;
        let refreshed = app.press(&refreshed, "refresh").await;
        assert!(plain::text(&refreshed.message).contains("[ Tell me when it is active ]"));
    })
    .await;
}

#[tokio::test]
async fn stopping_works_though_kapso_does_not() {
    with_a_store(test_app().without_cache(), async |app| {
        let card = app.command(WATCH).await;
        app.kapso.set_fault(Some(kapso_slack::demo::Fault::answer(
            http::StatusCode::UNAUTHORIZED,
            "",
        )));
        let stopped = app.press(&card, "unwatch").await;
        assert_ne!(stopped.id, card.id, "the card stays");
        let text = plain::text(&stopped.message);
        assert_eq!(
            text,
            "Stopped watching the session 123e4567-e89b-12d3-a456-426614174000."
        );
    })
    .await;
}

#[tokio::test]
async fn refresh_keeps_the_way_to_stop() {
    with_app(async |app| {
        let card = app.command(WATCH).await;
        let refreshed = app.press(&card, "refresh").await;
        assert!(plain::text(&refreshed.message).contains("[ Stop watching ]"));
        let stopped = app.press(&refreshed, "unwatch").await;
        let refreshed = app.press(&stopped, "refresh").await;
        assert!(plain::text(&refreshed.message).contains("[ Tell me when it is active ]"));
    })
    .await;
}

#[tokio::test]
async fn what_cannot_change_any_more_is_shown_instead() {
    for end in ["active", "expired", "superseded"] {
        with_app(async |app| {
            app.kapso.set_field(ID, "status", end.into());
            let card = app.command_text(WATCH).await;
            assert!(!card.contains("I'll post here"), "{end}: {card}");
            assert!(card.contains("WHATSAPP SANDBOX SESSION"), "{end}: {card}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_press_on_a_shared_card_is_answered_to_the_presser_alone() {
    with_app(async |app| {
        let card = app.command(SHOW).await;
        let mut shared = card.message.clone();
        shared["response_type"] = json!("in_channel");
        let shared = app.slack.add_shared_message(shared);
        let watched = app.press(&shared, "watch").await;
        assert_eq!(watched.message["replace_original"], false);
        assert_eq!(watched.message["response_type"], "ephemeral");
        let text = plain::text(&watched.message);
        assert!(text.contains("I'll post here"), "{text}");
        assert!(
            text.contains("•••• 8901") && !text.contains("+12345678901"),
            "as on the card that was pressed: {text}"
        );
        let refreshed = app.press(&shared, "refresh").await;
        assert!(
            !plain::text(&refreshed.message).contains("I'll post here"),
            "others see this one"
        );
        app.kapso.activate(ID);
        app.advance_clock(LOOK);
        hears(app, &watched).await;
    })
    .await;
}

#[tokio::test]
async fn one_person_watches_twenty_sessions_at_most() {
    with_app(async |app| {
        for n in 0..21 {
            let id = format!("session-{n}");
            app.kapso.add_session(&id);
            let text = app.command_text(&format!("/sandbox watch {id}")).await;
            if n < 20 {
                assert!(text.contains("I'll post here"), "{n}: {text}");
            } else {
                assert!(text.starts_with("You are watching 20 sessions already"), "{text}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_store_nothing_is_promised() {
    test_app()
        .with("DATABASE_URL", "sqlite:/proc/no-folder-for-this/jobs.db")
        .run(async |app| {
            let text = app.command_text(WATCH).await;
            assert!(text.starts_with("Storage is unavailable"), "{text}");
            let card = app.command(SHOW).await;
            let value = session_value(ID);
            let sent = app
                .slack
                .press_button_with_value(&app.app_url, &app.person, &card, "unwatch", value.into())
                .await;
            let pressed = app.late_reply(sent.exchange).await;
            assert_ne!(pressed.id, card.id, "the card stays");
            assert!(plain::text(&pressed.message).starts_with("Storage is unavailable"));
        })
        .await;
}

#[tokio::test]
async fn the_log_and_the_metrics_tell_of_the_news() {
    with_app(async |app| {
        let confirmed = app.command(WATCH).await;
        let command = app.wait_for_commands(1).await.remove(0);
        assert_eq!(
            (&command["verb"], &command["outcome"]),
            (&json!("watch"), &json!("watching"))
        );
        app.kapso.activate(ID);
        app.advance_clock(LOOK);
        hears(app, &confirmed).await;
        let notice = app.wait_for_log("notice").await;
        assert_eq!(
            notice["request_id"], command["request_id"],
            "found by what the watcher can read out"
        );
        assert_eq!(
            (&notice["news"], &notice["answer"]),
            (&json!("activated"), &json!("late"))
        );
        let metrics = app.metrics().await;
        assert!(
            metrics.contains(r#"kapso_slack_notices_total{news="activated",answer="late"} 1"#),
            "{metrics}"
        );
    })
    .await;
}

#[tokio::test]
async fn news_that_slack_does_not_take_at_first_come_all_the_same_and_are_counted_if_they_never_do() {
    for (faults, answer) in [(1, "late"), (2, "lost")] {
        with_a_store(test_app().with_system_clock(), async |app| {
            let confirmed = app.command(WATCH).await;
            for _ in 0..faults {
                app.slack.reject_next_post(http::StatusCode::BAD_GATEWAY, None);
            }
            app.kapso.activate(ID);
            app.advance_clock(LOOK);
            let notice = app.wait_for_log("notice").await;
            assert_eq!(notice["answer"], answer, "after {faults} faults: {notice}");
            assert_eq!(app.slack.post_count(), 2, "two posts are kept for the news");
            if answer == "late" {
                hears(app, &confirmed).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_answer_that_is_late_leaves_two_posts_for_the_news() {
    with_a_store(test_app().with_short_budget().with_system_clock(), async |app| {
        app.kapso.fail_next_request(kapso_slack::demo::Fault::Stall);
        let exchange = app.expect_ack_only(WATCH).await;
        app.kapso.wait_for_requests(1).await;
        app.slack.reject_next_post(http::StatusCode::BAD_GATEWAY, None);
        app.kapso.release_stalled_requests();
        let confirmed = app.late_reply(exchange).await;
        app.slack.reject_next_post(http::StatusCode::BAD_GATEWAY, None);
        app.kapso.activate(ID);
        app.advance_clock(LOOK);
        hears(app, &confirmed).await;
        assert_eq!(app.slack.post_count(), 4);
    })
    .await;
}

#[tokio::test]
async fn a_replayed_command_lives_no_longer_than_the_first() {
    with_app(async |app| {
        let response_url = format!("{}/response/first", app.slack.origin());
        let slip = app.command_request("watch 123e4567-e89b-12d3-a456-426614174000", Some(&response_url));
        let until = |body: &str| {
            let (_, until) = body.split_once("Watching until <!date^").unwrap();
            until.split_once('^').unwrap().0.to_owned()
        };
        let first = until(&app.send_raw(&slip).await.body);
        app.advance_clock(SignedDuration::from_mins(4));
        let replayed = until(&app.send_raw(&slip).await.body);
        assert_eq!(replayed, first);
    })
    .await;
}
