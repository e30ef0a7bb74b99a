//! Kapso's status and the clock never contradict each other, wherever a session is shown.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use kapso_slack::demo::rules::buttons;
use kapso_slack::demo::{PostedMessage, plain};
use kapso_slack::kapso::Status;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::cards::{SHOW, share, text, with_fresh_lookups};
use crate::support::{ID, TestApp, test_app, with_app};

/// The test app's clock starts at 10:00.
const PAST: &str = "2026-11-23T09:30:00Z";
const FUTURE: &str = "2026-11-24T10:00:00Z";
/// What some systems write for "never". It is later than the last time that the `jiff` crate knows.
const NEVER: &str = "9999-12-31T23:59:59Z";
/// Buttons for a session that the tester can still activate.
const ACTIVATING: [&str; 4] = ["open", "qr", "watch", "share"];

/// Status and expiry as Kapso sends them; the badge, what the text says, and the line about the expiry.
type Shown = (
    &'static str,
    Option<&'static str>,
    &'static str,
    &'static str,
    Option<&'static str>,
);

const SHOWN: &[Shown] = &[
    (
        "pending_activation",
        Some(FUTURE),
        "🟡 Waiting for activation",
        "is waiting for activation",
        Some("Expires Nov 24, 2026"),
    ),
    (
        "pending_activation",
        None,
        "🟡 Waiting for activation",
        "is waiting for activation",
        None,
    ),
    (
        "pending_activation",
        Some(NEVER),
        "🟡 Waiting for activation",
        "is waiting for activation",
        Some("Expires in the year 9999"),
    ),
    (
        "pending_activation",
        Some(PAST),
        "⚫ Expired",
        "has expired",
        Some("Expired Nov 23, 2026"),
    ),
    (
        "active",
        Some(FUTURE),
        "🟢 Active",
        "is active",
        Some("Expires Nov 24, 2026"),
    ),
    ("active", None, "🟢 Active", "is active", None),
    (
        "active",
        Some(NEVER),
        "🟢 Active",
        "is active",
        Some("Expires in the year 9999"),
    ),
    (
        "active",
        Some(PAST),
        "⚫ Expired",
        "has expired",
        Some("Expired Nov 23, 2026"),
    ),
    ("expired", Some(FUTURE), "⚫ Expired", "has expired", None),
    ("expired", None, "⚫ Expired", "has expired", None),
    ("expired", Some(NEVER), "⚫ Expired", "has expired", None),
    (
        "expired",
        Some(PAST),
        "⚫ Expired",
        "has expired",
        Some("Expired Nov 23, 2026"),
    ),
    ("superseded", Some(FUTURE), "🔵 Superseded", "was superseded", None),
    ("superseded", None, "🔵 Superseded", "was superseded", None),
    ("superseded", Some(NEVER), "🔵 Superseded", "was superseded", None),
    ("superseded", Some(PAST), "🔵 Superseded", "was superseded", None),
    (
        "paused",
        Some(FUTURE),
        "paused",
        "has the status paused",
        Some("Expires Nov 24, 2026"),
    ),
    ("paused", None, "paused", "has the status paused", None),
    (
        "paused",
        Some(NEVER),
        "paused",
        "has the status paused",
        Some("Expires in the year 9999"),
    ),
    (
        "paused",
        Some(PAST),
        "paused",
        "has the status paused",
        Some("Expired Nov 23, 2026"),
    ),
];

fn set(app: &TestApp, status: &str, expires_at: Option<&str>) {
    app.kapso.set_field(ID, "status", status.into());
    app.kapso.set_field(ID, "expires_at", expires_at.into());
}

/// Fails if a message says that a session is usable and that it is over, or offers to activate one that is over.
fn expect_consistent(message: &Value, what: &str) {
    let all = format!("{}\n{}", plain::text(message), text(message)).to_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| all.contains(words));
    let usable = says(&[
        "waiting for activation",
        "is active",
        "🟢",
        "🟡",
        "expires ",
        "sandbox number reach the agent",
    ]);
    let over = says(&["expired", "superseded", "no longer reach", " ago)"]);
    assert!(!(usable && over), "{what}: {all}");
    let offered: Vec<_> = buttons(message)
        .filter_map(|button| button["action_id"].as_str())
        .filter(|action| ACTIVATING.contains(action))
        .collect();
    assert!(!over || offered.is_empty(), "{what} offers {offered:?}: {all}");
    assert!(!over || !all.contains("abc123"), "{what} has a code: {all}");
}

