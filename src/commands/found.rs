//! Finds sessions and phone numbers in a message that somebody wrote to other people.

use super::parse::offered;
use super::session_id::{looks_like_id, session_id, uuid_in};
use super::typed_text::{plain, words};
use super::{Command, Find, Phone, Show, phone};
use crate::kapso::SessionId;

/// How many are found at most.
pub(super) const FOUND_MAX: usize = 10;
/// Most words of a phone number: each digit may be one.
const PHONE_WORDS_MAX: usize = 16;
/// Shortest word with letters and digits that may be an id without being a UUID.
const LIKELY_MIN: usize = 16;
/// Punctuation that may stand around a word in a sentence.
const PUNCTUATION: [char; 12] = ['.', ',', ';', ':', '!', '?', '(', ')', '[', ']', '{', '}'];

/// What can be looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Session(SessionId),
    /// Its newest session.
    Phone(Phone),
}

/// What was found in a message.
#[derive(Default)]
struct Finds {
    /// UUIDs, addresses of Kapso that end in an id, and phone numbers.
    certain: Vec<Found>,
    /// Words that may be something else. They count only if nothing is certain.
    likely: Vec<Found>,
}

impl Found {
    /// The command that looks it up.
    pub(super) fn command(&self) -> Command {
        match self {
            Self::Session(id) => Show(id.clone()).into(),
            Self::Phone(phone) => Find(phone.clone()).into(),
        }
    }

    /// The text that looks it up.
    #[must_use]
    pub fn typed(&self) -> String {
        self.command().typed().unwrap_or_default()
    }

    /// Reads a text of [`typed`](Self::typed); `None` for any other.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let command = offered(typed)?;
        if let Command::Find(Find(phone)) = command {
            return Some(Self::Phone(phone));
        }
        let Command::Show(Show(id)) = command else {
            return None;
        };
        Some(Self::Session(id))
    }
}

/// What is in the texts of a message, in the order of appearance: one more than `FOUND_MAX` at most.
///
/// Other people's sentences are no commands: an ordinary word is never taken for an id.
#[must_use]
pub fn found(texts: &[String]) -> Vec<Found> {
    let mut finds = Finds::default();
    for text in texts {
        let plain = plain(&with_labels(text));
        let words = words(&plain);
        let mut at = 0;
        while let Some(word) = words.get(at) {
            if let Some((phone, length)) = phone_at(&words[at..]) {
                add(&mut finds.certain, Found::Phone(phone));
                at += length;
            } else {
                finds.read_word(word);
                at += 1;
            }
            if finds.certain.len() > FOUND_MAX {
                return finds.certain;
            }
        }
    }
    if finds.certain.is_empty() {
        finds.likely
    } else {
        finds.certain
    }
}

impl Finds {
    fn read_word(&mut self, word: &str) {
        let word = word.trim_matches(PUNCTUATION);
        // Cheap, for messages with very many words.
        if !looks_like_id(word) && !word.contains("://") {
            return;
        }
        let is_address = word.contains("://");
        // The UUIDs in addresses of others are not sessions.
        let uuid = if is_address { None } else { uuid_in(word) };
        let Some(id) = session_id(word)
            .filter(SessionId::is_uuid)
            .or(uuid)
            .or_else(|| session_id(word))
        else {
            return;
        };
        // Typed, an underscore beside a UUID is formatting.
        let id = uuid_in(id.as_str().trim_matches('_')).unwrap_or(id);
        let is_kapsos = SessionId::parse(word).is_none();
        let has_digit = id.as_str().contains(|c: char| c.is_ascii_digit());
        if id.is_uuid() || is_kapsos && has_digit {
            add(&mut self.certain, Found::Session(id));
        } else if is_kapsos || has_digit && is_unlike_words(id.as_str()) {
            add(&mut self.likely, Found::Session(id));
        }
    }
}

