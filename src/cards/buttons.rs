//! Buttons: their fixed action ids and texts, and the values that they carry.

use std::fmt;

use super::{RenderContext, word_enum};
use crate::kapso::SessionId;
use crate::slack::UserId;
use crate::slack::blocks::Button;

word_enum! {
    /// What a button does. Ids never change and are never used for something else: cards stay in conversations for
    /// years.
    pub enum Action / id {
        /// Opens WhatsApp. It is a link, so there is nothing to do when it is pressed.
        OpenWhatsApp = "open",
        /// Shows the activation link as a QR code.
        ShowQrCode = "qr",
        /// Shows the session's current card in the place of the pressed message: "Refresh", "Show the session".
        ShowFullCard = "refresh",
        /// Notifies the presser when the session changes.
        StartWatching = "watch",
        /// Ends that.
        StopWatching = "unwatch",
        /// Shows the session to everybody in the channel.
        ShareInChannel = "share",
        /// Shows the session in a message of its own.
        ShowInNewMessage = "show",
        /// Turns a list to its next page.
        NextPage = "page",
        /// Turns it back. An id may occur only once in a row of buttons.
        PreviousPage = "page_back",
        /// Confirms that another session for the same phone is wanted.
        CreateAnother = "again",
    }
}

impl Action {
    /// The action with this id.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.id() == id)
    }

    /// What the help says about a button of a session's card: its text, and what it does. `None` for buttons that
    /// explain themselves.
    pub(crate) fn help(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::OpenWhatsApp => Some((ACTIVATE, "opens the link")),
            Self::ShowQrCode => Some((QR_CODE, "shows a QR code to scan")),
            Self::ShowFullCard => Some((REFRESH, "shows the session as it is now")),
            Self::StartWatching => Some((WATCH, "same as `watch`")),
            Self::ShareInChannel => Some((SHARE, "shows the card to everybody there, with the phone number masked")),
            Self::StopWatching | Self::ShowInNewMessage | Self::NextPage | Self::PreviousPage | Self::CreateAnother => {
                None
            }
        }
    }
}

pub(super) const ACTIVATE: &str = "Activate in WhatsApp";
pub(super) const QR_CODE: &str = "Show QR code";
pub(super) const REFRESH: &str = "Refresh";
pub(super) const WATCH: &str = "Tell me when it is active";
pub(super) const SHARE: &str = "Share in channel";

/// A button that comes back with `value`.
pub(crate) fn button(action: Action, text: &'static str, value: &impl fmt::Display) -> Button {
    Button::action(action.id(), text, &value.to_string())
}

/// A button's value: `v1:` and fields with `:` between them.
pub(crate) fn encode_value<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let mut value = VERSION.to_owned();
    for field in fields {
        debug_assert!(!field.contains(':'), "a field must not hold the separator");
        value.push(':');
        value.push_str(field);
    }
    value
}

/// The fields of a value; `None` for another version. Values come back from a client, so they are read like typed text.
pub(crate) fn decode_value(value: &str) -> Option<Vec<&str>> {
    let fields = value.strip_prefix(VERSION)?.strip_prefix(':')?;
    Some(fields.split(':').collect())
}

const VERSION: &str = "v1";

/// The value of a button about one session: `v1:<id>` or `v1:<id>:<shared by>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ButtonValue {
    /// The session.
    pub id: SessionId,
    /// Who shared the card.
    pub shared_by: Option<UserId>,
}

impl ButtonValue {
    /// Reads a value; `None` for anything that [`fmt::Display`] does not write.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (id, shared_by) = match decode_value(value)?[..] {
            [id] => (id, None),
            [id, shared_by] => (id, Some(UserId::parse(shared_by)?)),
            _ => return None,
        };
        Some(Self {
            id: SessionId::parse(id)?,
            shared_by,
        })
    }

    /// Who shared the card whose button has this value, if it was shared.
    #[must_use]
    pub fn shared_by(value: &str) -> Option<UserId> {
        Self::parse(value)?.shared_by
    }

    /// The value of a button about this session in this context.
    pub(crate) fn new(id: &SessionId, context: &RenderContext<'_>) -> Self {
        Self {
            id: id.clone(),
            shared_by: context.shared_by.cloned(),
        }
    }
}

impl fmt::Display for ButtonValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared_by = self.shared_by.as_ref().map(UserId::as_str);
        f.write_str(&encode_value([self.id.as_str()].into_iter().chain(shared_by)))
    }
}
