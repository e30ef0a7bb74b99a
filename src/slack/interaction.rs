//! A button press, as Slack sends it.
//!
//! Source: <https://docs.slack.dev/reference/interaction-payloads/block_actions-payload>.

use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use super::Who;
use super::request::{Form, Rejection};

/// An interaction. Every signed one is acknowledged, so a form that is not understood is not an error.
#[derive(Debug)]
pub enum Interaction {
    Press(Press),
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

impl Form for Interaction {
    fn parse(body: &[u8]) -> Result<Self, Rejection> {
        let (_, payload) = form_urlencoded::parse(body)
            .find(|(name, _)| name == "payload")
            .ok_or(Rejection::Malformed)?;
        Ok(Self::from_json(&payload))
    }
}

impl Interaction {
    /// Reads the payload, which is JSON.
    #[must_use]
    pub fn from_json(payload: &str) -> Self {
        let Ok(payload) = serde_json::from_str::<Payload>(payload) else {
            return Self::Other("unreadable");
        };
        if payload.kind != "block_actions" {
            return Self::Other("not block_actions");
        }
        let buttons: Vec<_> = payload.actions.iter().filter_map(PressedButton::read).collect();
        if buttons.is_empty() {
            return Self::Other("no action");
        }
        let user = payload.user.unwrap_or_default();
        let team = payload.team.unwrap_or_default();
        let container = payload.container.unwrap_or_default();
        let channel = payload.channel.and_then(|channel| id(channel.id));
        Self::Press(Press {
            who: Who {
                home_team: id(user.team_id),
                enterprise: payload
                    .enterprise
                    .and_then(|enterprise| id(enterprise.id))
                    .or(id(team.enterprise_id)),
                team: team.id.unwrap_or_default(),
                channel: channel.or(container.channel_id).unwrap_or_default(),
                user: user.id.unwrap_or_default(),
            },
            buttons,
            response_url: payload.response_url.unwrap_or_default().into(),
            shared: !container.is_ephemeral.unwrap_or_default(),
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
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    user: Option<User>,
    /// Null in an app that is installed for a whole organisation.
    team: Option<Team>,
    enterprise: Option<Named>,
    channel: Option<Named>,
    container: Option<Container>,
    response_url: Option<String>,
    #[serde(default)]
    actions: Vec<Value>,
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
