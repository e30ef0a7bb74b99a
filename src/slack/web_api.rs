//! Calls of Slack's Web API: <https://docs.slack.dev/apis/web-api>. [`WebApi`] calls methods with the bot token; [`call`]
//! calls any method with a form.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{Client, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use thiserror::Error;
use url::Url;

use super::Who;
use super::message::Message;

/// The most of a response that is read, in bytes.
const RESPONSE_MAX: usize = 64 * 1024;
/// Longest error code that is passed on, in bytes.
const CODE_MAX: usize = 60;
const UNKNOWN_CODE: &str = "an unknown error";
const UNREADABLE: &str = "an unreadable response";

/// How long to wait after a 429 that does not say so.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// The longest `Retry-After` that is followed, so that one faulty response does not end all calls.
const RETRY_AFTER_MAX: Duration = Duration::from_mins(59);
/// The granted scopes, in every answer.
const SCOPES: &str = "x-oauth-scopes";

/// The methods that need the bot token. Cheap to clone; all clones use the same token.
#[derive(Clone)]
pub struct WebApi {
    http: Client,
    /// With a slash at the end.
    base: Url,
    timeout: Duration,
    token: Arc<RwLock<Option<SecretString>>>,
}

/// Where a message was posted: with this, it can be updated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// `C…`, `G…` or `D…`; for a message to a person, the conversation that Slack opened.
    pub channel: String,
    /// Identifies the message in its channel.
    pub ts: String,
}

/// What the bot token may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Its scopes; empty if Slack does not say so.
    pub scopes: Vec<String>,
}

/// Where a bot token is installed. Empty ids are not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Installation {
    /// `T…`
    team_id: String,
    /// `E…`, if the workspace belongs to an organisation.
    enterprise_id: Option<String>,
}

impl Installation {
    /// Whether this person belongs to the workspace, or to its organisation. A guest of another company does not, although
    /// they send requests from the workspace.
    #[must_use]
    pub fn includes(&self, who: &Who) -> bool {
        let home = who.home_team.as_deref().unwrap_or_else(|| who.workspace());
        let enterprise = self.enterprise_id.as_deref().filter(|id| !id.is_empty());
        let in_organisation = enterprise
            .is_some_and(|id| home == id || (who.enterprise.as_deref() == Some(id) && home == who.workspace()));
        self.team_id.is_empty() || home == self.team_id || in_organisation
    }
}

/// A message as `chat.postMessage` and `chat.update` take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChatMessage(Map<String, Value>);

/// Why a method did not do what it was asked for. Contains neither the token nor anything that a person wrote.
#[derive(Debug, Error)]
pub enum WebApiError {
    #[error("SLACK_BOT_TOKEN is not set")]
    NoToken,
    /// There was no connection, so Slack has seen nothing of it.
    #[error("Slack could not be reached")]
    NotSent(#[source] reqwest::Error),
    /// Slack may have done it: it did not say so.
    #[error("Slack did not say whether it did it ({0})")]
    Unclear(&'static str),
    /// Slack did nothing, and says when to try again.
    #[error("Slack limits how often this is done")]
    RateLimited(Duration),
    #[error("Slack refused: {0}")]
    Refused(Refusal),
}

/// Why Slack refused a call for good.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// With the scope that is needed.
    #[error("missing_scope, {0}")]
    MissingScope(String),
    /// The app is not a member of the channel.
    #[error("not_in_channel")]
    NotInChannel,
    #[error("channel_not_found")]
    ChannelNotFound,
    #[error("account_inactive")]
    AccountInactive,
    #[error("token_revoked")]
    TokenRevoked,
    /// The token is unknown, or none.
    #[error("invalid_auth")]
    InvalidAuth,
    /// A token that is rotated was not rotated in time.
    #[error("token_expired")]
    TokenExpired,
    #[error("cannot_dm_bot")]
    CannotDmBot,
    /// The Messages tab of the app is closed.
    #[error("messages_tab_disabled")]
    MessagesTabDisabled,
    #[error("is_archived")]
    IsArchived,
    /// The token may not do it, or the workspace does not let it; with the code.
    #[error("{0}")]
    Forbidden(String),
    /// The message is not the app's own.
    #[error("cant_update_message")]
    CantUpdateMessage,
    #[error("message_not_found")]
    MessageNotFound,
    #[error("msg_too_long")]
    MsgTooLong,
    /// The trigger id is older than 3 s, or was used before.
    #[error("expired_trigger_id")]
    ExpiredTriggerId,
    /// With the code, or words for one that is no code.
    #[error("{0}")]
    Other(String),
}

impl Granted {
    /// Whether the token has this scope. True if Slack does not say so.
    #[must_use]
    pub fn includes(&self, scope: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|granted| granted == scope)
    }
}

