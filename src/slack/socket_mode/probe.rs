//! Opens one connection to learn whether Slack says hello on it, and closes it at once. For about one round trip Slack may
//! deliver a command to it, which is not acknowledged, so that Slack delivers it again.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use reqwest::Client;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use super::Reason;
use super::dial::{Socket, dial};
use super::envelope::Frame;
use super::open::{OpenError, Opener};
use crate::config::{Proxy, SocketHost};

/// How long the close handshake may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why Slack said no hello. Contains neither the token nor the address, and of Slack's words only its error codes.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// Slack's API could not be reached.
    #[error("Slack could not be reached")]
    Transport(#[source] reqwest::Error),
    /// The token is not accepted any more, or never was.
    #[error("{0}")]
    TokenRefused(String),
    /// The token is not an app-level token with the right scope.
    #[error("{0}")]
    ScopeMissing(String),
    #[error("link_disabled")]
    TurnedOff,
    #[error("{0}")]
    Failed(String),
}

/// Where to open a connection. `http` must follow no redirects.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub http: &'a Client,
    pub api: &'a Url,
    pub token: &'a SecretString,
    pub hosts: &'a [SocketHost],
    pub proxy: &'a Proxy,
}

/// Opens a connection and waits for Slack's hello, each for at most `deadline`. Returns how many connections the app has,
/// this one included, if Slack says so.
///
/// # Errors
/// See [`ProbeError`].
pub async fn probe(target: Target<'_>, deadline: Duration) -> Result<Option<u64>, ProbeError> {
    let token = target.token.expose_secret();
    let authorization = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut authorization = authorization.map_err(|_| ProbeError::TokenRefused("it cannot be sent".to_owned()))?;
    authorization.set_sensitive(true);
    let opener = Opener::new(
        target.http.clone(),
        target.api,
        authorization,
        target.hosts.to_vec(),
        deadline,
    );
    let url = opener.open().await.map_err(explain)?;
    let deadline = Instant::now() + deadline;
    let dialing = timeout_at(deadline, dial(&url, target.proxy)).await;
    let mut socket = dialing
        .map_err(|_| explain(OpenError::TimedOut))?
        .map_err(|error| explain(OpenError::Dial(error)))?;
    let hello = timeout_at(deadline, wait_for_hello(&mut socket)).await;
    // Slack may leave the TCP connection open.
    let _ = timeout(CLOSE_TIMEOUT, socket.close()).await;
    hello.unwrap_or(Err(OpenError::TimedOut)).map_err(explain)
}

async fn wait_for_hello(socket: &mut Socket) -> Result<Option<u64>, OpenError> {
    while let Some(frame) = socket.next().await {
        let frame = frame.map_err(|_| OpenError::EndedEarly(Reason::Broken.name()))?;
        match frame.as_text().map(Frame::parse) {
            Some(Frame::Hello { connections }) => return Ok(connections),
            Some(Frame::Disconnect(reason)) => {
                return Err(match Reason::of_disconnect(&reason) {
                    Reason::LinkDisabled => OpenError::Fatal(Reason::LinkDisabled.name().to_owned()),
                    reason => OpenError::EndedEarly(reason.name()),
                });
            }
            Some(Frame::Envelope(_) | Frame::Unknown) | None => {}
        }
    }
    Err(OpenError::EndedEarly(Reason::Closed.name()))
}

fn explain(error: OpenError) -> ProbeError {
    match error {
        OpenError::Unreachable(error) => ProbeError::Transport(error),
        OpenError::Fatal(code) => match code.as_str() {
            "link_disabled" => ProbeError::TurnedOff,
            "missing_scope" | "not_allowed_token_type" => ProbeError::ScopeMissing(code),
            _ => ProbeError::TokenRefused(code),
        },
        // Not its causes, which may quote the other side.
        OpenError::Dial(reason) => {
            ProbeError::Failed(format!("no connection to the address that Slack named: {reason}"))
        }
        error => ProbeError::Failed(error.to_string()),
    }
}
