//! News of a watch as direct messages: until the session ends, once, and with a sentence for the person and one for the
//! operator where Slack refuses them.

use std::time::Duration;

use jiff::SignedDuration;
use kapso_slack::demo::{FakeWebApi, PostedMessage, TokenState, WebFault, plain};
use reqwest::StatusCode;

use crate::support::{BOT_TOKEN, ID, START, TestApp, TestAppBuilder, test_app};

const WATCH: &str = "/sandbox watch 123e4567-e89b-12d3-a456-426614174000";
const POST: &str = "chat.postMessage";
/// Longer than the longest pause between two polls.
const POLLED: SignedDuration = SignedDuration::from_mins(16);

async fn with_bot(builder: TestAppBuilder, test: impl AsyncFnOnce(&mut TestApp)) {
    builder
        .with_bot_token()
        .without_cache()
        // The worker must notice when a test advances the clock.
        .set(|settings| settings.timing.max_claim_interval = Duration::from_millis(10))
        .run(async |app| {
            app.wait_for_store().await;
            test(app).await;
        })
        .await;
}

/// Gives the session another week.
fn renew(app: &TestApp) {
    let expiry = START + SignedDuration::from_hours(24 * 30);
    app.kapso.set_field(ID, "expires_at", expiry.to_string().into());
}

/// Moves the clock so far that the session is polled, and waits for the poll.
async fn poll(app: &TestApp) {
    let requests = app.kapso.requests().len();
    app.advance_clock(POLLED);
    app.kapso.wait_for_requests(requests + 1).await;
}

/// The message that the watcher gets at the `response_url`.
async fn posted_here(app: &TestApp, watched: &PostedMessage) -> String {
    plain::text(&app.next_message(watched).await.message)
}

#[tokio::test]
async fn a_watch_lasts_until_the_session_ends_and_tells_everything_once() {
    with_bot(test_app(), async |app| {
        let watched = app.command_text(WATCH).await;
        assert!(
            watched.contains("I'll send you a direct message when it is activated"),
            "{watched}"
        );
        assert!(!watched.contains("30 minutes"), "{watched}");
        // The session expires 24 hours after its creation.
        app.advance_clock(SignedDuration::from_hours(20));
        app.kapso.activate(ID);
        poll(app).await;
        let active = plain::text(&app.direct_message(1).await.message);
        assert!(active.contains("🟢") && active.contains("is active now"), "{active}");
        assert!(active.contains("[ Stop watching ]"), "it goes on: {active}");

        app.advance_clock(SignedDuration::from_mins(3 * 60 + 15));
        let soon = plain::text(&app.direct_message(2).await.message);
        assert!(soon.contains("⏰") && soon.contains("expires "), "{soon}");

        app.advance_clock(SignedDuration::from_mins(31));
        let ended = plain::text(&app.direct_message(3).await.message);
        assert!(ended.contains("has expired"), "{ended}");
        app.advance_clock(SignedDuration::from_hours(24));
        let list = app.command_text("/sandbox watching").await;
        assert!(list.contains("You are not watching any sessions here."), "{list}");
        assert_eq!(app.direct_texts().len(), 3);
        assert_eq!(app.slack.post_count(), 0, "nothing at the response_url");
    })
    .await;
}

