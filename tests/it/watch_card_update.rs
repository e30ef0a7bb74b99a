//! When a watched session changes, the card on which "Tell me when it is active" was pressed shows it.

use http::StatusCode;
use jiff::SignedDuration;
use kapso_slack::demo::{FakeSlack, PostedMessage, plain};

use crate::support::cards::{SHOW, share};
use crate::support::databases::Database;
use crate::support::program::Fakes;
use crate::support::{ID, TestApp, test_app, with_app};

const POLL_INTERVAL: SignedDuration = SignedDuration::from_secs(25);

/// Waits until the message is another one than this.
async fn updated(slack: &FakeSlack, before: &PostedMessage) -> PostedMessage {
    let mut changed = slack.subscribe();
    loop {
        let current = slack.conversation().into_iter().find(|posted| posted.id == before.id);
        if let Some(current) = current.filter(|current| current.message != before.message) {
            return current;
        }
        changed.changed().await.unwrap();
    }
}

/// Presses "Tell me when it is active" on a new card.
async fn watch(app: &TestApp) -> PostedMessage {
    app.wait_for_store().await;
    let card = app.command(SHOW).await;
    let watched = app.press(&card, "watch").await;
    assert_eq!(watched.id, card.id, "the card is replaced");
    watched
}

#[tokio::test]
async fn the_card_shows_how_the_watched_session_changed() {
    for (status, badge) in [
        ("active", "🟢 Active"),
        ("expired", "⚫ Expired"),
        ("superseded", "🔵 Superseded"),
    ] {
        with_app(async |app| {
            app.kapso.allow_undocumented();
            let card = watch(app).await;
            app.kapso.set_field(ID, "status", status.into());
            app.advance_clock(POLL_INTERVAL);
            let notice = app.next_message(&card).await;
            assert_ne!(notice.id, card.id, "the notification is a separate message");
            let card = updated(&app.slack, &card).await;
            assert_eq!(card.message["replace_original"], true);
            let shown = plain::text(&card.message);
            assert!(shown.contains(badge), "{status}: {shown}");
            assert!(shown.contains("+12345678901"), "it is the person's own: {shown}");
            for gone in ["Watching until", "Stop watching", "Activate", "Tell me"] {
                assert!(!shown.contains(gone), "{status}: {gone} in {shown}");
            }
            assert_eq!(app.slack.post_count(), 3, "the card, the notification, the card");
        })
        .await;
    }
}

