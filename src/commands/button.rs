//! What a button says when it is pressed: a fixed action id, and a value that carries all the state there is.

use std::fmt;

use crate::kapso::SessionId;
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
}

impl Action {
    const ALL: [Self; 5] = [Self::Open, Self::Refresh, Self::Watch, Self::Unwatch, Self::Qr];

    /// The action id in Slack's payloads. Fixed: cards stay in conversations for years.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refresh => "refresh",
            Self::Watch => "watch",
            Self::Unwatch => "unwatch",
            Self::Qr => "qr",
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
