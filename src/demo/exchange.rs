//! The recorded HTTP traffic of one command, button press or shortcut, in both directions.

use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::cards::Action;
use crate::commands;

/// One command, button press or shortcut, and everything the app replied to it.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// Counts from 1, see [`super::DirectResponse::exchange`].
    pub number: u64,
    #[serde(flatten)]
    pub act: UserAction,
    /// The request that Slack sent.
    pub request: Option<SlackRequest>,
    /// The app's replies, in order of arrival.
    pub replies: Vec<AppReply>,
    #[serde(skip)]
    pub(super) began: Instant,
}

/// What the person did.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UserAction {
    /// Sent this command.
    Typed(String),
    /// Pressed the button with this action id.
    Pressed(String),
    /// Chose the shortcut with this callback id in the menu of a message.
    Chosen(String),
    /// Submitted the form with this callback id. Its reply belongs to the command that opened the form.
    Submitted(String),
}

/// A request from Slack to the app. Through the socket it is not signed: what concerns the signature is empty.
#[derive(Clone, Debug, Serialize)]
pub struct SlackRequest {
    /// Of the HTTP request; through the socket, the type of the envelope.
    pub path: &'static str,
    /// `X-Slack-Request-Timestamp`: Unix seconds.
    pub timestamp: String,
    /// `X-Slack-Signature`.
    pub signature: String,
    /// The signed string, `v0:<timestamp>:<body>`.
    pub base_string: String,
    /// The form's fields; `payload` is parsed JSON.
    pub fields: Value,
}

/// A reply of the app.
#[derive(Clone, Debug, Serialize)]
pub struct AppReply {
    pub by: DeliveryPath,
    /// Status of the app's response, or of Slack's response to the post; `None` if there was no response.
    pub status: Option<u16>,
    /// Milliseconds since the request.
    pub after_ms: u64,
    /// The message; null for an empty body.
    pub body: Value,
}

/// How a reply arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryPath {
    /// In the HTTP response, or the acknowledgement on the socket.
    Response,
    /// As a post to the `response_url`.
    ResponseUrl,
    /// Through the Web API.
    WebApi,
}

impl Exchange {
    pub(super) fn new(number: u64, act: UserAction) -> Self {
        Self {
            number,
            act,
            request: None,
            replies: Vec::new(),
            began: Instant::now(),
        }
    }

    /// The command; `None` for a press or a shortcut.
    #[must_use]
    pub fn typed(&self) -> Option<&str> {
        match &self.act {
            UserAction::Typed(command) => Some(command),
            UserAction::Pressed(_) | UserAction::Chosen(_) | UserAction::Submitted(_) => None,
        }
    }

    /// How many messages the app may send in all: the reply, and the notification of a watch or the confirmation of a
    /// shared card; for a pressed card that is watched, also its update.
    pub(super) fn max_messages(&self) -> u32 {
        let reserves_posts = match &self.act {
            UserAction::Typed(command) => {
                let (name, text) = command.split_once(' ').unwrap_or((command, ""));
                let (text, _) = commands::split_project(text);
                commands::parse(&text, name).posts_reserved() > 0
            }
            // The command that a button runs may be to watch.
            UserAction::Pressed(action) => {
                if [Action::StartWatching.id(), Action::RunCommand.id()].contains(&action.as_str()) {
                    return 3;
                }
                false
            }
            UserAction::Chosen(_) | UserAction::Submitted(_) => false,
        };
        1 + u32::from(reserves_posts || self.is_share())
    }

    /// How many messages of the same visibility (ephemeral or in the channel) the app may send.
    pub(super) fn max_messages_per_visibility(&self) -> u32 {
        if self.is_share() { 1 } else { self.max_messages() }
    }

    fn is_share(&self) -> bool {
        matches!(&self.act, UserAction::Pressed(action) if action == Action::ShareInChannel.id())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn record_reply(&mut self, by: DeliveryPath, status: Option<StatusCode>, body: &[u8]) {
        let body = serde_json::from_slice(body).unwrap_or_else(|_| match String::from_utf8_lossy(body) {
            text if text.is_empty() => Value::Null,
            text => text.into(),
        });
        self.replies.push(AppReply {
            by,
            status: status.map(|status| status.as_u16()),
            after_ms: milliseconds(self.elapsed()),
            body,
        });
    }
}

impl SlackRequest {
    pub(super) fn new(path: &'static str, timestamp: &str, signature: &str, form: &str) -> Self {
        let fields = form_urlencoded::parse(form.as_bytes()).map(|(name, value)| {
            let value = match name.as_ref() {
                "payload" => serde_json::from_str(&value).unwrap_or(Value::Null),
                _ => value.into_owned().into(),
            };
            (name.into_owned(), value)
        });
        Self {
            path,
            timestamp: timestamp.to_owned(),
            signature: signature.to_owned(),
            base_string: format!("v0:{timestamp}:{form}"),
            fields: Value::Object(fields.collect::<Map<_, _>>()),
        }
    }

    /// A request through the socket.
    pub(super) fn of_envelope(kind: &'static str, fields: Value) -> Self {
        Self {
            path: kind,
            timestamp: String::new(),
            signature: String::new(),
            base_string: String::new(),
            fields,
        }
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
