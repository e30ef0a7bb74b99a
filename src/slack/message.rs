//! A message, as Slack accepts it in an HTTP response or at a `response_url`.
//!
//! Source: <https://docs.slack.dev/interactivity/handling-user-interaction>.

use serde::Serialize;

use super::blocks::Block;
use super::text::Mrkdwn;
use crate::json;

const BLOCKS_MAX: usize = 50;
const TEXT_MAX: usize = 4_000;
/// Initial capacity of the buffer: the size of most messages as JSON, in bytes.
const USUAL_BYTES: usize = 2_048;

/// A message. States every field for which Slack has a default.
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
    /// A message that only the sender of the command sees. `text` is all that a screen reader or a notification gets, so
    /// it must say everything that matters.
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

    /// The same message with `start` before its text, for those who get no more than that, and with `block` at its end.
    #[must_use]
    pub fn labelled(mut self, start: Mrkdwn, block: Option<Block>) -> Self {
        self.text.insert_str(0, &start.into_text(TEXT_MAX));
        self.blocks.truncate(BLOCKS_MAX - 1);
        self.blocks.extend(block);
        self
    }

    /// The same message for everybody in the channel.
    #[must_use]
    pub fn in_channel(self) -> Self {
        Self {
            response_type: ResponseType::InChannel,
            ..self
        }
    }

    /// The same message for the `response_url` of a button press: replaces the message with the button, or is posted in
    /// addition to it. Always stated, because Slack's default has changed before.
    #[must_use]
    pub fn replacing(self, original: bool) -> Self {
        Self {
            replace_original: Some(original),
            ..self
        }
    }

    /// The same message with text instead of its images; `None` if it has no images.
    #[must_use]
    pub fn without_images(&self) -> Option<Self> {
        let mut message = self.clone();
        let mut images = 0;
        for block in &mut message.blocks {
            if let Some(text) = block.image_fallback() {
                *block = text;
                images += 1;
            }
        }
        (images > 0).then_some(message)
    }

    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::with_capacity(USUAL_BYTES);
        let written = json::write(self, &mut json);
        debug_assert!(written.is_ok(), "a message has strings and booleans only: {written:?}");
        json
    }
}
