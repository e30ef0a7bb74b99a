//! Calls of Slack's Web API: <https://docs.slack.dev/apis/web-api>.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};
use reqwest::{Client, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use thiserror::Error;
use url::Url;

/// The most of a response that is read, in bytes.
const RESPONSE_MAX: usize = 64 * 1024;
/// Longest error code that is passed on, in bytes.
const CODE_MAX: usize = 60;

/// Why a call was not answered. Contains neither the token nor anything of a response.
#[derive(Debug, Error)]
pub enum CallError {
    #[error("Slack could not be reached")]
    Transport(#[source] reqwest::Error),
    #[error("status {}", .0.as_u16())]
    Status(StatusCode),
    #[error("the response is not Slack's")]
    Unreadable,
    /// Slack's error codes, separated by commas.
    #[error("{0}")]
    Refused(String),
}

#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    error: String,
    /// What `blocks.validate` says about each fault.
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    #[serde(default)]
    code: String,
}

/// Calls a `method` of the API at `api` (with a slash at the end) with a form. `http` must follow no redirects, which
/// would send the token to another host.
///
/// # Errors
/// See [`CallError`].
pub async fn call(
    http: &Client,
    api: &Url,
    method: &str,
    token: Option<&SecretString>,
    form: &[(&str, &str)],
    timeout: Duration,
) -> Result<(), CallError> {
    const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
    let mut address = api.clone();
    address.set_path(&format!("{}{method}", api.path()));
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let mut request = http.post(address).header(header::CONTENT_TYPE, FORM).body(body);
    if let Some(token) = token {
        request = request.bearer_auth(token.expose_secret());
    }
    let response = request.timeout(timeout).send().await.map_err(transport)?;
    if !response.status().is_success() {
        return Err(CallError::Status(response.status()));
    }
    let answer: Answer = serde_json::from_slice(&body_of(response).await?).map_err(|_| CallError::Unreadable)?;
    if answer.ok {
        return Ok(());
    }
    let faults = answer.errors.iter().map(|fault| fault.code.as_str());
    let codes: Vec<&str> = [answer.error.as_str()]
        .into_iter()
        .chain(faults)
        .map(|code| if is_code(code) { code } else { "an unknown error" })
        .collect();
    Err(CallError::Refused(codes.join(", ")))
}

async fn body_of(mut response: Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > RESPONSE_MAX {
            return Err(CallError::Unreadable);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Whether this is a code such as `invalid_auth`, and no text.
fn is_code(text: &str) -> bool {
    (1..=CODE_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn transport(error: reqwest::Error) -> CallError {
    CallError::Transport(error.without_url())
}
