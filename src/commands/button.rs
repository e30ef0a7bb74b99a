//! What a button says when it is pressed: a fixed action id, and a value that carries all the state there is.

use std::fmt;

use super::list::LAST_PAGE;
use super::{ConfirmationToken, NewSession, Phone};
use crate::kapso::{AgentId, SessionId};
use crate::slack::UserId;

/// The buttons that this version puts on its cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Opens WhatsApp; Slack tells us, and there is nothing to do.
    Open,
    /// Shows the session as it is now.
    Refresh,
    /// Tells the presser when the session changes.
    Watch,
    /// Tells them no longer.
    Unwatch,
    /// Shows the activation link as a QR code.
    Qr,
    /// Shows the session to everybody in the channel.
    Share,
    /// Shows a session of a list.
    Show,
    /// Turns a list to its next page.
    Page,
    /// Turns it back. Slack wants every id but once in a row of buttons.
    PageBack,
    /// Yes, another session for the same phone.
    Again,
}

impl Action {
    /// Every button, in the order of the help.
    pub const ALL: [Self; 10] = [
        Self::Open,
        Self::Qr,
        Self::Refresh,
        Self::Watch,
        Self::Unwatch,
        Self::Share,
        Self::Show,
        Self::Page,
        Self::PageBack,
        Self::Again,
    ];

    /// The action id in Slack's payloads. Fixed: cards stay in conversations for years.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refresh => "refresh",
            Self::Watch => "watch",
            Self::Unwatch => "unwatch",
            Self::Qr => "qr",
            Self::Share => "share",
            Self::Show => "show",
            Self::Page => "page",
            Self::PageBack => "page_back",
            Self::Again => "again",
        }
    }

    /// The action with this id.
    #[must_use]
    pub fn named(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.id() == id)
    }
}

/// A button's value, `v1:<id>` or `v1:<id>:<sharer>`. It comes back from a client, so it is read like any typed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ButtonValue {
    /// The session the button is about.
    pub id: SessionId,
    /// Who shared the card.
    pub sharer: Option<UserId>,
}

impl ButtonValue {
    /// Reads a value; `None` for anything that [`fmt::Display`] does not write.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let rest = value.strip_prefix("v1:")?;
        let (id, sharer) = match rest.split_once(':') {
            Some((id, sharer)) => (id, Some(UserId::parse(sharer)?)),
            None => (rest, None),
        };
        Some(Self {
            id: SessionId::parse(id)?,
            sharer,
        })
    }

    /// Who shared the card whose button has this value, where it was shared.
    #[must_use]
    pub fn sharer(value: &str) -> Option<UserId> {
        Self::parse(value)?.sharer
    }
}

impl fmt::Display for ButtonValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1:{}", self.id)?;
        match &self.sharer {
            Some(sharer) => write!(f, ":{}", sharer.as_str()),
            None => Ok(()),
        }
    }
}

/// What a button says that turns a list to a page: `v1:<page>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageValue(pub u32);

impl PageValue {
    /// Reads a value; `None` for anything that [`fmt::Display`] does not write.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let page = Self(value.strip_prefix("v1:")?.parse().ok()?);
        ((1..=LAST_PAGE).contains(&page.0) && page.to_string() == value).then_some(page)
    }
}

impl fmt::Display for PageValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1:{}", self.0)
    }
}

/// What the yes to "again?" says: `v1:<question>:<phone>` or `v1:<question>:<phone>:<agent>`. It stands in a message
/// that only who typed the phone number sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgainValue(pub NewSession);

impl AgainValue {
    /// Reads a value; `None` for anything that [`fmt::Display`] does not write.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (question, wanted) = value.strip_prefix("v1:")?.split_once(':')?;
        let (phone, agent) = match wanted.split_once(':') {
            Some((phone, agent)) => (phone, Some(AgentId::parse(agent)?)),
            None => (wanted, None),
        };
        let phone = Phone::parse(phone).filter(|read| read.as_str() == phone)?;
        Some(Self(NewSession {
            phone,
            agent,
            answers: Some(ConfirmationToken::parse(question)?),
        }))
    }
}

impl fmt::Display for AgainValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let question = self.0.answers.as_ref().map_or("", ConfirmationToken::as_str);
        write!(f, "v1:{question}:{}", self.0.phone.as_str())?;
        match &self.0.agent {
            Some(agent) => write!(f, ":{}", agent.as_str()),
            None => Ok(()),
        }
    }
}
