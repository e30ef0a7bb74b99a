//! Watches: a notification when a session changes, as a separate message, once.

use insta::assert_snapshot;
use jiff::SignedDuration;
use kapso_slack::demo::{PostedMessage, plain};
use serde_json::json;

use crate::support::button_values::session_value;
use crate::support::{ID, TestApp, TestAppBuilder, test_app};

const WATCH: &str = "/sandbox watch 123e4567-e89b-12d3-a456-426614174000";
const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";

/// The longest pause between two polls of a session.
const POLL_INTERVAL: SignedDuration = SignedDuration::from_secs(25);

/// Runs `test` when the database is open.
async fn with_app(test: impl AsyncFnOnce(&mut TestApp)) {
    with_database(test_app(), test).await;
}

async fn with_database(builder: TestAppBuilder, test: impl AsyncFnOnce(&mut TestApp)) {
    builder
        .run(async |app| {
            app.wait_for_store().await;
            test(app).await;
        })
        .await;
}

/// The plain text of the next message for the same command or press.
pub async fn read_notification(app: &TestApp, asked: &PostedMessage) -> String {
    let notice = app.next_message(asked).await;
    assert_eq!(notice.message["response_type"], "ephemeral", "only the watcher sees it");
    plain::text(&notice.message)
}

#[tokio::test]
async fn the_watch_command_notifies_when_the_session_is_activated() {
    with_app(async |app| {
        let confirmed = app.command(WATCH).await;
        assert_snapshot!(
            "the_watch_command_notifies_when_the_session_is_activated",
            plain::text(&confirmed.message)
        );
        app.advance_clock(SignedDuration::from_mins(3));
        app.kapso.activate(ID);
        assert_snapshot!(
            "the_watch_command_notifies_when_the_session_is_activated_2",
            read_notification(app, &confirmed).await
        );
    })
    .await;
}

#[tokio::test]
async fn the_watch_button_notifies_and_updates_the_card() {
    with_app(async |app| {
        let card = app.command(SHOW).await;
        let watched = app.press(&card, "watch").await;
        assert_eq!(watched.id, card.id, "the card is redrawn");
        let text = plain::text(&watched.message);
        assert!(text.contains("[ Stop watching ]"), "{text}");
        assert!(!text.contains("Tell me"), "{text}");
        app.kapso.activate(ID);
        app.advance_clock(POLL_INTERVAL);
        let notice = app.next_message(&watched).await;
        assert_ne!(notice.id, card.id, "the notification is a separate message");
        let shown = app.press(&notice, "refresh").await;
        assert_eq!(shown.id, notice.id, "the card replaces the notification");
        assert!(plain::text(&shown.message).contains("🟢 Active"));
    })
    .await;
}