impl WebApiError {
    /// What the operator can do about it, if anything.
    #[must_use]
    pub fn fix(&self) -> Option<&'static str> {
        match self {
            Self::Refused(refusal) => Some(refusal.fix()),
            Self::NoToken | Self::NotSent(_) | Self::Unclear(_) | Self::RateLimited(_) => None,
        }
    }
}

impl Refusal {
    /// Slack's code for it.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::MissingScope(_) => "missing_scope",
            Self::NotInChannel => "not_in_channel",
            Self::ChannelNotFound => "channel_not_found",
            Self::AccountInactive => "account_inactive",
            Self::TokenRevoked => "token_revoked",
            Self::InvalidAuth => "invalid_auth",
            Self::TokenExpired => "token_expired",
            Self::CannotDmBot => "cannot_dm_bot",
            Self::MessagesTabDisabled => "messages_tab_disabled",
            Self::IsArchived => "is_archived",
            Self::Forbidden(_) => "forbidden",
            Self::CantUpdateMessage => "cant_update_message",
            Self::MessageNotFound => "message_not_found",
            Self::MsgTooLong => "msg_too_long",
            Self::ExpiredTriggerId => "expired_trigger_id",
            Self::Other(_) => "other",
        }
    }

    /// One of each kind that a person is told about.
    #[cfg(feature = "demo")]
    pub(crate) fn samples() -> [Self; 9] {
        [
            Self::MissingScope("chat:write".to_owned()),
            Self::AccountInactive,
            Self::TokenRevoked,
            Self::InvalidAuth,
            Self::MessagesTabDisabled,
            Self::CannotDmBot,
            Self::ChannelNotFound,
            Self::Forbidden("ekm_access_denied".to_owned()),
            Self::Other("fatal_refusal".to_owned()),
        ]
    }

    /// The codes with which Slack refuses a direct message.
    pub const OF_DIRECT_MESSAGES: [&'static str; 11] = [
        "missing_scope",
        "not_in_channel",
        "channel_not_found",
        "account_inactive",
        "token_revoked",
        "invalid_auth",
        "token_expired",
        "cannot_dm_bot",
        "messages_tab_disabled",
        "forbidden",
        "other",
    ];

    /// Whether every message is refused, whoever it is for, until the operator changes something.
    #[must_use]
    pub fn is_configuration_fault(&self) -> bool {
        match self {
            Self::MissingScope(_)
            | Self::AccountInactive
            | Self::TokenRevoked
            | Self::InvalidAuth
            | Self::TokenExpired
            | Self::Forbidden(_)
            | Self::MessagesTabDisabled => true,
            Self::NotInChannel
            | Self::ChannelNotFound
            | Self::CannotDmBot
            | Self::IsArchived
            | Self::CantUpdateMessage
            | Self::MessageNotFound
            | Self::MsgTooLong
            | Self::ExpiredTriggerId
            | Self::Other(_) => false,
        }
    }

    /// What the operator can do about it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::MissingScope(_) => {
                "add the scope under OAuth & Permissions of the Slack app, and install the app again"
            }
            Self::NotInChannel => "invite the app to the channel",
            Self::ChannelNotFound => "nothing: the person or the channel is not there, or not in this workspace",
            Self::AccountInactive => "install the app again: it or its workspace has been deactivated",
            Self::TokenRevoked => "install the app again, and set SLACK_BOT_TOKEN to its new token",
            Self::InvalidAuth => "set SLACK_BOT_TOKEN to the Bot User OAuth Token under OAuth & Permissions",
            Self::TokenExpired => "renew the token that is rotated, and send the service SIGHUP",
            Self::CannotDmBot => "nothing: a bot cannot get direct messages",
            Self::MessagesTabDisabled => "turn on the Messages Tab under App Home of the Slack app",
            Self::IsArchived => "nothing: the channel is archived",
            Self::Forbidden(_) => {
                "check that SLACK_BOT_TOKEN is a bot token (xoxb-…), and ask an administrator of the workspace what it forbids"
            }
            Self::CantUpdateMessage | Self::MessageNotFound => "nothing: the message is not the app's, or is gone",
            Self::ExpiredTriggerId => {
                "nothing, unless it happens often: Slack opens a form only within 3 s of the command"
            }
            Self::MsgTooLong | Self::Other(_) => "look the code up in Slack's documentation of the method",
        }
    }

    fn of(code: &str, needed: &str) -> Self {
        match code {
            "missing_scope" => Self::MissingScope(if is_scope(needed) { needed } else { "unknown" }.to_owned()),
            "not_in_channel" => Self::NotInChannel,
            "channel_not_found" => Self::ChannelNotFound,
            "account_inactive" => Self::AccountInactive,
            "token_revoked" => Self::TokenRevoked,
            "invalid_auth" | "not_authed" => Self::InvalidAuth,
            "token_expired" => Self::TokenExpired,
            "cannot_dm_bot" => Self::CannotDmBot,
            "messages_tab_disabled" => Self::MessagesTabDisabled,
            "cant_update_message" => Self::CantUpdateMessage,
            "message_not_found" => Self::MessageNotFound,
            "is_archived" => Self::IsArchived,
            "not_allowed_token_type"
            | "no_permission"
            | "access_denied"
            | "ekm_access_denied"
            | "org_login_required"
            | "team_access_not_granted"
            | "restricted_action"
            | "two_factor_setup_required" => Self::Forbidden(code.to_owned()),
            "msg_too_long" => Self::MsgTooLong,
            // Slack's documents have both spellings.
            "expired_trigger_id"
            | "exchanged_trigger_id"
            | "invalid_trigger_id"
            | "trigger_expired"
            | "trigger_exchanged" => Self::ExpiredTriggerId,
            code if is_code(code) => Self::Other(code.to_owned()),
            _ => Self::Other(UNKNOWN_CODE.to_owned()),
        }
    }
}

