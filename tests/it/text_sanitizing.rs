//! Foreign text is sanitized: cleaned, cut, and inert in Slack's markup.

use kapso_slack::slack::message::Message;
use kapso_slack::slack::text::{Mrkdwn, clean, cut};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

use crate::support::inert_text::{expect_inert, is_hidden};

/// Fragments that can form markup together.
const PIECES: &[&str] = &[
    "<",
    ">",
    "&",
    ";",
    "|",
    "!",
    "!channel",
    "@",
    "@U1",
    "#",
    "lt",
    "amp",
    "*",
    "_",
    "~",
    "`",
    ":",
    "tada",
    ".",
    "..",
    "com",
    "evil",
    "www",
    "/",
    "//",
    "https",
    "?",
    "(",
    ")",
    "-",
    "1",
    "…",
    " ",
    "\n",
    "\t",
    "\u{A0}",
    "\0",
    "\u{7F}",
    "\u{200B}",
    "\u{200D}",
    "\u{202E}",
    "\u{2066}",
    "\u{FEFF}",
    "\u{E0041}",
    "\u{301}",
    "ü",
    "рф",
    "🙂",
    "👩‍👩‍👧",
];

fn foreign() -> impl Strategy<Value = String> {
    let piece = prop_oneof![6 => select(PIECES).prop_map(str::to_owned), 1 => any::<String>()];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn clean_text_is_one_short_line_without_hidden_characters(text in foreign(), max in 1_usize..60) {
        let clean_text = clean(&text, max);
        prop_assert!(clean_text.chars().count() <= max, "{clean_text:?} is longer than {max}");
        prop_assert!(!clean_text.contains(is_hidden), "{clean_text:?}");
        prop_assert!(!clean_text.contains(|c: char| c.is_whitespace() && c != ' '), "{clean_text:?}");
        prop_assert!(!clean_text.contains("  "), "{clean_text:?}");
        prop_assert_eq!(clean_text.trim(), &clean_text);
        prop_assert_eq!(clean(&clean_text, max), clean_text);
    }

    #[test]
    fn clean_short_text_is_unchanged(text in "[!-~äé漢🙂]{1,20}( [!-~äé漢🙂]{1,20}){0,2}") {
        prop_assert_eq!(clean(&text, 62), text);
    }

    #[test]
    fn cut_text_is_a_prefix(text: String, max in 1_usize..40) {
        let whole = text.chars().count();
        let short = cut(&text, max);
        if whole <= max {
            prop_assert_eq!(&short, &text);
        } else {
            let beginning: String = text.chars().take(max - 1).collect();
            prop_assert_eq!(short, format!("{beginning}…"));
        }
    }

    #[test]
    fn foreign_text_in_markup_is_inert(text in foreign(), max in 1_usize..80) {
        let message = spoken(&text, max);
        expect_inert(&message, &text);
        let words = message["text"].as_str().unwrap().strip_prefix("MARK ").unwrap();
        let read = words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        prop_assert!(read.chars().count() <= max, "{read} is longer than {max}");
    }

    #[test]
    fn plain_text_in_markup_is_unchanged(words in "[A-Za-z0-9äé漢<>&+!?=(),;'-]{1,10}( [A-Za-z0-9&]{1,10}){0,4}") {
        let message = spoken(&words, 100);
        let escaped = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        prop_assert_eq!(&message["text"], &format!("MARK {escaped}"));
    }
}

fn spoken(words: &str, max: usize) -> Value {
    let text = Mrkdwn::new("MARK ").foreign(words, max);
    serde_json::from_str(&Message::ephemeral(text, Vec::new()).to_json()).unwrap()
}
