//! A press on one of our buttons, as Slack posts it.
//!
//! Source: <https://docs.slack.dev/reference/interaction-payloads/block_actions-payload>.

use secrecy::SecretString;
use serde::Deserialize;

use super::request::{Form, Rejection};
use super::{Named, Who};

/// What came to the interactivity address. Everything signed is acknowledged, so nothing here is an error.
#[derive(Debug)]
pub enum Interaction {
    /// A button was pressed.
    Press(Press),
    /// Something this app has no part in: a form of another kind, or one Slack shapes anew. Holds its kind.
    Other(&'static str),
}

/// One press on one button.
#[derive(Debug)]
pub struct Press {
    /// Who pressed. Anybody who sees a shared message can.
    pub who: Who,
    /// Which button.
    pub action_id: String,
    /// What the button carried; came back from a client, so it is read as foreign text.
    pub value: String,
    /// Where the message may be replaced or another one posted: a capability of this press alone.
    pub response_url: SecretString,
    /// Whether others see the message too. Taken for shared if Slack does not say: less is shown then.
    pub shared: bool,
}

impl Form for Interaction {
    fn parse(body: &[u8]) -> Result<Self, Rejection> {
        let (_, payload) = form_urlencoded::parse(body)
            .find(|(name, _)| name == "payload")
            .ok_or(Rejection::Unreadable)?;
        let Ok(payload) = serde_json::from_str::<Payload>(&payload) else {
            return Ok(Self::Other("unreadable"));
        };
        if payload.kind != "block_actions" {
            return Ok(Self::Other("not block_actions"));
        }
        // Our messages give one action a press; Slack's format is a list.
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

/// Optional wherever Slack's own samples differ in what is there or null.
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
