//! A card that is shared where the app is a member is posted with the bot token, and updated until the session ends.

use std::time::Duration;

use http::StatusCode;
use jiff::SignedDuration;
use kapso_slack::demo::{DeliveryPath, FakeWebApi, PostedMessage, TokenState, WebFault, plain};
use serde_json::{Value, json};

use crate::support::cards::{SHOW, advance_until, channel_messages, share};
use crate::support::databases::Database;
use crate::support::inert_text::expect_inert;
use crate::support::{BOT_TOKEN, ID, TestApp, TestAppBuilder, test_app};

const CHANNEL: &str = "C2147483705";
const POST: &str = "chat.postMessage";
const UPDATE: &str = "chat.update";
/// In the log about each update.
const UPDATED: &str = "a shared card was updated";

fn fast(builder: TestAppBuilder) -> TestAppBuilder {
    builder
        .without_cache()
        // The worker must notice when a test advances the clock.
        .set(|settings| settings.timing.max_claim_interval = Duration::from_millis(10))
}

/// Runs `test` with an app that is a member of the channel.
async fn as_member(builder: TestAppBuilder, test: impl AsyncFnOnce(&mut TestApp)) {
    fast(builder)
        .with_bot_token()
        .run(async |app| {
            app.wait_for_store().await;
            app.slack.web_api().join(CHANNEL);
            test(app).await;
        })
        .await;
}

/// Shares the documented session, and waits until its card is stored. Returns the card in the channel.
async fn shared(app: &TestApp) -> PostedMessage {
    let card = app.command(SHOW).await;
    app.press(&card, "share").await;
    wait_for_watches(app, 1).await;
    channel_messages(app).pop().unwrap()
}

/// How often this line was logged.
fn logged(app: &TestApp, message: &str) -> usize {
    let lines = app.log_lines();
    lines.iter().filter(|line| line["message"] == message).count()
}

/// Moves the clock until there were so many updates, and returns the card as it is then.
async fn updated(app: &TestApp, card: &PostedMessage, count: usize) -> PostedMessage {
    advance_until(app, || logged(app, UPDATED) >= count).await;
    assert_eq!(app.slack.web_api().calls_of(UPDATE).len(), count);
    current(app, card)
}

fn current(app: &TestApp, card: &PostedMessage) -> PostedMessage {
    let mut messages = app.slack.conversation().into_iter();
    messages.find(|posted| posted.id == card.id).unwrap()
}

/// Moves the clock until `chat.update` was called so often.
async fn wait_for_calls(app: &TestApp, count: usize) {
    advance_until(app, || app.slack.web_api().calls_of(UPDATE).len() >= count).await;
}

/// Moves the clock until the session was polled so often.
async fn wait_for_polls(app: &TestApp, count: usize) {
    let requests = app.kapso.requests().len();
    advance_until(app, || app.kapso.requests().len() >= requests + count).await;
}

/// Moves the clock until so many watches and shared cards are stored.
async fn wait_for_watches(app: &TestApp, count: usize) {
    let line = format!("kapso_slack_watches {count}\n");
    while !app.metrics().await.contains(&line) {
        app.advance_clock(SignedDuration::from_secs(1));
    }
}

/// The warnings about shared cards so far.
fn warnings(app: &TestApp) -> Vec<Value> {
    let mut lines = app.log_lines();
    lines.retain(|line| line["level"] == "WARN");
    lines
}

#[tokio::test]
async fn where_the_app_is_a_member_the_card_is_posted_with_the_token() {
    let mut texts = Vec::new();
    fast(test_app())
        .without_bot_token()
        .run(async |app| {
            let card = app.command(SHOW).await;
            let (for_all, own) = share(app, &card).await;
            texts = vec![plain::text(&for_all.message), plain::text(&own.message)];
            assert!(app.slack.web_api().calls().is_empty(), "nothing without a token");
        })
        .await;
    as_member(test_app(), async |app| {
        let card = app.command(SHOW).await;
        let own = app.press(&card, "share").await;
        assert_eq!(own.id, card.id, "the sharer's own card is replaced");
        let posted = channel_messages(app);
        assert_eq!(posted.len(), 1, "{posted:?}");
        let for_all = &posted[0];
        assert_eq!((for_all.by, for_all.channel.as_str()), (DeliveryPath::WebApi, CHANNEL));
        assert_eq!(
            [plain::text(&for_all.message), plain::text(&own.message)],
            texts[..],
            "the same as without a token"
        );
        assert!(!for_all.message.to_string().contains("+1234"), "{for_all:?}");
        assert_eq!(app.slack.post_count(), 1, "the confirmation for the sharer");
    })
    .await;
}

