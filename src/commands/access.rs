//! Who may use the app, and where: the operator's lists applied to the sender of a request.

use crate::config::AccessLists;
use crate::projects;
use crate::slack::Who;

/// Whether `who` may use the app.
#[must_use]
pub fn admits(lists: &AccessLists, who: &Who) -> bool {
    projects::allows(&lists.teams, &lists.channels, who) && projects::is_on(&lists.users, &who.user)
}
