//! Messages keep Slack's limits, and what is cut is never cut inside an entity, a link or code.

use kapso_slack::demo::rules::violations;
use kapso_slack::slack::blocks::{Block, Button, Text};
use kapso_slack::slack::message::Message;
use kapso_slack::slack::text::Mrkdwn;
use proptest::prelude::*;
use serde_json::Value;
use url::Url;

/// Pieces of markup as this app writes them, of any length.
fn piece() -> impl Strategy<Value = Mrkdwn> {
    prop_oneof![
        "[&<>a-z ü🙂]{0,400}".prop_map(|words| Mrkdwn::default().foreign(&words, 400)),
        "[&<>a-z`]{0,120}".prop_map(|words| Mrkdwn::default().monospace(&words)),
        "[a-z&]{1,300}".prop_map(|path| {
            let address = Url::parse(&format!("https://wa.me/{path}?text=a&b=c")).unwrap();
            Mrkdwn::default().link(&address)
        }),
        (0_i64..4_000_000_000).prop_map(|at| Mrkdwn::default().date(jiff::Timestamp::from_second(at).unwrap())),
        Just(Mrkdwn::new("words of our own, ")),
    ]
}

fn message(text: &Mrkdwn) -> Value {
    let button = || Button::action("show", "Show", "v1:a");
    let blocks = [
        Block::section(Text::mrkdwn(text.clone())),
        Block::row(Text::plain("row"), Some(Text::mrkdwn(text.clone())), button()),
    ];
    let blocks = blocks
        .into_iter()
        .chain(Block::context(vec![Text::mrkdwn(text.clone())]));
    serde_json::from_str(&Message::ephemeral(text.clone(), blocks.collect()).to_json()).unwrap()
}

/// Each text in Slack's markup, with Slack's limit.
fn texts(message: &Value) -> [(&str, usize); 4] {
    let blocks = &message["blocks"];
    [
        (&message["text"], 4_000),
        (&blocks[0]["text"]["text"], 3_000),
        (&blocks[1]["fields"][0]["text"], 2_000),
        (&blocks[2]["elements"][0]["text"], 2_000),
    ]
    .map(|(text, max)| (text.as_str().unwrap(), max))
}

/// Why the markup is damaged, if it is.
fn damage(text: &str) -> Option<&'static str> {
    let outside: String = text
        .split('<')
        .enumerate()
        .map(|(part, words)| {
            if part == 0 {
                Some(words)
            } else {
                words.split_once('>').map(|(_, after)| after)
            }
        })
        .collect::<Option<String>>()
        .unwrap_or_else(|| "<".to_owned());
    let entities_are_whole = text.match_indices('&').all(|(at, _)| {
        ["&amp;", "&lt;", "&gt;"]
            .iter()
            .any(|entity| text[at..].starts_with(entity))
    });
    if outside.contains(['<', '>']) {
        Some("a link or a date is cut")
    } else if !entities_are_whole {
        Some("an entity is cut")
    } else if !text.matches('`').count().is_multiple_of(2) {
        Some("code is cut")
    } else {
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn long_texts_are_cut_between_entities_links_and_code(pieces in prop::collection::vec(piece(), 0..40)) {
        let text = pieces.iter().fold(Mrkdwn::new("MARK "), Mrkdwn::then);
        let message = message(&text);
        prop_assert_eq!(violations(&message), Vec::<String>::new());
        for (text, max) in texts(&message) {
            let length = text.chars().count();
            prop_assert!(length <= max, "{length} characters, of {max}");
            prop_assert_eq!(damage(text), None, "{}", text);
        }
    }
}

#[test]
fn an_entity_at_the_limit_is_left_out_as_a_whole() {
    for many in 2_980..3_010 {
        let text = Mrkdwn::default().foreign(&"a".repeat(many), many).foreign("<<<<", 9);
        let message = message(&text);
        for (text, max) in texts(&message) {
            assert_eq!(damage(text), None, "{many}: {text}");
            assert!(text.chars().count() <= max, "{many}: {text}");
            assert_eq!(
                text.ends_with('…'),
                many + 16 > max,
                "{many}: what is cut ends with an ellipsis"
            );
        }
    }
}