#[tokio::test]
async fn the_card_offers_to_watch_again_when_the_time_is_up() {
    with_app(async |app| {
        let card = watch(app).await;
        app.advance_clock(SignedDuration::from_mins(28));
        app.next_message(&card).await;
        let card = updated(&app.slack, &card).await;
        let shown = plain::text(&card.message);
        assert!(shown.contains("[ Tell me when it is active ]"), "{shown}");
        assert!(!shown.contains("Watching until"), "{shown}");
        let again = app.press(&card, "watch").await;
        assert!(plain::text(&again.message).contains("[ Stop watching ]"), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn a_shared_card_is_updated_for_everybody_and_stays_masked() {
    with_app(async |app| {
        app.wait_for_store().await;
        let card = app.command(SHOW).await;
        let (shared, _) = share(app, &card).await;
        app.person.user = "U0OTHER".to_owned();
        let confirmed = app.press(&shared, "watch").await;
        assert_ne!(confirmed.id, shared.id, "the confirmation is private");
        app.kapso.activate(ID);
        app.advance_clock(POLL_INTERVAL);
        app.next_message(&confirmed).await;
        let shared = updated(&app.slack, &shared).await;
        assert!(shared.in_channel);
        assert_eq!(shared.message["response_type"], "in_channel");
        let shown = plain::text(&shared.message);
        assert!(shown.contains("🟢 Active") && shown.contains("•••• 8901"), "{shown}");
        assert!(shown.contains("shared by"), "{shown}");
        let json = shared.message.to_string();
        assert!(!json.contains("+1234"), "{json}");
        assert!(!json.contains("U0OTHER"), "who watches is private: {json}");
        assert!(!json.contains("atching"), "who watches is private: {json}");
    })
    .await;
}

/// The `response_url` of a command replaces nothing: a post with `replace_original` would be one more message.
#[tokio::test]
async fn a_typed_watch_posts_only_its_notification() {
    with_app(async |app| {
        app.wait_for_store().await;
        let confirmed = app.command(&format!("/sandbox watch {ID}")).await;
        app.kapso.activate(ID);
        app.advance_clock(POLL_INTERVAL);
        app.next_message(&confirmed).await;
        app.wait_for_log("notice").await;
        app.shut_down().await;
        assert_eq!(app.slack.post_count(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_session_that_is_gone_replaces_the_persons_own_card() {
    with_app(async |app| {
        let card = watch(app).await;
        app.kapso.delete(ID);
        app.advance_clock(POLL_INTERVAL);
        app.kapso.wait_for_requests(2).await;
        app.advance_clock(POLL_INTERVAL);
        app.next_message(&card).await;
        let card = updated(&app.slack, &card).await;
        let shown = plain::text(&card.message);
        assert!(shown.contains("no longer exists in Kapso"), "{shown}");
        assert!(!shown.contains("Watching until"), "{shown}");
        assert_eq!(app.slack.post_count(), 3, "the card, the notification, the card");
    })
    .await;
}

#[tokio::test]
async fn an_update_that_fails_costs_nothing() {
    test_app()
        .with_system_clock()
        .run(async |app| {
            let card = watch(app).await;
            app.slack.accept_next_post();
            app.slack.reject_next_post(StatusCode::BAD_GATEWAY, None);
            app.kapso.activate(ID);
            app.advance_clock(POLL_INTERVAL);
            let notice = app.next_message(&card).await;
            assert!(plain::text(&notice.message).contains("is active now"), "{notice:?}");
            let lost = app.wait_for_log("a follow-up message was not delivered").await;
            assert_eq!(lost["lost"], "the response_url is used up");
            assert_eq!(app.wait_for_log("notice").await["answer"], "late");
            assert_eq!(app.slack.post_count(), 3);
        })
        .await;
}

#[tokio::test]
async fn the_notification_has_both_posts_before_the_card_has_one() {
    test_app()
        .with_system_clock()
        .run(async |app| {
            let card = watch(app).await;
            app.slack.reject_next_post(StatusCode::BAD_GATEWAY, None);
            app.kapso.activate(ID);
            app.advance_clock(POLL_INTERVAL);
            app.next_message(&card).await;
            assert_eq!(app.wait_for_log("notice").await["answer"], "late");
            app.shut_down().await;
            assert_eq!(app.slack.post_count(), 3, "the card, and the notification twice");
        })
        .await;
}

/// A card that was refreshed since would go back to an earlier state.
#[tokio::test]
async fn an_update_that_is_late_by_more_than_a_minute_is_dropped() {
    with_app(async |app| {
        let card = watch(app).await;
        app.slack.accept_next_post();
        app.slack.reject_next_post(StatusCode::TOO_MANY_REQUESTS, Some(61));
        app.kapso.activate(ID);
        app.advance_clock(POLL_INTERVAL);
        app.next_message(&card).await;
        let lost = app.wait_for_log("a follow-up message was not delivered").await;
        assert_eq!(lost["lost"], "it would come too late");
        app.advance_clock(SignedDuration::from_secs(90));
        app.shut_down().await;
        assert_eq!(app.slack.post_count(), 3);
    })
    .await;
}

#[tokio::test]
async fn the_card_is_updated_after_a_restart_on_sqlite() {
    update_after_a_restart(Database::sqlite()).await;
}

#[tokio::test]
async fn the_card_is_updated_after_a_restart_on_postgresql() {
    update_after_a_restart(Database::postgres().await).await;
}

/// The real program is killed while it watches, and stopped while Slack makes the update wait.
async fn update_after_a_restart(database: Database) {
    let fakes = Fakes::start().await;
    let service = || {
        let service = fakes.service_that_waits_for_the_store();
        service.with("DATABASE_URL", &database.address)
    };
    let mut watching = service().start();
    let app = watching.wait_until_serving().await;
    let card = fakes.show_session(&app).await;
    let pressed = fakes.press(&app, &card, "watch").await;
    let card = fakes.slack.wait_for_reply(pressed.exchange).await;
    watching.send_signal("KILL").await;
    watching.wait_for_exit().await;
    database
        .run("UPDATE kapso_slack_jobs SET due_at = due_at - 60000, leased_until = 0")
        .await;
    fakes.kapso.activate(ID);
    fakes.slack.accept_next_post();
    fakes.slack.reject_next_post(StatusCode::TOO_MANY_REQUESTS, Some(8));

    let mut notifying = service().start();
    notifying.wait_until_serving().await;
    fakes.slack.wait_for_posts(3).await;
    notifying.send_signal("TERM").await;
    assert_eq!(notifying.wait_for_exit().await.code, Some(0));
    let current = fakes
        .slack
        .conversation()
        .into_iter()
        .find(|posted| posted.id == card.id);
    assert_eq!(current.unwrap().message, card.message, "it is not updated yet");

    let mut updating = service().start();
    updating.wait_until_serving().await;
    let card = updated(&fakes.slack, &card).await;
    assert!(plain::text(&card.message).contains("🟢 Active"), "{card:?}");
    assert_eq!(fakes.slack.conversation().len(), 2, "the card and one notification");
    updating.send_signal("TERM").await;
    assert_eq!(updating.wait_for_exit().await.code, Some(0));
}
