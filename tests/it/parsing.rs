//! Whatever is typed or comes back from a button: nothing panics, and only a safe id ever comes out of it.

use kapso_slack::commands::{ButtonValue, Command, Misread, Verb, parse};
use kapso_slack::kapso::SessionId;
use kapso_slack::slack::UserId;
use proptest::prelude::*;
use proptest::sample::select;

/// Pieces that the parser knows, and their near relatives: most random text holds none of them.
const PIECES: &[&str] = &[
    "123e4567-e89b-12d3-a456-426614174000",
    "123E4567-E89B-12D3-A456-426614174000",
    "agent-123abc",
    "show",
    "SHWO",
    "list",
    "new",
    "watch",
    "wathc",
    "help",
    "hlep",
    "https://app.kapso.ai/",
    "kapso.ai/",
    "https://evil.example/",
    "<",
    ">",
    "|",
    "`",
    "*",
    "“",
    "”",
    "'",
    "/",
    "..",
    "?",
    "#",
    "%2e",
    "\\",
    "@",
    ":",
    "—",
    "–",
    " ",
    "\n",
    "\u{A0}",
    "\u{200B}",
    "\0",
    "🙂",
];

/// What people might type.
fn typed() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => select(PIECES).prop_map(str::to_owned),
        1 => "[A-Za-z0-9_-]{1,70}",
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_is_typed_only_a_safe_id_is_looked_up(text in typed()) {
        match parse(&text) {
            Command::Show(id) | Command::Watch(id) => prop_assert!(is_safe(id.as_str()), "{id}"),
            Command::Help | Command::Coming(_) | Command::Unknown(_) => {}
            other => prop_assert!(false, "nobody can type {other:?}"),
        }
    }

    #[test]
    fn a_suggestion_does_what_it_says(text in typed()) {
        let Command::Unknown(Misread::DidYouMean { instead, as_id }) = parse(&text) else {
            return Ok(());
        };
        let (verb, id) = instead.split_once(' ').map_or((&*instead, None), |(verb, id)| (verb, Some(id)));
        let follows = match (Verb::named(verb), id) {
            (Some(Verb::Show), Some(id)) => parse(&instead) == Command::Show(SessionId::parse(id).unwrap()),
            (Some(Verb::Watch), Some(id)) => parse(&instead) == Command::Watch(SessionId::parse(id).unwrap()),
            // Who types `show` alone is told what an id is.
            (Some(verb @ (Verb::Show | Verb::Watch)), None) => parse(&instead) == Command::Unknown(Misread::NoId(verb)),
            (Some(Verb::Help), None) => parse(&instead) == Command::Help,
            (Some(coming), _) => parse(&instead) == Command::Coming(coming),
            (None, _) => false,
        };
        prop_assert!(follows, "{instead} leads to {:?}", parse(&instead));
        if let Some(id) = as_id {
            prop_assert!(is_safe(id.as_str()));
            prop_assert_eq!(parse(&format!("show {id}")), Command::Show(id));
        }
    }

    #[test]
    fn every_safe_id_can_be_looked_up_with_show(id in "[A-Za-z0-9_-]{1,64}") {
        let id = SessionId::parse(&id).unwrap();
        prop_assert_eq!(parse(&format!("show {id}")), Command::Show(id));
    }

    #[test]
    fn every_other_id_is_no_id(text: String) {
        prop_assert_eq!(SessionId::parse(&text).is_some(), is_safe(&text));
    }

    #[test]
    fn a_button_says_again_what_was_written_on_it(id in "[A-Za-z0-9_-]{1,64}", sharer in sharers()) {
        let value = ButtonValue { id: SessionId::parse(&id).unwrap(), sharer };
        prop_assert_eq!(ButtonValue::parse(&value.to_string()), Some(value));
    }

    #[test]
    fn a_button_that_says_anything_else_says_nothing(value in values()) {
        if let Some(read) = ButtonValue::parse(&value) {
            prop_assert!(is_safe(read.id.as_str()));
            // The case of a UUID is all that may differ.
            prop_assert!(read.to_string().eq_ignore_ascii_case(&value), "{value} was read as {read}");
        }
    }
}

fn is_safe(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn sharers() -> impl Strategy<Value = Option<UserId>> {
    prop::option::of("[UW][A-Z0-9]{1,31}".prop_map(|id| UserId::parse(&id).unwrap()))
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        "v[01]?:[A-Za-z0-9_:./-]{0,70}",
        "v1:[A-Za-z0-9_-]{1,66}(:[UWTuw][A-Z0-9a-z]{0,33}){0,2}",
        any::<String>(),
    ]
}
