//! Slack's rules for messages, as far as this app's messages touch them: what FakeSlack holds the app to.

use std::collections::HashSet;

use serde_json::Value;

/// Every key of a message that this app has a use for.
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
    placed_buttons(message).map(|(_, button)| button)
}

/// Every button of a message, with the place of its block.
pub(super) fn placed_buttons(message: &Value) -> impl Iterator<Item = (usize, &Value)> {
    blocks(message).enumerate().flat_map(|(place, block)| {
        let row = block["elements"].as_array().filter(|_| block["type"] == "actions");
        let beside = block.get("accessory").filter(|element| element["type"] == "button");
        row.into_iter()
            .flatten()
            .chain(beside)
            .map(move |button| (place, button))
    })
}

/// The address of every picture of a message.
pub(super) fn pictures(message: &Value) -> impl Iterator<Item = &str> {
    blocks(message)
        .filter(|block| block["type"] == "image")
        .filter_map(|block| block["image_url"].as_str())
}

/// Every rule that a message breaks.
#[must_use]
pub fn broken(message: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let mut rule = |holds: bool, rule: &str| {
        if !holds {
            broken.push(rule.to_owned());
        }
    };
    let known = |key: &String| KEYS.contains(&key.as_str());
    rule(
        message.as_object().is_some_and(|object| object.keys().all(known)),
        "a message has only Slack's keys",
    );
    rule(
        (1..=4_000).contains(&length(&message["text"])),
        "a message has a text of at most 4,000 characters",
    );
    rule(
        matches!(message["response_type"].as_str(), Some("ephemeral" | "in_channel")),
        "a message says who sees it",
    );
    rule(blocks(message).count() <= 50, "a message has at most 50 blocks");
    let mut block_ids = HashSet::new();
    for block in blocks(message) {
        if let Some(id) = block["block_id"].as_str() {
            rule(block_ids.insert(id), "block ids are unique in a message");
        }
        block_rules(block, &mut rule);
    }
    let mut primary = 0;
    for button in buttons(message) {
        rule(
            (1..=255).contains(&length(&button["action_id"])),
            "a button has an action id",
        );
        rule(
            (1..=75).contains(&length(&button["text"]["text"])),
            "a button has 1 to 75 characters",
        );
        rule(button["text"]["type"] == "plain_text", "a button is plain text");
        rule(
            length(&button["value"]) <= 2_000,
            "a button's value has at most 2,000 characters",
        );
        rule(
            length(&button["url"]) <= 3_000,
            "a button's address has at most 3,000 characters",
        );
        rule(
            length(&button["accessibility_label"]) <= 75,
            "a button's label for screen readers has at most 75 characters",
        );
        primary += usize::from(button["style"] == "primary");
        if let Some(confirm) = button.get("confirm") {
            confirm_rules(confirm, &mut rule);
        }
    }
    rule(primary <= 1, "a message has at most one primary button");
    broken
}

/// What holds for the dialog that asks before a button is pressed.
fn confirm_rules(confirm: &Value, rule: &mut impl FnMut(bool, &str)) {
    for (part, max) in [("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)] {
        let text = &confirm[part];
        rule(
            text["type"] == "plain_text" && (1..=max).contains(&length(&text["text"])),
            &format!("a dialog's {part} is plain text of 1 to {max} characters"),
        );
    }
    rule(
        confirm.as_object().is_some_and(|parts| parts.len() == 4),
        "a dialog has no parts but these four",
    );
}

/// What holds for one block.
fn block_rules(block: &Value, rule: &mut impl FnMut(bool, &str)) {
    let elements = block["elements"].as_array().map(Vec::as_slice).unwrap_or_default();
    match block["type"].as_str() {
        Some("header") => {
            rule(block["text"]["type"] == "plain_text", "a header is plain text");
            rule(
                (1..=150).contains(&length(&block["text"]["text"])),
                "a header has 1 to 150 characters",
            );
        }
        Some("section") => {
            rule(
                (1..=3_000).contains(&length(&block["text"]["text"])),
                "a section has 1 to 3,000 characters",
            );
            let fields = block["fields"].as_array();
            rule(
                fields.is_none_or(|fields| (1..=10).contains(&fields.len())),
                "a section has 1 to 10 fields, or none",
            );
            rule(
                fields.is_none_or(|fields| fields.iter().all(|field| (1..=2_000).contains(&length(&field["text"])))),
                "a field has 1 to 2,000 characters",
            );
            rule(
                block["accessory"].is_null() || block["accessory"]["type"] == "button",
                "a section has a button beside it, or nothing",
            );
        }
        Some("context") => {
            rule((1..=10).contains(&elements.len()), "a context has 1 to 10 elements");
        }
        Some("rich_text") => {
            let runs: Vec<&Value> = elements
                .iter()
                .flat_map(|section| section["elements"].as_array().into_iter().flatten())
                .collect();
            rule(!runs.is_empty(), "a rich text has elements");
            rule(
                runs.iter().all(|run| length(&run["text"]) > 0),
                "a run of rich text is not empty",
            );
        }
        Some("actions") => {
            rule(
                (1..=25).contains(&elements.len()),
                "an actions block has 1 to 25 elements",
            );
            let ids: HashSet<_> = elements.iter().map(|button| button["action_id"].as_str()).collect();
            rule(ids.len() == elements.len(), "action ids are unique in a block");
        }
        Some("image") => {
            rule(
                (1..=3_000).contains(&length(&block["image_url"])),
                "a picture has an address of at most 3,000 characters",
            );
            rule(
                (1..=2_000).contains(&length(&block["alt_text"])),
                "a picture is described in 1 to 2,000 characters",
            );
            rule(
                block["title"].is_null() || block["title"]["type"] == "plain_text",
                "a picture's title is plain text",
            );
            rule(
                length(&block["title"]["text"]) <= 2_000,
                "a picture's title has at most 2,000 characters",
            );
        }
        _ => rule(false, "a block is of a kind this app sends"),
    }
}

fn length(text: &Value) -> usize {
    text.as_str().map_or(0, |text| text.chars().count())
}

fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    message["blocks"].as_array().into_iter().flatten()
}
