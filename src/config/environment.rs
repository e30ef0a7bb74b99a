//! Reads the settings from the process's environment and a `.env` file.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::filter::Targets;
use url::{Host, Url};

use super::dot_env::DotEnv;
use super::file::{self, Surroundings};
use super::values::{
    NOT_AN_AGENT_ID, api_key, has_quotation_mark, is_agent_id, is_graphic, is_placeholder, is_slack_token, trimmed,
};
use super::variables::{
    ALLOWED_CHANNELS, ALLOWED_TEAMS, ALLOWED_USERS, CONFIG_FILE, CREATE_USERS, DATABASE_URL, DEFAULT_AGENT, HOST,
    HTTPS_PROXY, KAPSO_API_KEY, KAPSO_BASE_URL, LOG_FORMAT, METRICS_ADDR, NO_PROXY, PORT, PUBLIC_URL, REPLY_BUDGET_MS,
    RUST_LOG, SLACK_API_URL, SLACK_APP_TOKEN, SLACK_BOT_TOKEN, SLACK_COMMAND, SLACK_RESPONSE_HOSTS,
    SLACK_SIGNING_SECRET, SLACK_SOCKET_HOSTS, VARIABLES, Variable,
};
use super::{
    AccessLists, AllowList, Creators, DatabaseUrl, InvalidDatabaseUrl, Log, Problems, ProjectSettings, Proxy, Settings,
    Timing, is_slack_id,
};
use crate::telemetry::{LogFormat, is_ours};

const DOT_ENV: &str = ".env";
/// What app-level tokens begin with.
const APP_TOKEN_PREFIX: &str = "xapp-";
/// What bot tokens begin with, those that are rotated, too.
const BOT_TOKEN_PREFIXES: [&str; 2] = ["xoxb-", "xoxe.xoxb-"];
/// Slack waits 3 s including the network, and storing a late reply takes up to 300 ms after the budget.
const LONGEST_BUDGET: Duration = Duration::from_millis(2_400);
/// How many unreadable lines of a file are named by their number.
const LINES_NAMED: usize = 10;

/// Environment variables by name.
#[derive(Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    /// What of `.env` could not be read, for the log and, if anything is wrong, for the problems.
    unread: Vec<String>,
    /// Variables that `.env` was to set, in lines that cannot be read: name, problem.
    unread_variables: Vec<(&'static str, String)>,
}

