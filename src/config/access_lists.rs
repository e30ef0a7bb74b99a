//! The operator's lists of who may use the app, and where.

/// A list of Slack ids. `None` admits everybody.
pub type AllowList = Option<Vec<String>>;

/// The operator's lists. A request must be on each list that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLists {
    /// Workspaces (`T…`) and organisations (`E…`).
    pub teams: AllowList,
    /// Channels (`C…`, `G…`, `D…`).
    pub channels: AllowList,
    /// People (`U…`, `W…`).
    pub users: AllowList,
}

/// Who may create sessions, of those who may use the app at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creators {
    /// All of them.
    Everyone,
    /// These people (`U…`, `W…`); an empty list: nobody.
    Only(Vec<String>),
}

impl Default for Creators {
    fn default() -> Self {
        Self::Only(Vec::new())
    }
}