#[tokio::test]
async fn where_slack_refuses_it_the_card_is_posted_as_without_a_token() {
    type SetUp = fn(&FakeWebApi);
    let rows: [(&str, SetUp, Option<&str>); 9] = [
        ("not_in_channel", |api| api.leave(CHANNEL), None),
        (
            "channel_not_found",
            |api| api.fail_next(POST, WebFault::Error("channel_not_found")),
            None,
        ),
        (
            "missing_scope",
            |api| api.install(BOT_TOKEN, &["commands"]),
            Some("add the scope"),
        ),
        (
            "token_revoked",
            |api| api.set_token_state(BOT_TOKEN, TokenState::Revoked),
            Some("SLACK_BOT_TOKEN"),
        ),
        (
            "account_inactive",
            |api| api.set_token_state(BOT_TOKEN, TokenState::Inactive),
            Some("install the app again"),
        ),
        (
            "token_expired",
            |api| api.set_token_state(BOT_TOKEN, TokenState::Expired),
            Some("renew the token"),
        ),
        (
            "invalid_auth",
            |api| api.fail_next(POST, WebFault::Error("invalid_auth")),
            Some("SLACK_BOT_TOKEN"),
        ),
        (
            "is_archived",
            |api| api.fail_next(POST, WebFault::Error("is_archived")),
            Some("the channel is archived"),
        ),
        (
            "status 302",
            |api| api.fail_next(POST, WebFault::Status(StatusCode::FOUND)),
            Some("Slack's documentation"),
        ),
    ];
    for (refusal, set_up, fix) in rows {
        let database = Database::sqlite();
        as_member(test_app().with("DATABASE_URL", &database.address), async |app| {
            set_up(app.slack.web_api());
            let card = app.command(SHOW).await;
            let (for_all, own) = share(app, &card).await;
            assert_eq!(for_all.by, DeliveryPath::ResponseUrl, "{refusal}");
            assert!(plain::text(&own.message).contains("📣 Shared"), "{refusal}: {own:?}");
            assert_eq!(channel_messages(app).len(), 1, "{refusal}");
            assert_eq!(app.slack.web_api().calls_of(POST).len(), 1, "{refusal}");
            let warnings = warnings(app);
            match fix {
                None => assert!(warnings.is_empty(), "{refusal}: {warnings:?}"),
                Some(fix) => {
                    assert_eq!(warnings.len(), 1, "{refusal}: {warnings:?}");
                    assert!(
                        warnings[0]["problem"].as_str().unwrap().contains(refusal),
                        "{warnings:?}"
                    );
                    assert!(warnings[0]["fix"].as_str().unwrap().contains(fix), "{warnings:?}");
                }
            }
        })
        .await;
        assert!(
            database.payloads("1 = 1").await.is_empty(),
            "{refusal}: nothing to update"
        );
    }
}

#[tokio::test]
async fn a_web_api_that_is_not_reached_costs_nothing_but_the_updates() {
    as_member(
        test_app().set(|settings| settings.slack_api_url = "http://127.0.0.1:9/api/".parse().unwrap()),
        async |app| {
            let card = app.command(SHOW).await;
            let (for_all, _) = share(app, &card).await;
            assert_eq!(for_all.by, DeliveryPath::ResponseUrl);
            assert_eq!(warnings(app)[0]["problem"], "Slack could not be reached");
        },
    )
    .await;
}