#[tokio::test]
async fn after_a_week_the_watch_offers_to_go_on() {
    with_bot(test_app(), async |app| {
        renew(app);
        app.command(WATCH).await;
        app.advance_clock(SignedDuration::from_hours(7 * 24));
        let told = app.direct_message(1).await;
        let text = plain::text(&told.message);
        assert!(text.contains("a week"), "{text}");
        assert!(text.contains("[ Keep watching ]"), "{text}");
        app.person.channel = told.channel.clone();
        let again = app.press(&told, "watch").await;
        let text = plain::text(&again.message);
        assert!(text.contains("I'll send you a direct message"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn an_active_session_can_be_watched_until_it_ends() {
    with_bot(test_app(), async |app| {
        app.kapso.activate(ID);
        let watched = app.command_text(WATCH).await;
        assert!(watched.contains("half an hour before it expires"), "{watched}");
        assert!(!watched.contains("when it is activated"), "{watched}");
        app.kapso.supersede(ID);
        poll(app).await;
        let text = plain::text(&app.direct_message(1).await.message);
        assert!(text.contains("was superseded"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_limit_delays_a_direct_message_and_costs_no_attempt() {
    with_bot(test_app(), async |app| {
        app.command(WATCH).await;
        app.kapso.activate(ID);
        for _ in 0..5 {
            app.slack.web_api().fail_next(POST, WebFault::RateLimited(30));
        }
        app.advance_clock(SignedDuration::from_mins(1));
        for count in 1..=5 {
            app.slack.web_api().wait_for_calls(POST, count).await;
            app.advance_clock(SignedDuration::from_secs(29));
            assert_eq!(
                app.slack.web_api().calls_of(POST).len(),
                count,
                "not before its Retry-After"
            );
            app.advance_clock(SignedDuration::from_secs(2));
        }
        assert!(plain::text(&app.direct_message(1).await.message).contains("is active now"));
    })
    .await;
}

/// 24 minutes before the expiry, "in 30 minutes" would be wrong.
#[tokio::test]
async fn a_reminder_that_comes_late_says_when_the_session_expires() {
    with_bot(test_app(), async |app| {
        app.command(WATCH).await;
        app.slack.web_api().fail_next(POST, WebFault::RateLimited(6 * 60));
        app.advance_clock(SignedDuration::from_mins(23 * 60 + 30));
        app.slack.web_api().wait_for_calls(POST, 1).await;
        app.advance_clock(SignedDuration::from_mins(7));
        let reminder = app.direct_message(1).await.message;
        let (text, block) = (&reminder["text"], &reminder["blocks"][0]["text"]["text"]);
        for words in [text, block] {
            let words = words.as_str().unwrap();
            assert!(words.contains(" expires ") && !words.contains(" in "), "{words}");
        }
        let expiry = (START + SignedDuration::from_hours(24)).as_second();
        let in_block = block.as_str().unwrap();
        assert!(in_block.contains(&format!("<!date^{expiry}^")), "{in_block}");
        assert!(text.as_str().unwrap().contains("10:00 UTC"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_not_learned_is_tried_three_times() {
    with_bot(test_app(), async |app| {
        app.command(WATCH).await;
        app.kapso.activate(ID);
        let web_api = app.slack.web_api();
        for _ in 0..3 {
            web_api.fail_next(POST, WebFault::Status(StatusCode::BAD_GATEWAY));
        }
        app.advance_clock(SignedDuration::from_mins(1));
        for (count, pause) in [(1, 1), (2, 15), (3, 0)] {
            web_api.wait_for_calls(POST, count).await;
            app.advance_clock(SignedDuration::from_mins(pause));
        }
        let line = app.wait_for_log("notice").await;
        assert_eq!(line["answer"], "lost", "{line}");
        assert_eq!(web_api.calls_of(POST).len(), 3);
    })
    .await;
}

type Breaking = fn(&FakeWebApi);

/// Each refusal: how Slack comes to it, the code, what the person reads, and what the operator does.
const REFUSALS: [(Breaking, &str, &str, &str); 8] = [
    (
        |api| api.install(BOT_TOKEN, &["commands"]),
        "missing_scope",
        "the app lacks the permission to",
        "add the scope",
    ),
    (
        |api| api.set_token_state(BOT_TOKEN, TokenState::Inactive),
        "account_inactive",
        "has been deactivated in this workspace",
        "it or its workspace has been deactivated",
    ),
    (
        |api| api.set_token_state(BOT_TOKEN, TokenState::Revoked),
        "token_revoked",
        "access to this workspace was revoked",
        "set SLACK_BOT_TOKEN to its new token",
    ),
    (
        |api| api.set_token_state(BOT_TOKEN, TokenState::Expired),
        "token_expired",
        "doesn't accept the app's token",
        "send the service SIGHUP",
    ),
    (
        |api| api.fail_next(POST, WebFault::Error("invalid_auth")),
        "invalid_auth",
        "doesn't accept the app's token",
        "Bot User OAuth Token",
    ),
    (
        |api| api.add_bot("U2147483697"),
        "cannot_dm_bot",
        "bots can't get any",
        "a bot cannot get direct messages",
    ),
    (
        |api| api.remove_person("U2147483697"),
        "channel_not_found",
        "didn't find you",
        "the person or the channel is not there",
    ),
    (
        |api| api.close_messages_tab(true),
        "messages_tab_disabled",
        "Messages tab is turned off",
        "Messages Tab under App Home",
    ),
];

#[tokio::test]
async fn a_refused_direct_message_comes_to_the_response_url_with_the_reason() {
    for (break_it, code, for_person, for_operator) in REFUSALS {
        with_bot(test_app(), async |app| {
            let watched = app.command(WATCH).await;
            break_it(app.slack.web_api());
            app.kapso.activate(ID);
            app.advance_clock(SignedDuration::from_mins(1));
            let text = posted_here(app, &watched).await;
            assert!(text.contains("is active now"), "{code}: {text}");
            assert!(text.contains(for_person), "{code}: {text}");
            let line = app.wait_for_log("Slack refused a direct message").await;
            assert!(line["problem"].as_str().unwrap().starts_with(code), "{line}");
            assert!(line["fix"].as_str().unwrap().contains(for_operator), "{line}");
            let metrics = app.metrics().await;
            let counted = format!("kapso_slack_direct_messages_refused_total{{reason=\"{code}\"}} 1");
            assert!(metrics.contains(&counted), "{code}: {metrics}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_watch_promises_no_more_than_what_works() {
    for (break_it, code, for_person, _) in REFUSALS {
        // Slack says the others only when a message is sent.
        if [
            "cannot_dm_bot",
            "channel_not_found",
            "messages_tab_disabled",
            "invalid_auth",
        ]
        .contains(&code)
        {
            continue;
        }
        with_bot(test_app(), async |app| {
            break_it(app.slack.web_api());
            let watched = app.command(WATCH).await;
            let text = plain::text(&watched.message);
            assert!(
                text.contains("I'll post here when it is activated or ends"),
                "{code}: {text}"
            );
            assert!(text.contains(for_person), "{code}: {text}");
            app.wait_for_log("Slack refuses direct messages; watches last 28 minutes")
                .await;
            app.kapso.activate(ID);
            app.advance_clock(SignedDuration::from_mins(1));
            let text = posted_here(app, &watched).await;
            assert!(
                text.contains("is active now") && !text.contains("direct message"),
                "{code}: {text}"
            );
        })
        .await;
    }
}

#[tokio::test]
async fn a_closed_messages_tab_is_remembered_for_the_next_watch() {
    with_bot(test_app(), async |app| {
        app.kapso.add_session("second-session");
        let watched = app.command(WATCH).await;
        app.slack.web_api().close_messages_tab(true);
        app.kapso.activate(ID);
        app.advance_clock(SignedDuration::from_mins(1));
        posted_here(app, &watched).await;
        let text = app.command_text("/sandbox watch second-session").await;
        assert!(text.contains("Messages tab is turned off"), "{text}");
        assert!(text.contains("I'll post here"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn slack_that_does_not_answer_promises_28_minutes() {
    with_bot(test_app(), async |app| {
        let down = WebFault::Status(StatusCode::SERVICE_UNAVAILABLE);
        app.slack.web_api().fail_next("auth.test", down);
        let text = app.command_text(WATCH).await;
        assert!(text.contains("I'll post here"), "{text}");
        assert!(text.contains("Slack isn't answering"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn news_of_a_long_watch_wait_until_the_token_is_renewed() {
    with_bot(test_app(), async |app| {
        app.command(WATCH).await;
        app.advance_clock(SignedDuration::from_hours(2));
        app.slack.web_api().set_token_state(BOT_TOKEN, TokenState::Expired);
        app.kapso.activate(ID);
        poll(app).await;
        app.slack.web_api().wait_for_calls(POST, 1).await;
        app.slack.web_api().install(BOT_TOKEN, &["chat:write"]);
        app.wait_for_log("Slack refused a direct message").await;
        app.advance_clock(SignedDuration::from_mins(11));
        assert!(plain::text(&app.direct_message(1).await.message).contains("is active now"));
    })
    .await;
}

#[tokio::test]
async fn news_for_nobody_are_counted_as_lost() {
    with_bot(test_app(), async |app| {
        app.command(WATCH).await;
        app.advance_clock(SignedDuration::from_hours(2));
        app.slack.web_api().remove_person(&app.person.user);
        app.kapso.activate(ID);
        poll(app).await;
        let line = app.wait_for_log("notice").await;
        assert_eq!(line["answer"], "lost", "{line}");
        assert_eq!(line["lost"], "Slack refused the direct message", "{line}");
    })
    .await;
}

#[tokio::test]
async fn what_is_watched_is_listed_and_can_be_stopped() {
    for with_token in [true, false] {
        let builder = if with_token {
            test_app().with_bot_token()
        } else {
            test_app().without_bot_token()
        };
        builder
            .without_cache()
            .run(async |app| {
                app.wait_for_store().await;
                app.kapso.add_session("second-session");
                app.command(WATCH).await;
                app.advance_clock(SignedDuration::from_secs(1));
                app.command("/sandbox watch second-session").await;
                let list = app.command("/sandbox watching").await;
                let text = plain::text(&list.message);
                assert!(text.contains("You are watching 2 sessions."), "{text}");
                assert!(text.find(ID) < text.find("second-session"), "{text}");
                let at_the_latest = text.contains("until it ends");
                assert_eq!(at_the_latest, with_token, "{text}");
                let left = app.press(&list, "unwatch_listed").await;
                assert_eq!(left.id, list.id, "the list is shown again");
                let text = plain::text(&left.message);
                assert!(text.contains("You are watching 1 session."), "{text}");
                assert!(text.contains("Stopped watching 123e4567"), "{text}");
                let none = app.press(&left, "unwatch_listed").await;
                let text = plain::text(&none.message);
                assert!(text.contains("You are not watching any sessions here."), "{text}");
            })
            .await;
    }
}

#[tokio::test]
async fn somebody_else_watches_nothing() {
    with_bot(test_app(), async |app| {
        app.command(WATCH).await;
        app.person.user = "U0000000002".to_owned();
        let text = app.command_text("/sandbox watching").await;
        assert!(text.contains("You are not watching any sessions here."), "{text}");
    })
    .await;
}

#[tokio::test]
async fn the_pressed_card_is_updated_while_its_response_url_works() {
    with_bot(test_app(), async |app| {
        let card = app.command("/sandbox 123e4567-e89b-12d3-a456-426614174000").await;
        let watched = app.press(&card, "watch").await;
        app.kapso.activate(ID);
        app.advance_clock(SignedDuration::from_mins(1));
        app.direct_message(1).await;
        app.slack.wait_for_posts(2).await;
        let now = app
            .slack
            .conversation()
            .into_iter()
            .find(|posted| posted.id == watched.id);
        let text = plain::text(&now.unwrap().message);
        assert!(text.contains("🟢 Active"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn without_a_token_nothing_is_asked_of_slack() {
    test_app()
        .without_bot_token()
        .run(async |app| {
            app.wait_for_store().await;
            let text = app.command_text(WATCH).await;
            assert!(text.contains("(Slack's limit is 30 minutes.)"), "{text}");
            assert!(!text.contains("direct message"), "{text}");
            assert!(app.slack.web_api().calls().is_empty());
        })
        .await;
}
