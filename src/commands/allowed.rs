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
    /// Who of them may create sessions.
    pub creators: Creators,
}

/// Who may create sessions, of those who may use the app at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creators {
    /// All of them.
    Everyone,
    /// These people (`U…`, `W…`), or nobody.
    Only(Vec<String>),
}

impl Default for Creators {
    fn default() -> Self {
        Self::Only(Vec::new())
    }
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

    /// Whether `who`, who may use the app, may create sessions.
    #[must_use]
    pub fn may_create(&self, who: &Who) -> bool {
        match &self.creators {
            Creators::Everyone => true,
            Creators::Only(people) => people.contains(&who.user),
        }
    }
}

fn is_on(list: &AllowList, id: &str) -> bool {
    list.as_ref()
        .is_none_or(|list| list.iter().any(|allowed| allowed == id))
}
