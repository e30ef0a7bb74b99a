//! Phone numbers as people write them, and as Kapso accepts them.

use std::fmt;

use super::ParseError;
use crate::kapso::SessionId;

/// The longest text that is parsed, in bytes: the longest number has 15 digits.
const WRITTEN_MAX: usize = 60;

/// A phone number in E.164, such as `+12345678901`. `Debug` does not show it: it is personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone(String);

impl Phone {
    /// Parses a number with `+` or `00` and its country code, however its digits are grouped. `None` for anything else, and
    /// for a number whose length is not valid in its country.
    #[must_use]
    pub fn parse(written: &str) -> Option<Self> {
        let (plus, digits) = digits(written)?;
        let digits = if plus { &digits } else { digits.strip_prefix("00")? };
        Self::international(digits)
    }

    /// Parses a number with its country code but without `+` or `00`: a guess, only to be offered as a correction.
    #[must_use]
    pub fn guess(written: &str) -> Option<Self> {
        let (_, digits) = digits(written)?;
        Self::international(&digits).or_else(|| {
            // WhatsApp still shows Mexico's mobile numbers with the 1 that was dropped from them in 2019.
            let rest = digits.strip_prefix("521")?;
            Self::international(&format!("52{rest}"))
        })
    }

    fn international(digits: &str) -> Option<Self> {
        if digits.starts_with('0') {
            return None;
        }
        // Drops the 0 that is dialled only within a country, as in `+44 (0)20`.
        phonelib::normalize_phone_number(&format!("+{digits}")).map(Self)
    }

    /// The number in E.164.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Phone").finish_non_exhaustive()
    }
}

/// The phone number that the text is and nothing else; a correction if it is unclear, or may be an id.
pub(super) fn alone(words: &[&str]) -> Option<Result<Phone, ParseError>> {
    if !words.iter().all(|word| is_part(word)) {
        return None;
    }
    let as_id = match words {
        [word] => SessionId::parse(word),
        _ => None,
    };
    if as_id.as_ref().is_some_and(SessionId::is_uuid) {
        return None;
    }
    let written = words.join(" ");
    match (Phone::parse(&written), as_id) {
        (Some(phone), None) => Some(Ok(phone)),
        (phone, as_id) => {
            let instead = phone.or_else(|| Phone::guess(&written))?.0;
            Some(Err(ParseError::DidYouMean { instead, as_id }))
        }
    }
}

/// A correction to the phone number that the text is.
pub(super) fn corrected(words: &[&str]) -> Option<ParseError> {
    Some(match alone(words)? {
        Ok(phone) => ParseError::instead(phone.as_str()),
        Err(correction) => correction,
    })
}

/// Whether a word can be a part of a phone number: digits and what people group them with.
pub(super) fn is_part(word: &str) -> bool {
    without_scheme(word)
        .chars()
        .all(|c| c.is_ascii_digit() || is_grouping(c))
}

/// The digits, and whether there is a `+` in front of them.
pub(super) fn digits(written: &str) -> Option<(bool, String)> {
    if written.len() > WRITTEN_MAX {
        return None;
    }
    let (mut plus, mut digits) = (false, String::new());
    for c in without_scheme(written.trim()).chars() {
        match c {
            '+' if !plus && digits.is_empty() => plus = true,
            '+' => return None,
            c if c.is_ascii_digit() => digits.push(c),
            c if c == ' ' || is_grouping(c) => {}
            _ => return None,
        }
    }
    (!digits.is_empty()).then_some((plus, digits))
}

fn without_scheme(written: &str) -> &str {
    after_scheme(written).unwrap_or(written)
}

/// The number in a link to it, which is written `tel:+1…`.
pub(super) fn after_scheme(written: &str) -> Option<&str> {
    let (scheme, number) = written.split_at_checked(4)?;
    scheme.eq_ignore_ascii_case("tel:").then_some(number)
}

fn is_grouping(c: char) -> bool {
    matches!(c, '+' | '-' | '.' | '/' | '(' | ')')
}
