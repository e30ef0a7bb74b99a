//! Each variable's own rules.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tracing_subscriber::filter::Targets;
use url::{Host, Url};

use super::{Environment, Log, Problems};
use crate::commands::{AllowList, Creators};
use crate::slack::is_id;
use crate::slack::response_host::ResponseHost;
use crate::telemetry::LogFormat;

impl Environment {
    pub(super) fn base_url(&self, problems: &mut Problems) -> Url {
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

    pub(super) fn listen_on(&self, problems: &mut Problems) -> SocketAddr {
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

    pub(super) fn command_name(&self, problems: &mut Problems) -> String {
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

    pub(super) fn public_address(&self, problems: &mut Problems) -> Option<Url> {
        let url = self.get("PUBLIC_URL")?;
        match public_url(url) {
            Ok(url) => Some(url),
            Err(problem) => {
                problems.add("PUBLIC_URL", problem);
                None
            }
        }
    }

    pub(super) fn reply_budget(&self, problems: &mut Problems) -> Duration {
        const NAME: &str = "REPLY_BUDGET_MS";
        const IS: &str = "is no number of milliseconds from 100 to 2800; Slack waits for 3000";
        let ms = self.parsed(problems, NAME, 2_000, IS);
        if !(100..=2_800).contains(&ms) {
            problems.add(NAME, IS);
        }
        Duration::from_millis(ms)
    }

    pub(super) fn response_hosts(&self, problems: &mut Problems) -> Vec<ResponseHost> {
        const NAME: &str = "SLACK_RESPONSE_HOSTS";
        let hosts = self.get(NAME).unwrap_or("hooks.slack.com,hooks.slack-gov.com");
        let mut allowed = Vec::new();
        for host in entries(hosts) {
            match host.parse() {
                Ok(host) => allowed.push(host),
                Err(problem) => problems.add(NAME, format_args!("`{host}` {problem}")),
            }
        }
        if entries(hosts).next().is_none() {
            problems.add(NAME, "names no host; unset it for Slack's own");
        }
        allowed
    }

    pub(super) fn allow_list(&self, problems: &mut Problems, name: &str, kinds: &[char]) -> AllowList {
        self.ids(problems, name, kinds, "names nobody; unset it to allow everyone")
    }

    pub(super) fn creators(&self, problems: &mut Problems) -> Creators {
        const NAME: &str = "CREATE_USERS";
        if self.get(NAME) == Some("*") {
            return Creators::Everyone;
        }
        let people = self.ids(
            problems,
            NAME,
            &['U', 'W'],
            "names nobody; unset it for nobody, or say *",
        );
        Creators::Only(people.unwrap_or_default())
    }

    fn ids(&self, problems: &mut Problems, name: &str, kinds: &[char], if_none: &str) -> Option<Vec<String>> {
        let list = self.get(name)?;
        let mut ids = Vec::new();
        for id in entries(list) {
            if is_id(id, kinds) {
                ids.push(id.to_owned());
            } else {
                problems.add(name, format_args!("`{id}` is no Slack id such as {}012AB3CD", kinds[0]));
            }
        }
        if entries(list).next().is_none() {
            problems.add(name, if_none);
        }
        Some(ids)
    }

    pub(super) fn metrics_addr(&self, problems: &mut Problems) -> Option<SocketAddr> {
        let address = self.get("METRICS_ADDR")?.parse();
        if address.is_err() {
            problems.add("METRICS_ADDR", "is no address with a port such as 127.0.0.1:9090");
        }
        address.ok()
    }

    pub(super) fn read_log(&self, problems: &mut Problems) -> Log {
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

/// An address at which Slack can reach the service; over http only on loopback, where the demo's Slack is.
///
/// # Errors
/// Says what it must be.
pub fn public_url(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is no address such as https://sandbox.example.com")?;
    if is_plain(&url) && (url.scheme() == "https" || is_loopback(&url)) {
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
