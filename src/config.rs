//! The configuration, and the only reader of the environment.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use http::HeaderValue;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::filter::Targets;
use url::{Host, Url};

use crate::app::Drain;
use crate::commands::{AllowList, Allowed};
use crate::kapso;
use crate::slack::response_url::ResponseHost;
use crate::slack::{is_id, response_url};
use crate::telemetry::LogFormat;

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
pub const VARIABLES: [Variable; 16] = [
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
        "the address at which Slack reaches the service; the default of `manifest --url`",
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
    /// The slash command's name.
    pub command: String,
    /// How long the HTTP response waits for the answer.
    pub reply_budget: Duration,
    /// Where late answers may go.
    pub response_hosts: Vec<ResponseHost>,
    /// Who may use it.
    pub allowed: Allowed,
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
            drain: Drain {
                kapso: Duration::from_millis(4_500),
                delivery: Duration::from_millis(6_500),
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
    fn add(&mut self, variable: &str, problem: impl fmt::Display) {
        self.0.push(format!("{variable}: {problem}"));
    }
}

/// Where variables come from.
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// The process's environment over a `.env` file in the working directory, if there is one.
    ///
    /// # Errors
    /// Names what cannot be read.
    pub fn of_process() -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut variables = HashMap::new();
        match dotenvy::from_path_iter(".env") {
            Ok(lines) => {
                for line in lines {
                    match line {
                        Ok((name, value)) => drop(variables.insert(name, value)),
                        // The error quotes the line, which may hold a secret.
                        Err(_) => problems.add(".env", "has a line that cannot be read"),
                    }
                }
            }
            Err(error) if error.not_found() => {}
            Err(_) => problems.add(".env", "cannot be read"),
        }
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => drop(variables.insert(name, value)),
                Err(_) if VARIABLES.iter().any(|variable| variable.name == name) => {
                    problems.add(&name, "is not UTF-8");
                }
                Err(_) => {}
            }
        }
        if problems.0.is_empty() {
            Ok(Self(variables))
        } else {
            Err(problems)
        }
    }

    /// These variables and no others.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// A variable without the white space around it; blank is unset.
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }

    fn parsed<T: FromStr>(&self, problems: &mut Problems, name: &str, default: T, is: &str) -> T {
        match self.get(name).map(str::parse) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                problems.add(name, is);
                default
            }
        }
    }

    /// All settings of the service.
    ///
    /// # Errors
    /// Everything that is wrong, each with its variable.
    pub fn settings(&self) -> Result<Settings, Problems> {
        let mut problems = Problems::default();
        let signing_secrets = self.signing_secrets(&mut problems);
        let kapso_api_key = self.api_key(&mut problems);
        let kapso_base_url = self.base_url(&mut problems);
        let listen = self.listen_on(&mut problems);
        let command = self.command_name(&mut problems);
        let _ = self.public_address(&mut problems);
        let reply_budget = self.reply_budget(&mut problems);
        let settings = Settings {
            signing_secrets,
            kapso_api_key: kapso_api_key.unwrap_or_else(|| HeaderValue::from_static("")),
            kapso_base_url,
            listen,
            command,
            reply_budget,
            response_hosts: self.response_hosts(&mut problems),
            allowed: Allowed {
                teams: self.allow_list(&mut problems, "ALLOWED_TEAMS", &['T', 'E']),
                channels: self.allow_list(&mut problems, "ALLOWED_CHANNELS", &['C', 'G', 'D']),
                users: self.allow_list(&mut problems, "ALLOWED_USERS", &['U', 'W']),
            },
            metrics_addr: self.metrics_addr(&mut problems),
            connections: None,
            timing: Timing::standard(reply_budget),
        };
        let _ = self.read_log(&mut problems);
        if problems.0.is_empty() {
            Ok(settings)
        } else {
            Err(problems)
        }
    }

    /// How to log.
    ///
    /// # Errors
    /// Names the variable that is wrong.
    pub fn log(&self) -> Result<Log, Problems> {
        let mut problems = Problems::default();
        let log = self.read_log(&mut problems);
        if problems.0.is_empty() { Ok(log) } else { Err(problems) }
    }

    /// Where the service of this environment answers when asked from the same machine.
    ///
    /// # Errors
    /// Names the variable that is wrong.
    pub fn own_address(&self) -> Result<SocketAddr, Problems> {
        let mut problems = Problems::default();
        let mut address = self.listen_on(&mut problems);
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        if problems.0.is_empty() {
            Ok(address)
        } else {
            Err(problems)
        }
    }

    /// The command's name and the public address, for the manifest. Needs no secrets.
    ///
    /// # Errors
    /// Names the variables that are wrong.
    pub fn outward(&self) -> Result<(String, Option<Url>), Problems> {
        let mut problems = Problems::default();
        let command = self.command_name(&mut problems);
        let public_url = self.public_address(&mut problems);
        if problems.0.is_empty() {
            Ok((command, public_url))
        } else {
            Err(problems)
        }
    }

    /// A secret out of its variable or out of the file that `NAME_FILE` names.
    fn secret(&self, problems: &mut Problems, name: &str) -> Option<SecretString> {
        let file_name = format!("{name}_FILE");
        let value = match (self.get(name), self.get(&file_name)) {
            (Some(_), Some(_)) => {
                problems.add(name, format_args!("is set, and so is {file_name}: unset one of them"));
                return None;
            }
            (Some(value), None) => value.to_owned(),
            (None, Some(file)) => match fs::read_to_string(file) {
                Ok(content) => content.trim().to_owned(),
                Err(error) => {
                    problems.add(&file_name, format_args!("the file cannot be read ({})", error.kind()));
                    return None;
                }
            },
            (None, None) => {
                problems.add(
                    name,
                    format_args!("is missing (or name a file that holds it in {file_name})"),
                );
                return None;
            }
        };
        if value.is_empty() {
            problems.add(&file_name, "the file is empty");
            return None;
        }
        Some(value.into())
    }

    fn signing_secrets(&self, problems: &mut Problems) -> Vec<SecretString> {
        const NAME: &str = "SLACK_SIGNING_SECRET";
        let Some(value) = self.secret(problems, NAME) else {
            return Vec::new();
        };
        let parts: Vec<&str> = value.expose_secret().split(',').map(str::trim).collect();
        if parts.len() > 2 {
            problems.add(NAME, "holds more than two secrets");
        } else if parts.iter().any(|part| part.is_empty()) {
            problems.add(NAME, "has nothing on one side of its comma");
        } else if parts.iter().any(|part| is_placeholder(part)) {
            problems.add(
                NAME,
                "still holds a placeholder; Slack shows the secret under Basic Information",
            );
        } else if parts.iter().any(|part| !part.bytes().all(|b| b.is_ascii_graphic())) {
            problems.add(NAME, "holds characters that no signing secret has");
        }
        parts.into_iter().map(SecretString::from).collect()
    }

    fn api_key(&self, problems: &mut Problems) -> Option<HeaderValue> {
        const NAME: &str = "KAPSO_API_KEY";
        let value = self.secret(problems, NAME)?;
        let value = value.expose_secret();
        if is_placeholder(value) {
            problems.add(
                NAME,
                "still holds a placeholder; Kapso shows the project's keys in its settings",
            );
            return None;
        }
        if !value.bytes().all(|b| b.is_ascii_graphic()) {
            problems.add(NAME, "holds characters that no API key has");
            return None;
        }
        let mut key = HeaderValue::from_str(value).ok()?;
        key.set_sensitive(true);
        Some(key)
    }

    fn base_url(&self, problems: &mut Problems) -> Url {
        const NAME: &str = "KAPSO_BASE_URL";
        #[expect(clippy::expect_used, reason = "a constant, and every start and test parses it")]
        let default: Url = "https://app.kapso.ai/api/v1".parse().expect("an address");
        let url = self.parsed(
            problems,
            NAME,
            default,
            "is no address such as https://app.kapso.ai/api/v1",
        );
        if !is_plain(&url) {
            problems.add(
                NAME,
                "must be an http or https address without user, query and fragment",
            );
        } else if url.scheme() == "http" && !is_loopback(&url) {
            problems.add(
                NAME,
                "must be https: over http the key could be read on the way (loopback excepted)",
            );
        }
        url
    }

    fn listen_on(&self, problems: &mut Problems) -> SocketAddr {
        let host = match self.get("HOST") {
            Some("localhost") => Ipv4Addr::LOCALHOST.into(),
            _ => self.parsed(
                problems,
                "HOST",
                Ipv4Addr::UNSPECIFIED.into(),
                "is no IP address such as 0.0.0.0",
            ),
        };
        let port = self.parsed(problems, "PORT", 8080, "is no port, 0 to 65535");
        SocketAddr::new(host, port)
    }

    fn command_name(&self, problems: &mut Problems) -> String {
        let name = self.get("SLACK_COMMAND").unwrap_or("/sandbox");
        let word = name.strip_prefix('/').unwrap_or_default();
        let fits = (1..=31).contains(&word.len())
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if !fits {
            problems.add(
                "SLACK_COMMAND",
                "must be a slash and up to 31 lower-case letters, digits, - and _, such as /wa-sandbox",
            );
        }
        name.to_owned()
    }

    fn public_address(&self, problems: &mut Problems) -> Option<Url> {
        let url = self.get("PUBLIC_URL")?;
        match public_url(url) {
            Ok(url) => Some(url),
            Err(problem) => {
                problems.add("PUBLIC_URL", problem);
                None
            }
        }
    }

    fn reply_budget(&self, problems: &mut Problems) -> Duration {
        const NAME: &str = "REPLY_BUDGET_MS";
        const IS: &str = "is no number of milliseconds from 100 to 2800; Slack waits for 3000";
        let ms = self.parsed(problems, NAME, 2_000, IS);
        if !(100..=2_800).contains(&ms) {
            problems.add(NAME, IS);
        }
        Duration::from_millis(ms)
    }

    fn response_hosts(&self, problems: &mut Problems) -> Vec<ResponseHost> {
        const NAME: &str = "SLACK_RESPONSE_HOSTS";
        let hosts = self.get(NAME).unwrap_or("hooks.slack.com,hooks.slack-gov.com");
        let mut allowed = Vec::new();
        for host in entries(hosts) {
            match host.parse() {
                Ok(host) => allowed.push(host),
                Err(problem) => problems.add(NAME, format_args!("`{host}` {problem}")),
            }
        }
        allowed
    }

    fn allow_list(&self, problems: &mut Problems, name: &str, kinds: &[char]) -> AllowList {
        let list = self.get(name)?;
        let mut allowed = Vec::new();
        for id in entries(list) {
            if is_id(id, kinds) {
                allowed.push(id.to_owned());
            } else {
                problems.add(name, format_args!("`{id}` is no Slack id such as {}012AB3CD", kinds[0]));
            }
        }
        if allowed.is_empty() {
            problems.add(name, "names nobody; unset it to allow everyone");
        }
        Some(allowed)
    }

    fn metrics_addr(&self, problems: &mut Problems) -> Option<SocketAddr> {
        let address = self.get("METRICS_ADDR")?.parse();
        if address.is_err() {
            problems.add("METRICS_ADDR", "is no address with a port such as 127.0.0.1:9090");
        }
        address.ok()
    }

    fn read_log(&self, problems: &mut Problems) -> Log {
        let format = match self.get("LOG_FORMAT") {
            None => LogFormat::fitting(),
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(_) => {
                problems.add("LOG_FORMAT", "is neither text nor json");
                LogFormat::Json
            }
        };
        let info = Targets::new().with_default(tracing::Level::INFO);
        let filter = self.parsed(
            problems,
            "RUST_LOG",
            info,
            "is no filter such as info or kapso_slack=debug",
        );
        Log { format, filter }
    }
}

