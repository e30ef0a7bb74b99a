//! The Block Kit blocks and buttons that this app sends. Their constructors enforce Slack's limits.
//!
//! Sources: <https://docs.slack.dev/reference/block-kit/blocks>,
//! <https://docs.slack.dev/reference/block-kit/block-elements/button-element>. Lengths are in characters.

use std::borrow::Cow;

use serde::Serialize;
use url::Url;

use super::text::{Mrkdwn, clean, cut, cut_markup};

const HEADER_MAX: usize = 150;
const SECTION_MAX: usize = 3_000;
const FIELD_MAX: usize = 2_000;
const FIELDS_MAX: usize = 10;
const CONTEXT_MAX: usize = 10;
const CONTEXT_TEXT_MAX: usize = 2_000;
const BUTTONS_MAX: usize = 25;
const IMAGE_URL_MAX: usize = 3_000;
const IMAGE_TEXT_MAX: usize = 2_000;
const BUTTON_TEXT_MAX: usize = 75;
const BUTTON_VALUE_MAX: usize = 2_000;
const BUTTON_LABEL_MAX: usize = 75;
const CONFIRM_TITLE_MAX: usize = 100;
const CONFIRM_TEXT_MAX: usize = 300;
const CONFIRM_CHOICE_MAX: usize = 30;
/// The longest address that a button may open.
pub const BUTTON_URL_MAX: usize = 3_000;

/// A block of a message. Its constructors enforce Slack's limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Block(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Kind {
    Header {
        text: Text,
    },
    Section {
        text: Text,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        fields: Vec<Text>,
        #[serde(skip_serializing_if = "Option::is_none")]
        accessory: Option<Button>,
    },
    RichText {
        elements: [RichTextSection; 1],
    },
    Actions {
        elements: Vec<Button>,
    },
    Context {
        elements: Vec<Text>,
    },
    Image {
        image_url: String,
        alt_text: String,
        title: Text,
    },
}

/// A text object: [`Text::plain`] for any text, [`Text::mrkdwn`] for text with markup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Text {
    /// Shown as it is.
    #[non_exhaustive]
    PlainText {
        text: Cow<'static, str>,
        /// Always false, so that `:codes:` do not become emoji.
        emoji: bool,
    },
    /// Slack's markup.
    #[non_exhaustive]
    Mrkdwn {
        text: String,
        /// Always true, so that bare names and addresses do not become links.
        verbatim: bool,
    },
}

impl Text {
    /// Text from anywhere, sanitized.
    #[must_use]
    pub fn plain(words: &str) -> Self {
        Self::plain_within(words, SECTION_MAX)
    }

    #[must_use]
    pub fn mrkdwn(words: Mrkdwn) -> Self {
        Self::Mrkdwn {
            text: words.into_text(SECTION_MAX),
            verbatim: true,
        }
    }

    pub(super) fn plain_within(words: &str, max: usize) -> Self {
        let mut text = clean(words, max);
        if text.is_empty() {
            // Slack rejects a message with an empty text.
            text.push('…');
        }
        Self::PlainText {
            text: text.into(),
            emoji: false,
        }
    }

    /// A constant of this app. Debug builds check that it needs no cleaning and is not longer than `max`.
    pub(super) fn constant(words: &'static str, max: usize) -> Self {
        debug_assert_eq!(clean(words, max), words);
        debug_assert!(!words.is_empty());
        Self::PlainText {
            text: words.into(),
            emoji: false,
        }
    }

    fn within(self, max: usize) -> Self {
        match self {
            Self::PlainText { text, emoji } => Self::PlainText {
                text: cut(&text, max).into_owned().into(),
                emoji,
            },
            Self::Mrkdwn { text, verbatim } => Self::Mrkdwn {
                text: cut_markup(&text, max).into_owned(),
                verbatim,
            },
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "rich_text_section")]
struct RichTextSection {
    elements: Vec<RichText>,
}

/// A run of text in a rich text block, where nothing needs escaping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "text")]
pub struct RichText {
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    style: Option<Style>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
struct Style {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bold: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    code: bool,
}

/// One labelled line of [`Block::facts`].
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    pub label: &'static str,
    /// Foreign text.
    pub value: &'a str,
    /// Whether it is shown in code style, to be copied.
    pub monospace: bool,
}

impl Block {
    /// A title.
    #[must_use]
    pub fn header(words: &'static str) -> Self {
        Self(Kind::Header {
            text: Text::constant(words, HEADER_MAX),
        })
    }

    /// A paragraph.
    #[must_use]
    pub fn section(text: Text) -> Self {
        Self(Kind::Section {
            text,
            fields: Vec::new(),
            accessory: None,
        })
    }

    /// A line of a list, with small print below it and a button beside it.
    #[must_use]
    pub fn row(text: Text, below: Option<Text>, button: Button) -> Self {
        Self(Kind::Section {
            text,
            fields: below.map(|text| text.within(FIELD_MAX)).into_iter().collect(),
            accessory: Some(button),
        })
    }

