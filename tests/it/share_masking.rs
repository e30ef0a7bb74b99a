//! Who knows a session by a shared card alone never reads the phone number, whatever they press and whatever comes
//! of it.

use jiff::SignedDuration;
use kapso_slack::demo::{Posted, plain};

use crate::support::{TestApp, ID, plan};
use crate::support::cards::{SHOW, shares};

/// Somebody else presses a button of the shared card, or of what came of it: the number stays masked.
async fn presses(app: &TestApp, on: &Posted, button: &str) -> Posted {
    let answer = app.presses(on, button).await;
    is_masked(&answer, button);
    answer
}

fn is_masked(posted: &Posted, what: &str) {
    let message = posted.message.to_string();
    assert!(!message.contains("+1234"), "{what}: {message}");
    assert!(plain::text(&posted.message).contains("8901"), "{what}: {message}");
}

#[tokio::test]
async fn no_press_on_a_shared_card_or_on_what_came_of_it_shows_the_number() {
    plan()
        .reachable()
        .forgetful()
        .run(async |app| {
            app.has_a_store().await;
            let card = app.types(SHOW).await;
            let (for_all, _) = shares(app, &card).await;
            app.person.user = "U0OTHER".to_owned();
            presses(app, &for_all, "refresh").await;
            let code = app.presses(&for_all, "qr").await;
            assert!(!code.message.to_string().contains("+1234"), "{code:?}");
            let watched = presses(app, &for_all, "watch").await;
            assert!(!watched.in_channel, "{watched:?}");
            let refreshed = presses(app, &watched, "refresh").await;
            assert_eq!(refreshed.id, watched.id);
            let text = plain::text(&refreshed.message);
            assert!(text.contains("[ Stop watching ]"), "they still watch: {text}");
            assert!(!text.contains("[ Share in channel ]"), "it is shared: {text}");
            let unwatched = presses(app, &refreshed, "unwatch").await;
            presses(app, &unwatched, "watch").await;
            let code = app.presses(&unwatched, "qr").await;
            assert!(!code.message.to_string().contains("+1234"), "{code:?}");
            assert!(code.message["text"].as_str().unwrap().contains("8901"), "{code:?}");
        })
        .await;
}

#[tokio::test]
async fn nor_do_the_news_that_were_asked_for_there() {
    plan()
        .forgetful()
        .run(async |app| {
            app.has_a_store().await;
            let card = app.types(SHOW).await;
            let (for_all, _) = shares(app, &card).await;
            app.person.user = "U0OTHER".to_owned();
            let watched = presses(app, &for_all, "watch").await;
            app.passes(SignedDuration::from_mins(28));
            let goodbye = app.hears_after(&watched).await;
            is_masked(&goodbye, "goodbye");
            let again = presses(app, &goodbye, "watch").await;
            app.kapso.activate(ID);
            app.passes(SignedDuration::from_secs(25));
            let news = app.hears_after(&again).await;
            is_masked(&news, "news");
            presses(app, &news, "refresh").await;
        })
        .await;
}

/// The own card of the person who shared it is as it was.
#[tokio::test]
async fn who_shared_it_reads_the_number_on_their_own_card() {
    plan()
        .forgetful()
        .run(async |app| {
            app.has_a_store().await;
            let card = app.types(SHOW).await;
            let (_, own) = shares(app, &card).await;
            for button in ["refresh", "watch", "unwatch"] {
                let sent =
                    app
                        .slack
                        .presses_with(&app.app_url, &app.person, &own, button, format!("v1:{ID}").into());
                let own = app.later(sent.await.exchange).await;
                assert!(plain::text(&own.message).contains("+12345678901"), "{button}: {own:?}");
            }
        })
        .await;
}
