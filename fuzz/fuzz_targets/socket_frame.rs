//! A frame of Socket Mode, and the command or press in it.
#![no_main]

use kapso_slack::slack::command::SlashCommand;
use kapso_slack::slack::interaction::Interaction;
use kapso_slack::slack::socket_mode::envelope::{Frame, acknowledgement};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let Frame::Envelope(envelope) = Frame::parse(text) else {
        return;
    };
    // Every envelope can be acknowledged, or Slack delivers it again and again.
    let acknowledgement = acknowledgement(&envelope.id, None);
    let acknowledgement: Value = serde_json::from_str(&acknowledgement).expect("JSON");
    assert_eq!(acknowledgement["envelope_id"], envelope.id.as_str());
    let _ = SlashCommand::from_json(envelope.payload);
    let _ = Interaction::from_json(envelope.payload);
});