/// Whether a word with a digit is hardly anything else than an id: letters and digits, and longer than a ticket's number, a
/// version or a date.
fn is_unlike_words(word: &str) -> bool {
    let has_letter = word.contains(|c: char| c.is_ascii_alphabetic());
    has_letter && word.len() >= LIKELY_MIN
}

fn add(all: &mut Vec<Found>, new: Found) {
    if all.len() <= FOUND_MAX && !all.contains(&new) {
        all.push(new);
    }
}

/// The phone number with `+` with which the words begin, and how many of them it takes.
fn phone_at(words: &[&str]) -> Option<(Phone, usize)> {
    let first = words.first()?.trim_start_matches(PUNCTUATION);
    if !first.starts_with('+') && phone::after_scheme(first).is_none() {
        return None;
    }
    let word = |at: usize| if at == 0 { first } else { words[at] };
    let count = words.len().min(PHONE_WORDS_MAX);
    // At another plus, another number begins.
    let is_more = |at: &usize| *at == 0 || !word(*at).starts_with('+');
    let is_part = |at: &usize| is_more(at) && phone::is_part(word(*at).trim_end_matches(PUNCTUATION));
    let parts = (0..count).take_while(is_part);
    (1..=parts.count()).rev().find_map(|length| {
        let written: Vec<&str> = (0..length).map(word).collect();
        let written = written.join(" ");
        Some((Phone::parse(written.trim_end_matches(PUNCTUATION))?, length))
    })
}

