//! Finds the project that a command names: `@alias`, anywhere among the words.

use super::typed_text::{plain, words};
use crate::config::Alias;

/// The project that a command names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// None.
    Nothing,
    /// This one.
    Project(Alias),
    /// More than one.
    Several,
}

impl Named {
    /// The alias, if there is one only.
    #[must_use]
    pub fn alias(&self) -> Option<&Alias> {
        match self {
            Self::Project(alias) => Some(alias),
            Self::Nothing | Self::Several => None,
        }
    }
}

/// Splits what a person typed into the rest, and the project that it names.
#[must_use]
pub fn split(text: &str) -> (String, Named) {
    let mut named = Named::Nothing;
    let mut rest = Vec::new();
    for word in text.split_whitespace() {
        match alias(word) {
            Some(alias) => {
                named = match named {
                    Named::Nothing => Named::Project(alias),
                    Named::Project(earlier) if earlier == alias => Named::Project(alias),
                    Named::Project(_) | Named::Several => Named::Several,
                }
            }
            None => rest.push(word),
        }
    }
    (rest.join(" "), named)
}

/// The alias in a word such as `@support`, with what clients and people put around it.
fn alias(typed: &str) -> Option<Alias> {
    let plain = plain(typed.trim_matches([',', ';', '.', ':']));
    let [word] = words(&plain)[..] else {
        return None;
    };
    // Phones capitalise first words, and keyboards for Chinese and Japanese have a wide @.
    let name = word.strip_prefix(['@', '＠'])?;
    Alias::parse(&name.to_ascii_lowercase())
}
