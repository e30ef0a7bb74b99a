//! Forms: modal views with inputs, and what a person submits.
//!
//! Sources: <https://docs.slack.dev/reference/views>,
//! <https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload>.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::blocks::Text;

const TITLE_MAX: usize = 24;
const LABEL_MAX: usize = 2_000;
const PLACEHOLDER_MAX: usize = 150;
const OPTION_MAX: usize = 75;
const OPTIONS_MAX: usize = 100;
const ERROR_MAX: usize = 2_000;
/// The most that Slack keeps with a form for the app.
pub const METADATA_MAX: usize = 3_000;

/// A form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Form {
    #[serde(rename = "type")]
    kind: &'static str,
    callback_id: &'static str,
    title: Text,
    submit: Text,
    close: Text,
    private_metadata: String,
    blocks: Vec<Field>,
}

/// An input with its label. Its id is that of its block and of its element.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    #[serde(rename = "type")]
    kind: &'static str,
    block_id: &'static str,
    label: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<Text>,
    optional: bool,
    element: Element,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Element {
    PlainTextInput {
        action_id: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        initial_value: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        placeholder: Option<Text>,
    },
    StaticSelect {
        action_id: &'static str,
        options: Vec<Choice>,
        #[serde(skip_serializing_if = "Option::is_none")]
        initial_option: Option<Choice>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Choice {
    text: Text,
    value: String,
}

impl Form {
    /// A form. `private_metadata` comes back with what is submitted; at most [`METADATA_MAX`] characters.
    #[must_use]
    pub fn new(
        callback_id: &'static str,
        title: &'static str,
        submit: &'static str,
        private_metadata: String,
        blocks: Vec<Field>,
    ) -> Self {
        Self {
            kind: "modal",
            callback_id,
            title: Text::constant(title, TITLE_MAX),
            submit: Text::constant(submit, TITLE_MAX),
            close: Text::constant("Cancel", TITLE_MAX),
            private_metadata,
            blocks,
        }
    }
}

impl Field {
    /// A line of text.
    #[must_use]
    pub fn text(id: &'static str, label: &'static str, placeholder: Option<&str>) -> Self {
        let element = Element::PlainTextInput {
            action_id: id,
            initial_value: None,
            placeholder: placeholder.map(|text| Text::plain_within(text, PLACEHOLDER_MAX)),
        };
        Self::new(id, label, element)
    }

    /// A menu with these options.
    #[must_use]
    pub fn menu<'o>(id: &'static str, label: &'static str, options: impl IntoIterator<Item = &'o str>) -> Self {
        let choice = |option: &str| Choice {
            text: Text::plain_within(option, OPTION_MAX),
            value: option.to_owned(),
        };
        let element = Element::StaticSelect {
            action_id: id,
            options: options.into_iter().take(OPTIONS_MAX).map(choice).collect(),
            initial_option: None,
        };
        Self::new(id, label, element)
    }

    fn new(id: &'static str, label: &'static str, element: Element) -> Self {
        Self {
            kind: "input",
            block_id: id,
            label: Text::constant(label, LABEL_MAX),
            hint: None,
            optional: false,
            element,
        }
    }

    /// The same field, which may stay empty.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The same field with a hint below it.
    #[must_use]
    pub fn with_hint(self, hint: &'static str) -> Self {
        Self {
            hint: Some(Text::constant(hint, LABEL_MAX)),
            ..self
        }
    }

    /// The same field with a value that the person can change. An option that the menu does not have is none.
    #[must_use]
    pub fn filled_with(mut self, value: Option<&str>) -> Self {
        match &mut self.element {
            Element::PlainTextInput { initial_value, .. } => *initial_value = value.map(str::to_owned),
            Element::StaticSelect {
                options,
                initial_option,
                ..
            } => {
                *initial_option = options
                    .iter()
                    .find(|option| Some(option.value.as_str()) == value)
                    .cloned();
            }
        }
        self
    }
}

/// Errors to show at fields of a form, which stays open. Not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldErrors(BTreeMap<&'static str, String>);

impl FieldErrors {
    /// An error at the field with this id.
    #[must_use]
    pub fn at(id: &'static str, error: &str) -> Self {
        Self::default_with(BTreeMap::new(), id, error)
    }

    /// These errors and one more.
    #[must_use]
    pub fn and(self, id: &'static str, error: &str) -> Self {
        Self::default_with(self.0, id, error)
    }

    fn default_with(mut errors: BTreeMap<&'static str, String>, id: &'static str, error: &str) -> Self {
        errors.insert(id, super::text::clean(error, ERROR_MAX));
        Self(errors)
    }

    /// The error at each field.
    #[must_use]
    pub fn by_field(&self) -> &BTreeMap<&'static str, String> {
        &self.0
    }

    /// The body of the response to what was submitted.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        json!({"response_action": "errors", "errors": self.0})
            .to_string()
            .into_bytes()
    }
}

/// The values in the `state` of a submitted form, by the id of the block: of its first element, what was typed or
/// chosen. Sent by a client.
#[must_use]
pub(super) fn values(state: &Value) -> BTreeMap<String, String> {
    let blocks = state["values"].as_object().into_iter().flatten();
    let value = |element: &Value| {
        let typed = element["value"].as_str();
        typed
            .or(element["selected_option"]["value"].as_str())
            .map(str::to_owned)
    };
    blocks
        .filter_map(|(block, elements)| Some((block.clone(), value(elements.as_object()?.values().next()?)?)))
        .collect()
}
