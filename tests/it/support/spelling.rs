//! Commands in different spellings, and replies that are one sentence.

use jiff::SignedDuration;
use kapso_slack::demo::PostedMessage;

use crate::support::TestApp;

/// Sends `/sandbox <text>`. Returns the requests to Kapso that it led to, and the reply.
pub async fn command_with_requests(app: &TestApp, text: &str) -> (Vec<String>, PostedMessage) {
    // Longer than the cache and the window of the rate limit.
    app.advance_clock(SignedDuration::from_secs(61));
    let before = app.kapso.requests().len();
    let answer = app.command(&format!("/sandbox {text}")).await;
    (app.kapso.requests().split_off(before), answer)
}

/// Checks that the reply is ephemeral, and has exactly these words as its text and as its only block but for the buttons
/// below a correction.
pub fn expect_only_text(answer: &PostedMessage, words: &str, typed: &str) {
    assert_eq!(answer.message["response_type"], "ephemeral", "{typed:?}");
    assert_eq!(answer.message["text"], words, "{typed:?}");
    assert_eq!(answer.message["blocks"][0]["text"]["text"], words, "{typed:?}");
    let blocks = answer.message["blocks"].as_array().unwrap();
    let kinds: Vec<_> = blocks.iter().map(|block| block["type"].as_str().unwrap()).collect();
    if words.starts_with("Did you mean") {
        assert_eq!(kinds, ["section", "actions"], "{typed:?}");
    } else {
        assert_eq!(kinds, ["section"], "{typed:?}");
    }
}