/// An address at which Slack can reach the service.
///
/// # Errors
/// Says what it must be.
pub fn public_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is no address such as https://sandbox.example.com")?;
    if url.scheme() == "https" && is_plain(&url) {
        Ok(url)
    } else {
        Err("must be an https address without user, query and fragment: Slack reaches no other")
    }
}

fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// What examples and templates hold where a secret belongs.
fn is_placeholder(value: &str) -> bool {
    const WORDS: [&str; 10] = [
        "secret",
        "password",
        "todo",
        "none",
        "null",
        "undefined",
        "placeholder",
        "test",
        "key",
        "token",
    ];
    const BEGINNINGS: [&str; 9] = [
        "changeme",
        "change-me",
        "change_me",
        "your-",
        "your_",
        "replace",
        "insert",
        "example",
        "placeholder",
    ];
    let value = value.to_ascii_lowercase();
    let mut bytes = value.bytes();
    let first = bytes.next();
    WORDS.contains(&value.as_str())
        || BEGINNINGS.iter().any(|beginning| value.starts_with(beginning))
        || value.starts_with(['<', '$', '{', '['])
        || value.ends_with("-here")
        || value.ends_with("_here")
        || value.contains("...")
        || value.contains('…')
        || bytes.all(|byte| Some(byte) == first)
}
