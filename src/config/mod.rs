//! The configuration, and the only reader of the environment.

mod environment;
mod secrets;
mod values;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderValue;
use jiff::SignedDuration;
use secrecy::SecretString;
use tracing_subscriber::filter::Targets;
use url::Url;

use crate::app::Drain;
use crate::commands::Allowed;
use crate::jobs::DatabaseUrl;
use crate::kapso;
use crate::slack::response_host::ResponseHost;
use crate::slack::response_url;
use crate::telemetry::LogFormat;

pub use environment::Environment;
pub use values::public_url;

/// A variable of the environment, as the documentation describes it.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it is for.
    pub what: &'static str,
}

/// Every variable that is read. Those marked secret are also read from the file named in `NAME_FILE`.
pub const VARIABLES: [Variable; 18] = [
    variable(
        "SLACK_SIGNING_SECRET",
        "required",
        "secret: the app's signing secret, or two separated by a comma while rotating",
    ),
    variable("KAPSO_API_KEY", "required", "secret: the key of the Kapso project"),
    variable(
        "KAPSO_BASE_URL",
        "https://app.kapso.ai/api/v1",
        "where Kapso's API answers",
    ),
    variable("HOST", "0.0.0.0", "the address to listen on"),
    variable("PORT", "8080", "the port to listen on"),
    variable(
        "PUBLIC_URL",
        "none",
        "the https address at which Slack reaches the service: without it there are no QR codes; the default of `manifest --url`",
    ),
    variable(
        "SLACK_COMMAND",
        "/sandbox",
        "the command's name in help and in the manifest",
    ),
    variable(
        "REPLY_BUDGET_MS",
        "2000",
        "how long a command may take before its answer comes as a message of its own; 100 to 2800",
    ),
    variable(
        "SLACK_RESPONSE_HOSTS",
        "hooks.slack.com,hooks.slack-gov.com",
        "where late answers may go; an entry such as http://127.0.0.1:4000 opens just that, for tests",
    ),
    variable(
        "ALLOWED_TEAMS",
        "everyone",
        "workspaces (T…) or organisations (E…) that may use the app, separated by commas",
    ),
    variable(
        "ALLOWED_CHANNELS",
        "everyone",
        "channels (C…, G…, D…) it may be used in",
    ),
    variable("ALLOWED_USERS", "everyone", "people (U…, W…) who may use it"),
    variable(
        "CREATE_USERS",
        "nobody",
        "people (U…, W…) who may create sessions, of those who may use it; `*` for all of them",
    ),
    variable(
        "DATABASE_URL",
        "sqlite:kapso-slack.db",
        "secret: where what is owed is kept; `sqlite:<path>` for one process, `postgres://…` for several",
    ),
    variable(
        "METRICS_ADDR",
        "closed",
        "address and port of a listener of its own for `/metrics`, such as 127.0.0.1:9090",
    ),
    variable("LOG_FORMAT", "text on a terminal, else json", "`text` or `json`"),
    variable(
        "RUST_LOG",
        "info",
        "how much is logged, such as `debug` or `kapso_slack=debug`; libraries never say more than warnings",
    ),
    variable(
        "NAME_FILE",
        "none",
        "for each secret NAME above: the file that holds it, such as SLACK_SIGNING_SECRET_FILE",
    ),
];

const fn variable(name: &'static str, default: &'static str, what: &'static str) -> Variable {
    Variable { name, default, what }
}

/// Everything the service is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// One or two.
    pub signing_secrets: Vec<SecretString>,
    /// Marked sensitive.
    pub kapso_api_key: HeaderValue,
    /// Without query or fragment.
    pub kapso_base_url: Url,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where Slack reaches the service, if that is known.
    pub public_url: Option<Url>,
    /// The slash command's name.
    pub command: String,
    /// How long the HTTP response waits for the answer.
    pub reply_budget: Duration,
    /// Where late answers may go.
    pub response_hosts: Vec<ResponseHost>,
    /// Who may use it.
    pub allowed: Allowed,
    /// Where what is owed is kept.
    pub database: DatabaseUrl,
    /// The metrics' own listener.
    pub metrics_addr: Option<SocketAddr>,
    /// Connections at once; what the descriptors allow if not said.
    pub connections: Option<usize>,
    /// Every other duration there is.
    pub timing: Timing,
}

/// Durations that no variable changes; tests shorten them.
#[derive(Clone, Debug)]
pub struct Timing {
    /// For a request's head.
    pub head: Duration,
    /// For a request's body.
    pub body: Duration,
    /// For a connection to Kapso or Slack.
    pub connect: Duration,
    /// For asking Kapso.
    pub kapso: kapso::Timing,
    /// For posting to Slack.
    pub post: response_url::Timing,
    /// The longest that watches are left alone.
    pub nap: Duration,
    /// How long an acknowledgement waits for its pending reply to be stored.
    pub store_write: Duration,
    /// For the end.
    pub drain: Drain,
}

impl Timing {
    /// What the service runs with. A person waits for `reply_budget`, but not longer, before being told to wait.
    #[must_use]
    pub fn standard(reply_budget: Duration) -> Self {
        Self {
            head: Duration::from_secs(10),
            body: Duration::from_secs(5),
            connect: Duration::from_secs(3),
            kapso: kapso::Timing {
                attempt: Duration::from_secs(8),
                total: Duration::from_secs(25),
                pause: Duration::from_millis(200),
                patience: reply_budget,
                remember: SignedDuration::from_secs(5),
            },
            post: response_url::Timing {
                attempt: Duration::from_secs(5),
                pause: Duration::from_millis(500),
            },
            nap: Duration::from_secs(1),
            store_write: Duration::from_millis(300),
            drain: Drain {
                kapso: Duration::from_millis(4_500),
                delivery: Duration::from_millis(6_500),
                linger: Duration::from_secs(1),
                connections: Duration::from_millis(500),
            },
        }
    }
}

/// How the process logs; read by itself, since everything else may be wrong.
#[derive(Clone, Debug)]
pub struct Log {
    /// The form.
    pub format: LogFormat,
    /// How much.
    pub filter: Targets,
}

/// What is wrong with the configuration: all of it at once. Holds no value of a secret.
#[derive(Debug, Default)]
pub struct Problems(Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is not usable:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// `value`, if nothing is wrong.
    fn none_or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    fn add(&mut self, variable: &str, problem: impl fmt::Display) {
        self.0.push(format!("{variable}: {problem}"));
    }
}