/// The text with the labels of links beside their addresses: people read the label. In a link to a phone number, both are
/// the number.
fn with_labels(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('<') {
        all.push_str(before);
        all.push('<');
        rest = link;
        let end = link.find(['<', '>']).unwrap_or(link.len());
        if link[end..].starts_with('>')
            && let (inside, after) = (&link[..end], &link[end + 1..])
            && let Some((address, label)) = inside.split_once('|')
            && phone::after_scheme(address).is_none()
        {
            all.extend([address, "> ", label, " "]);
            rest = after;
        }
    }
    all + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const ID: &str = "123e4567-e89b-12d3-a456-426614174000";
    const OTHER: &str = "0a1b2c3d-0000-4000-8000-00000000000f";

    fn typed(text: &str) -> Vec<String> {
        found(&[text.to_owned()]).iter().map(Found::typed).collect()
    }

    #[test]
    fn ids_addresses_and_phone_numbers_are_found_in_sentences() {
        let show = |id: &str| vec![format!("show {id}")];
        let phone = vec!["+12025550123".to_owned()];
        for (text, expected) in [
            (format!("Can somebody activate {ID}? It is urgent."), show(ID)),
            (format!("({ID}), please"), show(ID)),
            (format!("*{ID}*"), show(ID)),
            (format!("_{ID}_"), show(ID)),
            (format!("```{ID}```"), show(ID)),
            (format!("id={ID};"), show(ID)),
            (format!("session:{}", ID.to_uppercase()), show(ID)),
            (
                format!("<https://app.kapso.ai/projects/{OTHER}/sandbox/{ID}>"),
                show(ID),
            ),
            (format!("<https://app.kapso.ai/sandbox/{ID}|the session>."), show(ID)),
            (format!("see https://app.kapso.ai/sandbox/{ID}."), show(ID)),
            (format!("https://app.kapso.ai/sandbox/_{ID}"), show(ID)),
            ("`https://app.kapso.ai/sandbox/sess-42`".to_owned(), show("sess-42")),
            (format!("<https://jira.example/browse|{ID}>"), show(ID)),
            (
                "<https://app.kapso.ai/sandbox/waiting-one> it is".to_owned(),
                show("waiting-one"),
            ),
            (
                "Is session-0123abcd4567 there?".to_owned(),
                show("session-0123abcd4567"),
            ),
            ("+1 202 555 0123 wants in".to_owned(), phone.clone()),
            ("call (+1 (202) 555-0123).".to_owned(), phone.clone()),
            ("<tel:+12025550123|+1 202 555 0123>".to_owned(), phone.clone()),
            ("<tel:+12025550123|call me>, 10 times".to_owned(), phone.clone()),
            ("+12025550123 10 20 30 times".to_owned(), phone.clone()),
            ("+12025550123 +12025550123".to_owned(), phone.clone()),
            (
                format!("{OTHER} or {ID}, not {OTHER}; +12025550123 COVID-19"),
                [show(OTHER), show(ID), phone].concat(),
            ),
        ] {
            assert_eq!(typed(&text), expected, "{text}");
        }
    }

    #[test]
    fn ordinary_words_numbers_and_links_are_not_taken_for_ids() {
        for text in [
            "",
            "Hello, could someone look at the well-known e-mail_thing of to-day?",
            "show session list 2026-11-28 10:00 v2 3pm 1234567890 12 2nd H1",
            "Meet at 10, room 4711, on 28.11.2026; it costs 1,000 EUR (50%)",
            "PROJ-123, UTF-8, COVID-19, gpt-4, agent-123abc and x86_64",
            "1-2-3, 2026-11-28T10:00:00Z and 555-0123",
            "12025550123 and 0049 228 1234567",
            "<@U2147483697|steve> in <#C2147483705|general> at <!date^1795428000^{date_num}|2026-11-23>",
            "<!subteam^S0123456789|@team-42> <mailto:a-1@b-2.example|a-1@b-2.example>",
            "<https://sentry.example/issues/0a1b2c3d-0000-4000-8000-00000000000f>",
            "<https://kapso.ai.evil.example/x/0a1b2c3d-0000-4000-8000-00000000000f>",
            "<https://kapso.ai> https://app.kapso.ai/",
            "+ +1 ++ + 202 tel: <tel:|>",
        ] {
            assert_eq!(typed(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn one_more_is_found_than_is_shown() {
        let ids: Vec<String> = (0..1_000)
            .map(|n| format!("{n:08x}-0000-4000-8000-000000000000"))
            .collect();
        assert_eq!(typed(&ids.join(" ")).len(), FOUND_MAX + 1);
        let likely: Vec<String> = (0..1_000).map(|n| format!("session-of-agent-{n}")).collect();
        assert_eq!(typed(&likely.join(" ")).len(), FOUND_MAX + 1);
    }

    /// For work that grows with the square of the length, this would take minutes.
    #[test]
    fn the_time_to_search_a_long_message_grows_with_its_length() {
        let began = std::time::Instant::now();
        for piece in [">", "<", "<*", "*<", "*>", "<a|b>", "+1 ", "ж"] {
            let text = piece.repeat(64 * 1024 / piece.len());
            assert_eq!(typed(&text), Vec::<String>::new(), "{piece}");
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(40));
    }

    const PIECES: &[&str] = &[
        ID,
        OTHER,
        "+1 202 555 0123",
        "<tel:+12025550123|+1 (202) 555-0123>",
        "https://app.kapso.ai/sandbox/",
        "<https://app.kapso.ai/sandbox/",
        "|label>",
        "<",
        ">",
        "|",
        "&lt;",
        "+",
        "tel:",
        "well-known",
        "2026-11-28",
        "*",
        "_",
        "`",
        " ",
        "\n",
        ".",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn whatever_is_found_is_looked_up_by_typing_it(
            pieces in prop::collection::vec(prop_oneof![8 => select(PIECES).prop_map(str::to_owned), 1 => any::<String>()], 0..16),
        ) {
            let all = found(&[pieces.concat(), pieces.join(" ")]);
            prop_assert!(all.len() <= FOUND_MAX + 1);
            for one in &all {
                prop_assert_eq!(Found::parse(&one.typed()), Some(one.clone()));
                prop_assert_eq!(all.iter().filter(|other| *other == one).count(), 1);
            }
        }

        #[test]
        fn an_id_is_found_wherever_it_stands_alone(before in "[ a-z,.!]{0,40}", after in "[ a-z,.!]{0,40}") {
            let text = format!("{before} {ID} {after}");
            prop_assert_eq!(typed(&text), vec![format!("show {}", ID)]);
        }
    }
}
