//! Faults of Kapso: each becomes one sentence, and nothing of what Kapso sent is in it or in the log.

use jiff::SignedDuration;
use kapso_slack::demo::plain;
use serde_json::json;

use crate::support::{ID, TestApp};

/// A word in Kapso's raw responses that must not be in replies or in the log.
const MARK: &str = "zebra";

/// The sentence for an outcome in the log.
fn sentence(outcome: &str, error: &str) -> String {
    match outcome {
        "not_found" => format!(
            "There is no session {ID} in this app's Kapso project. Check the ID, and whether it belongs to another \
             project."
        ),
        "key_refused" => {
            "Kapso refused this app's key, so nothing can be looked up or created. Please tell whoever runs this \
                          app."
                .to_owned()
        }
        "no_answer" if error.starts_with("Kapso did not answer: status ") => {
            "Kapso had an error. Nothing was changed; try again in a moment.".to_owned()
        }
        "no_answer" => "Kapso did not answer. Nothing was changed; try again in a moment.".to_owned(),
        "unintelligible" => "Kapso sent an unexpected response. Please tell whoever runs this app.".to_owned(),
        "moved" => "Kapso's sandbox API is not where this app expects it: Kapso may have moved this API. Please tell \
                    whoever runs this app."
            .to_owned(),
        other => panic!("no sentence for {other}"),
    }
}

/// Looks the session up, and checks that the reply is one sentence and the log has one line with `outcome` and `error`.
pub async fn expect_one_sentence(app: &TestApp, name: &str, outcome: &str, error: &str) {
    // So that the rate limit is not reached.
    app.advance_clock(SignedDuration::from_secs(61));
    let logged = app.command_log_lines().len();
    let message = app.command(&format!("/sandbox {ID}")).await.message;
    let lines = app.command_log_lines();
    assert_eq!(lines.len(), logged + 1, "{name}: {lines:?}");
    let line = &lines[logged];
    let request = line["request_id"].as_str().unwrap();
    let buttons = if outcome == "not_found" {
        "\n[ Show the list ]"
    } else {
        ""
    };
    let expected = format!("{}{buttons}\nRequest {request}", sentence(outcome, error));
    assert_eq!(plain::text(&message), expected, "{name}");
    let spoken = plain::text(&json!({"text": message["text"]}));
    assert_eq!(spoken, sentence(outcome, error), "{name}: what a screen reader gets");
    assert_eq!(line["outcome"], outcome, "{name}");
    assert_eq!(line["answer"], "in_time", "{name}");
    let logged = line["error"].as_str().unwrap();
    assert!(logged.starts_with(error), "{name}: {logged:?} is not {error:?}");
}

/// Checks that Kapso's words are neither in the log nor in a message.
pub fn expect_nothing_leaked(app: &TestApp) {
    let log = app.log_lines();
    assert!(!log.is_empty());
    for line in log {
        assert!(!line.to_string().contains(MARK), "{line}");
    }
    let conversation = app.slack.conversation();
    assert!(!conversation.is_empty());
    for posted in conversation {
        assert!(!posted.message.to_string().contains(MARK), "{posted:?}");
    }
}
