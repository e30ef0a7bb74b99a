//! A Kapso project as it is configured.

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::{AllowList, Creators};

/// The name by which people call a project: a lower-case letter, and up to 31 lower-case letters, digits, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Alias(Arc<str>);

impl Alias {
    /// The longest alias, in characters.
    pub const MAX: usize = 32;

    /// Parses an alias; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text.len() <= Self::MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        fits.then(|| Self(text.into()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Alias> for String {
    fn from(alias: Alias) -> Self {
        alias.as_str().to_owned()
    }
}

impl TryFrom<String> for Alias {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not the alias of a project")
    }
}

/// A Kapso project, and who may use it where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectSettings {
    /// `None` for the only project, if it is configured by environment variables.
    pub alias: Option<Alias>,
    /// Marked sensitive.
    pub api_key: HeaderValue,
    /// Workspaces (`T…`) and organisations (`E…`) in which it may be used.
    pub teams: AllowList,
    /// Channels (`C…`, `G…`, `D…`) in which it may be used.
    pub channels: AllowList,
    /// The ID of the agent of sessions that are created without naming one: `[A-Za-z0-9_-]{1,64}`.
    pub default_agent: Option<String>,
    /// Who of the people admitted may create sessions.
    pub creators: Creators,
}
