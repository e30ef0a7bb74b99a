//! Slack's requests and messages: the only module that knows their form.
//!
//! A request is a [`verified::Verified`]: extracted from HTTP by [`request`], which verifies its signature, or read from
//! the WebSocket of [`socket_mode`]. A reply is a [`message::Message`], sent in the response or through [`response_url`].

pub mod acknowledgement;
pub mod blocks;
pub mod button_value;
pub mod channel_pace;
pub mod command;
pub mod direct_messages;
pub mod form;
pub mod form_fields;
pub mod interaction;
pub mod message;
pub mod message_text;
pub mod request;
pub mod response_url;
pub mod sealed;
pub mod signature;
pub mod socket_mode;
pub mod text;
pub mod verified;
pub mod web_api;

use serde::{Deserialize, Serialize};

use crate::config::is_slack_id;

/// The sender of a request and the conversation it was sent in: Slack's ids, empty if absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    /// `T…`, the workspace the request came from.
    pub team: String,
    /// `T…`, the workspace the person belongs to where Slack says so; differs from `team` in channels shared
    /// between companies.
    pub home_team: Option<String>,
    /// `E…`, where the workspace belongs to an Enterprise organisation.
    pub enterprise: Option<String>,
    /// `C…`, `G…` or `D…`.
    pub channel: String,
    /// `U…` or `W…`.
    pub user: String,
}

impl Who {
    /// The organisation, or else the workspace: identifies a person together with `user`.
    #[must_use]
    pub fn home(&self) -> &str {
        self.enterprise.as_deref().unwrap_or_else(|| self.workspace())
    }

    /// The workspace. A button press in an app that is installed for a whole organisation names none but the person's own.
    #[must_use]
    pub fn workspace(&self) -> &str {
        match &self.home_team {
            Some(home) if self.team.is_empty() => home,
            _ => &self.team,
        }
    }
}

/// The id of a person in Slack, safe to be written into a mention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);

impl From<UserId> for String {
    fn from(id: UserId) -> Self {
        id.0
    }
}

impl TryFrom<String> for UserId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a Slack user id")
    }
}

impl UserId {
    /// Parses an id: `U` or `W`, then capitals and digits. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_slack_id(text, &['U', 'W']).then(|| Self(text.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
