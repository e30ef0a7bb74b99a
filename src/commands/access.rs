//! Who may use the app, and where: the operator's lists applied to the sender of a request.

use crate::config::{AccessLists, AllowList, Creators};
use crate::slack::Who;

/// Whether `who` may use the app.
#[must_use]
pub fn admits(lists: &AccessLists, who: &Who) -> bool {
    let enterprise = who.enterprise.as_deref();
    let home = who.home_team.as_deref();
    let team =
        is_on(&lists.teams, who.workspace()) || enterprise.is_some_and(|enterprise| is_on(&lists.teams, enterprise));
    // In a channel shared between companies, members of another workspace can press our buttons: that workspace must be
    // allowed too. Slack does not say whether it belongs to the organisation.
    let home = home.is_none_or(|home| home == who.team || enterprise == Some(home) || is_on(&lists.teams, home));
    team && home && is_on(&lists.channels, &who.channel) && is_on(&lists.users, &who.user)
}

/// Whether `who`, who may use the app, may create sessions.
#[must_use]
pub fn may_create(lists: &AccessLists, who: &Who) -> bool {
    match &lists.creators {
        Creators::Everyone => true,
        Creators::Only(people) => people.contains(&who.user),
    }
}

fn is_on(list: &AllowList, id: &str) -> bool {
    list.as_ref()
        .is_none_or(|list| list.iter().any(|allowed| allowed == id))
}