impl Environment {
    /// The process's environment over a `.env` file in the working directory, if there is one.
    ///
    /// # Errors
    /// Names the variables that are not UTF-8.
    pub fn of_process() -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut environment = Self::of_file(Path::new(DOT_ENV));
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            environment.forget_unread(&name);
            match value.into_string() {
                Ok(value) => drop(environment.variables.insert(name, value)),
                Err(_) if is_read(&name).is_some() => problems.add(&name, "is not UTF-8"),
                Err(_) => {}
            }
        }
        problems.none_or(environment)
    }

    fn of_file(path: &Path) -> Self {
        let file = DotEnv::read(path);
        let mut unread: Vec<String> = file.unreadable.into_iter().collect();
        let mut unread_variables = Vec::new();
        let mut numbers = Vec::new();
        for line in file.bad_lines {
            numbers.push(line.number.to_string());
            if let Some(variable) = is_read(&line.first_word) {
                unread_variables.push((variable.name, format!("line {} of .env cannot be read", line.number)));
            }
        }
        match numbers.as_slice() {
            [] => {}
            [number] => unread.push(format!("line {number} cannot be read and was skipped")),
            numbers => {
                let (shown, more) = numbers.split_at(numbers.len().min(LINES_NAMED));
                let more = match more.len() {
                    0 => String::new(),
                    count => format!(" and {count} more"),
                };
                unread.push(format!(
                    "lines {}{more} cannot be read and were skipped",
                    shown.join(", ")
                ));
            }
        }
        Self {
            variables: file.variables.into_iter().collect(),
            unread,
            unread_variables,
        }
    }

    /// A line of `.env` for this variable does not matter: the variable is set elsewhere.
    fn forget_unread(&mut self, name: &str) {
        if let Some(variable) = is_read(name) {
            self.unread_variables.retain(|(unread, _)| *unread != variable.name);
        }
    }

    /// An environment of exactly these variables.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            variables: variables.into_iter().collect(),
            ..Self::default()
        }
    }

    /// This environment, with these variables added or replaced.
    #[must_use]
    pub fn overlaid_with(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        for (name, value) in variables {
            self.forget_unread(&name);
            self.variables.insert(name, value);
        }
        self
    }

    /// All settings of the service.
    ///
    /// # Errors
    /// Everything that is wrong, each problem with its variable.
    pub fn settings(&self) -> Result<Settings, Problems> {
        let mut problems = Problems::default();
        let app_token = self.app_token(&mut problems);
        let signing_secrets = self.signing_secrets(&mut problems);
        let only_api_key = self.only_api_key(&mut problems);
        let kapso_base_url = self.base_url(&mut problems);
        let listen = self.listen_address(&mut problems);
        let command = self.command_name(&mut problems);
        let public_url = self.public_address(&mut problems);
        let reply_budget = self.reply_budget(&mut problems);
        let settings = Settings {
            signing_secrets,
            app_token,
            bot_token: self.bot_token(&mut problems),
            slack_api_url: self.slack_api_url(&mut problems),
            socket_hosts: self.hosts(&mut problems, &SLACK_SOCKET_HOSTS),
            proxy: self.proxy(&mut problems),
            kapso_base_url,
            listen,
            public_url,
            command,
            reply_budget,
            response_hosts: self.hosts(&mut problems, &SLACK_RESPONSE_HOSTS),
            access_lists: AccessLists {
                teams: self.allow_list(&mut problems, &ALLOWED_TEAMS, &['T', 'E']),
                channels: self.allow_list(&mut problems, &ALLOWED_CHANNELS, &['C', 'G', 'D']),
                users: self.allow_list(&mut problems, &ALLOWED_USERS, &['U', 'W']),
            },
            projects: self.projects(only_api_key, &mut problems),
            database: self.database(&mut problems),
            metrics_addr: self.metrics_addr(&mut problems),
            connections: None,
            timing: Timing::standard(reply_budget),
        };
        let _ = self.read_log(&mut problems);
        for (name, problem) in &self.unread_variables {
            problems.add(name, problem);
        }
        if !problems.is_empty() {
            // Perhaps what is missing stands there.
            self.unread.iter().for_each(|unread| problems.add(DOT_ENV, unread));
        }
        problems.none_or(settings)
    }

    /// What of `.env` could not be read.
    pub fn unread(&self) -> impl Iterator<Item = String> {
        self.unread.iter().map(|unread| format!("{DOT_ENV}: {unread}"))
    }

    /// What may not be meant, for the operator; each warning names its variable. Holds no secret.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Problems::default();
        self.unread.iter().for_each(|unread| warnings.add(DOT_ENV, unread));
        let mut ignored = Problems::default();
        if let Some(secrets) = self.optional_secret(&mut ignored, &SLACK_SIGNING_SECRET)
            && !entries(secrets.expose_secret()).all(is_32_hex_digits)
        {
            warnings.add(
                SLACK_SIGNING_SECRET.name,
                "is not 32 hexadecimal digits, as Slack's signing secrets are",
            );
        }
        if let Some(key) = self.optional_secret(&mut ignored, &KAPSO_API_KEY)
            && is_32_hex_digits(key.expose_secret())
        {
            warnings.add(
                KAPSO_API_KEY.name,
                "looks like a Slack signing secret (32 hexadecimal digits); check that it is Kapso's key",
            );
        }
        if let Some(url) = self.optional_secret(&mut ignored, &DATABASE_URL)
            && let Ok(url) = url.expose_secret().parse::<DatabaseUrl>()
            && !url.ignored_parameters().is_empty()
        {
            warnings.add(
                DATABASE_URL.name,
                format_args!(
                    "its parameters {} have no effect in this app",
                    url.ignored_parameters().join(", ")
                ),
            );
        }
        warnings.0
    }

    /// How to log.
    ///
    /// # Errors
    /// Names the variables that are wrong.
    pub fn log(&self) -> Result<Log, Problems> {
        let mut problems = Problems::default();
        let log = self.read_log(&mut problems);
        problems.none_or(log)
    }

    /// The address at which the service of this environment is reached from the same machine.
    ///
    /// # Errors
    /// Names the variables that are wrong.
    pub fn own_address(&self) -> Result<SocketAddr, Problems> {
        let mut problems = Problems::default();
        let mut address = self.listen_address(&mut problems);
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        problems.none_or(address)
    }

    /// The command's name and the public address, for the manifest. Needs no secrets.
    ///
    /// # Errors
    /// Names the variables that are wrong.
    pub fn manifest_settings(&self) -> Result<(String, Option<Url>), Problems> {
        let mut problems = Problems::default();
        let command = self.command_name(&mut problems);
        let public_url = self.public_address(&mut problems);
        problems.none_or((command, public_url))
    }

    /// A variable without the white space and quotes around it. A blank variable counts as unset.
    fn get(&self, name: &str) -> Option<&str> {
        let value = trimmed(self.variables.get(name)?);
        (!value.is_empty()).then_some(value)
    }

    fn get_or_default(&self, variable: &Variable) -> &str {
        self.get(variable.name).unwrap_or(variable.default)
    }

    /// The variable's value or its default, parsed. Adds `problem` if the value cannot be parsed.
    fn parsed<T: FromStr>(&self, problems: &mut Problems, variable: &Variable, problem: &str) -> T {
        self.get_or_default(variable).parse().unwrap_or_else(|_| {
            problems.add(variable.name, problem);
            default(variable)
        })
    }

    /// A secret from its variable or from the file that `NAME_FILE` names.
    fn secret(&self, problems: &mut Problems, variable: &Variable, alternative: &str) -> Option<SecretString> {
        let name = variable.name;
        let file_name = format!("{name}_FILE");
        if self.get(name).is_none() && self.get(&file_name).is_none() {
            problems.add(
                name,
                format_args!(
                    "is missing (set it, or set {file_name} to the path of a file that contains it{alternative})"
                ),
            );
        }
        self.optional_secret(problems, variable)
    }

    fn optional_secret(&self, problems: &mut Problems, variable: &Variable) -> Option<SecretString> {
        let name = variable.name;
        let file_name = format!("{name}_FILE");
        let value = match (self.get(name), self.get(&file_name)) {
            (Some(_), Some(_)) => {
                problems.add(name, format_args!("is set, and so is {file_name}: unset one of them"));
                return None;
            }
            (Some(value), None) => value.to_owned(),
            (None, Some(file)) => match fs::read_to_string(file) {
                Ok(content) => trimmed(&content).to_owned(),
                Err(error) => {
                    problems.add(&file_name, format_args!("the file cannot be read ({})", error.kind()));
                    return None;
                }
            },
            (None, None) => return None,
        };
        if value.is_empty() {
            problems.add(&file_name, "the file is empty");
            return None;
        }
        Some(value.into())
    }

    fn app_token(&self, problems: &mut Problems) -> Option<SecretString> {
        let token = self.optional_secret(problems, &SLACK_APP_TOKEN)?;
        let value = token.expose_secret();
        let problem = if is_placeholder(value) || value == APP_TOKEN_PREFIX {
            "still holds a placeholder; Slack makes app-level tokens under Basic Information"
        } else if !value.starts_with(APP_TOKEN_PREFIX) {
            "is not an app-level token, which begins with xapp-; Slack makes them under Basic Information"
        } else if !is_graphic(value) {
            "holds characters that no token has"
        } else if has_quotation_mark(value) {
            "begins or ends with a quotation mark"
        } else {
            return Some(token);
        };
        problems.add(SLACK_APP_TOKEN.name, problem);
        None
    }

    fn bot_token(&self, problems: &mut Problems) -> Option<SecretString> {
        let token = self.optional_secret(problems, &SLACK_BOT_TOKEN)?;
        let value = token.expose_secret();
        let problem = if is_placeholder(value) || BOT_TOKEN_PREFIXES.contains(&value) {
            "still holds a placeholder; Slack shows the token under OAuth & Permissions"
        } else if !BOT_TOKEN_PREFIXES.iter().any(|prefix| value.starts_with(prefix)) {
            "is not a bot token, which begins with xoxb-; Slack shows it under OAuth & Permissions"
        } else if !is_graphic(value) {
            "holds characters that no token has"
        } else if has_quotation_mark(value) {
            "begins or ends with a quotation mark"
        } else {
            return Some(token);
        };
        problems.add(SLACK_BOT_TOKEN.name, problem);
        None
    }

    /// Required, unless there is an app-level token.
    fn signing_secrets(&self, problems: &mut Problems) -> Vec<SecretString> {
        let app_token_file = format!("{}_FILE", SLACK_APP_TOKEN.name);
        let has_app_token = self.get(SLACK_APP_TOKEN.name).is_some() || self.get(&app_token_file).is_some();
        let value = if has_app_token {
            self.optional_secret(problems, &SLACK_SIGNING_SECRET)
        } else {
            self.secret(
                problems,
                &SLACK_SIGNING_SECRET,
                "; or set SLACK_APP_TOKEN instead, for Socket Mode",
            )
        };
        let Some(value) = value else {
            return Vec::new();
        };
        let parts: Vec<&str> = value.expose_secret().split(',').map(str::trim).collect();
        let problem = if parts.len() > 2 {
            Some("holds more than two secrets")
        } else if parts.iter().any(|part| part.is_empty()) {
            Some("has nothing on one side of its comma")
        } else if parts.iter().any(|part| is_placeholder(part)) {
            Some("still holds a placeholder; Slack shows the secret under Basic Information")
        } else if parts.iter().any(|part| !is_graphic(part)) {
            Some("holds characters that no signing secret has")
        } else if parts.iter().any(|part| has_quotation_mark(part)) {
            Some("begins or ends with a quotation mark")
        } else if parts.iter().any(|part| is_slack_token(part)) {
            Some("holds a Slack token; the signing secret is a different value, under Basic Information")
        } else {
            None
        };
        if let Some(problem) = problem {
            problems.add(SLACK_SIGNING_SECRET.name, problem);
        }
        parts.into_iter().map(SecretString::from).collect()
    }

    /// The key of the only project; `None` if there is none, or if `CONFIG_FILE` has the projects.
    fn only_api_key(&self, problems: &mut Problems) -> Option<HeaderValue> {
        if self.get(CONFIG_FILE.name).is_some() {
            return None;
        }
        let value = self.secret(problems, &KAPSO_API_KEY, "")?;
        let key = api_key(value.expose_secret());
        key.map_err(|problem| problems.add(KAPSO_API_KEY.name, problem)).ok()
    }

    /// The projects of `CONFIG_FILE`, or else the one that the variables describe.
    fn projects(&self, only_api_key: Option<HeaderValue>, problems: &mut Problems) -> Vec<ProjectSettings> {
        let creators = self.creators(problems);
        let default_agent = self.default_agent(problems);
        let Some(path) = self.get(CONFIG_FILE.name) else {
            let only = only_api_key.map(|api_key| ProjectSettings {
                alias: None,
                api_key,
                teams: None,
                channels: None,
                default_agent,
                creators,
            });
            return only.into_iter().collect();
        };
        let key_file = format!("{}_FILE", KAPSO_API_KEY.name);
        for name in [KAPSO_API_KEY.name, &key_file, DEFAULT_AGENT.name] {
            if self.get(name).is_some() {
                problems.add(
                    name,
                    format_args!("is set, but {} says this for each project: unset it", CONFIG_FILE.name),
                );
            }
        }
        let surroundings = Surroundings {
            variable: &|name| self.get(name).map(str::to_owned),
            creators: &creators,
        };
        file::read(Path::new(path), &surroundings, problems)
    }

    /// Read as a secret, since the address may contain a password.
    fn database(&self, problems: &mut Problems) -> DatabaseUrl {
        let Some(url) = self.optional_secret(problems, &DATABASE_URL) else {
            return default(&DATABASE_URL);
        };
        url.expose_secret()
            .parse()
            .unwrap_or_else(|problem: InvalidDatabaseUrl| {
                problems.add(DATABASE_URL.name, problem);
                default(&DATABASE_URL)
            })
    }

    fn base_url(&self, problems: &mut Problems) -> Url {
        let url = self.parsed(
            problems,
            &KAPSO_BASE_URL,
            "is not an address such as https://app.kapso.ai/api/v1",
        );
        if !is_plain(&url) {
            problems.add(
                KAPSO_BASE_URL.name,
                "must be an http or https address without user, query and fragment",
            );
        } else if url.scheme() == "http" && !is_loopback(&url) {
            problems.add(
                KAPSO_BASE_URL.name,
                "must be https, because over http the key could be read in transit; http is allowed only on loopback",
            );
        }
        url
    }

    fn slack_api_url(&self, problems: &mut Problems) -> Url {
        let mut url: Url = self.parsed(
            problems,
            &SLACK_API_URL,
            "is not an address such as https://slack.com/api",
        );
        if !is_plain(&url) || (url.scheme() == "http" && !is_loopback(&url)) {
            problems.add(
                SLACK_API_URL.name,
                "must be an https address without user, query and fragment; http is allowed only on loopback",
            );
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        url
    }

    /// By the names in upper case, else by those in lower case, which curl and others read.
    fn proxy(&self, problems: &mut Problems) -> Proxy {
        let exceptions = self.get(NO_PROXY.name).or_else(|| self.get("no_proxy"));
        let address = self.optional_secret(problems, &HTTPS_PROXY);
        let address = address.or_else(|| self.get("https_proxy").map(SecretString::from));
        let Some(address) = address else {
            return Proxy::default();
        };
        Proxy::new(address.expose_secret(), exceptions.unwrap_or_default()).unwrap_or_else(|problem| {
            problems.add(HTTPS_PROXY.name, problem);
            Proxy::default()
        })
    }

    fn listen_address(&self, problems: &mut Problems) -> SocketAddr {
        let host = match self.get(HOST.name) {
            Some("localhost") => Ipv4Addr::LOCALHOST.into(),
            _ => self.parsed(problems, &HOST, "is not an IP address such as 0.0.0.0"),
        };
        let port = self.parsed(problems, &PORT, "is not a port, 0 to 65535");
        SocketAddr::new(host, port)
    }

    fn command_name(&self, problems: &mut Problems) -> String {
        let name = self.get_or_default(&SLACK_COMMAND);
        let word = name.strip_prefix('/').unwrap_or_default();
        let fits = (1..=31).contains(&word.len())
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
        if !fits {
            problems.add(
                SLACK_COMMAND.name,
                "must be a slash and up to 31 lower-case letters, digits, - and _, such as /wa-sandbox",
            );
        }
        name.to_owned()
    }

    fn public_address(&self, problems: &mut Problems) -> Option<Url> {
        match public_url(self.get(PUBLIC_URL.name)?) {
            Ok(url) => Some(url),
            Err(problem) => {
                problems.add(PUBLIC_URL.name, problem);
                None
            }
        }
    }

    fn reply_budget(&self, problems: &mut Problems) -> Duration {
        let value = self.get_or_default(&REPLY_BUDGET_MS);
        let ms = value.parse().ok().filter(|ms| (100..=2_800).contains(ms));
        if ms.is_none() {
            problems.add(
                REPLY_BUDGET_MS.name,
                "is not a number of milliseconds from 100 to 2800; Slack waits for 3000",
            );
        }
        Duration::from_millis(ms.unwrap_or_else(|| default(&REPLY_BUDGET_MS))).min(LONGEST_BUDGET)
    }

    /// A list of hosts of Slack's.
    fn hosts<T: FromStr<Err: std::fmt::Display>>(&self, problems: &mut Problems, variable: &Variable) -> Vec<T> {
        let hosts = self.get_or_default(variable);
        let mut allowed = Vec::new();
        for host in entries(hosts) {
            match host.parse() {
                Ok(host) => allowed.push(host),
                Err(problem) => problems.add(variable.name, format_args!("`{host}` {problem}")),
            }
        }
        if entries(hosts).next().is_none() {
            problems.add(variable.name, "lists no hosts; unset it to use Slack's own");
        }
        allowed
    }

    fn allow_list(&self, problems: &mut Problems, variable: &Variable, first_letters: &[char]) -> AllowList {
        self.ids(
            problems,
            variable,
            first_letters,
            "lists no IDs; unset it to allow everyone",
        )
    }

    fn creators(&self, problems: &mut Problems) -> Creators {
        if self.get(CREATE_USERS.name) == Some("*") {
            return Creators::Everyone;
        }
        let people = self.ids(
            problems,
            &CREATE_USERS,
            &['U', 'W'],
            "lists no IDs; unset it to allow nobody, or set it to *",
        );
        Creators::Only(people.unwrap_or_default())
    }

    fn default_agent(&self, problems: &mut Problems) -> Option<String> {
        let id = self.get(DEFAULT_AGENT.name)?;
        if !is_agent_id(id) {
            problems.add(DEFAULT_AGENT.name, NOT_AN_AGENT_ID);
        }
        Some(id.to_owned())
    }

    fn ids(
        &self,
        problems: &mut Problems,
        variable: &Variable,
        first_letters: &[char],
        if_empty: &str,
    ) -> Option<Vec<String>> {
        let list = self.get(variable.name)?;
        let mut ids = Vec::new();
        for id in entries(list) {
            if is_slack_id(id, first_letters) {
                ids.push(id.to_owned());
            } else {
                let example = first_letters[0];
                problems.add(
                    variable.name,
                    format_args!("`{id}` is not a Slack ID such as {example}012AB3CD"),
                );
            }
        }
        if entries(list).next().is_none() {
            problems.add(variable.name, if_empty);
        }
        Some(ids)
    }

    fn metrics_addr(&self, problems: &mut Problems) -> Option<SocketAddr> {
        let address = self.get(METRICS_ADDR.name)?.parse();
        if address.is_err() {
            problems.add(
                METRICS_ADDR.name,
                "is not an address with a port such as 127.0.0.1:9090",
            );
        }
        address.ok()
    }

    fn read_log(&self, problems: &mut Problems) -> Log {
        let format = match self.get(LOG_FORMAT.name) {
            None => LogFormat::detect(),
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(_) => {
                problems.add(LOG_FORMAT.name, "is neither text nor json");
                LogFormat::Json
            }
        };
        let filter = log_filter(self.get_or_default(&RUST_LOG)).unwrap_or_else(|problem| {
            problems.add(RUST_LOG.name, problem);
            default(&RUST_LOG)
        });
        Log { format, filter }
    }
}

