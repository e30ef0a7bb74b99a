//! Which project serves a command: the one that is named, the channel's, the workspace's, or the only one.

use super::place;
use crate::config::{Alias, ProjectSettings};
use crate::slack::Who;

/// The project of a command, or which ones there are to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution<T> {
    /// This project.
    Project(T),
    /// Any of these, which are all that may be used in this place.
    Unclear(Vec<T>),
    /// The project that was named is none of these, which are all that may be used in this place.
    NotHere(Vec<T>),
}

/// Resolves the project of a command from `who`. `named` is the alias that it names, if it names one. A project that
/// may not be used in this place is treated as if it did not exist.
pub fn resolve<T: AsRef<ProjectSettings>>(
    projects: impl IntoIterator<Item = T>,
    named: Option<&Alias>,
    who: &Who,
) -> Resolution<T> {
    let mut allowed: Vec<T> = projects
        .into_iter()
        .filter(|project| is_allowed(project.as_ref(), who))
        .collect();
    let chosen = match named {
        Some(alias) => the_only(&allowed, |project| project.alias.as_ref() == Some(alias)),
        None => the_only(&allowed, |project| project.channels.is_some())
            .or_else(|| {
                let has_channel = allowed.iter().any(|project| project.as_ref().channels.is_some());
                let of_team = |project: &ProjectSettings| project.teams.is_some();
                if has_channel { None } else { the_only(&allowed, of_team) }
            })
            .or_else(|| the_only(&allowed, |_| true)),
    };
    match (chosen, named) {
        (Some(at), _) => Resolution::Project(allowed.swap_remove(at)),
        (None, None) if !allowed.is_empty() => Resolution::Unclear(allowed),
        (None, _) => Resolution::NotHere(allowed),
    }
}

/// Whether a project may be used in the place that a request comes from.
#[must_use]
pub fn is_allowed(project: &ProjectSettings, who: &Who) -> bool {
    place::allows(&project.teams, &project.channels, who)
}

/// The position of the project for which this holds, if there is exactly one.
fn the_only<T: AsRef<ProjectSettings>>(projects: &[T], holds: impl Fn(&ProjectSettings) -> bool) -> Option<usize> {
    let mut positions = (0..projects.len()).filter(|at| holds(projects[*at].as_ref()));
    positions.next().filter(|_| positions.next().is_none())
}
