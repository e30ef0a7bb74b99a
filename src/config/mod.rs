//! The configuration, and the only reader of the environment.

mod access_lists;
mod database_url;
mod dot_env;
mod environment;
mod file;
mod project;
mod proxy;
mod response_host;
mod slack_id;
mod socket_host;
mod timing;
mod values;
mod variables;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use secrecy::SecretString;
use tracing_subscriber::filter::Targets;
use url::Url;

use crate::telemetry::LogFormat;

pub use access_lists::{AccessLists, AllowList, Creators};
pub use database_url::{DatabaseKind, DatabaseUrl, InvalidDatabaseUrl};
pub use environment::{Environment, is_public, public_url};
pub use file::PROJECT_KEYS;
pub use project::{Alias, ProjectSettings};
pub use proxy::{InvalidProxy, Proxy};
pub use response_host::{InvalidResponseHost, ResponseHost};
pub use slack_id::is_slack_id;
pub use socket_host::{InvalidSocketHost, SocketHost};
pub use timing::{KapsoTiming, ResponseUrlTiming, ShutdownTiming, SocketTiming, Timing};
pub use variables::{VARIABLES, Variable};

/// All settings of the service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// One, or two while one replaces the other; none if requests come through the socket alone.
    pub signing_secrets: Vec<SecretString>,
    /// Opens the socket; `None` if requests come over HTTP alone.
    pub app_token: Option<SecretString>,
    /// The app's bot token, where it is set.
    pub bot_token: Option<SecretString>,
    /// Slack's Web API, with a slash at the end.
    pub slack_api_url: Url,
    /// Hosts that the socket may lead to.
    pub socket_hosts: Vec<SocketHost>,
    /// The proxy for outgoing connections.
    pub proxy: Proxy,
    /// The Kapso projects: at least one, and if there are several, each has an alias.
    pub projects: Vec<ProjectSettings>,
    /// Without query or fragment.
    pub kapso_base_url: Url,
    pub listen: SocketAddr,
    /// The address at which Slack reaches the service, if known.
    pub public_url: Option<Url>,
    /// The slash command's name, with its slash.
    pub command: String,
    /// How long the HTTP response waits for a command's result.
    pub reply_budget: Duration,
    /// Hosts that late replies may be posted to.
    pub response_hosts: Vec<ResponseHost>,
    pub access_lists: AccessLists,
    /// Database for pending replies and watches.
    pub database: DatabaseUrl,
    /// Address of the listener for `/metrics`; `None` for no such listener.
    pub metrics_addr: Option<SocketAddr>,
    /// Most connections at the same time; `None` for as many as the limit on file descriptors allows.
    pub connections: Option<usize>,
    pub timing: Timing,
}

impl Settings {
    /// Secrets from which the keys for buttons and addresses of QR codes are derived. The first one signs.
    #[must_use]
    pub fn signing_keys(&self) -> Vec<SecretString> {
        self.signing_secrets.iter().chain(&self.app_token).cloned().collect()
    }
}

/// How the process logs. Read separately from [`Settings`], which may be invalid.
#[derive(Clone, Debug)]
pub struct Log {
    pub format: LogFormat,
    pub filter: Targets,
}

/// Everything that is wrong with the configuration, each problem with its variable. Contains no secret.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is invalid:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// `value`, if there are no problems.
    fn none_or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them, beginning with the name of its variable.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    fn add(&mut self, variable: &str, problem: impl fmt::Display) {
        self.0.push(format!("{variable}: {problem}"));
    }
}