    /// Labelled lines of foreign text.
    #[must_use]
    pub fn facts(facts: &[Fact<'_>]) -> Self {
        let mut elements = Vec::with_capacity(facts.len() * 2);
        for (line, fact) in facts.iter().take(FIELDS_MAX).enumerate() {
            let start = if line == 0 { "" } else { "\n" };
            elements.push(RichText {
                text: format!("{start}{}: ", fact.label),
                style: Some(Style {
                    bold: true,
                    code: false,
                }),
            });
            let Text::PlainText { text, .. } = Text::plain_within(fact.value, HEADER_MAX) else {
                continue;
            };
            elements.push(RichText {
                text: text.into_owned(),
                style: fact.monospace.then_some(Style {
                    bold: false,
                    code: true,
                }),
            });
        }
        Self(Kind::RichText {
            elements: [RichTextSection { elements }],
        })
    }

    /// A row of buttons. `None` for no buttons, which Slack rejects.
    #[must_use]
    pub fn actions(mut buttons: Vec<Button>) -> Option<Self> {
        buttons.truncate(BUTTONS_MAX);
        (!buttons.is_empty()).then_some(Self(Kind::Actions { elements: buttons }))
    }

    /// An image, which Slack fetches from `address` when it accepts the message. `alt` describes it for those who cannot
    /// see it. `None` if the address is over Slack's limit.
    #[must_use]
    pub fn image(address: &Url, title: &str, alt: &str) -> Option<Self> {
        (address.as_str().len() <= IMAGE_URL_MAX).then(|| {
            Self(Kind::Image {
                image_url: address.as_str().to_owned(),
                alt_text: clean(alt, IMAGE_TEXT_MAX),
                title: Text::plain_within(title, IMAGE_TEXT_MAX),
            })
        })
    }

    /// The text to show if Slack could not fetch the image. `None` for a block that is not an image.
    pub(super) fn image_fallback(&self) -> Option<Self> {
        let Kind::Image { alt_text, .. } = &self.0 else {
            return None;
        };
        let words = format!(
            "A picture is missing here, because Slack could not fetch it: {alt_text}. Please tell whoever runs this app."
        );
        Self::context(vec![Text::plain(&words)])
    }

    /// Small print. `None` for no texts, which Slack rejects.
    #[must_use]
    pub fn context(mut texts: Vec<Text>) -> Option<Self> {
        texts.truncate(CONTEXT_MAX);
        let elements: Vec<_> = texts.into_iter().map(|text| text.within(CONTEXT_TEXT_MAX)).collect();
        (!elements.is_empty()).then_some(Self(Kind::Context { elements }))
    }
}

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

/// A confirmation dialog that Slack shows before it sends the press.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dialog {
    title: Text,
    text: Text,
    confirm: Text,
    deny: Text,
}

impl Dialog {
    /// A question, the consequence of a yes, and the labels of the two buttons.
    #[must_use]
    pub fn new(title: &'static str, text: &'static str, confirm: &'static str, deny: &'static str) -> Self {
        Self {
            title: Text::constant(title, CONFIRM_TITLE_MAX),
            text: Text::constant(text, CONFIRM_TEXT_MAX),
            confirm: Text::constant(confirm, CONFIRM_CHOICE_MAX),
            deny: Text::constant(deny, CONFIRM_CHOICE_MAX),
        }
    }
}

impl Button {
    /// A button whose press is sent to this app with `value`, at most 2,000 characters.
    #[must_use]
    pub fn action(action_id: &'static str, text: &'static str, value: &str) -> Self {
        debug_assert!(value.len() <= BUTTON_VALUE_MAX);
        Self {
            action_id,
            text: Text::constant(text, BUTTON_TEXT_MAX),
            value: Some(cut(value, BUTTON_VALUE_MAX).into_owned()),
            url: None,
            style: None,
            accessibility_label: None,
            confirm: None,
        }
    }

    /// The same button with another label for screen readers, for several buttons that look alike.
    #[must_use]
    pub fn with_label(self, words: &str) -> Self {
        Self {
            accessibility_label: Some(clean(words, BUTTON_LABEL_MAX)),
            ..self
        }
    }

    /// The same button with a confirmation dialog.
    #[must_use]
    pub fn with_confirmation(self, dialog: Dialog) -> Self {
        Self {
            confirm: Some(Box::new(dialog)),
            ..self
        }
    }

    /// A button in the primary style, which opens `address`. `None` if the address is over Slack's limit.
    #[must_use]
    pub fn primary_link(action_id: &'static str, text: &'static str, address: &Url) -> Option<Self> {
        (address.as_str().len() <= BUTTON_URL_MAX).then(|| Self {
            action_id,
            text: Text::constant(text, BUTTON_TEXT_MAX),
            value: None,
            url: Some(address.as_str().to_owned()),
            style: Some("primary"),
            accessibility_label: None,
            confirm: None,
        })
    }
}
