//! A button press, as Slack sends it.
//!
//! Source: <https://docs.slack.dev/reference/interaction-payloads/block_actions-payload>.

use secrecy::SecretString;
use serde::Deserialize;

use super::request::{Form, Rejection};
use super::{Named, Who};

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
    pub action_id: String,
    /// The button's value. Sent by a client, so it is not trusted.
    pub value: String,
    /// Address at which the message can be replaced, or another one posted. Secret, valid for this press only.
    pub response_url: SecretString,
    /// Whether others see the message too. True if Slack does not say, since less is shown then.
    pub shared: bool,
}

impl Form for Interaction {
    fn parse(body: &[u8]) -> Result<Self, Rejection> {
        let (_, payload) = form_urlencoded::parse(body)
            .find(|(name, _)| name == "payload")
            .ok_or(Rejection::Malformed)?;
        let Ok(payload) = serde_json::from_str::<Payload>(&payload) else {
            return Ok(Self::Other("unreadable"));
        };
        if payload.kind != "block_actions" {
            return Ok(Self::Other("not block_actions"));
        }
        // Slack's format is a list, but a press on a button is always one action.
        let Some(action) = payload.actions.into_iter().next() else {
            return Ok(Self::Other("no action"));
        };
        let user = payload.user.unwrap_or_default();
        Ok(Self::Press(Press {
            who: Who {
                team: payload.team.unwrap_or_default().id,
                home_team: user.team_id,
                enterprise: payload.enterprise.map(|enterprise| enterprise.id),
                channel: payload.channel.unwrap_or_default().id,
                user: user.id,
            },
            action_id: action.action_id,
            value: action.value.unwrap_or_default(),
            response_url: payload.response_url.unwrap_or_default().into(),
            shared: !payload.container.unwrap_or_default().is_ephemeral,
        }))
    }
}

/// A field is optional where it is absent or null in some of Slack's own samples.
#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    user: Option<User>,
    team: Option<Named>,
    enterprise: Option<Named>,
    channel: Option<Named>,
    container: Option<Container>,
    response_url: Option<String>,
    #[serde(default)]
    actions: Vec<Action>,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    id: String,
    team_id: Option<String>,
}

#[derive(Default, Deserialize)]
struct Container {
    #[serde(default)]
    is_ephemeral: bool,
}

#[derive(Deserialize)]
struct Action {
    #[serde(default)]
    action_id: String,
    value: Option<String>,
}
