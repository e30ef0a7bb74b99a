//! Whatever is typed or comes back from a button: nothing panics, and only a safe id ever comes out of it.

use kapso_slack::cards::ButtonValue;
use kapso_slack::commands::{
    Command, CommandWord, ConfirmationToken, ConfirmationValue, Help, List, New, PageValue, ParseError, Phone, Show,
    StartWatching, Unknown, parse,
};
use kapso_slack::kapso::{AgentId, SessionId};
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
    "+",
    "00",
    "+12345678901",
    "(234) 567-8901",
    "tel:",
    "4915112345678",
    "2",
    "999999999999",
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
fn command_form() -> impl Strategy<Value = String> {
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
    fn only_a_safe_id_is_ever_looked_up(text in command_form()) {
        match parse(&text) {
            Command::Show(Show(id)) | Command::StartWatching(StartWatching(id)) => {
                prop_assert!(is_safe(id.as_str()), "{id}");
            }
            Command::List(List { page }) => prop_assert!((1..=999_999).contains(&page)),
            Command::New(New { phone, agent, confirmation }) => {
                prop_assert!(is_e164(phone.as_str()), "{}", phone.as_str());
                prop_assert!(agent.is_none_or(|agent| is_safe(agent.as_str())));
                prop_assert_eq!(confirmation, None, "nobody types a confirmation");
            }
            Command::Help(Help) | Command::Unknown(_) => {}
            other => prop_assert!(false, "nobody can type {other:?}"),
        }
    }

    #[test]
    fn a_suggested_command_is_understood(text in command_form()) {
        let Command::Unknown(Unknown(ParseError::DidYouMean { instead, as_id })) = parse(&text) else {
            return Ok(());
        };
        let (name, rest) = instead.split_once(' ').map_or((&*instead, None), |(name, rest)| (name, Some(rest)));
        let word = CommandWord::named(name).unwrap();
        let follows = match parse(&instead) {
            // Who types the word alone is told what it needs.
            Command::Unknown(Unknown(ParseError::Usage(missing))) => missing == word && rest.is_none(),
            command @ (Command::Show(_)
            | Command::StartWatching(_)
            | Command::List(_)
            | Command::New(_)
            | Command::Help(_)) => command.name() == name && command.typed().as_deref() == Some(&*instead),
            _ => false,
        };
        prop_assert!(follows, "{instead} leads to {:?}", parse(&instead));
        if let Some(id) = as_id {
            prop_assert!(is_safe(id.as_str()));
            prop_assert_eq!(parse(&format!("show {id}")), Command::from(Show(id)));
        }
    }

    #[test]
    fn every_safe_id_can_be_looked_up_with_show(id in "[A-Za-z0-9_-]{1,64}") {
        let id = SessionId::parse(&id).unwrap();
        prop_assert_eq!(parse(&format!("show {id}")), Command::from(Show(id)));
    }

    #[test]
    fn unsafe_ids_are_rejected(text: String) {
        prop_assert_eq!(SessionId::parse(&text).is_some(), is_safe(&text));
    }

    #[test]
    fn button_values_round_trip(id in "[A-Za-z0-9_-]{1,64}", shared_by in users()) {
        let value = ButtonValue { id: SessionId::parse(&id).unwrap(), shared_by };
        prop_assert_eq!(ButtonValue::parse(&value.to_string()), Some(value));
    }

    #[test]
    fn other_button_values_are_rejected(value in values()) {
        if let Some(read) = ButtonValue::parse(&value) {
            prop_assert!(is_safe(read.id.as_str()));
            // The case of a UUID is all that may differ.
            prop_assert!(read.to_string().eq_ignore_ascii_case(&value), "{value} was read as {read}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn parsed_phone_numbers_are_valid_and_round_trip(written in written()) {
        if let Some(phone) = Phone::parse(&written) {
            prop_assert!(is_e164(phone.as_str()), "{written:?} was read as {}", phone.as_str());
            prop_assert_eq!(Phone::parse(phone.as_str()), Some(phone));
        }
    }

    #[test]
    fn grouping_does_not_change_a_phone_number(phone in phones(), groups in prop::collection::vec(select(GROUPINGS), 12)) {
        let mut written = String::new();
        for (digit, grouping) in phone.chars().zip(groups) {
            written.push(digit);
            written.push_str(grouping);
        }
        let wanted = Command::from(New {
            phone: Phone::parse(&phone).unwrap(),
            agent: AgentId::parse("agent-1"),
            confirmation: None,
        });
        for written in [written.clone(), written.replacen('+', "00", 1), format!("tel:{written}")] {
            prop_assert_eq!(parse(&format!("new {written} agent-1")), wanted.clone(), "{}", written);
            prop_assert_eq!(parse(&format!("new agent-1 {written}")), wanted.clone(), "{}", written);
        }
    }

    #[test]
    fn page_values_round_trip(page in 1_u32..=999_999, other in "v1:[0-9+-]{0,12}") {
        prop_assert_eq!(PageValue::parse(&PageValue(page).to_string()), Some(PageValue(page)));
        if let Some(read) = PageValue::parse(&other) {
            prop_assert_eq!(read.to_string(), other);
        }
    }

    #[test]
    fn confirmation_values_round_trip(
        phone in phones(), agent in prop::option::of("[A-Za-z0-9_-]{1,64}"), question in "[0-9a-f]{64}",
    ) {
        let value = ConfirmationValue(New {
            phone: Phone::parse(&phone).unwrap(),
            agent: agent.as_deref().and_then(AgentId::parse),
            confirmation: ConfirmationToken::parse(&question),
        });
        prop_assert_eq!(ConfirmationValue::parse(&value.to_string()), Some(value));
    }

    #[test]
    fn other_confirmation_values_are_rejected(value in confirmations()) {
        if let Some(read) = ConfirmationValue::parse(&value) {
            prop_assert!(is_e164(read.0.phone.as_str()));
            // The case of a UUID is all that may differ.
            prop_assert!(read.to_string().eq_ignore_ascii_case(&value), "{value} was read as {read}");
        }
    }
}

/// What people write between the digits of a phone number.
const GROUPINGS: &[&str] = &[
    "", "", "", " ", "-", ".", "/", " - ", "\u{A0}", "\u{2011}", "\u{200B}", "(", ")", ") ",
];

fn written() -> impl Strategy<Value = String> {
    prop_oneof![
        "(tel:)?(\\+|00)?[0-9 ().-]{0,20}",
        "\\+(1|44|49|39|52|55|7|81|999)[0-9]{4,13}",
        any::<String>(),
    ]
}

/// Numbers of the United States: all have ten digits behind the country's code.
fn phones() -> impl Strategy<Value = String> {
    "\\+1[2-9](0[1-9]|[2-8][02-9])[2-9][02-9][02-9][0-9]{4}"
        .prop_filter("a number", |phone| Phone::parse(phone).is_some())
}

fn confirmations() -> impl Strategy<Value = String> {
    prop_oneof![
        "v1:[0-9a-f]{63,65}:\\+?1234567890[0-9]?(:[A-Za-z0-9_-]{0,66}){0,2}",
        "v[01]:[0-9a-fA-F]{64}:(00|tel:)?\\+12345678901(:[a-z/. -]{0,9})?",
        any::<String>(),
    ]
}

fn is_e164(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default();
    (4..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
}

fn is_safe(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn users() -> impl Strategy<Value = Option<UserId>> {
    prop::option::of("[UW][A-Z0-9]{1,31}".prop_map(|id| UserId::parse(&id).unwrap()))
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        "v[01]?:[A-Za-z0-9_:./-]{0,70}",
        "v1:[A-Za-z0-9_-]{1,66}(:[UWTuw][A-Z0-9a-z]{0,33}){0,2}",
        any::<String>(),
    ]
}
