//! Which project serves a command: the named one, the channel's, the workspace's, or the only one.

use http::HeaderValue;
use kapso_slack::config::{Alias, Creators, ProjectSettings};
use kapso_slack::projects::{Resolution, is_allowed, resolve};
use kapso_slack::slack::Who;
use proptest::collection::{hash_set, vec};
use proptest::option;
use proptest::prelude::*;

/// A project, as `alias`, `alias in C1 C2`, `alias of T1`, or `alias in C1 of T1 T2`.
#[derive(Clone, Debug)]
struct Configured(ProjectSettings);

impl AsRef<ProjectSettings> for Configured {
    fn as_ref(&self) -> &ProjectSettings {
        &self.0
    }
}

fn configured(alias: &str, channels: Option<Vec<String>>, teams: Option<Vec<String>>) -> Configured {
    Configured(ProjectSettings {
        alias: Some(Alias::parse(alias).unwrap()),
        api_key: HeaderValue::from_static("key"),
        teams,
        channels,
        default_agent: None,
        creators: Creators::default(),
    })
}

fn project(text: &str) -> Configured {
    let (rest, teams) = match text.split_once(" of ") {
        Some((rest, teams)) => (rest, Some(teams)),
        None => (text, None),
    };
    let (alias, channels) = match rest.split_once(" in ") {
        Some((alias, channels)) => (alias, Some(channels)),
        None => (rest, None),
    };
    let list = |ids: Option<&str>| ids.map(|ids| ids.split(' ').map(str::to_owned).collect());
    configured(alias, list(channels), list(teams))
}

/// A person in a place, as `channel@team`, `channel@team from home`, or `channel@team/organisation`.
fn person(text: &str) -> Who {
    let (place, home) = match text.split_once(" from ") {
        Some((place, home)) => (place, Some(home.to_owned())),
        None => (text, None),
    };
    let (channel, team) = place.split_once('@').unwrap();
    let (team, enterprise) = match team.split_once('/') {
        Some((team, enterprise)) => (team, Some(enterprise.to_owned())),
        None => (team, None),
    };
    Who {
        team: team.to_owned(),
        home_team: home,
        enterprise,
        channel: channel.to_owned(),
        user: "U1".to_owned(),
    }
}

fn alias(project: &Configured) -> &str {
    project.0.alias.as_ref().unwrap().as_str()
}

/// `=a` for a project, `?a b` for a question, `!a b` if it may not be used here, with the projects that may.
fn outcome(resolution: &Resolution<Configured>) -> String {
    let all = |projects: &[Configured]| projects.iter().map(alias).collect::<Vec<_>>().join(" ");
    match resolution {
        Resolution::Project(project) => format!("={}", alias(project)),
        Resolution::Unclear(projects) => format!("?{}", all(projects)),
        Resolution::NotHere(projects) => format!("!{}", all(projects)),
    }
}

/// Projects, the alias that is named, who asks where, and the outcome.
const CASES: &[(&[&str], &str, &str, &str)] = &[
    (&["a"], "", "C1@T1", "=a"),
    (&["a"], "a", "C1@T1", "=a"),
    (&["a"], "b", "C1@T1", "!a"),
    // The channel's before the workspace's before the others.
    (&["a in C1", "b of T1", "c"], "", "C1@T1", "=a"),
    (&["a in C1", "b of T1", "c"], "", "C2@T1", "=b"),
    (&["a in C1", "b of T1", "c"], "", "C2@T2", "=c"),
    (&["a in C1", "b in C2"], "", "C1@T1", "=a"),
    (&["a in C1", "b in C2"], "", "C2@T1", "=b"),
    (&["a in C1", "b in C2"], "", "C3@T1", "!"),
    (&["a in C1 C2", "b in C2"], "", "C2@T1", "?a b"),
    (&["a of T1", "b of T2"], "", "C1@T2", "=b"),
    (&["a of T1", "b of T1", "c"], "", "C1@T1", "?a b c"),
    (&["a", "b"], "", "C1@T1", "?a b"),
    (&["a in C1", "b", "c"], "", "C2@T1", "?b c"),
    (&["a in C1", "b"], "", "C2@T1", "=b"),
    // The one that is named, if it may be used.
    (&["a in C1", "b"], "b", "C1@T1", "=b"),
    (&["a in C1", "b"], "a", "C2@T1", "!b"),
    (&["a in C1 of T1", "b"], "a", "C1@T2", "!b"),
    (&["a in C1 of T1"], "", "C1@T2", "!"),
    // Organisations, and guests of other companies.
    (&["a of E1", "b"], "", "C1@T1/E1", "=a"),
    (&["a of T1", "b"], "", "C1@T1 from T9", "=b"),
    (&["a of T1", "b"], "a", "C1@T1 from T9", "!b"),
    (&["a of T1 T9", "b"], "", "C1@T1 from T9", "=a"),
    (&["a in C1", "b in C2"], "", "C1@T1 from T9", "=a"),
];

#[test]
fn the_most_particular_project_serves_a_command() {
    for (projects, named, who, expected) in CASES {
        let named = Alias::parse(named);
        let resolution = resolve(projects.iter().copied().map(project), named.as_ref(), &person(who));
        assert_eq!(outcome(&resolution), *expected, "{projects:?} {named:?} {who}");
    }
}

fn some_projects() -> impl Strategy<Value = Vec<Configured>> {
    let ids = |pattern: &'static str| option::of(vec(pattern, 1..3));
    hash_set("[a-d]", 0..5).prop_flat_map(move |aliases| {
        let aliases: Vec<String> = aliases.into_iter().collect();
        vec((ids("C[1-3]"), ids("[TE][1-3]")), aliases.len()).prop_map(move |places| {
            let projects = aliases.iter().zip(places);
            projects
                .map(|(alias, (channels, teams))| configured(alias, channels, teams))
                .collect()
        })
    })
}

fn somebody() -> impl Strategy<Value = Who> {
    ("C[1-3]", "T[1-3]", option::of("T[1-3]"), option::of("E[1-3]")).prop_map(
        |(channel, team, home_team, enterprise)| Who {
            team,
            home_team,
            enterprise,
            channel,
            user: "U1".to_owned(),
        },
    )
}

proptest! {
    #[test]
    fn a_project_that_may_not_be_used_is_as_one_that_does_not_exist(
        projects in some_projects(),
        who in somebody(),
        named in option::of("[a-e]"),
    ) {
        let named = named.as_deref().and_then(Alias::parse);
        let all = resolve(projects.clone(), named.as_ref(), &who);
        let allowed = projects.iter().filter(|project| is_allowed(&project.0, &who)).cloned();
        let only_allowed = resolve(allowed.collect::<Vec<_>>(), named.as_ref(), &who);
        prop_assert_eq!(outcome(&all), outcome(&only_allowed));
        match &all {
            Resolution::Project(project) => {
                prop_assert!(is_allowed(&project.0, &who));
                prop_assert!(named.is_none() || named == project.0.alias);
            }
            Resolution::Unclear(several) => prop_assert!(several.len() > 1 && named.is_none()),
            Resolution::NotHere(others) => {
                prop_assert!(named.is_some() || others.is_empty());
                prop_assert!(others.iter().all(|project| project.0.alias != named));
            }
        }
    }
}
