//! A slash command, as Slack sends it.
//!
//! Source: <https://docs.slack.dev/interactivity/implementing-slash-commands>.

use secrecy::SecretString;

use super::Who;
use super::request::{Form, Rejection};

/// A slash command. `Debug` shows no secret.
#[derive(Debug, Default)]
pub struct SlashCommand {
    pub who: Who,
    /// Everything after the command's name, as typed.
    pub text: String,
    /// Address for late replies. Secret: everybody who has it can post to the conversation.
    pub response_url: SecretString,
    /// Unique to this invocation. Secret: it can open a dialog for a few seconds.
    pub trigger_id: SecretString,
}

impl Form for SlashCommand {
    /// Reads the fields in use and ignores all others. Only `command` is required.
    fn parse(body: &[u8]) -> Result<Self, Rejection> {
        let mut form = Self::default();
        let mut is_command = false;
        for (name, value) in form_urlencoded::parse(body) {
            match &*name {
                "command" => is_command = true,
                "text" => form.text = value.into_owned(),
                "team_id" => form.who.team = value.into_owned(),
                "enterprise_id" => form.who.enterprise = (!value.is_empty()).then(|| value.into_owned()),
                "channel_id" => form.who.channel = value.into_owned(),
                "user_id" => form.who.user = value.into_owned(),
                "response_url" => form.response_url = value.into_owned().into(),
                "trigger_id" => form.trigger_id = value.into_owned().into(),
                _ => {}
            }
        }
        if is_command {
            Ok(form)
        } else {
            Err(Rejection::Malformed)
        }
    }
}