#[tokio::test]
async fn cards_and_lists_say_the_same_about_status_and_expiry() {
    with_fresh_lookups(async |app| {
        app.kapso.allow_undocumented();
        for (status, expires_at, badge, statement, expiry) in SHOWN {
            set(app, status, *expires_at);
            for command in [SHOW, "/sandbox list"] {
                let message = app.command(command).await.message;
                let what = format!("{command}: {status}, {expires_at:?}");
                expect_consistent(&message, &what);
                let shown = plain::text(&message);
                assert!(shown.contains(badge), "{what}: {shown}");
                assert!(text(&message).contains(statement), "{what}: {}", text(&message));
                match expiry {
                    Some(expiry) => assert!(shown.contains(expiry), "{what}: {shown}"),
                    None => assert!(
                        !shown.contains("Expires") && !shown.contains("Expired Nov"),
                        "{what}: {shown}"
                    ),
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_shared_card_past_its_expiry_no_longer_offers_the_link() {
    test_app()
        .with_public_url()
        .without_cache()
        .run(async |app| {
            app.wait_for_store().await;
            let card = app.command(SHOW).await;
            let (shared, own) = share(app, &card).await;
            let code = app.press(&shared, "qr").await;
            set(app, "pending_activation", Some(PAST));
            let shared = app.press(&shared, "refresh").await;
            expect_consistent(&shared.message, "the shared card");
            assert!(plain::text(&shared.message).contains("⚫ Expired"), "{shared:?}");
            // Buttons of a message from before.
            for button in ["share", "qr", "watch"] {
                let press = app.slack.press_button_with_value(
                    &app.app_url,
                    &app.person,
                    &own,
                    button,
                    crate::support::button_values::session_value(ID).into(),
                );
                let shown = app.late_reply(press.await.exchange).await;
                expect_consistent(&shown.message, button);
                assert!(text(&shown.message).contains("has expired"), "{button}: {shown:?}");
            }
            let blocks = code.message["blocks"].as_array().unwrap();
            let picture = blocks.iter().find_map(|block| block["image_url"].as_str()).unwrap();
            let path = picture.strip_prefix(app.app_url.as_str()).unwrap();
            assert_eq!(app.get(path).await.0, StatusCode::NOT_FOUND, "the picture is gone");
        })
        .await;
}

async fn notification_after(app: &TestApp, watched: &PostedMessage) -> String {
    app.advance_clock(SignedDuration::from_secs(25));
    let notice = app.next_message(watched).await;
    expect_consistent(&notice.message, "the notification");
    plain::text(&notice.message)
}

#[tokio::test]
async fn a_watched_session_that_passes_its_expiry_is_reported_as_expired() {
    with_app(async |app| {
        app.wait_for_store().await;
        let soon = app.now() + SignedDuration::from_mins(10);
        set(app, "pending_activation", Some(&soon.to_string()));
        let watched = app.command(&format!("/sandbox watch {ID}")).await;
        app.advance_clock(SignedDuration::from_mins(10));
        let told = notification_after(app, &watched).await;
        assert!(told.contains("expired before it was activated"), "{told}");
    })
    .await;
}

#[tokio::test]
async fn a_session_that_was_active_is_not_reported_as_never_activated() {
    with_app(async |app| {
        app.wait_for_store().await;
        let watched = app.command(&format!("/sandbox watch {ID}")).await;
        app.kapso.activate(ID);
        set(app, "active", Some(PAST));
        let told = notification_after(app, &watched).await;
        assert!(told.contains("has expired"), "{told}");
        assert!(!told.contains("before it was activated"), "{told}");
    })
    .await;
}

fn statuses() -> impl Strategy<Value = Status> {
    prop_oneof![
        Just(Status::Pending),
        Just(Status::Active),
        Just(Status::Expired),
        Just(Status::Superseded),
        "[a-z_]{1,12}".prop_map(Status::from),
    ]
}

proptest! {
    #[test]
    fn a_session_is_usable_or_over_but_never_both(
        status in statuses(),
        expires_at in prop::option::of(-300_000_000_000_i64..253_000_000_000),
        now in 0_i64..4_000_000_000,
    ) {
        let now = Timestamp::from_second(now).unwrap();
        let expires_at = expires_at.map(|at| Timestamp::from_second(at).unwrap());
        let actual = status.at(expires_at, now);
        let is_past = expires_at.is_some_and(|at| at < now);
        match &status {
            Status::Pending | Status::Active if is_past => prop_assert_eq!(actual, &Status::Expired),
            _ => prop_assert_eq!(actual, &status),
        }
        let usable = matches!(actual, Status::Pending | Status::Active);
        prop_assert!(!(usable && is_past));
        prop_assert_eq!(actual.at(expires_at, now), actual, "nothing changes at the second look");
    }
}
