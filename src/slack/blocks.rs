//! The Block Kit blocks this app sends, with Slack's limits kept where a block is made.
//!
//! Source: <https://docs.slack.dev/reference/block-kit/blocks>. Lengths are in characters.

use serde::Serialize;
use url::Url;

pub use super::button::{BUTTON_URL_MAX, Button, Dialog};
use super::text::{Mrkdwn, clean};

const HEADER_MAX: usize = 150;
const SECTION_MAX: usize = 3_000;
const FIELD_MAX: usize = 2_000;
const FIELDS_MAX: usize = 10;
const CONTEXT_MAX: usize = 10;
const CONTEXT_TEXT_MAX: usize = 2_000;
const BUTTONS_MAX: usize = 25;
const IMAGE_URL_MAX: usize = 3_000;
const IMAGE_TEXT_MAX: usize = 2_000;

/// One block of a message. Made only through its functions, which keep Slack's limits.
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

/// A text object: [`Text::plain`] for anything, [`Text::mrkdwn`] for our own words and dates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Text {
    /// Shown letter by letter.
    #[non_exhaustive]
    PlainText {
        /// What is shown.
        text: String,
        /// Always false: `:codes:` stay what they are.
        emoji: bool,
    },
    /// Slack's markup.
    #[non_exhaustive]
    Mrkdwn {
        /// The marked-up text.
        text: String,
        /// Always true: bare names and addresses are not made into links.
        verbatim: bool,
    },
}

impl Text {
    /// Anybody's words, cleaned.
    #[must_use]
    pub fn plain(words: &str) -> Self {
        Self::plain_within(words, SECTION_MAX)
    }

    /// Our words.
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
            // Slack refuses an empty text and the whole message with it.
            text.push('…');
        }
        Self::PlainText { text, emoji: false }
    }

    fn within(self, max: usize) -> Self {
        match self {
            Self::PlainText { text, emoji } => Self::PlainText {
                text: super::text::cut(&text, max).into_owned(),
                emoji,
            },
            Self::Mrkdwn { text, verbatim } => Self::Mrkdwn {
                text: super::text::cut(&text, max).into_owned(),
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

/// One line of a fact sheet: a label of ours and somebody's words.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    /// What it is.
    pub label: &'static str,
    /// What Kapso says it is.
    pub value: &'a str,
    /// Whether it is there to be copied letter by letter.
    pub monospace: bool,
}

impl Block {
    /// A title.
    #[must_use]
    pub fn header(words: &str) -> Self {
        Self(Kind::Header {
            text: Text::plain_within(words, HEADER_MAX),
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

    /// A line of a list, with smaller print below it and a button beside it.
    #[must_use]
    pub fn row(text: Text, below: Option<Text>, button: Button) -> Self {
        Self(Kind::Section {
            text,
            fields: below.map(|text| text.within(FIELD_MAX)).into_iter().collect(),
            accessory: Some(button),
        })
    }

    /// Labelled lines of anybody's words.
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
                text,
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

    /// A row of buttons. `None` for no buttons, which Slack refuses.
    #[must_use]
    pub fn actions(mut buttons: Vec<Button>) -> Option<Self> {
        buttons.truncate(BUTTONS_MAX);
        (!buttons.is_empty()).then_some(Self(Kind::Actions { elements: buttons }))
    }

    /// A picture, which Slack fetches at `address` when it takes the message. `alt` says what is on it to whoever
    /// does not see it. `None` if the address is longer than Slack takes.
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

    /// What stands in a picture's place where Slack could not fetch it. `None` for a block that is none.
    pub(super) fn instead_of_image(&self) -> Option<Self> {
        let Kind::Image { alt_text, .. } = &self.0 else {
            return None;
        };
        let words = format!(
            "A picture is missing here, because Slack could not fetch it: {alt_text}. Please tell whoever runs this app."
        );
        Self::context(vec![Text::plain(&words)])
    }

    /// Small print. `None` for no texts, which Slack refuses.
    #[must_use]
    pub fn context(mut texts: Vec<Text>) -> Option<Self> {
        texts.truncate(CONTEXT_MAX);
        let elements: Vec<_> = texts.into_iter().map(|text| text.within(CONTEXT_TEXT_MAX)).collect();
        (!elements.is_empty()).then_some(Self(Kind::Context { elements }))
    }
}
