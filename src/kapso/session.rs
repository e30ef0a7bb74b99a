//! A sandbox session as Kapso sends it: strict about `id` and `status`, lenient about everything else.

use std::borrow::Borrow;
use std::fmt;

use jiff::Timestamp;
use jiff::civil::date;
use jiff::fmt::temporal::Pieces;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use url::Url;

/// The id of a session: one safe path segment, `[A-Za-z0-9_-]{1,64}`. Nothing else becomes part of a Kapso URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(Box<str>);

impl SessionId {
    /// Longest id, in characters.
    pub const MAX: usize = 64;

    /// Parses an id; `None` for anything that is not one safe path segment. Only a UUID is lower-cased.
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

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first group of a UUID, or the whole id. Several ids may have the same.
    #[must_use]
    pub fn short(&self) -> &str {
        if self.is_uuid() { &self.0[..8] } else { &self.0 }
    }

    /// Whether it is a UUID, like the ids that Kapso creates.
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

/// The id of an agent, in the same form as a session's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentId(SessionId);

impl AgentId {
    /// Parses an id; `None` for anything that is not one safe path segment. Only a UUID is lower-cased.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        SessionId::parse(text).map(Self)
    }

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

/// A sandbox session. A field that Kapso left out, or that cannot be parsed, is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub status: Status,
    /// The tester's phone number.
    pub phone: Option<String>,
    /// The six characters that the tester sends to WhatsApp.
    pub activation_code: Option<String>,
    /// Opens WhatsApp with the code pre-filled.
    pub activation_link: Option<Result<ActivationLink, NotWhatsApp>>,
    /// The agent's name.
    pub agent: Option<String>,
    pub agent_id: Option<AgentId>,
    pub created_at: Option<Timestamp>,
    /// When the tester's code arrived.
    pub activated_at: Option<Timestamp>,
    /// As Kapso sends it, never computed here.
    pub expires_at: Option<Timestamp>,
}

impl Session {
    /// Its status at `now`, see [`Status::at`].
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> &Status {
        self.status.at(self.expires_at, now)
    }

    /// What its expiry says at `now`, if that agrees with its status: a session that has ended otherwise does not expire
    /// any more.
    #[must_use]
    pub fn expiry_at(&self, now: Timestamp) -> Option<Expiry> {
        let expires_at = self.expires_at?;
        let is_past = expires_at < now;
        match self.status_at(now) {
            Status::Expired | Status::Other(_) if is_past => Some(Expiry::Past(expires_at)),
            Status::Expired | Status::Superseded => None,
            Status::Pending | Status::Active | Status::Other(_) => Some(Expiry::Future(expires_at)),
        }
    }

    /// Whether it is pending at `now` and has a code or link to activate it with.
    #[must_use]
    pub fn can_be_activated(&self, now: Timestamp) -> bool {
        let has_link = matches!(self.activation_link, Some(Ok(_)));
        *self.status_at(now) == Status::Pending && (has_link || self.activation_code.is_some())
    }
}

/// The expiry of a session, see [`Session::expiry_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It expires at this time.
    Future(Timestamp),
    /// It expired at this time.
    Past(Timestamp),
}

/// The status of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The tester has not sent the code yet.
    Pending,
    /// Messages from the phone reach the agent.
    Active,
    /// Past its expiry.
    Expired,
    /// Another project has claimed the phone.
    Superseded,
    /// A status that this version does not know.
    Other(String),
}

impl Status {
    /// Whether nothing changes any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        match self {
            Self::Expired | Self::Superseded => true,
            Self::Pending | Self::Active | Self::Other(_) => false,
        }
    }

    /// What the status of a session with this expiry amounts to at `now`. Kapso may still call a session pending or
    /// active after its expiry; then it counts as expired. Everything that shows a session or decides about it uses
    /// this.
    #[must_use]
    pub fn at(&self, expires_at: Option<Timestamp>, now: Timestamp) -> &Self {
        match self {
            Self::Pending | Self::Active if expires_at.is_some_and(|at| at < now) => &Self::Expired,
            Self::Pending | Self::Active | Self::Expired | Self::Superseded | Self::Other(_) => self,
        }
    }
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

