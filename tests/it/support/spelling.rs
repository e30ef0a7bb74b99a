//! What people type in one way or another, and the one sentence that answers it.

use jiff::SignedDuration;
use kapso_slack::demo::Posted;

use crate::support::TestApp;

/// Types this behind the command's name: what Kapso is asked because of it, and the answer.
pub async fn types(app: &TestApp, text: &str) -> (Vec<String>, Posted) {
    // What was remembered and what was used of the limit is over.
    app.passes(SignedDuration::from_secs(61));
    let before = app.kapso.requests().len();
    let answer = app.types(&format!("/sandbox {text}")).await;
    (app.kapso.requests().split_off(before), answer)
}

/// The answer says this to its asker alone, in the blocks and in the text that stands for them.
pub fn is_told(answer: &Posted, words: &str, typed: &str) {
    assert_eq!(answer.message["response_type"], "ephemeral", "{typed:?}");
    assert_eq!(answer.message["text"], words, "{typed:?}");
    assert_eq!(answer.message["blocks"][0]["text"]["text"], words, "{typed:?}");
    assert_eq!(answer.message["blocks"].as_array().unwrap().len(), 1, "{typed:?}");
}
