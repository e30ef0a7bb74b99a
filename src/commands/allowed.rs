//! Who may use the app, and where: the operator's lists.

use crate::slack::Who;

/// One list of Slack ids. None means everybody.
pub type AllowList = Option<Vec<String>>;

/// The operator's lists; whoever asks must be on each that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Workspaces (`T…`) and organisations (`E…`).
    pub teams: AllowList,
    /// Channels (`C…`, `G…`, `D…`).
    pub channels: AllowList,
    /// People (`U…`, `W…`).
    pub users: AllowList,
}

impl Allowed {
    /// Whether `who` may.
    #[must_use]
    pub fn admits(&self, who: &Who) -> bool {
        let team = is_on(&self.teams, &who.team)
            || who
                .enterprise
                .as_deref()
                .is_some_and(|enterprise| is_on(&self.teams, enterprise));
        // In a channel shared between companies, a guest presses buttons in our workspace: theirs counts as well.
        let home = who
            .home_team
            .as_deref()
            .is_none_or(|home| home == who.team || is_on(&self.teams, home));
        team && home && is_on(&self.channels, &who.channel) && is_on(&self.users, &who.user)
    }
}

fn is_on(list: &AllowList, id: &str) -> bool {
    list.as_ref()
        .is_none_or(|list| list.iter().any(|allowed| allowed == id))
}
