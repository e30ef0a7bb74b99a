//! Parses what people type and paste, leniently. Text that is not understood leads to a corrected command.

use super::session_id::{corrected, looks_like_id, session_id};
use super::typed_text::{plain, words};
use super::{Command, CommandWord, Find, Help, ParseError, Show, Unknown, new, phone, show, unwatch, watch};

/// First words of people who want a session that does not exist yet.
const CREATING: &[&str] = &["add", "create", "make", "new", "register", "start"];
/// Words that turn `watch` into its opposite.
const NEGATIONS: &[&str] = &[
    "abort",
    "cancel",
    "clear",
    "delete",
    "disable",
    "don't",
    "don’t",
    "dont",
    "end",
    "mute",
    "never",
    "no",
    "not",
    "off",
    "pause",
    "quit",
    "remove",
    "stop",
    "un",
    "unsubscribe",
];

/// Parses the text after the command's name, which people may have typed again.
#[must_use]
pub fn parse(text: &str, command_name: &str) -> Command {
    let plain = plain(text);
    let all = words(&plain);
    let words = without_name(&all, command_name);
    let repeats_name = words.len() < all.len();
    let command = match words {
        // Only punctuation: not a request for help.
        [] if !repeats_name && !plain.trim().is_empty() => Err(ParseError::Usage(show::WORD)),
        [] => Ok(Help.into()),
        [first, rest @ ..] => match named(first) {
            Some(word)
                if word == watch::WORD
                    && let Some(correction) = negated_watch(words) =>
            {
                Err(correction)
            }
            Some(word) => (word.parse)(rest),
            None => match (phone::alone(words), rest) {
                (Some(phone), _) => phone.map(|phone| Find(phone).into()),
                (None, []) => lone(first, repeats_name),
                (None, _) => several(first, rest, words),
            },
        },
    };
    command.unwrap_or_else(|error| Unknown(error).into())
}

/// Whether a person typed this word, and nothing else.
pub(super) fn is_alone(text: &str, word: &CommandWord, command_name: &str) -> bool {
    let plain = plain(text);
    let all = words(&plain);
    matches!(without_name(&all, command_name), [only] if named(only) == Some(word))
}

/// Whether the message for this error says how to create something.
pub(super) fn is_about_creating(error: &ParseError) -> bool {
    match error {
        ParseError::DidYouMean { instead, .. } => parse(instead, "").creates(),
        ParseError::Usage(word) => word.creates(),
    }
}

/// The words after the command's own name. Without its slash, a name that is also a command word is taken for that.
fn without_name<'w, 't>(mut words: &'w [&'t str], name: &str) -> &'w [&'t str] {
    let name = name.trim_start_matches('/');
    while let [first, rest @ ..] = words {
        let typed = first.trim_end_matches(':');
        let bare = typed.trim_start_matches('/');
        let is_command_word = bare == typed && CommandWord::named(bare).is_some();
        if name.is_empty() || !bare.eq_ignore_ascii_case(name) || is_command_word {
            break;
        }
        words = rest;
    }
    words
}

/// The command word that this is, with or without a slash.
fn named(word: &str) -> Option<&'static CommandWord> {
    CommandWord::named(word.strip_prefix('/').unwrap_or(word))
}

fn lone(word: &str, repeats_name: bool) -> Result<Command, ParseError> {
    if let Some(near) = CommandWord::near(word) {
        return Err(ParseError::DidYouMean {
            instead: near.name.to_owned(),
            as_id: session_id(word),
        });
    }
    if is_creating(word) {
        return Err(ParseError::Usage(new::WORD));
    }
    match session_id(word) {
        // "Sandbox session" and the like are words, not ids.
        Some(id) if !repeats_name || looks_like_id(word) => Ok(Show(id).into()),
        _ => Err(corrected(&[word], show::WORD)),
    }
}

/// Several words that begin with no command word.
fn several(first: &str, rest: &[&str], words: &[&str]) -> Result<Command, ParseError> {
    if let Some(correction) = negated_watch(words) {
        return Err(correction);
    }
    if let Some(correction) = new_session(first, rest) {
        return Err(correction);
    }
    let Some(near) = CommandWord::near(first) else {
        return sentence(words);
    };
    // `get`, `see` and `view` are two edits from `new`, but with a UUID they mean that session.
    if !near.takes_session_id && rest.first().is_some_and(|word| is_uuid(word)) {
        return Err(corrected(words, show::WORD));
    }
    Err(corrected_to(near, rest))
}