/// An activation link that is known to lead to WhatsApp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationLink(Url);

/// The activation link leads somewhere else than to WhatsApp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotWhatsApp;

impl ActivationLink {
    /// Longest link, in characters: Slack's limit for the address of a button.
    pub const MAX: usize = 3_000;

    /// Accepts a link only if it is https and its host is exactly one of WhatsApp's, without port or user info.
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

    /// The address, re-serialised, so that Slack gets what was checked here.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl Session {
    /// Parses Kapso's `{"data": Session}` as the response to a request for `id`.
    ///
    /// # Errors
    /// Says what is wrong with it, without quoting it.
    pub(super) fn parse(body: &[u8], id: &SessionId) -> Result<Self, String> {
        let Envelope { data } = serde_json::from_slice(body).map_err(|error| describe(&error))?;
        let actual = lenient::<String>(Some(data.id)).ok_or("its id is not a string")?;
        if !actual.eq_ignore_ascii_case(id.as_str()) {
            return Err("it is about another session".to_owned());
        }
        Self::read(id.clone(), &data)
    }

    /// Parses Kapso's `{"data": Session}` for a session that Kapso has just created.
    ///
    /// # Errors
    /// Says what is wrong with it, without quoting it.
    pub fn parse_any(body: &[u8]) -> Result<Self, String> {
        let Envelope { data } = serde_json::from_slice(body).map_err(|error| describe(&error))?;
        Self::read(data.id()?, &data)
    }

    /// Parses one session of a list.
    ///
    /// # Errors
    /// Says what is wrong with it, without quoting it.
    pub(super) fn parse_item(item: &RawValue) -> Result<Self, String> {
        let data: Wire<'_> = serde_json::from_str(item.get()).map_err(|error| describe(&error))?;
        Self::read(data.id()?, &data)
    }

    fn read(id: SessionId, data: &Wire<'_>) -> Result<Self, String> {
        let status = lenient::<String>(Some(data.status))
            .filter(|status| !status.trim().is_empty())
            .ok_or("its status is not a string")?;
        // Serde would read an array as the fields in their order.
        let agent = data.agent.filter(|agent| agent.get().starts_with('{'));
        let agent = lenient::<Agent<'_>>(agent);
        let agent_id = agent.as_ref().and_then(|agent| lenient::<String>(agent.id));
        Ok(Self {
            id,
            status: status.into(),
            phone: non_blank(data.phone_number),
            activation_code: non_blank(data.activation_code),
            activation_link: non_blank(data.activation_link).map(|link| ActivationLink::parse(&link)),
            agent: agent.and_then(|agent| non_blank(agent.name)),
            agent_id: agent_id.and_then(|id| AgentId::parse(&id)),
            created_at: timestamp(data.created_at),
            activated_at: timestamp(data.activated_at),
            expires_at: timestamp(data.expires_at),
        })
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Wire<'a>,
}

/// The fields as raw JSON. Each is parsed separately, so that a bad one does not make the others unusable.
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
            .ok_or_else(|| "its id is not valid".to_owned())
    }
}

#[derive(Deserialize)]
struct Agent<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
}

/// Describes a JSON error by its kind and position only: `serde_json`'s own message may quote the response.
pub(super) fn describe(error: &serde_json::Error) -> String {
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

/// RFC 3339, as Kapso writes its timestamps. The last two days of the year 9999, which some systems write for "never",
/// are later than any [`Timestamp`], and are read as the latest.
fn timestamp(raw: Option<&RawValue>) -> Option<Timestamp> {
    let text = non_blank(raw)?;
    text.parse().ok().or_else(|| {
        let pieces = Pieces::parse(&text).ok()?;
        let is_complete = pieces.time().is_some() && pieces.to_numeric_offset().is_some();
        (is_complete && pieces.date() >= date(9999, 12, 30)).then_some(Timestamp::MAX)
    })
}

fn non_blank(raw: Option<&RawValue>) -> Option<String> {
    lenient::<String>(raw).filter(|text| !text.trim().is_empty())
}
