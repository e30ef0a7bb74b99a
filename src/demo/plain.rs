//! Renders a message as plain text, for terminals.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::Value;

/// The message's blocks as lines of text; its top-level text if it has no blocks.
#[must_use]
pub fn text(message: &Value) -> String {
    let blocks = message["blocks"].as_array().map(Vec::as_slice).unwrap_or_default();
    if blocks.is_empty() {
        return without_markup(message["text"].as_str().unwrap_or_default());
    }
    let mut page = String::new();
    for block in blocks {
        let _ = match block["type"].as_str() {
            Some("header") => writeln!(page, "{}", text_object(&block["text"]).to_uppercase()),
            Some("section") => writeln!(page, "{}", section(block)),
            Some("rich_text") => writeln!(page, "{}", rich_text(block)),
            Some("context") => writeln!(page, "{}", joined(block, "  ", text_object)),
            Some("actions") => writeln!(page, "{}", joined(block, "  ", button)),
            Some("image") => writeln!(
                page,
                "{}\n[ picture: {} ]",
                text_object(&block["title"]),
                string(&block["alt_text"])
            ),
            other => writeln!(page, "({}: cannot be shown here)", other.unwrap_or("something")),
        };
    }
    page.truncate(page.trim_end().len());
    page
}

fn section(block: &Value) -> String {
    let fields = block["fields"].as_array().into_iter().flatten().map(text_object);
    let lines: Vec<String> = [text_object(&block["text"])].into_iter().chain(fields).collect();
    let accessory = block
        .get("accessory")
        .map(|accessory| format!("  {}", button(accessory)));
    lines.join("\n") + &accessory.unwrap_or_default()
}

fn joined(block: &Value, between: &str, show: impl Fn(&Value) -> String) -> String {
    let elements = block["elements"].as_array().into_iter().flatten();
    elements.map(show).collect::<Vec<_>>().join(between)
}

fn button(button: &Value) -> String {
    let label = button["text"]["text"].as_str().unwrap_or_default();
    match button["url"].as_str() {
        Some(url) => format!("[ {label} → {url} ]"),
        None => format!("[ {label} ]"),
    }
}

fn rich_text(block: &Value) -> String {
    joined(block, "\n", |section| {
        joined(section, "", |run| run["text"].as_str().unwrap_or_default().to_owned())
    })
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn text_object(text: &Value) -> String {
    let content = string(&text["text"]);
    if text["type"] == "mrkdwn" {
        without_markup(content)
    } else {
        content.to_owned()
    }
}

/// Converts mrkdwn to plain text: dates in UTC, labels instead of links, no asterisks or backticks.
fn without_markup(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after_bracket)) = rest.split_once('<') {
        plain.push_str(before);
        let (inside, after) = after_bracket.split_once('>').unwrap_or((after_bracket, ""));
        let (target, label) = inside.split_once('|').unwrap_or((inside, ""));
        match target.strip_prefix("!date^") {
            Some(date) => plain.push_str(&format_date(date).unwrap_or_else(|| label.to_owned())),
            None => plain.push_str(if label.is_empty() { target } else { label }),
        }
        rest = after;
    }
    plain.push_str(rest);
    plain
        .replace(['*', '`'], "")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn format_date(date: &str) -> Option<String> {
    let seconds = date.split('^').next()?.parse().ok()?;
    let at = Timestamp::from_second(seconds).ok()?;
    Some(at.strftime("%b %-d, %Y at %H:%M UTC").to_string())
}
