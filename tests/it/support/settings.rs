//! Settings from an environment that has both secrets.

use kapso_slack::config::{Environment, Settings};

use crate::support::{KEY, SECRET};

/// A blank variable counts as unset.
pub const UNSET: &str = "";

/// The settings of an environment with both secrets and these variables, or everything that is wrong with it.
pub fn settings(variables: &[(&str, &str)]) -> Result<Settings, String> {
    let secrets = [("SLACK_SIGNING_SECRET", SECRET), ("KAPSO_API_KEY", KEY)];
    let all = secrets.iter().chain(variables);
    Environment::of(all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
        .settings()
        .map_err(|problems| problems.to_string())
}

/// The only problem of an environment with these variables.
pub fn problem(variables: &[(&str, &str)]) -> String {
    let problems = settings(variables).expect_err(&format!("{variables:?} is taken"));
    let mut lines = problems.lines();
    assert_eq!(lines.next(), Some("the configuration is invalid:"));
    let problem = lines.next().unwrap().trim_start().to_owned();
    assert_eq!(lines.next(), None, "{variables:?}: {problems}");
    problem
}

/// What an environment of exactly these variables warns of.
pub fn warnings(variables: &[(&str, &str)]) -> Vec<String> {
    let all = variables.iter();
    Environment::of(all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).warnings()
}
