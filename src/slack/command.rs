//! A slash command, as Slack sends it.
//!
//! Source: <https://docs.slack.dev/interactivity/implementing-slash-commands>.

use secrecy::SecretString;
use serde_json::{Map, Value};

use super::Who;
use super::form_fields::Field;
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
    fn parse<'a>(fields: impl IntoIterator<Item = Field<'a>>) -> Result<Self, Rejection> {
        Self::of_fields(fields.into_iter()).ok_or(Rejection::Malformed)
    }
}

impl SlashCommand {
    /// Reads the JSON object of the socket, which has the same fields. `None` if it is not one of a command.
    #[must_use]
    pub fn from_json(payload: &str) -> Option<Self> {
        let fields: Map<String, Value> = serde_json::from_str(payload).ok()?;
        Self::of_fields(fields.into_iter().filter_map(|(name, value)| match value {
            Value::String(value) => Some((name, value)),
            _ => None,
        }))
    }

    /// Reads the fields in use and ignores all others. Only `command` is required.
    fn of_fields<N: AsRef<str>, V: Into<String>>(fields: impl Iterator<Item = (N, V)>) -> Option<Self> {
        let mut form = Self::default();
        let mut is_command = false;
        for (name, value) in fields {
            match name.as_ref() {
                "command" => is_command = true,
                "text" => form.text = value.into(),
                "team_id" => form.who.team = value.into(),
                "enterprise_id" => form.who.enterprise = Some(value.into()).filter(|id: &String| !id.is_empty()),
                "channel_id" => form.who.channel = value.into(),
                "user_id" => form.who.user = value.into(),
                "response_url" => form.response_url = value.into().into(),
                "trigger_id" => form.trigger_id = value.into().into(),
                _ => {}
            }
        }
        is_command.then_some(form)
    }
}
