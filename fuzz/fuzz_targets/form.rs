//! The body of a slash command, and the text in it.
#![no_main]

use kapso_slack::commands::parse;
use kapso_slack::slack::command::SlashCommand;
use kapso_slack::slack::form_fields::form_fields;
use kapso_slack::slack::request::Form;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(form) = SlashCommand::parse(form_fields(body)) {
        let _ = parse(&form.text, "/sandbox");
        // A response URL and a trigger id are secrets.
        let shown = format!("{form:?}");
        assert!(shown.contains("response_url: SecretBox<str>([REDACTED])"), "{shown}");
    }
});
