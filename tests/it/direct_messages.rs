//! News of a watch as direct messages: until the session ends, once, and with a sentence for the person and one for the
//! operator where Slack refuses them.

use std::time::Duration;

use jiff::SignedDuration;
use kapso_slack::demo::{FakeWebApi, Person, PostedMessage, TokenState, WebFault, plain};
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
        assert!(text.contains("I couldn't find out whether"), "{text}");
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
        assert!(text.contains("[ Stop watching ]"), "the watch goes on: {text}");
    })
    .await;
}

/// Watches a session, which becomes active, and returns the direct message about it.
async fn told_that_it_is_active(app: &TestApp) -> PostedMessage {
    app.command(WATCH).await;
    app.kapso.activate(ID);
    app.advance_clock(SignedDuration::from_mins(1));
    app.direct_message(1).await
}

/// The message as it is now.
fn now(app: &TestApp, posted: &PostedMessage) -> String {
    let mut messages = app.slack.conversation().into_iter();
    let found = messages.find(|message| message.id == posted.id);
    plain::text(&found.expect("the message is still there").message)
}

#[tokio::test]
async fn the_session_of_a_direct_message_is_shown_in_full_and_the_message_stays() {
    with_bot(test_app(), async |app| {
        let told = told_that_it_is_active(app).await;
        let card = app.press(&told, "show").await;
        assert_ne!(card.id, told.id, "a message of its own");
        let text = plain::text(&card.message);
        assert!(text.contains("12345678901"), "nobody else reads it: {text}");
        assert!(text.contains("[ Stop watching ]"), "the watch goes on: {text}");
        assert!(!text.contains("Share in channel"), "there is no channel: {text}");
        assert!(now(app, &told).contains("is active now"), "{}", now(app, &told));
        let refreshed = app.press(&card, "refresh").await;
        assert_eq!(refreshed.id, card.id);
    })
    .await;
}

