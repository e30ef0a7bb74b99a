//! Reads what people type and paste, forgivingly; what is not understood becomes a corrected command.

use url::Url;

use super::list::LAST_PAGE;
use super::{Action, AgainValue, ButtonValue, Command, NewSession, PageValue, Phone, Verb, phone};
use crate::kapso::{AgentId, SessionId};

/// Where Kapso's own addresses live; a pasted one that ends in an id is taken for the id.
const KAPSO_DOMAIN: &str = "kapso.ai";

/// Text that was not understood, and what was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// It is close to something that works: type this behind the command's name.
    DidYouMean {
        /// What to type instead. Holds nothing but our own words, safe ids and phone numbers.
        instead: String,
        /// The way to look the word up as an id all the same, where it can be one.
        as_id: Option<SessionId>,
    },
    /// It holds no session id, which this verb needs.
    NoId(Verb),
    /// It was to be a page of the list.
    NoPage,
    /// It was to create a session.
    NoPhone,
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
        [] if !text.trim().is_empty() => Command::Unknown(ParseError::NoId(Verb::Show)),
        [] => Command::Help,
        [first, rest @ ..] => match Verb::named(first) {
            Some(Verb::Help) => Command::Help,
            Some(Verb::Show) => about_one(rest, Verb::Show, Command::Show),
            Some(Verb::Watch) => about_one(rest, Verb::Watch, Command::Watch),
            Some(Verb::List) => list(rest),
            Some(Verb::New) => new(rest),
            None if rest.is_empty() => lone(first),
            None => several(first, &words),
        },
    }
}

/// Reads a press on a button. `None` where there is nothing to do.
#[must_use]
pub fn press(action_id: &str, value: &str) -> Option<Command> {
    let action = Action::named(action_id)?;
    let session = || ButtonValue::parse(value);
    let command = match action {
        Action::Open => return None,
        Action::Refresh => session().map(|ButtonValue { id, .. }| Command::Refresh(id)),
        Action::Watch => session().map(|ButtonValue { id, .. }| Command::Watch(id)),
        Action::Unwatch => session().map(|ButtonValue { id, .. }| Command::Unwatch(id)),
        Action::Qr => session().map(|ButtonValue { id, .. }| Command::Qr(id)),
        Action::Share => session().map(|ButtonValue { id, .. }| Command::Share(id)),
        Action::Show => session().map(|ButtonValue { id, .. }| Command::Show(id)),
        Action::Page | Action::PageBack => PageValue::parse(value).map(|PageValue(page)| Command::List { page }),
        Action::Again => AgainValue::parse(value).map(|AgainValue(wanted)| Command::New(wanted)),
    };
    Some(command.unwrap_or(Command::StaleButton))
}

fn list(rest: &[&str]) -> Command {
    let page = |word: &&str| {
        let digits = word.trim_matches(['#', '.', ',']);
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        // What is too large for a number is past the end, like others.
        let number = is_number.then(|| digits.parse().unwrap_or(LAST_PAGE).min(LAST_PAGE))?;
        (number >= 1).then_some(Command::List { page: number })
    };
    let is_session = |word: &&str| session_id(word).is_some_and(|id| id.is_uuid());
    match rest {
        [] => Command::List { page: 1 },
        [word] if let Some(command) = page(word) => command,
        _ if rest.iter().any(is_session) => misread(rest, Verb::Show),
        _ => Command::Unknown(match rest.iter().find_map(page).as_ref().and_then(typed) {
            Some(instead) => ParseError::DidYouMean { instead, as_id: None },
            None => ParseError::NoPage,
        }),
    }
}

