//! Finds the id of a session in what people type and paste.

use url::Url;

use super::{CommandWord, ParseError, phone};
use crate::kapso::SessionId;

/// The domain of Kapso's addresses. A pasted address that ends in an id stands for the id.
const KAPSO_DOMAIN: &str = "kapso.ai";

/// Longest address that is read, in bytes. The time to parse a host grows faster than its length.
const ADDRESS_MAX: usize = 1_000;

/// Parses the text after a word that takes one id.
pub(super) fn one_session_id(rest: &[&str], word: &'static CommandWord) -> Result<SessionId, ParseError> {
    match rest {
        [typed] => session_id(typed).ok_or_else(|| corrected(rest, word)),
        _ => Err(corrected(rest, word)),
    }
}

/// A correction to `word` and the id that is somewhere in the text, or to the phone number that it is.
pub(super) fn corrected(words: &[&str], word: &'static CommandWord) -> ParseError {
    let ids = || words.iter().filter_map(|word| session_id(word));
    let buried = || words.iter().find_map(|word| uuid_in(word));
    let instead = |id| ParseError::instead(format!("{} {id}", word.name));
    ids()
        .find(SessionId::is_uuid)
        .or_else(buried)
        .map(instead)
        .or_else(|| phone::corrected(words))
        .or_else(|| ids().rfind(|id| looks_like_id(id.as_str())).map(instead))
        .unwrap_or(ParseError::Usage(word))
}

/// Whether a word is more likely an id than an ordinary word.
pub(super) fn looks_like_id(word: &str) -> bool {
    word.contains(|c: char| c.is_ascii_digit() || c == '-' || c == '_')
}

/// The id that a word is, or with which it ends if it is an address of Kapso.
pub(super) fn session_id(word: &str) -> Option<SessionId> {
    SessionId::parse(word).or_else(|| {
        if word.len() > ADDRESS_MAX {
            return None;
        }
        let address = if word.contains("://") {
            Url::parse(word)
        } else {
            Url::parse(&format!("https://{word}"))
        };
        let address = address.ok()?;
        let host = address.host_str()?;
        let kapsos = host.strip_suffix(KAPSO_DOMAIN)?;
        if !(kapsos.is_empty() || kapsos.ends_with('.')) {
            return None;
        }
        let last = address.path_segments()?.rfind(|segment| !segment.is_empty());
        SessionId::parse(last?)
    })
}

/// The first UUID inside a word.
pub(super) fn uuid_in(word: &str) -> Option<SessionId> {
    word.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter_map(SessionId::parse)
        .find(SessionId::is_uuid)
}
