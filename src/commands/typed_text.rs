//! The words of what people type and paste: without Slack's links and escapes, invisible characters, and formatting.

use super::session_id::session_id;
use super::{CommandWord, phone};
use crate::slack::text::is_invisible;

/// The entities that Slack and web pages write. Anything else after a `&` stays.
const ENTITIES: &[(&str, char)] = &[("lt;", '<'), ("gt;", '>'), ("quot;", '"'), ("nbsp;", ' ')];

/// Of longer formatting beside a link, only the nearest characters are read: a text may have a link at every character.
const FORMATTING_MAX: usize = 32;

/// The text without links, escapes and invisible characters: visible text in one spelling.
pub(super) fn plain(text: &str) -> String {
    unwrap_links(&decode_entities(&usual_characters(text)))
}

/// The words of a [`plain`] text, without the formatting around them.
pub(super) fn words(plain: &str) -> Vec<&str> {
    let all = plain.split_whitespace();
    let mut words: Vec<&str> = all.filter(|word| !word.chars().all(is_formatting)).collect();
    strip_italics(&mut words);
    let words = words.into_iter().map(without_formatting);
    words.filter(|word| !word.is_empty()).collect()
}

/// Takes the underscores off around several words: `_show id_`.
fn strip_italics(words: &mut [&str]) {
    let mut opened = Vec::new();
    for at in 0..words.len() {
        let word = words[at];
        let is_bare = word.chars().all(is_decoration);
        let (starts, ends) = (starts_italics(word), ends_italics(word));
        if starts && !ends || is_bare && opened.is_empty() {
            opened.push(at);
        } else if (ends && !starts || is_bare)
            && let Some(first) = opened.pop()
        {
            words[first] = words[first].trim_start_matches(is_decoration);
            words[at] = word.trim_end_matches(is_decoration);
        }
    }
}

fn starts_italics(word: &str) -> bool {
    word.chars().take_while(|c| is_decoration(*c)).any(|c| c == '_')
}

fn ends_italics(word: &str) -> bool {
    word.chars().rev().take_while(|c| is_decoration(*c)).any(|c| c == '_')
}

/// One character for each of several that look the same, and none for those that cannot be seen.
fn usual_characters(text: &str) -> String {
    let mut usual = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{2010}'..='\u{2013}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' | '\u{FF0D}' => usual.push('-'),
            // Apple's keyboards replace two hyphens by it.
            '\u{2014}' => usual.push_str("--"),
            '\u{FE62}' | '\u{FF0B}' => usual.push('+'),
            '\u{FF08}' => usual.push('('),
            '\u{FF09}' => usual.push(')'),
            '\u{FF0E}' => usual.push('.'),
            '\u{FF0F}' => usual.push('/'),
            '\u{2800}' => usual.push(' '),
            c if is_hidden(c) => {}
            c if c.is_control() => usual.push(' '),
            c => usual.push(digit(c).unwrap_or(c)),
        }
    }
    usual
}

/// The digit that a full-width, Arabic or Persian one stands for.
fn digit(c: char) -> Option<char> {
    let zero = match c {
        '\u{FF10}'..='\u{FF19}' => 0xFF10,
        '\u{0660}'..='\u{0669}' => 0x0660,
        '\u{06F0}'..='\u{06F9}' => 0x06F0,
        _ => return None,
    };
    char::from_digit(u32::from(c) - zero, 10)
}

/// Besides what is never shown: joiners and variation selectors, which change only the look of other characters.
fn is_hidden(c: char) -> bool {
    is_invisible(c)
        || matches!(c,
            '\u{180B}'..='\u{180F}' | '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}' | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}')
}

/// Decodes entities, also those that were escaped several times.
fn decode_entities(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, entity)) = rest.split_once('&') {
        decoded.push_str(before);
        let name = entity.trim_start_matches("amp;");
        let known = ENTITIES
            .iter()
            .find_map(|(known, c)| Some((name.strip_prefix(known)?, *c)));
        rest = if let Some((after, c)) = known {
            decoded.push(c);
            after
        } else {
            decoded.push('&');
            name
        };
    }
    decoded + rest
}

