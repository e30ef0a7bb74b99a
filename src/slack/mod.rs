//! Slack's wire, and the only place that knows it.
//!
//! Requests come in through [`request::Signed`], which no unsigned request passes; answers leave as
//! [`message::Message`], either in the HTTP response or through [`response_url`].

pub mod blocks;
mod button;
pub mod command;
pub mod interaction;
pub mod message;
pub mod request;
pub mod response_host;
pub mod response_url;
pub mod signature;
pub mod text;

use serde::{Deserialize, Serialize};

/// Who asks, and where: Slack's ids, as they came in a signed request. Absent ones are empty.
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
    /// By what the person is known, whatever workspace a request names: a press in an app that is installed for a whole
    /// organisation names none.
    #[must_use]
    pub fn home(&self) -> &str {
        self.enterprise.as_deref().unwrap_or(&self.team)
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
    /// Reads an id as Slack writes them: `U` or `W`, then capitals and digits. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_id(text, &['U', 'W']).then(|| Self(text.to_owned()))
    }

    /// The id as Slack wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` is one of Slack's ids with one of these first letters (teams `T`, organisations `E`, channels
/// `C` `G` `D`, people `U` `W`). Ids are opaque beyond that.
#[must_use]
pub fn is_id(text: &str, kinds: &[char]) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| kinds.contains(&first))
        && (2..=32).contains(&text.len())
        && chars.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

/// `{"id": …}`, the form in which block actions name teams, channels and organisations.
#[derive(Debug, Default, Deserialize)]
struct Named {
    #[serde(default)]
    id: String,
}
