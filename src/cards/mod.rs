//! What several commands render: the session card, buttons, times, problems and notifications. Pure functions.

pub mod buttons;
pub(crate) mod expiry;
mod largest;
pub mod notification;
pub mod problem;
#[cfg(feature = "demo")]
pub(crate) mod samples;
pub(crate) mod sentence;
pub mod session;
pub(crate) mod time;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::buttons::{Action, SessionValue};
pub use self::largest::largest_card;
pub use self::notification::Notification;
pub use self::problem::Problem;
use self::sentence::{fill, monospace};
use crate::config::Alias;
use crate::qr::Addresses;
use crate::slack::UserId;
use crate::slack::blocks::{Block, Text};
use crate::slack::button_value::{Origin, SharedBy, ValueSigner};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// What rendering a message depends on besides its subject.
#[derive(Clone, Copy, Debug)]
pub struct RenderContext<'a> {
    /// The time that ages and remaining times are relative to.
    pub now: Timestamp,
    /// The slash command's name, such as `/sandbox`.
    pub command: &'a str,
    /// Shown below a problem, so that the operator finds the request in the log.
    pub request_id: &'a str,
    /// What the message is a reply to.
    pub target: ReplyTarget,
    /// Whether its reader may create sessions.
    pub may_create: bool,
    /// Where the buttons of the message come from. If a card that led to this request was a shared one, its phone number
    /// was masked, so it is masked in everything that follows from it too.
    pub origin: &'a Origin,
    /// The project to name in the message: the one that it is about, where there are several.
    pub project: Option<&'a Alias>,
    /// Signs the values of the buttons.
    pub signer: &'a ValueSigner,
    /// Signs the addresses of QR codes; `None` if Slack cannot reach this app to fetch them.
    pub qr_addresses: Option<&'a Addresses>,
}

impl RenderContext<'_> {
    /// Whether people other than the one who looked the session up may see the message.
    #[must_use]
    pub fn masks_phone(&self) -> bool {
        self.target == ReplyTarget::SharedCard || self.origin.shared_by.is_some()
    }

    /// Who shared the card that the message is, or that led to it, if that is known.
    #[must_use]
    pub fn shared_by(&self) -> Option<&UserId> {
        self.origin.shared_by.as_ref().and_then(SharedBy::person)
    }

    /// The value of a button of the message.
    fn sign(&self, content: &str) -> String {
        self.signer.sign(content, self.origin)
    }

    /// A command to copy: the command's name, the project if it is to be named, and `words`.
    #[must_use]
    pub fn typed(&self, words: &str) -> Mrkdwn {
        match self.project {
            Some(alias) => monospace(&format!("{} @{alias} {words}", self.command)),
            None => monospace(&format!("{} {words}", self.command)),
        }
    }

    /// The message, with the name of the project if it is to be named.
    #[must_use]
    pub(crate) fn name_project(&self, message: Message) -> Message {
        let Some(alias) = self.project else {
            return message;
        };
        let alias = || [("alias", monospace(alias.as_str()))];
        let block = Block::context(vec![Text::mrkdwn(fill("Project {alias}", alias()))]);
        message.labelled(fill("Project {alias}: ", alias()), block)
    }
}

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyTarget {
    /// A slash command.
    Command,
    /// A button whose result is always a separate message.
    NewMessage,
    /// A button on a message that only the presser sees.
    OwnCard,
    /// A button on a message that the whole channel sees.
    SharedCard,
    /// A button on a direct message of the app.
    DirectMessage,
}

/// A rendered reply, and whether it replaces the message whose button was pressed.
#[derive(Clone, Debug)]
pub struct View {
    message: Message,
    replaces: Replaces,
}

/// Which message a reply to a button replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaces {
    /// None: the reply is a separate message, and the pressed one stays.
    Nothing,
    /// The pressed one, if nobody else sees it.
    OwnCard,
    /// The pressed one, even if the whole channel sees it.
    AnyCard,
}

impl View {
    /// A message, and what it replaces when it answers a button.
    #[must_use]
    pub fn new(message: Message, replaces: Replaces) -> Self {
        Self { message, replaces }
    }

    /// The message as it is sent to the target of `context`.
    #[must_use]
    pub fn into_message(self, context: &RenderContext<'_>) -> Message {
        let message = context.name_project(self.message);
        match (context.target, self.replaces) {
            (ReplyTarget::Command, Replaces::Nothing | Replaces::OwnCard | Replaces::AnyCard) => message,
            (ReplyTarget::OwnCard, Replaces::OwnCard | Replaces::AnyCard) => message.replacing(true),
            // Slack keeps the message.
            (ReplyTarget::DirectMessage, Replaces::OwnCard | Replaces::AnyCard)
            | (ReplyTarget::SharedCard, Replaces::AnyCard) => message.in_channel().replacing(true),
            (ReplyTarget::NewMessage, Replaces::Nothing | Replaces::OwnCard | Replaces::AnyCard)
            | (ReplyTarget::OwnCard | ReplyTarget::DirectMessage, Replaces::Nothing)
            | (ReplyTarget::SharedCard, Replaces::Nothing | Replaces::OwnCard) => message.replacing(false),
        }
    }
}

/// Declares an enum of fixed words together with `ALL` and the functions that return a variant's word and its doc
/// comment, so that none of them can miss a variant.
macro_rules! word_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident / $word:ident {
            $($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $name {
            /// Every variant, in the order of the declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its fixed word.
            #[must_use]
            pub const fn $word(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// What it means, for the documentation.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

pub(crate) use word_enum;
