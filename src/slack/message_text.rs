//! The texts of a message that anybody may have written: its `text`, and those of its blocks and attachments.
//!
//! Sources: <https://docs.slack.dev/reference/block-kit/blocks>,
//! <https://docs.slack.dev/reference/messaging/attachments>. Any field may be missing or have an unexpected type.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// How many bytes of text are read; a message has at most 40,000 characters of text, and as many again in its blocks.
const BYTES_MAX: usize = 256 * 1024;
/// How many objects and lists inside one another are read.
const DEPTH_MAX: usize = 32;
/// How many objects and lists are read in all.
const NODES_MAX: usize = 20_000;
/// The keys of objects that are or contain text for people, in the order in which Slack shows them.
const KEYS: [&str; 18] = [
    "pretext",
    "author_name",
    "title",
    "title_link",
    "text",
    "url",
    "from_url",
    "value",
    "fields",
    "elements",
    "accessory",
    "rows",
    "blocks",
    "message",
    "message_blocks",
    "alt_text",
    "footer",
    "fallback",
];

/// The parts of a message that contain text.
#[derive(Deserialize)]
struct Message<'m> {
    #[serde(borrow)]
    text: Option<&'m RawValue>,
    #[serde(borrow)]
    blocks: Option<&'m RawValue>,
    #[serde(borrow)]
    attachments: Option<&'m RawValue>,
}

/// The texts of a message, which is JSON, with Slack's markup, in the order in which they appear.
#[must_use]
pub fn texts(message: &str) -> Vec<String> {
    let Ok(message) = serde_json::from_str::<Message<'_>>(message) else {
        return Vec::new();
    };
    let mut texts = Texts::default();
    if let Some(text) = message.text.and_then(|text| serde_json::from_str(text.get()).ok()) {
        texts.push(text);
    }
    // Separately, so that one that cannot be read does not hide the others.
    for part in [message.blocks, message.attachments].into_iter().flatten() {
        let part = serde_json::from_str(part.get()).unwrap_or_default();
        texts.read(&part, 0);
    }
    texts.found
}

#[derive(Default)]
struct Texts {
    found: Vec<String>,
    bytes: usize,
    nodes: usize,
}

impl Texts {
    fn push(&mut self, text: String) {
        self.bytes += text.len();
        if self.bytes <= BYTES_MAX {
            self.found.push(text);
        }
    }

