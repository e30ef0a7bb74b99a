//! The phone number stays masked in everything that follows from a shared card.

use jiff::SignedDuration;
use kapso_slack::demo::{PostedMessage, plain};

use crate::support::button_values::session_value;
use crate::support::cards::{SHOW, share};
use crate::support::{ID, START, TestApp, test_app};

/// Presses a button, and checks that the number is masked in the reply.
async fn press_expecting_masked(app: &TestApp, on: &PostedMessage, button: &str) -> PostedMessage {
    let answer = app.press(on, button).await;
    expect_masked(&answer, button);
    answer
}

fn expect_masked(posted: &PostedMessage, what: &str) {
    let message = posted.message.to_string();
    assert!(!message.contains("+1234"), "{what}: {message}");
    assert!(plain::text(&posted.message).contains("8901"), "{what}: {message}");
}

#[tokio::test]
async fn the_number_stays_masked_in_everything_that_follows_a_shared_card() {
    test_app()
        .with_public_url()
        .without_cache()
        .run(async |app| {
            app.wait_for_store().await;
            let card = app.command(SHOW).await;
            let (for_all, _) = share(app, &card).await;
            app.person.user = "U0OTHER".to_owned();
            press_expecting_masked(app, &for_all, "refresh").await;
            let code = app.press(&for_all, "qr").await;
            assert!(!code.message.to_string().contains("+1234"), "{code:?}");
            let watched = press_expecting_masked(app, &for_all, "watch").await;
            assert!(!watched.in_channel, "{watched:?}");
            let refreshed = press_expecting_masked(app, &watched, "refresh").await;
            assert_eq!(refreshed.id, watched.id);
            let text = plain::text(&refreshed.message);
            assert!(text.contains("[ Stop watching ]"), "they still watch: {text}");
            assert!(!text.contains("[ Share in channel ]"), "it is shared: {text}");
            let unwatched = press_expecting_masked(app, &refreshed, "unwatch").await;
            press_expecting_masked(app, &unwatched, "watch").await;
            let code = app.press(&unwatched, "qr").await;
            assert!(!code.message.to_string().contains("+1234"), "{code:?}");
            assert!(code.message["text"].as_str().unwrap().contains("8901"), "{code:?}");
        })
        .await;
}

#[tokio::test]
async fn the_number_stays_masked_in_notifications() {
    test_app()
        .without_cache()
        .run(async |app| {
            app.wait_for_store().await;
            let card = app.command(SHOW).await;
            let (for_all, _) = share(app, &card).await;
            app.person.user = "U0OTHER".to_owned();
            let watched = press_expecting_masked(app, &for_all, "watch").await;
            let expiry = START + SignedDuration::from_hours(24 * 30);
            app.kapso.set_field(ID, "expires_at", expiry.to_string().into());
            app.advance_clock(if app.has_bot_token() {
                SignedDuration::from_hours(7 * 24)
            } else {
                SignedDuration::from_mins(28)
            });
            let ended = app.news(&watched, 1).await;
            expect_masked(&ended, "end of the watch");
            let again = press_expecting_masked(app, &ended, "watch").await;
            app.kapso.activate(ID);
            app.advance_clock(SignedDuration::from_secs(25));
            let news = app.news(&again, 2).await;
            expect_masked(&news, "news");
            let show = if app.has_bot_token() { "show" } else { "refresh" };
            press_expecting_masked(app, &news, show).await;
        })
        .await;
}

/// The private card of the person who shared it stays unmasked.
#[tokio::test]
async fn the_own_card_of_who_shared_it_shows_the_number() {
    test_app()
        .without_cache()
        .run(async |app| {
            app.wait_for_store().await;
            let card = app.command(SHOW).await;
            let (_, own) = share(app, &card).await;
            for button in ["refresh", "watch", "unwatch"] {
                let sent = app.slack.press_button_with_value(
                    &app.app_url,
                    &app.person,
                    &own,
                    button,
                    session_value(ID).into(),
                );
                let own = app.late_reply(sent.await.exchange).await;
                assert!(plain::text(&own.message).contains("+12345678901"), "{button}: {own:?}");
            }
        })
        .await;
}