/// A phone number in any grouping, and the id of an agent behind it or, where it is plainly one, before it.
fn new(rest: &[&str]) -> Command {
    let words: Vec<&str> = rest.iter().map(|word| word.trim_end_matches([',', ';'])).collect();
    let is_number = |word: &&str| phone::is_part(word) && SessionId::parse(word).is_none_or(|id| !id.is_uuid());
    let (number, others): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| is_number(word));
    let written = number.join(" ");
    let (phone, is_international) = match (Phone::parse(&written), Phone::guess(&written)) {
        (Some(phone), _) => (phone, true),
        (None, Some(guess)) => (guess, false),
        (None, None) => return Command::Unknown(ParseError::NoPhone),
    };
    // Digits behind a number that is whole without them may be none of it.
    let behind = number[1..]
        .iter()
        .any(|word| word.contains(|c: char| c.is_ascii_digit()));
    let is_one = !behind || Phone::parse(number[0]).is_none();
    let looks_like_id = |word: &str| word.contains(|c: char| c.is_ascii_digit() || c == '-' || c == '_');
    let (agent, is_plain) = match others.as_slice() {
        [] => (None, true),
        [agent] if words.ends_with(&[agent]) || words.starts_with(&[agent]) && looks_like_id(agent) => {
            let agent = AgentId::parse(agent);
            (agent.clone(), agent.is_some())
        }
        [_] => (None, false),
        several => {
            let likely = several.iter().rev().find(|word| looks_like_id(word));
            (likely.and_then(|word| AgentId::parse(word)), false)
        }
    };
    let command = Command::New(NewSession {
        phone,
        agent,
        answers: None,
    });
    match typed(&command) {
        Some(instead) if !(is_international && is_one && is_plain) => {
            Command::Unknown(ParseError::DidYouMean { instead, as_id: None })
        }
        _ => command,
    }
}

/// What to type for a command that takes more than an id.
fn typed(command: &Command) -> Option<String> {
    match command {
        Command::List { page: 1 } => Some(Verb::List.name().to_owned()),
        Command::List { page } => Some(format!("{} {page}", Verb::List.name())),
        Command::New(NewSession { phone, agent, .. }) => {
            let agent = agent.as_ref().map(|agent| format!(" {}", agent.as_str()));
            Some(format!(
                "{} {}{}",
                Verb::New.name(),
                phone.as_str(),
                agent.unwrap_or_default()
            ))
        }
        Command::Unknown(ParseError::DidYouMean { instead, .. }) => Some(instead.clone()),
        _ => None,
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
        return Command::Unknown(ParseError::DidYouMean {
            instead: verb.name().to_owned(),
            as_id: session_id(word),
        });
    }
    match session_id(word) {
        Some(id) => Command::Show(id),
        None => unknown(&[word]),
    }
}

/// Corrects what begins with no verb: to `new` where there is a phone number in it, else to `show`.
fn unknown(words: &[&str]) -> Command {
    let number = words.iter().position(|word| word.starts_with('+'));
    match number.and_then(|at| typed(&new(&words[at..]))) {
        Some(instead) => Command::Unknown(ParseError::DidYouMean { instead, as_id: None }),
        None => misread(words, Verb::Show),
    }
}

fn several(first: &str, words: &[&str]) -> Command {
    match Verb::near(first) {
        Some(verb @ (Verb::Show | Verb::Watch)) => misread(&words[1..], verb),
        // `get`, `see` and `view` are two edits from `new`, but who gives a UUID wants to see that session.
        Some(_) if session_id(words[1]).is_some_and(|id| id.is_uuid()) => misread(words, Verb::Show),
        Some(verb) => {
            let meant = match verb {
                Verb::List => typed(&list(&words[1..])),
                Verb::New => typed(&new(&words[1..])),
                _ => None,
            };
            Command::Unknown(ParseError::DidYouMean {
                instead: meant.unwrap_or_else(|| verb.name().to_owned()),
                as_id: None,
            })
        }
        None => unknown(words),
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
        Some(id) => ParseError::DidYouMean {
            instead: format!("{} {id}", verb.name()),
            as_id: None,
        },
        None => ParseError::NoId(verb),
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