    fn read(&mut self, value: &Value, depth: usize) {
        self.nodes += 1;
        if depth > DEPTH_MAX || self.nodes > NODES_MAX {
            return;
        }
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.read(value, depth + 1)),
            Value::Object(_) => self.read_object(value, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn read_object(&mut self, object: &Value, depth: usize) {
        let kind = object["type"].as_str().unwrap_or_default();
        if let ("rich_text_section" | "rich_text_quote" | "rich_text_preformatted", Some(runs)) =
            (kind, object["elements"].as_array())
        {
            return self.push(runs.iter().take(NODES_MAX).map(run).collect());
        }
        // Only in fields of attachments: the value of a button is not shown.
        let is_shown = |key: &str| key != "value" || kind.is_empty();
        for key in KEYS.into_iter().filter(|key| is_shown(key)) {
            match &object[key] {
                Value::String(text) if is_plain(kind) => self.push(escaped(text)),
                Value::String(text) => self.push(text.clone()),
                value => self.read(value, depth + 1),
            }
        }
    }
}

/// Whether the text of an object of this type has no markup.
fn is_plain(kind: &str) -> bool {
    matches!(kind, "plain_text" | "raw_text" | "text" | "image" | "button")
}

/// A run of rich text in Slack's markup. Between what is not text, words end.
fn run(run: &Value) -> String {
    let text = run["text"].as_str();
    match run["url"].as_str() {
        Some(url) => {
            let url = escaped(url);
            match text {
                Some(text) => format!("<{url}|{}>", escaped(text)),
                None => format!("<{url}>"),
            }
        }
        None => text.map_or_else(|| " ".to_owned(), escaped),
    }
}

/// Text without markup in Slack's markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts_of(message: &Value) -> Vec<String> {
        texts(&message.to_string())
    }

    #[test]
    fn texts_come_in_the_order_in_which_slack_shows_them() {
        let message = json!({
            "type": "message", "user": "U1", "ts": "1.2", "text": "one", "bot_id": "never",
            "blocks": [
                {"type": "header", "block_id": "never", "text": {"type": "plain_text", "text": "two <&>"}},
                {"type": "section", "text": {"type": "mrkdwn", "text": "*three*"},
                    "fields": [{"type": "mrkdwn", "text": "four"}],
                    "accessory": {"type": "button", "action_id": "never", "value": "never",
                        "text": {"type": "plain_text", "text": "five"}, "url": "https://six.example"}},
                {"type": "context", "elements": [{"type": "image", "alt_text": "seven", "image_url": "never"}]},
                {"type": "rich_text", "elements": [
                    {"type": "rich_text_section", "elements": [
                        {"type": "text", "text": "eight "}, {"type": "link", "url": "https://nine.example?a&b", "text": "ten"},
                        {"type": "emoji", "name": "never"}, {"type": "text", "text": "eleven", "style": {"bold": true}},
                    ]},
                    {"type": "rich_text_list", "elements": [
                        {"type": "rich_text_section", "elements": [{"type": "text", "text": "twelve"}]},
                    ]},
                ]},
                {"type": "table", "rows": [[{"type": "raw_text", "text": "thirteen"}]]},
            ],
            "attachments": [{
                "id": 1, "color": "never", "pretext": "fourteen", "title": "fifteen", "text": "sixteen",
                "fields": [{"title": "seventeen", "value": "eighteen", "short": true}],
                "message_blocks": [{"channel": "never", "message": {"blocks": [
                    {"type": "section", "text": {"type": "mrkdwn", "text": "nineteen"}},
                ]}}],
                "footer": "twenty",
            }],
        });
        let expected = [
            "one",
            "two &lt;&amp;&gt;",
            "*three*",
            "five",
            "https://six.example",
            "four",
            "seven",
            "eight <https://nine.example?a&amp;b|ten> eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
            "twenty",
        ];
        let mut found = texts_of(&message);
        // Within one section, the order of fields and accessory does not matter.
        found[3..6].sort_unstable();
        let mut expected = expected.map(str::to_owned);
        expected[3..6].sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_cannot_be_read_hides_nothing_else() {
        let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
        let message = format!(r#"{{"text":"one","blocks":{deep},"attachments":[{{"text":"two"}}]}}"#);
        assert_eq!(texts(&message), ["one", "two"]);
        for message in [
            json!({"text": 7, "attachments": [{"text": "two"}]}),
            json!({"text": null, "blocks": "…", "attachments": [null, {"text": {"text": "two"}}]}),
            json!({"blocks": {"elements": {"text": "two"}}}),
        ] {
            assert_eq!(texts_of(&message), ["two"], "{message}");
        }
        for message in ["", "null", "[]", "7", "{}", "{\"text\":", &deep] {
            assert_eq!(texts(message), Vec::<String>::new(), "{message:.20}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let mut nested = json!({"text": "inside"});
        for _ in 0..40 {
            nested = json!({"elements": nested});
        }
        assert_eq!(texts_of(&json!({"blocks": nested})), Vec::<String>::new());
        let wide = vec![json!({"text": "x"}); 3 * NODES_MAX];
        assert!(texts_of(&json!({"attachments": wide})).len() <= NODES_MAX);
        let long = vec![json!({"text": "x".repeat(10_000)}); 100];
        let bytes: usize = texts_of(&json!({"attachments": long})).iter().map(String::len).sum();
        assert!((1..=BYTES_MAX).contains(&bytes), "{bytes}");
    }
}