/// What somebody wants who writes "stop watching …" in whatever order, and never the opposite.
fn negated_watch(words: &[&str]) -> Option<ParseError> {
    let is_negation = |word: &str| {
        NEGATIONS
            .iter()
            .any(|negation| negation.eq_ignore_ascii_case(bare(word)))
    };
    let is_watch = |word: &str| is_watch(bare(word));
    if !words.iter().any(|word| is_negation(word)) || !words.iter().any(|word| is_watch(word)) {
        return None;
    }
    let others = words.iter().filter(|word| !is_negation(word) && !is_watch(word));
    Some(corrected(&others.copied().collect::<Vec<_>>(), unwatch::WORD))
}

/// Whether this is `watch`, also in another form or with a typo.
fn is_watch(word: &str) -> bool {
    let (name, word) = (watch::WORD.name, word.to_ascii_lowercase());
    word.starts_with(name) || word.len() <= name.len() + 1 && strsim::osa_distance(name, &word) == 1
}

/// The word without punctuation around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

fn is_creating(word: &str) -> bool {
    CREATING.iter().any(|creating| creating.eq_ignore_ascii_case(word))
}

/// What "create …" without an id, another command word or a number with a `+` means.
fn new_session(first: &str, rest: &[&str]) -> Option<ParseError> {
    let is_about_more = |word: &&str| {
        let is_id = looks_like_id(word) && !phone::is_part(word) || is_uuid(word);
        is_id || word.starts_with('+') || is_watch(bare(word)) || named(word).is_some()
    };
    if !is_creating(first) || rest.iter().any(is_about_more) {
        return None;
    }
    Some(match new::parse(rest) {
        Ok(new) => ParseError::instead(new.typed().unwrap_or_default()),
        Err(error) => error,
    })
}

/// Corrects what begins with no command word: to what the rest asks for, if there is a phone number, an id or a command
/// word in it.
fn sentence(words: &[&str]) -> Result<Command, ParseError> {
    if let Some(at) = words.iter().position(|word| word.starts_with('+')) {
        return Err(about_phone(words, at));
    }
    let mut verbs = words.iter().enumerate();
    let Some((at, verb)) = verbs.find_map(|(at, word)| Some((at, named(word)?))) else {
        return Err(corrected(words, show::WORD));
    };
    // An id says more than a word.
    if !verb.takes_session_id && words.iter().any(|word| is_uuid(word)) {
        return Err(corrected(words, show::WORD));
    }
    let rest = &words[at + 1..];
    // Harmless, and what people want who do not know what to type.
    if let Ok(Command::Help(help)) = (verb.parse)(rest) {
        return Ok(help.into());
    }
    Err(corrected_to(verb, rest))
}

/// A phone number among other words: to be found, or to get a session if they say so or name an agent.
fn about_phone(words: &[&str], at: usize) -> ParseError {
    let parts = words[at..].iter().take_while(|word| phone::is_part(word)).count();
    let (number, after) = words[at..].split_at(parts);
    if !words[..at].iter().any(|word| is_creating(word)) && !after.iter().any(|word| looks_like_id(word)) {
        return phone::corrected(number).unwrap_or(ParseError::Usage(show::WORD));
    }
    match new::parse(&words[at..]) {
        Ok(new) => ParseError::instead(new.typed().unwrap_or_default()),
        Err(correction @ ParseError::DidYouMean { .. }) => correction,
        Err(ParseError::Usage(_)) => corrected(words, show::WORD),
    }
}

/// A correction to this command word and what follows it.
fn corrected_to(word: &'static CommandWord, rest: &[&str]) -> ParseError {
    match (word.parse)(rest) {
        Ok(command) => ParseError::instead(command.typed().unwrap_or_else(|| word.name.to_owned())),
        Err(error @ ParseError::DidYouMean { .. }) => error,
        Err(error @ ParseError::Usage(_)) if word.takes_session_id => error,
        Err(ParseError::Usage(_)) => ParseError::instead(word.name),
    }
}

/// The command that a button of this app runs; `None` if the text is not as the app writes it.
pub(super) fn offered(text: &str) -> Option<Command> {
    let command = parse(text, "");
    let is_offered = match &command {
        Command::Unknown(Unknown(ParseError::Usage(word))) => word.name == text,
        command => command.typed().as_deref() == Some(text),
    };
    is_offered.then_some(command)
}

fn is_uuid(word: &str) -> bool {
    session_id(word).is_some_and(|id| id.is_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_in_the_help_is_understood() {
        for example in CommandWord::all().flat_map(|word| word.examples) {
            assert!(!matches!(parse(example, "/sandbox"), Command::Unknown(_)), "{example}");
        }
    }
}
