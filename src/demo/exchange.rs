//! What went over the wire for one command or press, both ways, for those who want to see it.

use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::cards::Action;
use crate::commands;

/// One command or press, and everything the app answered.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// Its number, see [`super::Sent::exchange`].
    pub number: u64,
    /// What the person did.
    #[serde(flatten)]
    pub act: Act,
    /// What Slack sent for it.
    pub request: Option<Request>,
    /// What the app answered, in the order it came.
    pub answers: Vec<Answer>,
    #[serde(skip)]
    pub(super) began: Instant,
}

/// What the person did.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Typed this command.
    Typed(String),
    /// Pressed the button with this action id.
    Pressed(String),
}

/// A request of Slack's.
#[derive(Clone, Debug, Serialize)]
pub struct Request {
    /// Where it went.
    pub path: &'static str,
    /// `X-Slack-Request-Timestamp`.
    pub stamp: String,
    /// `X-Slack-Signature`.
    pub signature: String,
    /// What was signed.
    pub base_string: String,
    /// The form, taken apart.
    pub fields: Value,
}

/// An answer of the app's.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// Which way it came.
    pub by: Way,
    /// The app's status for a response, Slack's for a post; none if there was no response.
    pub status: Option<u16>,
    /// How long after the request.
    pub after_ms: u64,
    /// What came: a message, or null for an empty body.
    pub body: Value,
}

/// Which way an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// In the HTTP response, at once.
    Response,
    /// Posted to the `response_url`, later.
    ResponseUrl,
}

impl Exchange {
    /// Begins now.
    pub(super) fn new(number: u64, act: Act) -> Self {
        Self {
            number,
            act,
            request: None,
            answers: Vec::new(),
            began: Instant::now(),
        }
    }

    /// The command, where it was one.
    #[must_use]
    pub fn typed(&self) -> Option<&str> {
        match &self.act {
            Act::Typed(command) => Some(command),
            Act::Pressed(_) => None,
        }
    }

    /// How many messages may come for it in all: its answer, and the news for those who asked for some, or the word to
    /// who shared a card that it was shared.
    pub(super) fn due(&self) -> u32 {
        let asks_for_news = match &self.act {
            Act::Typed(command) => {
                let text = command.split_once(' ').map_or("", |(_, text)| text);
                commands::parse(text).posts_reserved() > 0
            }
            Act::Pressed(action) => action == Action::StartWatching.id(),
        };
        1 + u32::from(asks_for_news || self.shares())
    }

    /// How many messages may come for it that everybody sees, or that only who asked sees.
    pub(super) fn due_alike(&self) -> u32 {
        if self.shares() { 1 } else { self.due() }
    }

    fn shares(&self) -> bool {
        matches!(&self.act, Act::Pressed(action) if action == Action::ShareInChannel.id())
    }

    pub(super) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn answer(&mut self, by: Way, status: Option<StatusCode>, body: &[u8]) {
        let body = serde_json::from_slice(body).unwrap_or_else(|_| match String::from_utf8_lossy(body) {
            empty if empty.is_empty() => Value::Null,
            text => text.into(),
        });
        self.answers.push(Answer {
            by,
            status: status.map(|status| status.as_u16()),
            after_ms: milliseconds(self.took()),
            body,
        });
    }
}

impl Request {
    pub(super) fn new(path: &'static str, stamp: &str, signature: &str, form: &str) -> Self {
        let fields = form_urlencoded::parse(form.as_bytes()).map(|(name, value)| {
            let value = match name.as_ref() {
                "payload" => serde_json::from_str(&value).unwrap_or(Value::Null),
                _ => value.into_owned().into(),
            };
            (name.into_owned(), value)
        });
        Self {
            path,
            stamp: stamp.to_owned(),
            signature: signature.to_owned(),
            base_string: format!("v0:{stamp}:{form}"),
            fields: Value::Object(fields.collect::<Map<_, _>>()),
        }
    }
}

pub(super) fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
