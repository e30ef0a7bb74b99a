//! `apps.connections.open`: asks Slack for the address of a new connection.
//! Source: <https://docs.slack.dev/reference/methods/apps.connections.open>.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use reqwest::Client;
use thiserror::Error;
use url::Url;

use super::dial::DialError;
use super::envelope::{Opened, word};
use crate::config::SocketHost;

const METHOD: &str = "apps.connections.open";
/// Largest response that is read, in bytes.
const RESPONSE_MAX: usize = 64 * 1024;
/// How long to wait after a 429 that does not say so.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// The longest `Retry-After` that is followed, so that one faulty response does not close the socket for ever.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// Why there is no connection. Contains neither the token nor the address.
#[derive(Debug, Error)]
pub(super) enum OpenError {
    /// No further attempt will succeed. Holds Slack's word for it.
    #[error("{}", sentence(.0))]
    Fatal(String),
    #[error("Slack limits how often connections are opened")]
    RateLimited(Duration),
    #[error("Slack refused with the error {0}")]
    Refused(String),
    #[error("Slack answered with status {0}")]
    Status(StatusCode),
    #[error("Slack could not be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("Slack's response cannot be read")]
    Unreadable,
    #[error("Slack named an address that SLACK_SOCKET_HOSTS does not allow")]
    Forbidden,
    #[error("could not connect to the address that Slack named")]
    Dial(#[source] DialError),
    #[error("it took too long")]
    TimedOut,
    #[error("the connection ended before Slack's hello ({0})")]
    EndedEarly(&'static str),
}

/// What an error means that no further attempt would mend.
fn sentence(code: &str) -> String {
    let what = match code {
        "missing_scope" | "not_allowed_token_type" => {
            "SLACK_APP_TOKEN is not an app-level token with the scope connections:write"
        }
        "account_inactive" | "user_removed_from_team" | "team_disabled" => {
            "the app, its owner or its workspace has been deactivated"
        }
        "link_disabled" => "Socket Mode is turned off in the app's settings",
        _ => "Slack does not accept SLACK_APP_TOKEN; make a new app-level token under Basic Information",
    };
    format!("{what} ({code})")
}

/// Whether an error lasts until somebody changes the app or its token.
fn is_fatal(code: &str) -> bool {
    const FATAL: [&str; 9] = [
        "account_inactive",
        "invalid_auth",
        "missing_scope",
        "not_allowed_token_type",
        "not_authed",
        "team_disabled",
        "token_expired",
        "token_revoked",
        "user_removed_from_team",
    ];
    FATAL.contains(&code)
}

/// Asks for addresses of connections.
pub(super) struct Opener {
    http: Client,
    method: Url,
    /// `Bearer xapp-…`, marked sensitive.
    authorization: HeaderValue,
    hosts: Vec<SocketHost>,
    timeout: Duration,
}

impl Opener {
    /// `http` must follow no redirects, which would send the token to another host.
    pub(super) fn new(
        http: Client,
        api: &Url,
        authorization: HeaderValue,
        hosts: Vec<SocketHost>,
        timeout: Duration,
    ) -> Self {
        let mut method = api.clone();
        method.set_path(&format!("{}{METHOD}", api.path()));
        Self {
            http,
            method,
            authorization,
            hosts,
            timeout,
        }
    }

    /// The address of a new connection, for one use.
    pub(super) async fn open(&self) -> Result<Url, OpenError> {
        let sent = self
            .http
            .post(self.method.clone())
            .header(header::AUTHORIZATION, self.authorization.clone())
            .header(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            )
            .timeout(self.timeout)
            .send()
            .await;
        let mut response = sent.map_err(unreachable)?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map_or(RETRY_AFTER, Duration::from_secs)
            .min(RETRY_AFTER_MAX);
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(OpenError::RateLimited(retry_after));
        }
        if !status.is_success() {
            return Err(OpenError::Status(status));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > RESPONSE_MAX {
                return Err(OpenError::Unreadable);
            }
            body.extend_from_slice(&chunk);
        }
        let opened: Opened = serde_json::from_slice(&body).map_err(|_| OpenError::Unreadable)?;
        if !opened.ok {
            let code = word(&opened.error.unwrap_or_default());
            return Err(match code.as_str() {
                "ratelimited" => OpenError::RateLimited(retry_after),
                _ if is_fatal(&code) => OpenError::Fatal(code),
                _ => OpenError::Refused(code),
            });
        }
        let url = opened.url.and_then(|url| Url::parse(&url).ok());
        let url = url.ok_or(OpenError::Unreadable)?;
        if self.hosts.iter().any(|host| host.allows(&url)) {
            Ok(url)
        } else {
            Err(OpenError::Forbidden)
        }
    }
}

fn unreachable(error: reqwest::Error) -> OpenError {
    OpenError::Unreachable(error.without_url())
}
