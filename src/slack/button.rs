//! A button, and the dialog that asks before it is pressed, with Slack's limits kept where they are made.
//!
//! Source: <https://docs.slack.dev/reference/block-kit/block-elements/button-element>. Lengths are in characters.

use serde::Serialize;
use url::Url;

use super::blocks::Text;
use super::text::{clean, cut};

const TEXT_MAX: usize = 75;
const VALUE_MAX: usize = 2_000;
const LABEL_MAX: usize = 75;
const CONFIRM_TITLE_MAX: usize = 100;
const CONFIRM_TEXT_MAX: usize = 300;
const CONFIRM_CHOICE_MAX: usize = 30;
/// The longest address a button may open.
pub const BUTTON_URL_MAX: usize = 3_000;

/// A button.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "button")]
pub struct Button {
    action_id: &'static str,
    text: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    style: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accessibility_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confirm: Option<Box<Dialog>>,
}

/// What Slack asks before a press counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dialog {
    title: Text,
    text: Text,
    confirm: Text,
    deny: Text,
}

impl Dialog {
    /// A question, what a yes leads to, and the words on the two buttons.
    #[must_use]
    pub fn new(title: &'static str, text: &'static str, confirm: &'static str, deny: &'static str) -> Self {
        Self {
            title: Text::plain_within(title, CONFIRM_TITLE_MAX),
            text: Text::plain_within(text, CONFIRM_TEXT_MAX),
            confirm: Text::plain_within(confirm, CONFIRM_CHOICE_MAX),
            deny: Text::plain_within(deny, CONFIRM_CHOICE_MAX),
        }
    }
}

impl Button {
    /// A button that comes back to us with `value`, which must fit Slack's 2,000 characters.
    #[must_use]
    pub fn action(action_id: &'static str, text: &'static str, value: &str) -> Self {
        debug_assert!(value.len() <= VALUE_MAX);
        Self {
            action_id,
            text: Text::plain_within(text, TEXT_MAX),
            value: Some(cut(value, VALUE_MAX).into_owned()),
            url: None,
            style: None,
            accessibility_label: None,
            confirm: None,
        }
    }

    /// The same button with other words for screen readers, where several look alike.
    #[must_use]
    pub fn labelled(self, words: &str) -> Self {
        Self {
            accessibility_label: Some(clean(words, LABEL_MAX)),
            ..self
        }
    }

    /// The same button, which asks before it is pressed.
    #[must_use]
    pub fn asking(self, dialog: Dialog) -> Self {
        Self {
            confirm: Some(Box::new(dialog)),
            ..self
        }
    }

    /// The card's one primary button, which opens `address`. `None` if the address is longer than Slack takes.
    #[must_use]
    pub fn primary_link(action_id: &'static str, text: &'static str, address: &Url) -> Option<Self> {
        (address.as_str().len() <= BUTTON_URL_MAX).then(|| Self {
            action_id,
            text: Text::plain_within(text, TEXT_MAX),
            value: None,
            url: Some(address.as_str().to_owned()),
            style: Some("primary"),
            accessibility_label: None,
            confirm: None,
        })
    }
}