#[expect(clippy::expect_used, reason = "a constant, which every test of the settings parses")]
fn default<T: FromStr>(variable: &Variable) -> T {
    variable.default.parse().ok().expect("the default can be parsed")
}

/// Parses an address at which Slack can reach the service. Allows http only on loopback, for the demo.
///
/// # Errors
/// Says what the address must be.
pub fn public_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not an address such as https://sandbox.example.com")?;
    if is_plain(&url) && (url.scheme() == "https" || is_loopback(&url)) {
        Ok(url)
    } else {
        Err("must be an https address without user, query and fragment: Slack reaches no other")
    }
}

/// Whether Slack may be able to reach the address: its host is neither this machine nor in a private network.
#[must_use]
pub fn is_public(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => !(ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified()),
        Some(Host::Ipv6(ip)) => {
            !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified())
        }
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name != "localhost" && !name.ends_with(".localhost")
        }
        None => false,
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

/// The variable with this name, if it is one that is read; also for the `_FILE` variant of one.
fn is_read(name: &str) -> Option<&'static Variable> {
    let named = |name| VARIABLES.iter().find(|variable| variable.name == name);
    named(name).or_else(|| named(name.strip_suffix("_FILE")?))
}

/// A filter such as `info` or `kapso_slack=debug,hyper=error`. Stricter than [`Targets`], which takes a word that is no
/// level for a target, and so logs nothing but that.
fn log_filter(text: &str) -> Result<Targets, String> {
    let mut directives = Vec::new();
    for directive in entries(text) {
        let (target, level) = match directive.split_once('=') {
            Some((target, level)) => (Some(target), Some(level)),
            None if is_level(directive) => (None, Some(directive)),
            None => (Some(directive), None),
        };
        // Without a level, a target can only be one of ours: other words are misspelt levels.
        let is_target = target.is_none_or(|target| is_module_path(target) && (level.is_some() || is_ours(target)));
        if !is_target || !level.is_none_or(is_level) {
            return Err(format!(
                "`{directive}` is neither a level (off, error, warn, info, debug, trace) nor a filter such as kapso_slack=debug"
            ));
        }
        directives.push(directive);
    }
    if directives.is_empty() {
        return Err("contains no level; unset it to use info".to_owned());
    }
    directives
        .join(",")
        .parse()
        .map_err(|_| "is not a filter such as info or kapso_slack=debug".to_owned())
}

fn is_level(word: &str) -> bool {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
}

fn is_module_path(target: &str) -> bool {
    target
        .split("::")
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

fn is_32_hex_digits(secret: &str) -> bool {
    secret.len() == 32 && secret.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}
