//! Reads what people type and paste, forgivingly; what is not understood becomes a corrected command.

use url::Url;

use super::{Action, ButtonValue, Command, Verb};
use crate::kapso::SessionId;

/// Where Kapso's own addresses live; a pasted one that ends in an id is taken for the id.
const KAPSO_DOMAIN: &str = "kapso.ai";

/// Text that was not understood, and what was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misread {
    /// It is close to something that works: type this behind the command's name.
    DidYouMean {
        /// What to type instead. Holds nothing but our own words and safe ids.
        instead: String,
        /// The way to look the word up as an id all the same, where it can be one.
        as_id: Option<SessionId>,
    },
    /// It holds no session id, which this verb needs.
    NoId(Verb),
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
    match words.as_slice() {
        // Nothing but punctuation was no plea for help.
        [] if !text.trim().is_empty() => Command::Unknown(Misread::NoId(Verb::Show)),
        [] => Command::Help,
        [first, rest @ ..] => match Verb::named(first) {
            Some(Verb::Help) => Command::Help,
            Some(Verb::Show) => about_one(rest, Verb::Show, Command::Show),
            Some(Verb::Watch) => about_one(rest, Verb::Watch, Command::Watch),
            Some(verb @ (Verb::List | Verb::New)) => Command::Coming(verb),
            None if rest.is_empty() => lone(first),
            None => several(first, &words),
        },
    }
}

/// Reads a press on a button. `None` where there is nothing to do.
#[must_use]
pub fn press(action_id: &str, value: &str) -> Option<Command> {
    let action = Action::named(action_id)?;
    let Some(ButtonValue { id, sharer }) = ButtonValue::parse(value) else {
        return (action != Action::Open).then_some(Command::StaleButton);
    };
    match action {
        Action::Open => None,
        Action::Refresh => Some(Command::Refresh { id, sharer }),
        Action::Watch => Some(Command::Watch(id)),
        Action::Unwatch => Some(Command::Unwatch(id)),
        Action::Qr => Some(Command::Qr { id, sharer }),
    }
}

/// A verb that takes one id.
fn about_one(rest: &[&str], verb: Verb, command: impl FnOnce(SessionId) -> Command) -> Command {
    match rest {
        [word] => match session_id(word) {
            Some(id) => command(id),
            None => misread(rest, verb),
        },
        _ => misread(rest, verb),
    }
}

fn lone(word: &str) -> Command {
    if let Some(verb) = Verb::near(word) {
        return Command::Unknown(Misread::DidYouMean {
            instead: verb.name().to_owned(),
            as_id: session_id(word),
        });
    }
    match session_id(word) {
        Some(id) => Command::Show(id),
        None => misread(&[word], Verb::Show),
    }
}

fn several(first: &str, words: &[&str]) -> Command {
    match Verb::near(first) {
        Some(verb @ (Verb::Show | Verb::Watch)) => misread(&words[1..], verb),
        // `get`, `see` and `view` are two edits from `new`, but who gives a UUID wants to see that session.
        Some(_) if session_id(words[1]).is_some_and(|id| id.is_uuid()) => misread(words, Verb::Show),
        Some(verb) => Command::Unknown(Misread::DidYouMean {
            instead: verb.name().to_owned(),
            as_id: None,
        }),
        None => misread(words, Verb::Show),
    }
}

/// Corrects what was typed to `verb` and the id that is somewhere in it.
fn misread(words: &[&str], verb: Verb) -> Command {
    let ids = || words.iter().filter_map(|word| session_id(word));
    let buried = || words.iter().find_map(|word| buried_uuid(word));
    let id = ids()
        .find(SessionId::is_uuid)
        .or_else(buried)
        .or_else(|| ids().next_back());
    Command::Unknown(match id {
        Some(id) => Misread::DidYouMean {
            instead: format!("{} {id}", verb.name()),
            as_id: None,
        },
        None => Misread::NoId(verb),
    })
}

/// The id that a word is, or that the Kapso address it is ends in.
fn session_id(word: &str) -> Option<SessionId> {
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
