//! Finds the id of a session in what people type and paste.

use url::Url;

use super::{CommandWord, ParseError};
use crate::kapso::SessionId;

/// Where Kapso's own addresses live; a pasted one that ends in an id is taken for the id.
const KAPSO_DOMAIN: &str = "kapso.ai";

/// Reads what follows a word that takes one id.
pub(super) fn one_session_id(rest: &[&str], word: &'static CommandWord) -> Result<SessionId, ParseError> {
    match rest {
        [typed] => session_id(typed).ok_or_else(|| corrected(rest, word)),
        _ => Err(corrected(rest, word)),
    }
}

/// Corrects what was typed to `word` and the id that is somewhere in it.
pub(super) fn corrected(words: &[&str], word: &'static CommandWord) -> ParseError {
    let ids = || words.iter().filter_map(|word| session_id(word));
    let buried = || words.iter().find_map(|word| buried_uuid(word));
    let id = ids()
        .find(SessionId::is_uuid)
        .or_else(buried)
        .or_else(|| ids().next_back());
    match id {
        Some(id) => ParseError::instead(format!("{} {id}", word.name)),
        None => ParseError::Usage(word),
    }
}

/// The id that a word is, or that the Kapso address it is ends in.
pub(super) fn session_id(word: &str) -> Option<SessionId> {
    SessionId::parse(word).or_else(|| {
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

/// A UUID somewhere inside a word that is no id as a whole.
fn buried_uuid(word: &str) -> Option<SessionId> {
    word.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter_map(SessionId::parse)
        .find(SessionId::is_uuid)
}
