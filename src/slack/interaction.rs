//! Button presses, message shortcuts and submitted forms, as Slack sends them.
//!
//! Sources: <https://docs.slack.dev/reference/interaction-payloads/block_actions-payload>,
//! <https://docs.slack.dev/reference/interaction-payloads/shortcuts-interaction-payload>.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::form_fields::Field;
use super::request::{Form, Rejection};
use super::{Who, form, message_text};

/// Longest callback id in Slack, in bytes.
const CALLBACK_ID_MAX: usize = 255;

/// An interaction. Every signed one is acknowledged, so a form that is not understood is not an error.
#[derive(Debug)]
pub enum Interaction {
    Press(Press),
    Shortcut(MessageShortcut),
    Form(FormSubmission),
    /// A form that this app does not handle; says in what way.
    Other(&'static str),
}

/// A button press.
#[derive(Debug)]
pub struct Press {
    /// Who pressed; everybody who sees a shared message can.
    pub who: Who,
    /// What was pressed: one button, as a rule, but Slack's format is a list. Never empty.
    pub buttons: Vec<PressedButton>,
    /// Address at which the message can be replaced, or another one posted. Secret, valid for this press only.
    pub response_url: SecretString,
    /// Whether others see the message too. True if Slack does not say, since less is shown then.
    pub shared: bool,
}

/// One of the actions of a press.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PressedButton {
    /// Empty if there is none.
    pub action_id: String,
    /// The button's value, empty if there is none. Sent by a client, so it is not trusted.
    pub value: String,
}

/// A shortcut of the app that was chosen in the menu of a message. The message can be anybody's.
pub struct MessageShortcut {
    /// Who chose it, and where the message is.
    pub who: Who,
    /// Which shortcut, as in the app's manifest. Empty if there is none.
    pub callback_id: String,
    /// The texts of the message, see [`message_text::texts`].
    pub texts: Vec<String>,
    /// Address at which messages can be posted. Secret.
    pub response_url: SecretString,
    /// Unique to this choice. Secret.
    pub trigger_id: SecretString,
}

impl fmt::Debug for MessageShortcut {
    /// Without the message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageShortcut")
            .field("who", &self.who)
            .field("callback_id", &self.callback_id)
            .finish_non_exhaustive()
    }
}

/// A form that a person submitted. `Debug` shows nothing of what they entered.
pub struct FormSubmission {
    /// Who submitted it. Forms are in no channel.
    pub who: Who,
    /// `V…`, unique to the form that was opened.
    pub view_id: String,
    pub callback_id: String,
    /// What the app gave to the form.
    pub private_metadata: String,
    /// See `form::values`.
    pub values: BTreeMap<String, String>,
}

impl fmt::Debug for FormSubmission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormSubmission")
            .field("who", &self.who)
            .finish_non_exhaustive()
    }
}

impl Form for Interaction {
    /// The payload of a message shortcut contains the message, up to three times and percent-encoded.
    const MAX_BODY_BYTES: usize = 1024 * 1024;

    fn parse<'a>(fields: impl IntoIterator<Item = Field<'a>>) -> Result<Self, Rejection> {
        let payload = fields.into_iter().find(|(name, _)| name == "payload");
        let (_, payload) = payload.ok_or(Rejection::Malformed)?;
        Ok(Self::from_json(&payload.decode()))
    }
}

impl Interaction {
    /// Reads the payload, which is JSON.
    #[must_use]
    pub fn from_json(payload: &str) -> Self {
        let Ok(mut payload) = serde_json::from_str::<Payload<'_>>(payload) else {
            return Self::Other("unreadable");
        };
        match payload.kind.as_str() {
            "block_actions" => Self::press(payload),
            "message_action" => Self::Shortcut(MessageShortcut {
                callback_id: payload
                    .callback_id
                    .take()
                    .filter(|id| id.len() <= CALLBACK_ID_MAX)
                    .unwrap_or_default(),
                texts: payload
                    .message
                    .map(|message| message_text::texts(message.get()))
                    .unwrap_or_default(),
                response_url: payload.response_url.take().unwrap_or_default().into(),
                trigger_id: payload.trigger_id.take().unwrap_or_default().into(),
                who: payload.who(),
            }),
            "view_submission" => match payload.view.take() {
                Some(view) => Self::Form(FormSubmission {
                    view_id: view.id.unwrap_or_default(),
                    callback_id: view.callback_id.unwrap_or_default(),
                    private_metadata: view.private_metadata.unwrap_or_default(),
                    values: form::values(&view.state),
                    who: payload.who(),
                }),
                None => Self::Other("no view"),
            },
            _ => Self::Other("another type"),
        }
    }

    fn press(mut payload: Payload<'_>) -> Self {
        let buttons: Vec<_> = payload.actions.iter().filter_map(PressedButton::read).collect();
        if buttons.is_empty() {
            return Self::Other("no action");
        }
        let is_ephemeral = payload.container.as_ref().and_then(|container| container.is_ephemeral);
        Self::Press(Press {
            buttons,
            response_url: payload.response_url.take().unwrap_or_default().into(),
            shared: !is_ephemeral.unwrap_or_default(),
            who: payload.who(),
        })
    }
}

impl PressedButton {
    /// Reads an action; `None` if it has not the form of a button.
    fn read(action: &Value) -> Option<Self> {
        let action = action.as_object()?;
        let text = |field| match action.get(field) {
            None | Some(Value::Null) => Some(String::new()),
            Some(text) => text.as_str().map(str::to_owned),
        };
        Some(Self {
            action_id: text("action_id")?,
            value: text("value")?,
        })
    }
}

/// An id; an empty one is none.
fn id(id: Option<String>) -> Option<String> {
    id.filter(|id| !id.is_empty())
}

/// A field is optional where it is absent or null in some of Slack's own samples.
#[derive(Deserialize)]
struct Payload<'p> {
    #[serde(rename = "type")]
    kind: String,
    user: Option<User>,
    /// Null in an app that is installed for a whole organisation.
    team: Option<Team>,
    enterprise: Option<Named>,
    channel: Option<Named>,
    container: Option<Container>,
    response_url: Option<String>,
    trigger_id: Option<String>,
    callback_id: Option<String>,
    #[serde(default)]
    actions: Vec<Value>,
    /// Not parsed: a press needs none, and no depth of nesting is an error.
    #[serde(borrow)]
    message: Option<&'p RawValue>,
    view: Option<View>,
}

#[derive(Deserialize)]
struct View {
    id: Option<String>,
    callback_id: Option<String>,
    private_metadata: Option<String>,
    #[serde(default)]
    state: Value,
}

impl Payload<'_> {
    fn who(self) -> Who {
        let user = self.user.unwrap_or_default();
        let team = self.team.unwrap_or_default();
        let container = self.container.unwrap_or_default();
        let channel = self.channel.and_then(|channel| id(channel.id));
        Who {
            home_team: id(user.team_id),
            enterprise: self
                .enterprise
                .and_then(|enterprise| id(enterprise.id))
                .or(id(team.enterprise_id)),
            team: team.id.unwrap_or_default(),
            channel: channel.or(container.channel_id).unwrap_or_default(),
            user: user.id.unwrap_or_default(),
        }
    }
}

#[derive(Default, Deserialize)]
struct User {
    id: Option<String>,
    team_id: Option<String>,
}

#[derive(Default, Deserialize)]
struct Team {
    id: Option<String>,
    /// Where older payloads have the organisation.
    enterprise_id: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    id: Option<String>,
}

#[derive(Default, Deserialize)]
struct Container {
    is_ephemeral: Option<bool>,
    channel_id: Option<String>,
}