impl From<&Message> for ChatMessage {
    fn from(message: &Message) -> Self {
        // Cannot fail: a message is an object of strings and booleans.
        Self::new(serde_json::to_value(message).unwrap_or_default())
    }
}

impl ChatMessage {
    /// A message from the JSON of a [`Message`].
    #[must_use]
    pub fn new(message: Value) -> Self {
        let Value::Object(mut fields) = message else {
            return Self(Map::new());
        };
        // Only for a response_url.
        fields.remove("response_type");
        fields.remove("replace_original");
        Self(fields)
    }

    fn body(&self, more: &[(&str, &str)]) -> Map<String, Value> {
        let mut body = self.0.clone();
        body.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
        body
    }
}

impl WebApi {
    /// Calls the API at `base` (with a slash at the end). `http` must follow no redirects, which would send the token to
    /// another host.
    #[must_use]
    pub fn new(http: Client, base: Url, timeout: Duration, token: Option<SecretString>) -> Self {
        Self {
            http,
            base,
            timeout,
            token: Arc::new(RwLock::new(token)),
        }
    }

    /// Whether there is a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.token.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Calls from now on use this token.
    pub fn set_token(&self, token: Option<SecretString>) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Asks what the token may do, and where it is installed.
    ///
    /// # Errors
    /// See [`WebApiError`].
    pub async fn auth_test(&self) -> Result<(Granted, Installation), WebApiError> {
        let (headers, answer) = self.call("auth.test", &json!({})).await?;
        Ok((granted(&headers), serde_json::from_value(answer).unwrap_or_default()))
    }

    /// Posts a message to a channel, or to a person if `channel` is their id: Slack then opens the app's direct messages.
    ///
    /// # Errors
    /// See [`WebApiError`].
    pub async fn post_message(&self, channel: &str, message: &ChatMessage) -> Result<Posted, WebApiError> {
        let body = message.body(&[("channel", channel)]);
        let (_, answer) = self.call("chat.postMessage", &body).await?;
        serde_json::from_value(answer).map_err(|_| WebApiError::Unclear(UNREADABLE))
    }

    /// Replaces a message that was posted with the same token.
    ///
    /// # Errors
    /// See [`WebApiError`].
    pub async fn update_message(&self, posted: &Posted, message: &ChatMessage) -> Result<(), WebApiError> {
        let mut body = message.body(&[("channel", &posted.channel), ("ts", &posted.ts)]);
        // `chat.update` does not have them.
        body.remove("unfurl_links");
        body.remove("unfurl_media");
        self.call("chat.update", &body).await.map(drop)
    }