#[tokio::test]
async fn each_ending_has_its_own_text() {
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
            app.kapso.allow_undocumented();
            let confirmed = app.command(WATCH).await;
            app.kapso.set_field(ID, "status", end.into());
            app.advance_clock(POLL_INTERVAL);
            let text = read_notification(app, &confirmed).await;
            assert!(text.starts_with(says), "{end}: {text}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_session_is_gone_after_two_404s() {
    with_app(async |app| {
        let confirmed = app.command(WATCH).await;
        app.kapso.delete(ID);
        app.advance_clock(POLL_INTERVAL);
        app.kapso.wait_for_requests(2).await;
        app.advance_clock(POLL_INTERVAL);
        let text = read_notification(app, &confirmed).await;
        assert!(text.starts_with("This session no longer exists in Kapso"), "{text}");
        assert_eq!(app.kapso.requests().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_session_missing_in_lists_is_requested_by_itself() {
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
        let reading = read_notification(app, &confirmed);
        tokio::pin!(reading);
        let mut asked = app.kapso.requests().len();
        let text = loop {
            app.advance_clock(POLL_INTERVAL);
            asked += 1;
            tokio::select! {
                text = &mut reading => break text,
                () = app.kapso.wait_for_requests(asked) => {}
            }
        };
        assert!(text.contains("is active now"), "{text}");
        let requests = app.kapso.requests();
        let pages = requests.iter().filter(|request| request.contains("?page=")).count();
        assert!(pages > 0, "the others are polled with lists: {requests:?}");
    })
    .await;
}

#[tokio::test]
async fn after_28_minutes_a_watch_ends_and_offers_to_continue() {
    with_app(async |app| {
        let confirmed = app.command(WATCH).await;
        app.advance_clock(SignedDuration::from_mins(28));
        let ended = app.next_message(&confirmed).await;
        assert_snapshot!(
            "after_28_minutes_a_watch_ends_and_offers_to_continue",
            plain::text(&ended.message)
        );
        let again = app.press(&ended, "watch").await;
        assert!(plain::text(&again.message).contains("[ Stop watching ]"));
        app.kapso.activate(ID);
        app.advance_clock(POLL_INTERVAL);
        let text = read_notification(app, &again).await;
        assert!(
            text.contains("is active now, 28 minutes after it was created"),
            "{text}"
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
        app.advance_clock(POLL_INTERVAL);
        read_notification(app, &second).await;
        app.shut_down().await;
        let of_the_first = app
            .slack
            .conversation()
            .into_iter()
            .filter(|posted| posted.exchange == first.exchange);
        assert_eq!(of_the_first.count(), 1, "the newer watch replaced it");
    })
    .await;
}

#[tokio::test]
async fn a_stopped_watch_sends_no_notification() {
    with_app(async |app| {
        let card = app.command(WATCH).await;
        let stopped = app.press(&card, "unwatch").await;
        let text = plain::text(&stopped.message);
        assert!(text.contains("Stopped watching this session."), "{text}");
        assert!(text.contains("[ Tell me when it is active ]"), "{text}");
        // Another watch shows that polls were made.
        app.kapso.add_session("other");
        let other = app.command("/sandbox watch other").await;
        app.kapso.activate(ID);
        app.kapso.activate("other");
        app.advance_clock(POLL_INTERVAL);
        read_notification(app, &other).await;
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

/// In an app installed for a whole organisation, a press has no workspace, but a command has.
#[tokio::test]
async fn a_press_without_a_workspace_stops_a_watch() {
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
async fn a_watch_can_be_stopped_while_kapso_fails() {
    with_database(test_app().without_cache(), async |app| {
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
async fn refresh_keeps_the_stop_button() {
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
async fn a_session_in_a_final_status_is_shown_instead_of_watched() {
    for end in ["active", "expired", "superseded"] {
        with_app(async |app| {
            app.kapso.allow_undocumented();
            app.kapso.set_field(ID, "status", end.into());
            let card = app.command_text(WATCH).await;
            assert!(!card.contains("I'll post here"), "{end}: {card}");
            assert!(card.contains("WHATSAPP SANDBOX SESSION"), "{end}: {card}");
        })
        .await;
    }
}

#[tokio::test]
async fn watching_from_a_shared_card_replies_privately() {
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
        app.advance_clock(POLL_INTERVAL);
        read_notification(app, &watched).await;
    })
    .await;
}

#[tokio::test]
async fn one_person_can_watch_at_most_twenty_sessions() {
    with_app(async |app| {
        for n in 0..21 {
            let id = format!("session-{n}");
            app.kapso.add_session(&id);
            let text = app.command_text(&format!("/sandbox watch {id}")).await;
            if n < 20 {
                assert!(text.contains("I'll post here"), "{n}: {text}");
            } else {
                assert!(text.starts_with("You are already watching 20 sessions"), "{text}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_database_nothing_is_watched() {
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
async fn notifications_are_logged_and_counted() {
    with_app(async |app| {
        let confirmed = app.command(WATCH).await;
        let command = app.wait_for_commands(1).await.remove(0);
        assert_eq!(
            (&command["verb"], &command["outcome"]),
            (&json!("watch"), &json!("watching"))
        );
        app.kapso.activate(ID);
        app.advance_clock(POLL_INTERVAL);
        read_notification(app, &confirmed).await;
        let notice = app.wait_for_log("notice").await;
        assert_eq!(
            notice["request_id"], command["request_id"],
            "the request id of the command"
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
async fn a_failed_notification_is_retried_once_and_then_counted_as_lost() {
    for (faults, answer) in [(1, "late"), (2, "lost")] {
        with_database(test_app().with_system_clock(), async |app| {
            let confirmed = app.command(WATCH).await;
            for _ in 0..faults {
                app.slack.reject_next_post(http::StatusCode::BAD_GATEWAY, None);
            }
            app.kapso.activate(ID);
            app.advance_clock(POLL_INTERVAL);
            let notice = app.wait_for_log("notice").await;
            assert_eq!(notice["answer"], answer, "after {faults} faults: {notice}");
            assert_eq!(app.slack.post_count(), 2, "two posts are reserved for the notification");
            if answer == "late" {
                read_notification(app, &confirmed).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_late_reply_leaves_two_posts_for_the_notification() {
    with_database(test_app().with_short_budget().with_system_clock(), async |app| {
        app.kapso.fail_next_request(kapso_slack::demo::Fault::Stall);
        let exchange = app.expect_ack_only(WATCH).await;
        app.kapso.wait_for_requests(1).await;
        app.slack.reject_next_post(http::StatusCode::BAD_GATEWAY, None);
        app.kapso.release_stalled_requests();
        let confirmed = app.late_reply(exchange).await;
        app.slack.reject_next_post(http::StatusCode::BAD_GATEWAY, None);
        app.kapso.activate(ID);
        app.advance_clock(POLL_INTERVAL);
        read_notification(app, &confirmed).await;
        assert_eq!(app.slack.post_count(), 4);
    })
    .await;
}

#[tokio::test]
async fn a_replayed_command_does_not_extend_the_watch() {
    with_app(async |app| {
        let response_url = format!("{}/response/first", app.slack.origin());
        let request = app.command_request("watch 123e4567-e89b-12d3-a456-426614174000", Some(&response_url));
        let until = |body: &str| {
            let (_, until) = body.split_once("Watching until <!date^").unwrap();
            until.split_once('^').unwrap().0.to_owned()
        };
        let first = until(&app.send_raw(&request).await.body);
        app.advance_clock(SignedDuration::from_mins(4));
        let replayed = until(&app.send_raw(&request).await.body);
        assert_eq!(replayed, first);
    })
    .await;
}
