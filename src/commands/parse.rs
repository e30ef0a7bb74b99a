//! Parses what people type and paste, leniently. Text that is not understood leads to a corrected command.

use super::session_id::{corrected, session_id};
use super::{Command, CommandWord, Help, ParseError, Show, Unknown, new, show};

/// Parses the text after the command's name.
#[must_use]
pub fn parse(text: &str) -> Command {
    let text = unwrap_links(text);
    let words: Vec<&str> = text
        .split_whitespace()
        .map(|word| word.trim_matches(is_wrapping))
        .filter(|word| !word.is_empty())
        .collect();
    let command = match words.as_slice() {
        // Only punctuation: not a request for help.
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

/// Whether the message for this error says how to create something.
pub(super) fn is_about_creating(error: &ParseError) -> bool {
    match error {
        ParseError::DidYouMean { instead, .. } => parse(instead).creates(),
        ParseError::Usage(word) => word.creates(),
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
    // `get`, `see` and `view` are two edits from `new`, but with a UUID they mean that session.
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

/// Unwraps Slack's `<address>` and `<address|label>`, normalizes dashes, and removes invisible characters.
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
            // Apple's keyboards replace two hyphens by it.
            '\u{2014}' => plain.push_str("--"),
            '\u{00AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' => {}
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

pub(super) fn is_wrapping(c: char) -> bool {
    matches!(
        c,
        '`' | '*' | '"' | '\'' | '´' | '‘' | '’' | '‚' | '“' | '”' | '„' | '«' | '»' | '‹' | '›'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_in_the_help_is_understood() {
        for example in CommandWord::all().flat_map(|word| word.examples) {
            assert!(!matches!(parse(example), Command::Unknown(_)), "{example}");
        }
    }
}