    /// Opens a form for the person whose request had this trigger id, which works for 3 s and once.
    ///
    /// # Errors
    /// See [`WebApiError`].
    pub async fn open_view(&self, trigger_id: &SecretString, view: &impl Serialize) -> Result<(), WebApiError> {
        #[derive(Serialize)]
        struct Body<'a, V> {
            trigger_id: &'a str,
            view: &'a V,
        }
        let trigger_id = trigger_id.expose_secret();
        self.call("views.open", &Body { trigger_id, view }).await.map(drop)
    }

    /// Calls a method with JSON. Returns the headers and the body of an answer with `"ok": true`.
    async fn call(&self, method: &str, body: &impl Serialize) -> Result<(HeaderMap, Value), WebApiError> {
        const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner).clone();
        let token = token.ok_or(WebApiError::NoToken)?;
        // Cannot fail: the bodies above are written to memory.
        let body = serde_json::to_vec(body).unwrap_or_default();
        let sent = request(&self.http, &self.base, method, Some(&token))
            .header(header::CONTENT_TYPE, JSON)
            .body(body)
            .timeout(self.timeout)
            .send()
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Err(WebApiError::NotSent(error.without_url())),
            Err(_) => return Err(WebApiError::Unclear("no response")),
        };
        let retry_after = retry_after(response.headers());
        match response.status() {
            StatusCode::TOO_MANY_REQUESTS => return Err(WebApiError::RateLimited(retry_after)),
            status if status.is_server_error() => return Err(WebApiError::Unclear("a 5xx status")),
            status if !status.is_success() => {
                return Err(WebApiError::Refused(Refusal::Other(format!(
                    "status {}",
                    status.as_u16()
                ))));
            }
            _ => {}
        }
        let headers = response.headers().clone();
        let body = body_of(response).await;
        let body = body.map_err(|_| WebApiError::Unclear("half a response"))?;
        let answer: Value = serde_json::from_slice(&body).map_err(|_| WebApiError::Unclear(UNREADABLE))?;
        if answer["ok"] == true {
            return Ok((headers, answer));
        }
        let text = |name: &str| answer[name].as_str().unwrap_or_default();
        Err(match text("error") {
            "ratelimited" | "rate_limited" | "message_limit_exceeded" => WebApiError::RateLimited(retry_after),
            // Slack says of these that a part may have been done.
            "fatal_error" | "internal_error" | "service_unavailable" | "request_timeout" => {
                WebApiError::Unclear("an error of its own")
            }
            code => WebApiError::Refused(Refusal::of(code, text("needed"))),
        })
    }
}

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

/// Calls a `method` of the API at `api` (with a slash at the end) with a form, and returns what the token may do. `http`
/// must follow no redirects, which would send the token to another host.
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
) -> Result<Granted, CallError> {
    const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let request = request(http, api, method, token)
        .header(header::CONTENT_TYPE, FORM)
        .body(body);
    let response = request.timeout(timeout).send().await.map_err(transport)?;
    if !response.status().is_success() {
        return Err(CallError::Status(response.status()));
    }
    let granted = granted(response.headers());
    let answer: Answer = serde_json::from_slice(&body_of(response).await?).map_err(|_| CallError::Unreadable)?;
    if answer.ok {
        return Ok(granted);
    }
    let faults = answer.errors.iter().map(|fault| fault.code.as_str());
    let codes: Vec<&str> = [answer.error.as_str()]
        .into_iter()
        .chain(faults)
        .map(|code| if is_code(code) { code } else { UNKNOWN_CODE })
        .collect();
    Err(CallError::Refused(codes.join(", ")))
}

fn request(http: &Client, api: &Url, method: &str, token: Option<&SecretString>) -> RequestBuilder {
    let mut address = api.clone();
    address.set_path(&format!("{}{method}", api.path()));
    let request = http.post(address);
    match token {
        Some(token) => request.bearer_auth(token.expose_secret()),
        None => request,
    }
}

fn granted(headers: &HeaderMap) -> Granted {
    let scopes = headers.get(SCOPES).and_then(|scopes| scopes.to_str().ok());
    let scopes = scopes.unwrap_or_default().split(',').map(str::trim);
    Granted {
        scopes: scopes.filter(|scope| is_scope(scope)).map(str::to_owned).collect(),
    }
}

fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let pause = seconds.map_or(RETRY_AFTER, Duration::from_secs);
    pause.clamp(Duration::from_secs(1), RETRY_AFTER_MAX)
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

/// Whether this is a scope such as `chat:write`, and no text.
fn is_scope(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || b"_:.,".contains(&byte);
    (1..=CODE_MAX).contains(&text.len()) && text.bytes().all(is_letter)
}

fn transport(error: reqwest::Error) -> CallError {
    CallError::Transport(error.without_url())
}
