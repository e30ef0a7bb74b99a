//! Session cards: looking one up, sharing one, and checks of private replies.

use jiff::SignedDuration;
use kapso_slack::demo::PostedMessage;
use kapso_slack::demo::rules::buttons;
use serde_json::{Value, json};

use crate::support::{ID, TestApp, test_app};

/// Runs `test` with an app whose look-ups are never cached, and a rate limit that no test reaches.
pub async fn with_fresh_lookups(test: impl AsyncFnOnce(&mut TestApp)) {
    let test = async |app: &mut TestApp| {
        app.kapso.set_rate_limit(10_000);
        test(app).await;
    };
    test_app().without_cache().run(test).await;
}

/// Looks the documented session up.
pub async fn show_session(app: &TestApp) -> Value {
    let card = app.command(&format!("/sandbox {ID}")).await.message;
    assert_eq!(card["response_type"], "ephemeral");
    card
}

/// The top-level text of a message: all that a screen reader or a notification gets.
pub fn text(message: &Value) -> &str {
    message["text"].as_str().unwrap()
}

/// Sorts the keys of every object, for snapshots: without this their order depends on a feature of `serde_json` that any
/// dependency may enable.
pub fn sorted(mut message: Value) -> Value {
    message.sort_all_objects();
    message
}

/// A card that somebody shared earlier, whose Refresh button has this value.
pub fn shared_card(app: &TestApp, value: &str) -> PostedMessage {
    let label = |text: &str| json!({"type": "plain_text", "text": text});
    app.slack.add_shared_message(json!({
        "response_type": "in_channel",
        "text": "A session that somebody shared.",
        "blocks": [{"type": "actions", "elements": [
            {"type": "button", "action_id": "open", "text": label("Activate"), "url": "https://wa.me/1"},
            {"type": "button", "action_id": "refresh", "text": label("Refresh"), "value": value},
        ]}],
    }))
}

/// Checks that only the person who pressed gets these words, without buttons but for the list if a session is not found,
/// and that the card is unchanged.
pub fn expect_private_reply(app: &TestApp, card: &PostedMessage, answer: &PostedMessage, words: &str) {
    assert!(answer.message["text"].as_str().unwrap().contains(words), "{answer:?}");
    assert_eq!(answer.message["response_type"], "ephemeral", "{words}");
    assert_eq!(answer.message["replace_original"], false, "{words}");
    assert!(!answer.in_channel, "{words}");
    let labels: Vec<_> = buttons(&answer.message).map(|button| &button["text"]["text"]).collect();
    let expected: &[&str] = if words.starts_with("There is no session") {
        &["Show the list"]
    } else {
        &[]
    };
    assert_eq!(labels, expected, "{words}");
    let current = app.slack.conversation().into_iter().find(|posted| posted.id == card.id);
    assert_eq!(current.unwrap().message, card.message, "{words}");
}

pub const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";

/// Shares a card. Returns the message in the channel, and what replaced the card.
pub async fn share(app: &TestApp, card: &PostedMessage) -> (PostedMessage, PostedMessage) {
    let for_all = app.press(card, "share").await;
    assert!(for_all.in_channel, "{for_all:?}");
    (for_all, app.slack.wait_for_replacement(card).await)
}

/// The messages that everybody in the channel sees.
pub fn channel_messages(app: &TestApp) -> Vec<PostedMessage> {
    let mut posted = app.slack.conversation();
    posted.retain(|posted| posted.in_channel);
    posted
}

/// Moves the clock, a second at a time, until something has come true that the poller or a worker does.
pub async fn advance_until(app: &TestApp, is_done: impl Fn() -> bool) {
    while !is_done() {
        app.advance_clock(SignedDuration::from_secs(1));
        // A request of its own, so that the service gets its turn.
        app.metrics().await;
    }
}
