//! Properties of the parsers of typed text and button values: they never panic, and return safe ids only.

use kapso_slack::cards::SessionValue;
use kapso_slack::commands::{
    self, Command, CommandWord, ConfirmationToken, ConfirmationValue, Find, Help, List, New, PageValue, ParseError,
    Phone, Show, StartWatching, StopWatching, Unknown,
};
use kapso_slack::kapso::{AgentId, SessionId};
use kapso_slack::slack::button_value::{Origin, ValueSigner};
use kapso_slack::slack::{UserId, Who};
use proptest::prelude::*;
use proptest::sample::select;

/// Words that the parser knows, and similar ones: random text rarely contains them.
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

/// What surrounds a word where chats, documents and Slack format it. Underscores come with `_`, and only around a UUID.
const DECORATIONS: &[(&str, &str)] = &[
    ("`", "`"),
    ("```", "```"),
    ("*", "*"),
    ("_", "_"),
    ("~", "~"),
    ("\"", "\""),
    ("'", "'"),
    ("“", "”"),
    ("‘", "’"),
    ("„", "“"),
    ("«", "»"),
    ("<", ">"),
    ("<", "|the session>"),
    ("&lt;", "&gt;"),
    ("&amp;lt;", "&amp;gt;"),
    (" ", "\n"),
    ("<https://app.kapso.ai/sandbox_sessions/", ">"),
    ("&quot;", "&quot;"),
];

/// Characters that cannot be seen.
const INVISIBLE: &[&str] = &[
    "",
    "\u{AD}",
    "\u{34F}",
    "\u{61C}",
    "\u{180E}",
    "\u{200B}",
    "\u{200C}",
    "\u{200D}",
    "\u{200E}",
    "\u{202E}",
    "\u{2060}",
    "\u{2066}",
    "\u{2069}",
    "\u{FE0F}",
    "\u{FEFF}",
    "\u{E0001}",
    "\u{E0100}",
];

fn parse(text: &str) -> Command {
    commands::parse(text, "/sandbox")
}

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
            Command::Show(Show(id))
            | Command::StartWatching(StartWatching(id))
            | Command::StopWatching(StopWatching(id)) => prop_assert!(is_safe(id.as_str()), "{id}"),
            Command::Find(Find(phone)) => prop_assert!(is_e164(phone.as_str()), "{}", phone.as_str()),
            Command::List(List { page }) => prop_assert!((1..=999_999).contains(&page)),
            Command::New(New { phone, agent, confirmation }) => {
                prop_assert!(is_e164(phone.as_str()), "{}", phone.as_str());
                prop_assert!(agent.is_none_or(|agent| is_safe(agent.as_str())));
                prop_assert_eq!(confirmation, None, "typed text contains no confirmation");
            }
            Command::Help(Help) | Command::Unknown(_) => {}
            other => prop_assert!(false, "typed text cannot become {other:?}"),
        }
    }

    #[test]
    fn a_suggested_command_is_understood(text in command_form()) {
        let Command::Unknown(Unknown(ParseError::DidYouMean { instead, as_id })) = parse(&text) else {
            return Ok(());
        };
        let (name, rest) = instead.split_once(' ').map_or((&*instead, None), |(name, rest)| (name, Some(rest)));
        let word = CommandWord::named(name);
        let follows = match parse(&instead) {
            // The word alone gets its usage.
            Command::Unknown(Unknown(ParseError::Usage(missing))) => Some(missing) == word && rest.is_none(),
            command @ Command::Find(_) => command.typed().as_deref() == Some(&*instead),
            command @ (Command::Show(_)
            | Command::StartWatching(_)
            | Command::StopWatching(_)
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
    fn any_decoration_around_an_id_leaves_the_command(
        id in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        layers in prop::collection::vec(select(DECORATIONS), 0..4),
        invisible in prop::collection::vec(select(INVISIBLE), 36),
        is_upper: bool,
        quote in select(&["", "&gt; ", "• "][..]),
    ) {
        let written = if is_upper { id.to_uppercase() } else { id.clone() };
        let hidden: String = written.chars().zip(invisible).flat_map(|(c, hidden)| [c.to_string(), hidden.to_owned()]).collect();
        // Slack's own links are not nested.
        let mut has_link = false;
        let mut decorated = hidden;
        for (before, after) in layers {
            let is_link = before.contains('<') || before.contains("lt;");
            if is_link && has_link || before.contains("//") && decorated.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
                continue;
            }
            has_link |= is_link;
            decorated = format!("{before}{decorated}{after}");
        }
        let decorated = format!("{quote}{decorated}");
        let id = SessionId::parse(&id).unwrap();
        prop_assert_eq!(parse(&decorated), Command::from(Show(id.clone())), "{}", decorated);
        prop_assert_eq!(parse(&format!("/sandbox {decorated}")), Command::from(Show(id.clone())), "{}", decorated);
        prop_assert_eq!(parse(&format!("watch {decorated}")), Command::from(StartWatching(id)), "{}", decorated);
    }

    #[test]
    fn digits_that_slack_linked_inside_an_id_stay_a_part_of_it(
        id in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{2}[0-9]{10}", length in 1_usize..=10,
    ) {
        let (head, tail) = id.split_at(36 - length);
        let id = SessionId::parse(&id).unwrap();
        for linked in [format!("{head}<tel:{tail}|{tail}>"), format!("*{head}<tel:{tail}|{tail}>*"), format!("{head}<tel:{tail}>")] {
            prop_assert_eq!(parse(&linked), Command::from(Show(id.clone())), "{}", linked);
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
    fn button_values_round_trip(id in "[A-Za-z0-9_-]{1,64}") {
        let value = SessionValue(SessionId::parse(&id).unwrap());
        prop_assert_eq!(SessionValue::parse(&value.to_string()), Some(value));
    }

    #[test]
    fn signed_values_round_trip(
        content in "[^|]{0,80}", typed_by in users(), shared_by in users(), team in "T[A-Z0-9]{1,31}|", other: String,
    ) {
        let signer = ValueSigner::new(&["a".into(), "b".into()]);
        let user = typed_by.map(String::from).unwrap_or_default();
        let mut origin = Origin::typed(&Who { team, user, ..Who::default() });
        if let Some(user) = shared_by {
            origin = origin.shared_by(&user);
        }
        let value = signer.sign(&content, &origin);
        prop_assert_eq!(signer.verify(&value), Some((content.as_str(), origin.clone())));
        prop_assert_eq!(ValueSigner::new(&["b".into()]).verify(&value), None);
        prop_assert!(ValueSigner::new(&["b".into(), "a".into()]).verify(&value).is_some());
        let unsigned = ValueSigner::new(&[]).sign(&content, &origin);
        prop_assert_eq!(ValueSigner::new(&[]).verify(&unsigned), None);
        prop_assert_eq!(signer.verify(&other), None);
        prop_assert_eq!(signer.verify(&format!("{other}{value}")).is_some(), other.is_empty());
    }

    #[test]
    fn other_button_values_are_rejected(value in values()) {
        if let Some(read) = SessionValue::parse(&value) {
            prop_assert!(is_safe(read.0.as_str()));
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
            // Only the case of a UUID may differ.
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

/// Numbers of the United States: all have ten digits after the country code.
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
