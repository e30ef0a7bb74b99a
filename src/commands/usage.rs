//! What can be typed. Help, the README's table, the manifest's hint and the parser all read it here.

/// The longest word that can be two edits away from a verb, which has five letters at most.
const LONGEST_NEAR: usize = 7;

/// A phone number that works nowhere, to show how one is typed. The United States keep such for films.
pub const SAMPLE_PHONE: &str = "+12025550123";

/// A verb of the slash command. All are reserved from the start; some come in a later version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `show <id>`, or just the id.
    Show,
    /// `list [page]`.
    List,
    /// `new <+phone> [agent id]`.
    New,
    /// `watch <id>`.
    Watch,
    /// `help`.
    Help,
}

/// How a verb is used, behind the command's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// What to type, with `<…>` for what the asker fills in.
    pub typed: &'static str,
    /// What it does.
    pub does: &'static str,
}

impl Verb {
    /// Every verb, in the order of the help.
    pub const ALL: [Self; 5] = [Self::Show, Self::List, Self::New, Self::Watch, Self::Help];

    /// The word itself.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Show => "show",
            Self::List => "list",
            Self::New => "new",
            Self::Watch => "watch",
            Self::Help => "help",
        }
    }

    /// How it is used in this version; nothing for a verb that comes later.
    #[must_use]
    pub const fn examples(self) -> &'static [Example] {
        match self {
            Self::Show => &[
                Example {
                    typed: "<session id>",
                    does: "shows a session: status, expiry, and the link that activates it",
                },
                Example {
                    typed: "show <session id>",
                    does: "the same, for an id that looks like a verb",
                },
            ],
            Self::List => &[Example {
                typed: "list [page]",
                does: "lists the sessions, ten on a page",
            }],
            Self::New => &[Example {
                typed: "new <+phone> [agent id]",
                does: "creates a session for a tester's phone, for those who may",
            }],
            Self::Help => &[Example {
                typed: "help",
                does: "shows this",
            }],
            Self::Watch => &[Example {
                typed: "watch <session id>",
                does: "tells you, for the next 28 minutes, when the session is activated or ends",
            }],
        }
    }

    /// Every example of this version, in the order of the help.
    pub fn all_examples() -> impl Iterator<Item = Example> {
        Self::ALL.into_iter().flat_map(|verb| verb.examples().iter().copied())
    }

    /// The hint Slack shows behind the command while somebody types it.
    #[must_use]
    pub fn hint() -> String {
        let shortest = Self::ALL.into_iter().filter_map(|verb| verb.examples().first());
        shortest.map(|example| example.typed).collect::<Vec<_>>().join(" | ")
    }

    /// The verb with this name, whatever its case: phones capitalise first words.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|verb| verb.name().eq_ignore_ascii_case(word))
    }

    /// The verb that this word probably is: one or two edits away.
    #[must_use]
    pub fn near(word: &str) -> Option<Self> {
        if word.len() > LONGEST_NEAR {
            return None;
        }
        let word = word.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .map(|verb| (strsim::osa_distance(verb.name(), &word), verb))
            .filter(|(distance, _)| (1..=2).contains(distance))
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, verb)| verb)
    }
}