#[tokio::test]
async fn stop_watching_in_a_direct_message_removes_the_button() {
    for kapso_answers in [true, false] {
        with_bot(test_app(), async |app| {
            let told = told_that_it_is_active(app).await;
            if !kapso_answers {
                app.kapso.delete(ID);
            }
            let stopped = app.press(&told, "unwatch").await;
            assert_eq!(stopped.id, told.id);
            let text = plain::text(&stopped.message);
            assert!(text.contains("Stopped watching"), "{text}");
            assert!(!text.contains("[ Stop watching ]"), "{text}");
            let list = app.command_text("/sandbox watching").await;
            assert!(list.contains("You are not watching"), "{list}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_session_can_be_watched_again_from_a_direct_message() {
    with_bot(test_app(), async |app| {
        renew(app);
        app.command(WATCH).await;
        app.advance_clock(SignedDuration::from_hours(7 * 24));
        let told = app.direct_message(1).await;
        let again = app.press(&told, "watch").await;
        assert_eq!(again.id, told.id);
        let text = plain::text(&again.message);
        assert!(text.contains("I'll send you a direct message"), "{text}");
        assert!(text.contains("12345678901"), "nobody else reads it: {text}");
        app.kapso.activate(ID);
        poll(app).await;
        app.direct_message(2).await;
        app.slack.wait_for_posts(2).await;
        let text = now(app, &told);
        assert!(text.contains("🟢 Active"), "the card is updated: {text}");
        assert!(text.contains("12345678901"), "nobody else reads it: {text}");
        assert!(text.contains("[ Stop watching ]"), "the watch goes on: {text}");
    })
    .await;
}

#[tokio::test]
async fn the_buttons_work_where_only_some_channels_may_use_the_app() {
    let channel = Person::default().channel;
    let by_project = [
        ("support", format!("channels = [\"{channel}\"]")),
        ("sales", "channels = [\"C0OTHER\"]".to_owned()),
    ];
    let builders = [
        test_app().with("ALLOWED_CHANNELS", channel.as_str()),
        test_app().with_projects(by_project.iter().map(|(alias, keys)| (*alias, keys.as_str()))),
    ];
    for builder in builders {
        with_bot(builder, async |app| {
            let told = told_that_it_is_active(app).await;
            let shown = app.press(&told, "show").await;
            let text = plain::text(&shown.message);
            assert!(text.contains("🟢 Active"), "{text}");
            let refreshed = app.press(&shown, "refresh").await;
            let text = plain::text(&refreshed.message);
            assert!(text.contains("🟢 Active"), "{text}");
            let stopped = app.press(&told, "unwatch").await;
            let text = plain::text(&stopped.message);
            assert!(text.contains("Stopped watching"), "{text}");
        })
        .await;
    }
}

#[tokio::test]
async fn somebody_else_cannot_use_the_buttons_of_a_direct_message() {
    let channel = Person::default().channel;
    with_bot(test_app().with("ALLOWED_CHANNELS", channel), async |app| {
        let told = told_that_it_is_active(app).await;
        app.person.user = "U0SOMEBODY".to_owned();
        let refused = app.press(&told, "show").await;
        let text = plain::text(&refused.message);
        assert!(!text.contains("Active"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn the_buttons_of_a_direct_message_open_no_other_channel() {
    let channel = Person::default().channel;
    with_bot(test_app().with("ALLOWED_CHANNELS", channel), async |app| {
        let told = told_that_it_is_active(app).await;
        app.person.channel = "C0OTHER".to_owned();
        let elsewhere = PostedMessage {
            channel: String::new(),
            ..told
        };
        let refused = app.press(&elsewhere, "show").await;
        let text = plain::text(&refused.message);
        assert!(!text.contains("Active"), "{text}");
    })
    .await;
}

type Personal = (fn(&TestApp), &'static str);

/// Refusals after which a watch is one of 28 minutes.
const TO_NOBODY: [Personal; 2] = [
    (
        |app| app.slack.web_api().add_bot(&app.person.user),
        "bots can't get any",
    ),
    (
        |app| app.slack.web_api().close_messages_tab(true),
        "Messages tab is turned off",
    ),
];

#[tokio::test]
async fn a_watch_whose_direct_messages_are_refused_lasts_28_minutes() {
    for (break_it, why) in TO_NOBODY {
        with_bot(test_app(), async |app| {
            renew(app);
            let watched = app.command(WATCH).await;
            break_it(app);
            app.kapso.activate(ID);
            app.advance_clock(SignedDuration::from_mins(1));
            let told = app.next_message(&watched).await;
            let text = plain::text(&told.message);
            assert!(text.contains("is active now") && text.contains(why), "{text}");
            assert!(text.contains("I'll watch this session for 28 minutes only"), "{text}");
            let list = app.command_text("/sandbox watching").await;
            assert!(!list.contains("until it ends"), "{list}");
            app.advance_clock(SignedDuration::from_mins(27));
            let ended = app.next_message(&told).await;
            let text = plain::text(&ended.message);
            assert!(text.contains("I've stopped watching"), "{text}");
            assert!(!text.contains("not active yet"), "{text}");
            let list = app.command_text("/sandbox watching").await;
            assert!(list.contains("You are not watching any sessions here."), "{list}");
            let requests = app.kapso.requests().len();
            app.advance_clock(SignedDuration::from_hours(24));
            app.command("/sandbox watching").await;
            assert_eq!(app.kapso.requests().len(), requests, "nothing is polled");
        })
        .await;
    }
}

#[tokio::test]
async fn a_watch_whose_direct_messages_are_refused_late_ends_at_once() {
    with_bot(test_app(), async |app| {
        renew(app);
        app.command(WATCH).await;
        app.advance_clock(SignedDuration::from_hours(2));
        app.slack.web_api().add_bot(&app.person.user);
        app.kapso.activate(ID);
        poll(app).await;
        app.wait_for_log("notice").await;
        let list = app.command_text("/sandbox watching").await;
        assert!(list.contains("You are not watching any sessions here."), "{list}");
    })
    .await;
}

#[tokio::test]
async fn guests_of_other_companies_are_promised_28_minutes() {
    with_bot(test_app(), async |app| {
        let card = app.command("/sandbox 123e4567-e89b-12d3-a456-426614174000").await;
        app.person.home_team = Some("T0ELSEWHERE".to_owned());
        app.person.user = "U0GUEST".to_owned();
        let watched = app.press(&card, "watch").await;
        let text = plain::text(&watched.message);
        assert!(text.contains("I'll post here"), "{text}");
        assert!(
            text.contains("only to people of the workspace that has installed the app"),
            "{text}"
        );
        app.person.home_team = None;
        app.person.user = "U0COLLEAGUE".to_owned();
        let text = app.command_text(WATCH).await;
        assert!(text.contains("I'll send you a direct message"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn people_of_the_organisation_get_direct_messages() {
    with_bot(test_app(), async |app| {
        app.slack.web_api().join_organisation("E0ORGANISATION");
        app.person.enterprise = Some("E0ORGANISATION".to_owned());
        app.person.team = "T0SISTER".to_owned();
        let text = app.command_text(WATCH).await;
        assert!(text.contains("I'll send you a direct message"), "{text}");
        app.person.enterprise = Some("E0OTHER".to_owned());
        let text = app.command_text(WATCH).await;
        assert!(text.contains("I'll post here"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn watching_again_while_slack_does_not_answer_shortens_nothing() {
    with_bot(test_app(), async |app| {
        renew(app);
        app.command(WATCH).await;
        app.advance_clock(SignedDuration::from_mins(6));
        let down = WebFault::Status(StatusCode::SERVICE_UNAVAILABLE);
        app.slack.web_api().fail_next("auth.test", down);
        let text = app.command_text(WATCH).await;
        assert!(text.contains("I'll send you a direct message"), "{text}");
        app.advance_clock(SignedDuration::from_hours(24));
        app.kapso.activate(ID);
        poll(app).await;
        assert!(plain::text(&app.direct_message(1).await.message).contains("is active now"));
    })
    .await;
}

#[tokio::test]
async fn slack_that_does_not_answer_is_asked_again_after_half_a_minute() {
    with_bot(test_app(), async |app| {
        let web_api = app.slack.web_api();
        web_api.fail_next("auth.test", WebFault::RateLimited(30));
        app.kapso.add_session("second-session");
        let text = app.command_text(WATCH).await;
        assert!(text.contains("I'll post here"), "{text}");
        let text = app.command_text("/sandbox watch second-session").await;
        assert!(text.contains("I'll post here"), "{text}");
        assert_eq!(web_api.calls_of("auth.test").len(), 1);
        app.advance_clock(SignedDuration::from_secs(31));
        let text = app.command_text("/sandbox watch second-session").await;
        assert!(text.contains("I'll send you a direct message"), "{text}");
    })
    .await;
}

#[tokio::test]
async fn a_direct_message_and_its_fallback_leave_a_post_for_the_end() {
    with_bot(test_app(), async |app| {
        let card = app.command("/sandbox 123e4567-e89b-12d3-a456-426614174000").await;
        let watched = app.press(&card, "watch").await;
        app.slack.web_api().add_bot(&app.person.user);
        app.kapso.activate(ID);
        app.advance_clock(SignedDuration::from_mins(1));
        let told = app.next_message(&watched).await;
        app.kapso.supersede(ID);
        app.advance_clock(SignedDuration::from_mins(1));
        let ended = app.next_message(&told).await;
        assert!(plain::text(&ended.message).contains("was superseded"));
        // The reply, the news and the end: with the card, there would be one more than are reserved.
        assert_eq!(app.slack.post_count(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_token_that_is_not_allowed_is_waited_for() {
    with_bot(test_app(), async |app| {
        renew(app);
        app.command(WATCH).await;
        app.advance_clock(SignedDuration::from_hours(2));
        app.slack
            .web_api()
            .fail_next(POST, WebFault::Error("not_allowed_token_type"));
        app.kapso.activate(ID);
        poll(app).await;
        app.wait_for_log("Slack refused a direct message").await;
        app.advance_clock(SignedDuration::from_mins(11));
        assert!(plain::text(&app.direct_message(1).await.message).contains("is active now"));
    })
    .await;
}

#[tokio::test]
async fn a_session_without_an_expiry_is_promised_no_reminder() {
    with_bot(test_app(), async |app| {
        app.kapso.set_field(ID, "expires_at", serde_json::Value::Null);
        let text = app.command_text(WATCH).await;
        assert!(text.contains("when it is activated and when it ends"), "{text}");
        assert!(!text.contains("before it expires"), "{text}");
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

#[tokio::test]
async fn the_answer_to_a_token_that_was_replaced_meanwhile_says_nothing_about_the_new_one() {
    const ROTATED: &str = "xoxb-2-rotated";
    with_bot(test_app(), async |app| {
        let web_api = app.slack.web_api();
        web_api.install(ROTATED, &["chat:write"]);
        web_api.set_token_state(BOT_TOKEN, TokenState::Revoked);
        app.slack.stall_responses(true);
        let (text, ()) = futures_util::join!(app.command_text(WATCH), async {
            web_api.wait_for_calls("auth.test", 1).await;
            app.reload(&[("support", "")], Some(ROTATED));
            app.slack.stall_responses(false);
        });
        assert!(!text.contains("was revoked"), "it is the old token: {text}");
        let text = app.command_text(WATCH).await;
        assert!(text.contains("I'll send you a direct message"), "{text}");
    })
    .await;
}
