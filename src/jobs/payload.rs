//! What a job carries: all that a process which never saw the request needs to finish it.

use std::fmt;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::job::Kind;
use crate::cards::ReplyTarget;
use crate::kapso::SessionId;
use crate::slack::{UserId, Who};

/// How payloads are written now. To be raised with every change that an earlier version would misread, a new button's
/// action among them.
pub(super) const VERSION: i64 = 2;

/// What is to be done, and for whom.
#[derive(Clone, Debug)]
pub enum Payload {
    /// An answer that is owed since an empty 200.
    Late(Late),
    /// Telling somebody when a session changes.
    Watch(Watch),
}

/// An answer that is owed since an empty 200.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Late {
    /// What was asked for, as Slack sent it: read again by whoever goes on with it.
    pub ask: Trigger,
    /// The session it is about.
    #[serde(with = "optional_session")]
    pub session: Option<SessionId>,
    /// The fingerprint of a command that creates something, so that whoever goes on with it does not create it again.
    /// Version 1 had none, and created nothing.
    pub trigger: Option<String>,
    /// Who asked.
    #[serde(with = "WhoForm")]
    pub who: Who,
    /// What the answer answers.
    #[serde(with = "ReplyTargetForm")]
    pub place: ReplyTarget,
    /// Finds the command in the log.
    pub request_id: String,
    /// Where the answer goes.
    #[serde(with = "secret")]
    pub response_url: SecretString,
    /// When the `response_url` came: its 29 minutes count from here.
    #[serde(with = "milliseconds")]
    pub arrived_at: Timestamp,
    /// How many posts the `response_url` still takes.
    pub uses_left: u32,
}

/// What somebody sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The text behind the slash command.
    Typed(String),
    /// A press on a button.
    Pressed {
        /// Which button.
        action: String,
        /// What the button carried.
        value: String,
    },
}

impl fmt::Debug for Trigger {
    /// Without the words, which may hold a phone number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Typed(_) => f.debug_tuple("Typed").finish_non_exhaustive(),
            Self::Pressed { action, .. } => f
                .debug_struct("Pressed")
                .field("action", action)
                .finish_non_exhaustive(),
        }
    }
}

/// Somebody who waits for a session to change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Watch {
    /// The session.
    #[serde(with = "session")]
    pub session: SessionId,
    /// When the session was created, where Kapso said so.
    #[serde(with = "optional_milliseconds")]
    pub session_created_at: Option<Timestamp>,
    /// Who watches.
    #[serde(with = "WhoForm")]
    pub who: Who,
    /// Who shared the card on which they asked for it, where it was shared.
    #[serde(with = "optional_user", default)]
    pub sharer: Option<UserId>,
    /// Finds the command in the log.
    pub request_id: String,
    /// Where the news go.
    #[serde(with = "secret")]
    pub response_url: SecretString,
    /// When the `response_url` came: its 29 minutes count from here.
    #[serde(with = "milliseconds")]
    pub arrived_at: Timestamp,
    /// How many posts the `response_url` still takes.
    pub uses_left: u32,
    /// How often in a row Kapso had no session with this id.
    pub not_found: u32,
}

impl Payload {
    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Late(_) => Kind::Late,
            Self::Watch(_) => Kind::Watch,
        }
    }

    /// When its `response_url` came.
    #[must_use]
    pub fn arrived_at(&self) -> Timestamp {
        match self {
            Self::Late(late) => late.arrived_at,
            Self::Watch(watch) => watch.arrived_at,
        }
    }

    pub(super) fn to_json(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Late(late) => serde_json::to_string(late),
            Self::Watch(watch) => serde_json::to_string(watch),
        }
    }

    pub(super) fn from_json(kind: Kind, json: &str) -> Result<Self, serde_json::Error> {
        match kind {
            Kind::Late => serde_json::from_str(json).map(Self::Late),
            Kind::Watch => serde_json::from_str(json).map(Self::Watch),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Who")]
struct WhoForm {
    team: String,
    home_team: Option<String>,
    enterprise: Option<String>,
    channel: String,
    user: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ReplyTarget", rename_all = "snake_case")]
enum ReplyTargetForm {
    Command,
    NewMessage,
    OwnCard,
    SharedCard,
}

mod secret {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose_secret())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
        String::deserialize(from).map(Into::into)
    }
}

mod session {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    use super::SessionId;

    pub(super) fn serialize<S: Serializer>(id: &SessionId, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(id.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SessionId, D::Error> {
        super::optional_session::deserialize(from)?.ok_or_else(|| D::Error::custom("no session id"))
    }
}

mod optional_session {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::SessionId;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(id: &Option<SessionId>, to: S) -> Result<S::Ok, S::Error> {
        id.as_ref().map(SessionId::as_str).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SessionId>, D::Error> {
        let read = |id: String| SessionId::parse(&id).ok_or_else(|| D::Error::custom("no session id"));
        Option::<String>::deserialize(from)?.map(read).transpose()
    }
}

mod optional_user {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::UserId;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(id: &Option<UserId>, to: S) -> Result<S::Ok, S::Error> {
        id.as_ref().map(UserId::as_str).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<UserId>, D::Error> {
        let read = |id: String| UserId::parse(&id).ok_or_else(|| D::Error::custom("no person's id"));
        Option::<String>::deserialize(from)?.map(read).transpose()
    }
}

mod milliseconds {
    use jiff::Timestamp;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.as_millisecond())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        Timestamp::from_millisecond(i64::deserialize(from)?).map_err(D::Error::custom)
    }
}

mod optional_milliseconds {
    use jiff::Timestamp;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        at.map(Timestamp::as_millisecond).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        let read = |ms| Timestamp::from_millisecond(ms).map_err(D::Error::custom);
        Option::<i64>::deserialize(from)?.map(read).transpose()
    }
}
