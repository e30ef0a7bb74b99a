//! A slash command, as Slack posts it.
//!
//! Source: <https://docs.slack.dev/interactivity/implementing-slash-commands>.

use secrecy::SecretString;

use super::Who;
use super::request::{Form, Rejection};

/// What somebody typed, and where the answer may go. Holds nothing printable that is secret.
#[derive(Debug, Default)]
pub struct SlashCommand {
    /// Who typed it, and where.
    pub who: Who,
    /// Everything behind the command's name, as typed.
    pub text: String,
    /// Where a late answer may be posted. A capability: whoever holds it can write into the conversation.
    pub response_url: SecretString,
    /// What tells this command from every other: a capability as well, for a few seconds.
    pub trigger_id: SecretString,
}

impl Form for SlashCommand {
    /// Takes the fields we use and ignores the rest, which Slack may add to. Only `command` has to be there.
    fn parse(body: &[u8]) -> Result<Self, Rejection> {
        let mut form = Self::default();
        let mut is_command = false;
        for (name, value) in form_urlencoded::parse(body) {
            match &*name {
                "command" => is_command = true,
                "text" => form.text = value.into_owned(),
                "team_id" => form.who.team = value.into_owned(),
                "enterprise_id" => form.who.enterprise = Some(value.into_owned()),
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
            Err(Rejection::Unreadable)
        }
    }
}
