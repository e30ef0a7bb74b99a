//! The gallery holds every message there is: every text for people in the source can be seen in it.

use std::collections::BTreeSet;

use kapso_slack::app::client_builder;
use kapso_slack::clock::Clock;
use kapso_slack::demo;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use serde_json::Value;

use crate::support::sources::sources;

/// Macros whose texts are for operators or developers.
const NOT_FOR_PEOPLE: [&str; 5] = ["debug_assert", "assert", "error", "warn", "info"];

/// Texts that no message in the gallery can have, with the reason.
const EXCEPTIONS: [(&str, &str); 2] = [
    ("not a word", "in the log, for an unknown action id"),
    ("an outcome that this version does not know", "an error in a stored job"),
];

#[tokio::test]
async fn every_text_for_people_in_the_source_is_in_the_gallery() {
    let gallery = texts_of_the_gallery().await;
    let mut found = BTreeSet::new();
    let mut missing = BTreeSet::new();
    for (file, source) in sources() {
        if !(file.starts_with("commands/") || file.starts_with("cards/")) || file == "cards/samples.rs" {
            continue;
        }
        let tokens: TokenStream = source.parse().unwrap_or_else(|error| panic!("src/{file}: {error}"));
        for text in texts(tokens) {
            if !gallery.iter().any(|shown| fits(shown, &text)) {
                missing.insert(text.clone());
            }
            found.insert(text);
        }
    }
    assert!(found.len() > 150, "found only {} texts", found.len());
    assert_eq!(
        missing,
        EXCEPTIONS.map(|(text, _)| text.to_owned()).into(),
        "the texts on the left are those that no message of the gallery has; add a sample to `samples` of the command"
    );
}

/// Every string in a message of the gallery.
async fn texts_of_the_gallery() -> BTreeSet<String> {
    let demo = demo::start(0, Clock::system(), |_| {}).await.unwrap();
    let http = client_builder().build().unwrap();
    let address = demo.url().join("gallery/views").unwrap();
    let views = http.get(address).send().await.unwrap().text().await.unwrap();
    let views: Value = serde_json::from_str(&views).unwrap();
    let messages = views["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["views"].as_array().unwrap());
    let mut texts = BTreeSet::new();
    for view in messages {
        collect(&view["message"], &mut texts);
    }
    assert!(texts.len() > 100, "the gallery has {} texts", texts.len());
    texts
}

fn collect(value: &Value, texts: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            texts.insert(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(fields) => fields.values().for_each(|value| collect(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether `shown` has the constant parts of `template`, in their order.
fn fits(shown: &str, template: &str) -> bool {
    let mut rest = shown;
    template.split('{').enumerate().all(|(index, part)| {
        let constant = match part.split_once('}') {
            Some((_, constant)) if index > 0 => constant,
            _ => part,
        };
        match rest.split_once(constant) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        }
    })
}

/// The string literals in `tokens` that people may read: not in attributes, samples, tests, and macros for developers.
fn texts(tokens: TokenStream) -> Vec<String> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                // `#![…]` is an attribute of the file.
                at += usize::from(matches!(tokens.get(at), Some(TokenTree::Punct(_))));
                let Some(TokenTree::Group(attribute)) = tokens.get(at) else {
                    continue;
                };
                at += 1;
                let attribute = attribute.to_string().replace(' ', "");
                if attribute == "[cfg(test)]" || attribute == "[cfg(feature=\"demo\")]" {
                    at = end_of_item(&tokens, at);
                }
            }
            TokenTree::Ident(name) if NOT_FOR_PEOPLE.iter().any(|skipped| name == skipped) => {
                if matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == '!') {
                    at += 2;
                }
            }
            TokenTree::Group(group) => found.extend(texts(group.stream())),
            TokenTree::Literal(literal) => {
                found.extend(unescaped(&literal.to_string()).filter(|text| is_for_people(text)));
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
    found
}

/// Where the item that begins at `at` ends: behind its first block or semicolon.
fn end_of_item(tokens: &[TokenTree], at: usize) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    };
    let length = tokens[at..].iter().position(ends).expect("an item ends");
    at + length + 1
}

/// Names and values for programs are lower-case words.
fn is_for_people(text: &str) -> bool {
    let has_letters = text.contains(char::is_alphabetic);
    has_letters && (text.contains(' ') || text.starts_with(|c: char| c.is_uppercase()))
}

/// The value of a string literal; `None` for other literals.
fn unescaped(literal: &str) -> Option<String> {
    let mut rest = literal.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut text = String::new();
    while let Some(next) = rest.next() {
        if next != '\\' {
            text.push(next);
            continue;
        }
        match rest.next()? {
            'n' => text.push('\n'),
            '\n' => rest = rest.as_str().trim_start().chars(),
            'u' => {
                let (digits, after) = rest.as_str().strip_prefix('{')?.split_once('}')?;
                text.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
                rest = after.chars();
            }
            other => text.push(other),
        }
    }
    Some(text)
}
