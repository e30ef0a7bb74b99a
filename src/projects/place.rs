//! Whether a list of workspaces and a list of channels allow the place that a request comes from.

use crate::config::AllowList;
use crate::slack::Who;

/// Whether these workspaces and channels include the place of a request.
#[must_use]
pub fn allows(teams: &AllowList, channels: &AllowList, who: &Who) -> bool {
    let enterprise = who.enterprise.as_deref();
    let home = who.home_team.as_deref();
    // In a channel shared between companies, members of another workspace can press our buttons: that workspace must be
    // allowed too. Slack does not say whether it belongs to the organisation.
    let home = home.is_none_or(|home| home == who.team || enterprise == Some(home) || is_on(teams, home));
    includes_team(teams, who) && home && is_on(channels, &who.channel)
}

/// Whether the list admits the workspace of a request, or its organisation.
#[must_use]
pub fn includes_team(teams: &AllowList, who: &Who) -> bool {
    let enterprise = who.enterprise.as_deref();
    is_on(teams, who.workspace()) || enterprise.is_some_and(|enterprise| is_on(teams, enterprise))
}

/// Whether the list admits this id.
#[must_use]
pub fn is_on(list: &AllowList, id: &str) -> bool {
    list.as_ref()
        .is_none_or(|list| list.iter().any(|allowed| allowed == id))
}
