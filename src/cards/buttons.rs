//! Buttons: their fixed action ids and texts, and the values that they carry.

use std::fmt;

use super::{RenderContext, word_enum};
use crate::kapso::SessionId;
use crate::slack::blocks::Button;

word_enum! {
    /// What a button does. Ids never change and are never used for something else: cards stay in conversations for
    /// years.
    pub enum Action / id {
        /// Opens WhatsApp. It is a link, so there is nothing to do when it is pressed.
        OpenWhatsApp = "open",
        /// Shows the activation link as a QR code.
        ShowQrCode = "qr",
        /// Replaces the pressed message by the session's current card: "Refresh", "Show the session".
        ShowFullCard = "refresh",
        /// Notifies the presser when the session changes.
        StartWatching = "watch",
        /// Stops these notifications.
        StopWatching = "unwatch",
        /// The same from the list of watches, which is shown again.
        StopListed = "unwatch_listed",
        /// Shows the session to everybody in the channel.
        ShareInChannel = "share",
        /// Shows the session in a separate message.
        ShowInNewMessage = "show",
        /// Shows the next page of a list.
        NextPage = "page",
        /// Shows the previous page. An id may occur only once in a row of buttons.
        PreviousPage = "page_back",
        /// Confirms that another session for the same phone is wanted.
        CreateAnother = "again",
        /// Asks whether to create a new session for the phone and the agent of one that has ended.
        CreateNewSession = "create",
        /// Runs a command as if it were typed: the one that a correction or a problem offers.
        RunCommand = "run",
    }
}

impl Action {
    /// The action with this id.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.id() == id)
    }

    /// The text of a button of a session's card, and the help about it. `None` for buttons that need no explanation.
    pub(crate) fn help(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::OpenWhatsApp => Some((ACTIVATE, "opens the link")),
            Self::ShowQrCode => Some((QR_CODE, "shows a QR code to scan")),
            Self::ShowFullCard => Some((REFRESH, "shows the session as it is now")),
            Self::StartWatching => Some((WATCH, "same as `watch`")),
            Self::ShareInChannel => Some((SHARE, "shows the card to everybody there, with the phone number masked")),
            Self::CreateNewSession => Some((CREATE, "creates one for the same phone, after this one has ended")),
            Self::StopWatching
            | Self::StopListed
            | Self::ShowInNewMessage
            | Self::NextPage
            | Self::PreviousPage
            | Self::CreateAnother
            | Self::RunCommand => None,
        }
    }
}

pub(super) const ACTIVATE: &str = "Activate in WhatsApp";
pub(super) const QR_CODE: &str = "Show QR code";
pub(super) const REFRESH: &str = "Refresh";
pub(super) const WATCH: &str = "Tell me when it is active";
pub(super) const SHARE: &str = "Share in channel";
pub(super) const CREATE: &str = "Create a new session";

/// A button whose press sends `value`, signed together with the origin of the button. Makes all buttons with values.
pub(crate) fn button(
    action: Action,
    text: &'static str,
    value: &impl fmt::Display,
    context: &RenderContext<'_>,
) -> Button {
    Button::action(action.id(), text, &context.sign(&value.to_string()))
}

/// The content of a button's value: `v1:` and fields with `:` between them.
pub(crate) fn encode_value<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let mut value = VERSION.to_owned();
    for field in fields {
        debug_assert!(!field.contains(':'), "a field must not contain the separator");
        value.push(':');
        value.push_str(field);
    }
    value
}

/// The fields of a value's content; `None` for another version.
pub(crate) fn decode_value(value: &str) -> Option<Vec<&str>> {
    let fields = value.strip_prefix(VERSION)?.strip_prefix(':')?;
    Some(fields.split(':').collect())
}

const VERSION: &str = "v1";

/// The content of the value of a button about one session: `v1:<id>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionValue(pub SessionId);

impl SessionValue {
    /// Reads a content; `None` for anything that [`fmt::Display`] does not write.
    #[must_use]
    pub fn parse(content: &str) -> Option<Self> {
        let [id] = decode_value(content)?[..] else {
            return None;
        };
        SessionId::parse(id).map(Self)
    }
}

impl fmt::Display for SessionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_value([self.0.as_str()]))
    }
}

/// The content of the value of a button that runs a command: `v1:<text>`, where the text is how it is typed. It consists
/// of command words, ids and phone numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedValue(pub String);

impl TypedValue {
    /// Reads a content; `None` for anything that [`fmt::Display`] does not write.
    #[must_use]
    pub fn parse(content: &str) -> Option<Self> {
        let [text] = decode_value(content)?[..] else {
            return None;
        };
        Some(Self(text.to_owned()))
    }
}

impl fmt::Display for TypedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_value([self.0.as_str()]))
    }
}
