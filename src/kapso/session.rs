//! A sandbox session as Kapso tells it: strict about `id` and `status`, lenient about everything else.

use std::borrow::Borrow;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

/// The id of a session: one safe path segment, `[A-Za-z0-9_-]{1,64}`. Nothing else can reach Kapso's address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(Box<str>);

impl SessionId {
    /// The most characters an id has.
    pub const MAX: usize = 64;

    /// Reads an id; `None` for anything that is not one safe path segment. Only a UUID is lower-cased.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let safe = (1..=Self::MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        safe.then(|| {
            if is_uuid(text) {
                Self(text.to_ascii_lowercase().into())
            } else {
                Self(text.into())
            }
        })
    }

    /// The id's characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a UUID, as Kapso's own ids are.
    #[must_use]
    pub fn is_uuid(&self) -> bool {
        is_uuid(&self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0.into()
    }
}

impl TryFrom<String> for SessionId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a session id")
    }
}

impl Borrow<str> for SessionId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The id of an agent: of the same characters as a session's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentId(SessionId);

impl AgentId {
    /// Reads an id; `None` for anything that is not one safe path segment. Only a UUID is lower-cased.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        SessionId::parse(text).map(Self)
    }

    /// The id's characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// A sandbox session. What Kapso left out, or sent in a form we cannot read, is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The id that was asked for.
    pub id: SessionId,
    /// Where the session stands.
    pub status: Status,
    /// The tester's phone.
    pub phone: Option<String>,
    /// The six characters the tester sends.
    pub activation_code: Option<String>,
    /// Opens WhatsApp with the code typed in.
    pub activation_link: Option<Result<ActivationLink, NotWhatsApp>>,
    /// The name of the agent that answers.
    pub agent: Option<String>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When the tester's code arrived.
    pub activated_at: Option<Timestamp>,
    /// When Kapso says it ends. Never computed here.
    pub expires_at: Option<Timestamp>,
}

impl Session {
    /// Whether it waits for its tester, who has something to activate it with.
    #[must_use]
    pub fn can_be_activated(&self) -> bool {
        let has_link = matches!(self.activation_link, Some(Ok(_)));
        self.status == Status::Pending && (has_link || self.activation_code.is_some())
    }
}

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The tester has not sent the code yet.
    Pending,
    /// The phone talks to the agent.
    Active,
    /// Its time is over.
    Expired,
    /// Another project has claimed the phone.
    Superseded,
    /// A word of Kapso's that this version does not know.
    Other(String),
}

impl From<String> for Status {
    fn from(word: String) -> Self {
        match word.as_str() {
            "pending_activation" => Self::Pending,
            "active" => Self::Active,
            "expired" => Self::Expired,
            "superseded" => Self::Superseded,
            _ => Self::Other(word),
        }
    }
}

/// An activation link that leads to WhatsApp and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationLink(Url);

/// The activation link Kapso gave leads somewhere else than WhatsApp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWhatsApp;

impl ActivationLink {
    /// The longest link taken, in characters: what fits into a button.
    pub const MAX: usize = 3_000;

    /// Takes a link only if it is https, its host is exactly one of WhatsApp's, without port or user info.
    ///
    /// # Errors
    /// [`NotWhatsApp`] for any other.
    pub fn parse(text: &str) -> Result<Self, NotWhatsApp> {
        let mut url = Url::parse(text).map_err(|_| NotWhatsApp)?;
        url.set_fragment(None);
        let whatsapp = url.scheme() == "https"
            && matches!(url.host_str(), Some("wa.me" | "api.whatsapp.com"))
            && url.port().is_none()
            && url.username().is_empty()
            && url.password().is_none()
            && url.as_str().len() <= Self::MAX;
        whatsapp.then_some(Self(url)).ok_or(NotWhatsApp)
    }

    /// The address, re-serialised: what was understood is what is sent.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl Session {
    /// Reads Kapso's `{"data": Session}` as the answer to a request for `id`.
    ///
    /// # Errors
    /// Says what is wrong with it, without quoting it.
    pub(super) fn parse(body: &[u8], id: &SessionId) -> Result<Self, String> {
        let Envelope { data } = serde_json::from_slice(body).map_err(|error| misshapen(&error))?;
        let named = lenient::<String>(Some(data.id)).ok_or("its id is no text")?;
        if !named.eq_ignore_ascii_case(id.as_str()) {
            return Err("it is about another session".to_owned());
        }
        Self::read(id.clone(), &data)
    }

    /// Reads Kapso's `{"data": Session}` about a session whose id only Kapso knows.
    ///
    /// # Errors
    /// Says what is wrong with it, without quoting it.
    pub(super) fn parse_any(body: &[u8]) -> Result<Self, String> {
        let Envelope { data } = serde_json::from_slice(body).map_err(|error| misshapen(&error))?;
        Self::read(data.id()?, &data)
    }

    /// Reads one session of a list.
    ///
    /// # Errors
    /// Says what is wrong with it, without quoting it.
    pub(super) fn parse_item(item: &RawValue) -> Result<Self, String> {
        let data: Wire<'_> = serde_json::from_str(item.get()).map_err(|error| misshapen(&error))?;
        Self::read(data.id()?, &data)
    }

    fn read(id: SessionId, data: &Wire<'_>) -> Result<Self, String> {
        let status = lenient::<String>(Some(data.status))
            .filter(|status| !status.trim().is_empty())
            .ok_or("its status is no text")?;
        Ok(Self {
            id,
            status: status.into(),
            phone: words(data.phone_number),
            activation_code: words(data.activation_code),
            activation_link: words(data.activation_link).map(|link| ActivationLink::parse(&link)),
            agent: lenient::<Agent<'_>>(data.agent).and_then(|agent| words(agent.name)),
            created_at: moment(data.created_at),
            activated_at: moment(data.activated_at),
            expires_at: moment(data.expires_at),
        })
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Wire<'a>,
}

/// The fields as they lie in the body, each to be read by itself so that a bad one costs only itself.
#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    status: &'a RawValue,
    #[serde(borrow)]
    phone_number: Option<&'a RawValue>,
    #[serde(borrow)]
    activation_code: Option<&'a RawValue>,
    #[serde(borrow)]
    activation_link: Option<&'a RawValue>,
    #[serde(borrow)]
    agent: Option<&'a RawValue>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow)]
    activated_at: Option<&'a RawValue>,
    #[serde(borrow)]
    expires_at: Option<&'a RawValue>,
}

impl Wire<'_> {
    fn id(&self) -> Result<SessionId, String> {
        let id = lenient::<String>(Some(self.id));
        id.and_then(|id| SessionId::parse(&id))
            .ok_or_else(|| "its id is none".to_owned())
    }
}

#[derive(Deserialize)]
struct Agent<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
}

/// What is wrong with JSON. Of `serde_json`'s own text only the place: the rest may quote the answer.
pub(super) fn misshapen(error: &serde_json::Error) -> String {
    format!(
        "{:?} error in its JSON at line {}, column {}",
        error.classify(),
        error.line(),
        error.column()
    )
}

pub(super) fn lenient<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// RFC 3339, as Kapso writes its timestamps.
fn moment(raw: Option<&RawValue>) -> Option<Timestamp> {
    words(raw)?.parse().ok()
}

fn words(raw: Option<&RawValue>) -> Option<String> {
    lenient::<String>(raw).filter(|words| !words.trim().is_empty())
}
