//! Slack's limits for messages, as far as they concern this app: <https://docs.slack.dev/reference/block-kit/blocks>.

use std::collections::HashSet;

use serde_json::Value;

/// Top-level keys that this app may send.
const KEYS: [&str; 7] = [
    "response_type",
    "replace_original",
    "delete_original",
    "text",
    "blocks",
    "unfurl_links",
    "unfurl_media",
];

/// Every button of a message.
pub fn buttons(message: &Value) -> impl Iterator<Item = &Value> {
    indexed_buttons(message).map(|(_, button)| button)
}

/// Every button of a message, with the index of its block.
pub(super) fn indexed_buttons(message: &Value) -> impl Iterator<Item = (usize, &Value)> {
    blocks(message).enumerate().flat_map(|(index, block)| {
        let row = block["elements"].as_array().filter(|_| block["type"] == "actions");
        let accessory = block.get("accessory").filter(|element| element["type"] == "button");
        row.into_iter()
            .flatten()
            .chain(accessory)
            .map(move |button| (index, button))
    })
}

/// Whether the message shows a session: below it is the session's id.
pub(super) fn shows_session(message: &Value) -> bool {
    let contexts = blocks(message).filter(|block| block["type"] == "context");
    let mut elements = contexts.flat_map(|block| block["elements"].as_array().into_iter().flatten());
    elements.any(|element| {
        element["text"]
            .as_str()
            .is_some_and(|text| text.starts_with("Session `"))
    })
}

/// The address of every picture of a message.
pub(super) fn pictures(message: &Value) -> impl Iterator<Item = &str> {
    blocks(message)
        .filter(|block| block["type"] == "image")
        .filter_map(|block| block["image_url"].as_str())
}

/// Describes every rule that a message violates; empty for a valid message.
#[must_use]
pub fn violations(message: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let known = |key: &String| KEYS.contains(&key.as_str());
    if !message.as_object().is_some_and(|object| object.keys().all(known)) {
        broken.push("a message has only Slack's keys".to_owned());
    }
    if !matches!(message["response_type"].as_str(), Some("ephemeral" | "in_channel")) {
        broken.push("a message has the response_type ephemeral or in_channel".to_owned());
    }
    broken.extend(content_violations(message));
    broken
}

/// The same for the text and the blocks of a message, which are alike in the Web API.
#[must_use]
pub(super) fn content_violations(message: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let mut check = |valid: bool, rule: &str| {
        if !valid {
            broken.push(rule.to_owned());
        }
    };
    check(
        (1..=4_000).contains(&length(&message["text"])),
        "a message has a text of at most 4,000 characters",
    );
    check(blocks(message).count() <= 50, "a message has at most 50 blocks");
    let mut block_ids = HashSet::new();
    for block in blocks(message) {
        if let Some(id) = block["block_id"].as_str() {
            check(block_ids.insert(id), "block ids are unique in a message");
        }
        check_block(block, &mut check);
    }
    let mut primary = 0;
    for button in buttons(message) {
        check(
            (1..=255).contains(&length(&button["action_id"])),
            "a button has an action id",
        );
        check(
            (1..=75).contains(&length(&button["text"]["text"])),
            "a button has 1 to 75 characters",
        );
        check(button["text"]["type"] == "plain_text", "a button is plain text");
        check(
            length(&button["value"]) <= 2_000,
            "a button's value has at most 2,000 characters",
        );
        check(
            length(&button["url"]) <= 3_000,
            "a button's address has at most 3,000 characters",
        );
        check(
            length(&button["accessibility_label"]) <= 75,
            "a button's label for screen readers has at most 75 characters",
        );
        primary += usize::from(button["style"] == "primary");
        if let Some(confirm) = button.get("confirm") {
            check_confirm(confirm, &mut check);
        }
    }
    check(primary <= 1, "a message has at most one primary button");
    broken
}

/// Checks the confirmation dialog of a button.
fn check_confirm(confirm: &Value, check: &mut impl FnMut(bool, &str)) {
    for (part, max) in [("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)] {
        let text = &confirm[part];
        check(
            text["type"] == "plain_text" && (1..=max).contains(&length(&text["text"])),
            &format!("a dialog's {part} is plain text of 1 to {max} characters"),
        );
    }
    check(
        confirm.as_object().is_some_and(|parts| parts.len() == 4),
        "a dialog has exactly these four parts",
    );
}

/// Checks one block.
pub(super) fn check_block(block: &Value, check: &mut impl FnMut(bool, &str)) {
    let elements = block["elements"].as_array().map(Vec::as_slice).unwrap_or_default();
    match block["type"].as_str() {
        Some("header") => {
            check(block["text"]["type"] == "plain_text", "a header is plain text");
            check(
                (1..=150).contains(&length(&block["text"]["text"])),
                "a header has 1 to 150 characters",
            );
        }
        Some("section") => {
            check(
                (1..=3_000).contains(&length(&block["text"]["text"])),
                "a section has 1 to 3,000 characters",
            );
            let fields = block["fields"].as_array();
            check(
                fields.is_none_or(|fields| (1..=10).contains(&fields.len())),
                "a section has 1 to 10 fields, or none",
            );
            check(
                fields.is_none_or(|fields| fields.iter().all(|field| (1..=2_000).contains(&length(&field["text"])))),
                "a field has 1 to 2,000 characters",
            );
            check(
                block["accessory"].is_null() || block["accessory"]["type"] == "button",
                "a section has a button beside it, or nothing",
            );
        }
        Some("context") => {
            check((1..=10).contains(&elements.len()), "a context has 1 to 10 elements");
        }
        Some("rich_text") => {
            let runs: Vec<&Value> = elements
                .iter()
                .flat_map(|section| section["elements"].as_array().into_iter().flatten())
                .collect();
            check(!runs.is_empty(), "a rich text has elements");
            check(
                runs.iter().all(|run| length(&run["text"]) > 0),
                "a run of rich text is not empty",
            );
        }
        Some("actions") => {
            check(
                (1..=25).contains(&elements.len()),
                "an actions block has 1 to 25 elements",
            );
            let ids: HashSet<_> = elements.iter().map(|button| button["action_id"].as_str()).collect();
            check(ids.len() == elements.len(), "action ids are unique in a block");
        }
        Some("image") => {
            check(
                (1..=3_000).contains(&length(&block["image_url"])),
                "a picture has an address of at most 3,000 characters",
            );
            check(
                (1..=2_000).contains(&length(&block["alt_text"])),
                "a picture is described in 1 to 2,000 characters",
            );
            check(
                block["title"].is_null() || block["title"]["type"] == "plain_text",
                "a picture's title is plain text",
            );
            check(
                length(&block["title"]["text"]) <= 2_000,
                "a picture's title has at most 2,000 characters",
            );
        }
        _ => check(false, "a block has a type that this app sends"),
    }
}

pub(super) fn length(text: &Value) -> usize {
    text.as_str().map_or(0, |text| text.chars().count())
}

fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    message["blocks"].as_array().into_iter().flatten()
}
