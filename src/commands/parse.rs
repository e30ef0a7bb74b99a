//! Reads what people type and paste, forgivingly; what is not understood becomes a corrected command.

use url::Url;

use super::{Command, CommandWord, Help, Show, Unknown, new, show};
use crate::kapso::SessionId;

/// Where Kapso's own addresses live; a pasted one that ends in an id is taken for the id.
const KAPSO_DOMAIN: &str = "kapso.ai";

/// Text that was not understood, and what was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// It is close to something that works.
    DidYouMean {
        /// What to type instead. Holds nothing but our own words, safe ids and phone numbers.
        instead: String,
        /// The way to look the word up as an id all the same, if it can be one.
        as_id: Option<SessionId>,
    },
    /// What follows this word is not what it needs.
    Usage(&'static CommandWord),
}

impl ParseError {
    /// A correction that leaves no choice.
    pub(super) fn instead(typed: impl Into<String>) -> Self {
        Self::DidYouMean {
            instead: typed.into(),
            as_id: None,
        }
    }

    /// Whether its sentence says how to create something.
    pub(super) fn is_about_creating(&self) -> bool {
        match self {
            Self::DidYouMean { instead, .. } => parse(instead).creates(),
            Self::Usage(word) => word.creates(),
        }
    }
}

/// Reads the text behind the command's name.
#[must_use]
pub fn parse(text: &str) -> Command {
    let text = unwrap_links(text);
    let words: Vec<&str> = text
        .split_whitespace()
        .map(|word| word.trim_matches(is_wrapping))
        .filter(|word| !word.is_empty())
        .collect();
    let command = match words.as_slice() {
        // Nothing but punctuation is no request for help.
        [] if !text.trim().is_empty() => Err(ParseError::Usage(show::WORD)),
        [] => Ok(Help.into()),
        [first, rest @ ..] => match CommandWord::named(first) {
            Some(word) => (word.parse)(rest),
            None if rest.is_empty() => lone(first),
            None => several(first, rest, &words),
        },
    };
    command.unwrap_or_else(|error| Unknown(error).into())
}

/// Reads what follows a word that takes one id.
pub(super) fn one_session_id(rest: &[&str], word: &'static CommandWord) -> Result<SessionId, ParseError> {
    match rest {
        [typed] => session_id(typed).ok_or_else(|| corrected(rest, word)),
        _ => Err(corrected(rest, word)),
    }
}

fn lone(word: &str) -> Result<Command, ParseError> {
    if let Some(near) = CommandWord::near(word) {
        return Err(ParseError::DidYouMean {
            instead: near.name.to_owned(),
            as_id: session_id(word),
        });
    }
    match session_id(word) {
        Some(id) => Ok(Show(id).into()),
        None => Err(unknown(&[word])),
    }
}

/// Several words that begin with no command word.
fn several(first: &str, rest: &[&str], words: &[&str]) -> Result<Command, ParseError> {
    let Some(near) = CommandWord::near(first) else {
        return Err(unknown(words));
    };
    // `get`, `see` and `view` are two edits from `new`, but who gives a UUID wants to see that session.
    if !near.takes_session_id
        && rest
            .first()
            .and_then(|word| session_id(word))
            .is_some_and(|id| id.is_uuid())
    {
        return Err(corrected(words, show::WORD));
    }
    Err(match (near.parse)(rest) {
        Ok(command) => ParseError::instead(command.typed().unwrap_or_else(|| near.name.to_owned())),
        Err(error @ ParseError::DidYouMean { .. }) => error,
        Err(error @ ParseError::Usage(_)) if near.takes_session_id => error,
        Err(ParseError::Usage(_)) => ParseError::instead(near.name),
    })
}

/// Corrects what begins with no command word: to `new` if there is a phone number in it, else to `show`.
fn unknown(words: &[&str]) -> ParseError {
    let number = words.iter().position(|word| word.starts_with('+'));
    let new = number.and_then(|at| match new::parse(&words[at..]) {
        Ok(command) => command.typed(),
        Err(ParseError::DidYouMean { instead, .. }) => Some(instead),
        Err(ParseError::Usage(_)) => None,
    });
    match new {
        Some(instead) => ParseError::instead(instead),
        None => corrected(words, show::WORD),
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

/// Takes Slack's `<address>` and `<address|label>` apart, straightens dashes, and drops what cannot be seen.
fn unwrap_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut in_link, mut in_label) = (false, false);
    for c in text.chars() {
        match c {
            '<' | '>' => {
                in_link = c == '<';
                in_label = false;
                plain.push(' ');
            }
            '|' if in_link => in_label = true,
            _ if in_label => {}
            '\u{2010}'..='\u{2013}' | '\u{2212}' => plain.push('-'),
            // What Apple's keyboards make of two hyphens.
            '\u{2014}' => plain.push_str("--"),
            '\u{00AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' => {}
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

fn is_wrapping(c: char) -> bool {
    matches!(
        c,
        '`' | '*' | '"' | '\'' | '´' | '‘' | '’' | '‚' | '“' | '”' | '„' | '«' | '»' | '‹' | '›'
    )
}