/// Slack's answers to `chat.postMessage`, and how many cards the channel has then.
#[tokio::test]
async fn a_post_that_is_limited_or_unclear_is_repeated() {
    let rows: [(&[WebFault], usize); 4] = [
        (&[WebFault::RateLimited(2)], 1),
        (&[WebFault::Status(StatusCode::BAD_GATEWAY)], 1),
        (
            &[
                WebFault::DoneWithStatus(StatusCode::BAD_GATEWAY),
                WebFault::Status(StatusCode::BAD_GATEWAY),
            ],
            2,
        ),
        (
            &[
                WebFault::Status(StatusCode::BAD_GATEWAY),
                WebFault::Error("not_in_channel"),
            ],
            1,
        ),
    ];
    for (faults, cards) in rows {
        as_member(test_app(), async |app| {
            for fault in faults {
                app.slack.web_api().fail_next(POST, fault.clone());
            }
            let card = app.command(SHOW).await;
            let sent = app.slack.press_button(&app.app_url, &app.person, &card, "share").await;
            advance_until(app, || current(app, &card).message != card.message).await;
            let own = current(app, &card);
            assert!(plain::text(&own.message).contains("📣 Shared"), "{faults:?}: {own:?}");
            app.late_reply(sent.exchange).await;
            assert_eq!(channel_messages(app).len(), cards, "{faults:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn the_card_shows_what_becomes_of_the_session_until_it_ends() {
    as_member(test_app(), async |app| {
        let card = shared(app).await;
        app.kapso.activate(ID);
        let active = updated(app, &card, 1).await;
        let text = plain::text(&active.message);
        assert!(
            text.contains("🟢 Active") && text.contains("Phone: •••• 8901"),
            "{text}"
        );
        assert!(text.ends_with("shared by @U2147483697"), "{text}");
        assert!(!text.contains("[ Share in channel ]"), "{text}");
        wait_for_watches(app, 1).await;

        app.kapso.supersede(ID);
        let superseded = updated(app, &card, 2).await;
        let text = plain::text(&superseded.message);
        assert!(text.contains("🔵 Superseded"), "{text}");
        wait_for_watches(app, 0).await;
    })
    .await;
}

#[tokio::test]
async fn an_updated_card_is_what_refresh_shows_and_both_go_together() {
    as_member(test_app(), async |app| {
        let card = shared(app).await;
        app.kapso.activate(ID);
        let active = updated(app, &card, 1).await;
        app.person.user = "U0OTHER".to_owned();
        let refreshed = app.press(&active, "refresh").await;
        assert_eq!(refreshed.id, card.id, "the card is replaced");
        for part in ["text", "blocks", "unfurl_links", "unfurl_media"] {
            if active.message[part].is_null() {
                // `chat.update` has no such argument.
                continue;
            }
            assert_eq!(active.message[part], refreshed.message[part], "{part}");
        }
        app.kapso.supersede(ID);
        let superseded = updated(app, &card, 2).await;
        assert!(plain::text(&superseded.message).contains("🔵 Superseded"));
    })
    .await;
}

#[tokio::test]
async fn a_session_that_expires_unnoticed_by_kapso_is_shown_as_expired() {
    as_member(test_app(), async |app| {
        let card = shared(app).await;
        // It expires 24 hours after its creation.
        app.advance_clock(SignedDuration::from_hours(25));
        let expired = updated(app, &card, 1).await;
        assert!(plain::text(&expired.message).contains("⚫ Expired"), "{expired:?}");
        wait_for_watches(app, 0).await;
    })
    .await;
}

#[tokio::test]
async fn ten_changes_within_five_seconds_are_one_update() {
    as_member(test_app(), async |app| {
        let card = shared(app).await;
        for n in 1..=10 {
            app.kapso.set_field(ID, "agent", json!({"name": format!("Agent {n}")}));
            app.advance_clock(SignedDuration::from_millis(500));
        }
        let changed = updated(app, &card, 1).await;
        assert!(plain::text(&changed.message).contains("Agent: Agent 10"), "{changed:?}");
        wait_for_watches(app, 1).await;
        assert_eq!(app.slack.web_api().calls_of(UPDATE).len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_card_without_news_is_not_updated() {
    as_member(test_app(), async |app| {
        shared(app).await;
        wait_for_polls(app, 5).await;
        app.shut_down().await;
        assert!(app.slack.web_api().calls_of(UPDATE).is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_limit_delays_the_update_and_the_last_state_wins() {
    as_member(test_app(), async |app| {
        let card = shared(app).await;
        app.slack.web_api().fail_next(UPDATE, WebFault::RateLimited(300));
        let before = app.now();
        app.kapso.activate(ID);
        wait_for_calls(app, 1).await;
        app.kapso.supersede(ID);
        wait_for_calls(app, 2).await;
        assert!(
            app.now() - before >= SignedDuration::from_secs(300),
            "after its Retry-After"
        );
        let superseded = current(app, &card);
        assert!(
            plain::text(&superseded.message).contains("🔵 Superseded"),
            "{superseded:?}"
        );
        wait_for_watches(app, 0).await;
    })
    .await;
}

#[tokio::test]
async fn an_update_that_slack_may_not_have_taken_is_repeated() {
    as_member(test_app(), async |app| {
        let card = shared(app).await;
        let api = app.slack.web_api();
        api.fail_next(UPDATE, WebFault::Status(StatusCode::BAD_GATEWAY));
        api.fail_next(UPDATE, WebFault::DoneWithStatus(StatusCode::BAD_GATEWAY));
        app.kapso.supersede(ID);
        wait_for_calls(app, 3).await;
        let superseded = current(app, &card);
        assert!(
            plain::text(&superseded.message).contains("🔵 Superseded"),
            "{superseded:?}"
        );
        wait_for_watches(app, 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_message_that_cannot_be_updated_ends_it_with_one_line() {
    for refusal in [
        "cant_update_message",
        "message_not_found",
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "msg_too_long",
        "edit_window_closed",
    ] {
        as_member(test_app(), async |app| {
            let card = shared(app).await;
            app.slack.web_api().fail_next(UPDATE, WebFault::Error(refusal));
            app.kapso.activate(ID);
            wait_for_watches(app, 0).await;
            let warnings = warnings(app);
            assert_eq!(warnings.len(), 1, "{refusal}: {warnings:?}");
            assert_eq!(warnings[0]["problem"], format!("Slack refused: {refusal}"));
            assert!(warnings[0]["fix"].is_string(), "{refusal}: {warnings:?}");
            assert_eq!(current(app, &card).message, card.message, "{refusal}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_token_that_works_again_updates_the_card() {
    as_member(test_app(), async |app| {
        let card = shared(app).await;
        let api = app.slack.web_api();
        api.set_token_state(BOT_TOKEN, TokenState::Revoked);
        app.kapso.activate(ID);
        let refused = app.now();
        wait_for_calls(app, 1).await;
        api.set_token_state(BOT_TOKEN, TokenState::Valid);
        advance_until(app, || logged(app, UPDATED) == 1).await;
        let active = current(app, &card);
        assert!(app.now() - refused >= SignedDuration::from_mins(10), "no call in vain");
        assert_eq!(api.calls_of(UPDATE).len(), 2);
        assert!(plain::text(&active.message).contains("🟢 Active"), "{active:?}");
    })
    .await;
}

#[tokio::test]
async fn a_session_that_is_gone_leaves_the_card_as_it_is() {
    as_member(test_app(), async |app| {
        let card = shared(app).await;
        app.kapso.delete(ID);
        wait_for_watches(app, 0).await;
        assert!(app.slack.web_api().calls_of(UPDATE).is_empty());
        assert_eq!(current(app, &card).message, card.message);
    })
    .await;
}

#[tokio::test]
async fn after_a_week_the_card_is_not_updated_any_more() {
    as_member(test_app(), async |app| {
        let expiry = app.now() + SignedDuration::from_hours(24 * 30);
        app.kapso.set_field(ID, "expires_at", expiry.to_string().into());
        shared(app).await;
        app.advance_clock(SignedDuration::from_hours(24 * 7 - 1));
        wait_for_polls(app, 1).await;
        wait_for_watches(app, 1).await;
        app.advance_clock(SignedDuration::from_hours(1));
        wait_for_watches(app, 0).await;
        assert!(app.slack.web_api().calls_of(UPDATE).is_empty());
    })
    .await;
}

#[tokio::test]
async fn text_on_an_updated_card_is_inert() {
    as_member(test_app(), async |app| {
        let card = shared(app).await;
        let texts = [
            "MARK<!channel>",
            "MARK <https://evil.example|Activate>",
            "*MARK* shared by <@U0BOSS>",
        ];
        for (count, words) in texts.into_iter().enumerate() {
            app.kapso.set_field(ID, "agent", json!({"name": words}));
            app.kapso.set_field(ID, "activation_code", words.into());
            expect_inert(&updated(app, &card, count + 1).await.message, words);
        }
    })
    .await;
}

#[tokio::test]
async fn a_project_that_is_taken_from_the_channel_is_shown_there_no_more() {
    let allowed = r#"channels = ["C2147483705"]"#;
    let projects = [("support", allowed), ("sales", allowed)];
    as_member(test_app().with_projects(projects), async |app| {
        let card = app.command(&format!("/sandbox @support {ID}")).await;
        app.press(&card, "share").await;
        let for_all = channel_messages(app).pop().unwrap();
        assert!(plain::text(&for_all.message).contains("Project support"), "{for_all:?}");
        app.kapso.activate(ID);
        let active = updated(app, &for_all, 1).await;
        let text = plain::text(&active.message);
        assert!(text.contains("🟢 Active") && text.contains("Project support"), "{text}");

        app.reload_projects(&[("support", r#"channels = ["C0000000001"]"#), ("sales", allowed)]);
        app.kapso.supersede(ID);
        let ended = "a shared card is no longer updated: its project may not be used there";
        advance_until(app, || logged(app, ended) == 1).await;
        assert_eq!(current(app, &for_all).message, active.message);
        assert_eq!(app.slack.web_api().calls_of(UPDATE).len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_token_that_is_taken_away_ends_the_updates() {
    as_member(test_app(), async |app| {
        let card = shared(app).await;
        // Without `SLACK_BOT_TOKEN`.
        app.reload(&[("support", "")], None);
        app.kapso.activate(ID);
        advance_until(app, || !warnings(app).is_empty()).await;
        assert!(app.slack.web_api().calls_of(UPDATE).is_empty());
        assert_eq!(current(app, &card).message, card.message);
        assert_eq!(warnings(app)[0]["problem"], "SLACK_BOT_TOKEN is not set");
    })
    .await;
}
