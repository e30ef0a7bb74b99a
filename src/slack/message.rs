//! A message as Slack takes it, in an HTTP answer or at a `response_url`.
//!
//! Source: <https://docs.slack.dev/interactivity/handling-user-interaction>.

use serde::Serialize;

use super::blocks::Block;
use super::text::Mrkdwn;

const BLOCKS_MAX: usize = 50;
const TEXT_MAX: usize = 4_000;
/// What a card takes as JSON, so that it need not grow its buffer.
const USUAL_BYTES: usize = 2_048;

/// A message with everything stated that Slack has a default for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    response_type: ResponseType,
    #[serde(skip_serializing_if = "Option::is_none")]
    replace_original: Option<bool>,
    text: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<Block>,
    unfurl_links: bool,
    unfurl_media: bool,
}

/// Who sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum ResponseType {
    Ephemeral,
    InChannel,
}

impl Message {
    /// A message for the asker alone. `text` is all that a screen reader or a notification gets, so it says
    /// everything that matters.
    #[must_use]
    pub fn ephemeral(text: Mrkdwn, mut blocks: Vec<Block>) -> Self {
        blocks.truncate(BLOCKS_MAX);
        Self {
            response_type: ResponseType::Ephemeral,
            replace_original: None,
            text: text.into_text(TEXT_MAX),
            blocks,
            unfurl_links: false,
            unfurl_media: false,
        }
    }

    /// The same message for everybody in the channel.
    #[must_use]
    pub fn in_channel(self) -> Self {
        Self {
            response_type: ResponseType::InChannel,
            ..self
        }
    }

    /// The same message, sent to a press's `response_url`: in the place of the message that was pressed, or beside
    /// it. Slack's own default there has changed before, so it is always said.
    #[must_use]
    pub fn replacing(self, original: bool) -> Self {
        Self {
            replace_original: Some(original),
            ..self
        }
    }

    /// The same message with words in the place of its pictures; `None` if it has none.
    #[must_use]
    pub fn without_images(&self) -> Option<Self> {
        let mut message = self.clone();
        let mut images = 0;
        for block in &mut message.blocks {
            if let Some(words) = block.instead_of_image() {
                *block = words;
                images += 1;
            }
        }
        (images > 0).then_some(message)
    }

    /// The message as the JSON Slack takes.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(USUAL_BYTES);
        // A message holds strings and booleans alone, and a vector takes every write.
        let _ = serde_json::to_writer(&mut json, self);
        json
    }
}
