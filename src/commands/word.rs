//! The command words, as defined in each command's file, for the parser, the help, the README and the manifest; and errors
//! in the text after them.

use super::{Command, WORDS};
use crate::cards::RenderContext;
use crate::kapso::SessionId;
use crate::slack::text::Mrkdwn;

/// The longest word that can be two edits away from a command word, which has eight letters at most.
const LONGEST_NEAR: usize = 10;

/// A word that is typed after the slash command, with its grammar and help.
#[derive(Debug)]
pub struct CommandWord {
    /// The word.
    pub name: &'static str,
    /// Whether it takes the id of a session, and nothing else.
    pub takes_session_id: bool,
    /// How it is used, the usual way first.
    pub usages: &'static [Usage],
    /// The text of a button that runs it.
    pub button: &'static str,
    /// Complete commands, to show how ids and numbers are written.
    pub examples: &'static [&'static str],
    /// Parses the text after the word.
    pub(crate) parse: fn(&[&str]) -> Result<Command, ParseError>,
    /// The message if that text cannot be parsed.
    pub(crate) usage_error: fn(&RenderContext<'_>) -> Mrkdwn,
}

/// Text that was not understood, and what was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// It is close to something that works.
    DidYouMean {
        /// What to type instead. Contains only our own words, safe ids and phone numbers.
        instead: String,
        /// The word as an id, if it can be one.
        as_id: Option<SessionId>,
    },
    /// The text after this word is not valid.
    Usage(&'static CommandWord),
}

impl ParseError {
    /// A correction without an alternative.
    pub(super) fn instead(typed: impl Into<String>) -> Self {
        Self::DidYouMean {
            instead: typed.into(),
            as_id: None,
        }
    }
}

/// One line of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The text after the command's name, with `<…>` for required and `[…]` for optional arguments.
    pub typed: &'static str,
    /// What it does.
    pub does: &'static str,
}

impl PartialEq for CommandWord {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for CommandWord {}

impl CommandWord {
    /// Every word, in the order of the help.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        Self::allowed(true)
    }

    /// Every word for people with, or without, permission to create sessions.
    pub(crate) fn allowed(may_create: bool) -> impl Iterator<Item = &'static Self> {
        WORDS
            .iter()
            .filter(move |(_, creates)| may_create || !creates)
            .filter_map(|(word, _)| *word)
    }

    /// Whether its command creates something.
    pub(crate) fn creates(&self) -> bool {
        WORDS
            .iter()
            .any(|(word, creates)| *creates && word.is_some_and(|word| word == self))
    }

    /// The usage hint that Slack shows while the command is typed.
    #[must_use]
    pub fn hint() -> String {
        let usual = Self::all().filter_map(|word| word.usages.first());
        usual.map(|usage| usage.typed).collect::<Vec<_>>().join(" | ")
    }

    /// The word with this name in any case: phones capitalise first words.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|word| word.name.eq_ignore_ascii_case(name))
    }

    /// The word that was probably meant: one or two edits away.
    #[must_use]
    pub fn near(typed: &str) -> Option<&'static Self> {
        if typed.len() > LONGEST_NEAR {
            return None;
        }
        let typed = typed.to_ascii_lowercase();
        Self::all()
            .map(|word| (strsim::osa_distance(word.name, &typed), word))
            .filter(|(distance, _)| (1..=2).contains(distance))
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, word)| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_one_that_can_be_typed_and_explained() {
        for word in CommandWord::all() {
            let name = word.name;
            assert!(name.len() <= LONGEST_NEAR - 2, "{name}: raise LONGEST_NEAR");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase()),
                "{name} is one word in lower case"
            );
            assert_eq!(CommandWord::named(name), Some(word), "{name} is used once");
            assert!(!word.usages.is_empty(), "{name} is in the help");
        }
    }
}