/// Unwraps Slack's `<address>` and `<address|label>`. An address is a word of its own, except for a phone number: Slack
/// links digits inside ids too.
fn unwrap_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '>']) {
        plain.push_str(&rest[..at]);
        let opens = rest[at..].starts_with('<');
        rest = &rest[at + 1..];
        if opens {
            let end = rest.find(['<', '>']).unwrap_or(rest.len());
            let (address, label) = match rest[..end].split_once('|') {
                Some((address, label)) => (address, Some(label)),
                None => (&rest[..end], None),
            };
            rest = &rest[end..];
            let is_closed = rest.starts_with('>');
            if let Some(number) = linked_number(address, label).filter(|_| is_closed) {
                plain.push_str(number);
                rest = &rest[1..];
                continue;
            }
            // Formatting around a link belongs to its address.
            if !is_formatting_word(plain.chars().rev(), is_decoration) {
                plain.push(' ');
            }
            plain.push_str(address);
        } else if !is_formatting_word(rest.chars(), |c| is_decoration(c) || c == '>') {
            plain.push(' ');
        }
    }
    plain + rest
}

/// Whether a word is formatting only: the characters to the next white space, or the first [`FORMATTING_MAX`] of them.
fn is_formatting_word(chars: impl Iterator<Item = char>, is_formatting: impl Fn(char) -> bool) -> bool {
    let word = chars.take_while(|c| !c.is_whitespace());
    word.take(FORMATTING_MAX).all(is_formatting)
}

/// What was typed where Slack made a link `<tel:number|label>` of it.
fn linked_number<'t>(address: &'t str, label: Option<&'t str>) -> Option<&'t str> {
    let number = phone::after_scheme(address)?;
    let (_, digits) = phone::digits(number)?;
    let as_typed = label.filter(|label| phone::digits(label).is_some_and(|(_, typed)| typed == digits));
    Some(as_typed.unwrap_or(number))
}

/// The word without the formatting around it. An underscore can be a part of an id, so it is taken off only where it
/// cannot be.
fn without_formatting(word: &str) -> &str {
    let inner = word.trim_matches(is_decoration);
    let is_uuid = || session_id(inner).is_some_and(|id| id.is_uuid());
    if inner.starts_with('+') || CommandWord::named(inner).is_some() || is_uuid() {
        inner
    } else {
        word.trim_matches(is_formatting)
    }
}

fn is_decoration(c: char) -> bool {
    c == '_' || is_formatting(c)
}

fn is_formatting(c: char) -> bool {
    matches!(
        c,
        '`' | '*'
            | '~'
            | '•'
            | '"'
            | '\''
            | '´'
            | 'ˋ'
            | '‘'
            | '’'
            | '‚'
            | '‛'
            | '“'
            | '”'
            | '„'
            | '‟'
            | '′'
            | '″'
            | '«'
            | '»'
            | '‹'
            | '›'
            | '❛'
            | '❜'
            | '❝'
            | '❞'
            | '「'
            | '」'
            | '『'
            | '』'
            | '＂'
            | '＇'
            | '｀'
            | '～'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    const PIECES: &[&str] = &[
        "&",
        "amp;",
        "lt;",
        "gt;",
        "quot;",
        "nbsp;",
        "<",
        ">",
        "|",
        "tel:",
        "+1",
        "5",
        "-",
        "_",
        "*",
        "`",
        "~",
        "“",
        "show",
        "123e4567-e89b-12d3-a456-426614174000",
        " ",
        "\u{200B}",
        "\u{FF15}",
        "\u{2014}",
        "/",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn cleaning_twice_changes_nothing(
            pieces in prop::collection::vec(prop_oneof![8 => select(PIECES).prop_map(str::to_owned), 1 => any::<String>()], 0..12),
        ) {
            let once = plain(&pieces.concat());
            prop_assert!(!once.contains(['<', '>']));
            prop_assert!(!once.chars().any(is_hidden), "{once:?}");
            prop_assert_eq!(plain(&once), once.clone());
            let joined = words(&once).join(" ");
            prop_assert_eq!(words(&plain(&joined)).join(" "), joined);
        }
    }
}
