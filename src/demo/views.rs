//! Slack's rules for views: <https://docs.slack.dev/reference/views>.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;

use super::rules::{check_block, length};

/// Keys of a modal.
const KEYS: [&str; 10] = [
    "type",
    "title",
    "blocks",
    "close",
    "submit",
    "private_metadata",
    "callback_id",
    "clear_on_close",
    "notify_on_close",
    "external_id",
];
/// Elements that an input block may have.
const INPUTS: [&str; 13] = [
    "plain_text_input",
    "number_input",
    "email_text_input",
    "url_text_input",
    "checkboxes",
    "radio_buttons",
    "datepicker",
    "timepicker",
    "static_select",
    "external_select",
    "users_select",
    "conversations_select",
    "channels_select",
];

/// A view that was opened.
#[derive(Clone, Debug, Serialize)]
pub struct OpenedView {
    /// `V…`
    pub id: String,
    pub view: Value,
    /// Whether it is shown: neither submitted nor closed.
    pub is_open: bool,
    /// The errors that the app showed at its fields.
    pub errors: Value,
}

/// Describes every rule that a modal violates; empty for a valid one.
#[must_use]
pub(super) fn violations(view: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let mut check = |valid: bool, rule: &str| {
        if !valid {
            broken.push(rule.to_owned());
        }
    };
    let known = |key: &String| KEYS.contains(&key.as_str());
    check(
        view.as_object().is_some_and(|object| object.keys().all(known)),
        "a view has only Slack's keys",
    );
    check(view["type"] == "modal", "a view that is opened is a modal");
    for (part, is_required) in [("title", true), ("submit", false), ("close", false)] {
        check(
            (view[part].is_null() && !is_required) || is_plain(&view[part], 24),
            &format!("a view's {part} is plain text of 1 to 24 characters"),
        );
    }
    for (part, max) in [("callback_id", 255), ("external_id", 255), ("private_metadata", 3_000)] {
        check(
            view[part].is_null() || (view[part].is_string() && length(&view[part]) <= max),
            &format!("a view's {part} has at most {max} characters"),
        );
    }
    let blocks = view["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    check((1..=100).contains(&blocks.len()), "a view has 1 to 100 blocks");
    let has_input = blocks.iter().any(|block| block["type"] == "input");
    check(
        !has_input || !view["submit"].is_null(),
        "a view with an input has a submit button",
    );
    let mut block_ids = HashSet::new();
    for block in blocks {
        if let Some(id) = block["block_id"].as_str() {
            check((1..=255).contains(&id.len()), "a block id has 1 to 255 characters");
            check(block_ids.insert(id), "block ids are unique in a view");
        }
        match block["type"].as_str() {
            Some("input") => check_input(block, &mut check),
            Some("divider") => {}
            _ => check_block(block, &mut check),
        }
    }
    broken
}

/// Describes every rule that the response to a submitted view violates: it is empty, or has errors at fields of the view.
#[must_use]
pub(super) fn response_violations(response: &Value, view: &Value) -> Vec<String> {
    if response.is_null() {
        return Vec::new();
    }
    let errors = response["errors"].as_object();
    let blocks = view["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_input = |id: &String| {
        blocks
            .iter()
            .any(|block| block["type"] == "input" && block["block_id"] == id.as_str())
    };
    let is_text = |error: &Value| (1..=2_000).contains(&length(error));
    let is_valid = response["response_action"] == "errors"
        && response.as_object().is_some_and(|response| response.len() == 2)
        && errors
            .is_some_and(|errors| !errors.is_empty() && errors.keys().all(is_input) && errors.values().all(is_text));
    if is_valid {
        Vec::new()
    } else {
        vec![format!(
            "a response to a form has errors at its fields, or nothing: {response}"
        )]
    }
}

fn check_input(block: &Value, check: &mut impl FnMut(bool, &str)) {
    check(is_plain(&block["label"], 2_000), "an input has a label");
    check(
        block["hint"].is_null() || is_plain(&block["hint"], 2_000),
        "an input's hint is plain text of 1 to 2,000 characters",
    );
    let element = &block["element"];
    check(
        element["type"].as_str().is_some_and(|kind| INPUTS.contains(&kind)),
        "an input has an element for inputs",
    );
    check(
        (1..=255).contains(&length(&element["action_id"])),
        "an input has an action id",
    );
    check(
        element["placeholder"].is_null() || is_plain(&element["placeholder"], 150),
        "a placeholder is plain text of 1 to 150 characters",
    );
    let Some(options) = element.get("options") else {
        return;
    };
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    check((1..=100).contains(&options.len()), "a menu has 1 to 100 options");
    let is_valid = |option: &Value| {
        is_plain(&option["text"], 75)
            && (1..=150).contains(&length(&option["value"]))
            && (option["description"].is_null() || is_plain(&option["description"], 75))
    };
    check(
        options.iter().all(is_valid),
        "an option has a text of 1 to 75 and a value of 1 to 150 characters",
    );
    check(
        element["initial_option"].is_null() || options.contains(&element["initial_option"]),
        "the initial option is one of the options",
    );
}

fn is_plain(text: &Value, max: usize) -> bool {
    text["type"] == "plain_text" && (1..=max).contains(&length(&text["text"]))
}
