//! `CONFIG_FILE`: several projects, and every problem of the file with its line.

use std::fs;
use std::path::PathBuf;

use kapso_slack::config::{Creators, Environment, Settings};
use proptest::prelude::*;

use crate::support::SECRET;
use crate::support::databases::Folder;

/// A folder with a key in the file `support` and a configuration in `config.toml`.
struct Config {
    folder: Folder,
}

impl Config {
    fn new(text: &str) -> Self {
        let folder = Folder::new();
        fs::write(folder.join("support"), "kapso-key-of-support\n").unwrap();
        fs::write(folder.join("config.toml"), text).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    fn read(&self, more: &[(&str, &str)]) -> Result<Settings, String> {
        let path = self.path();
        let variables = [
            ("SLACK_SIGNING_SECRET", SECRET),
            ("STAGING_KEY", "kapso-key-of-staging"),
            ("CONFIG_FILE", path.to_str().unwrap()),
        ];
        let all = variables.iter().chain(more);
        Environment::of(all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
            .settings()
            .map_err(|problems| problems.to_string())
    }

    /// The problems, without the first line, which is the same for all.
    fn problems(&self, more: &[(&str, &str)]) -> Vec<String> {
        let problems = self.read(more).expect_err("it is taken");
        problems.lines().skip(1).map(|line| line.trim().to_owned()).collect()
    }
}

const TWO: &str = r#"
[projects.support]
api_key_file = "support"
channels = ["C0123456789"]
teams = ["T0123456789", "E0123456789"]
default_agent = "agent-123abc"
create_users = ["U0123456789"]

[projects.staging]
api_key_env = "STAGING_KEY"
"#;

#[test]
fn each_table_is_a_project() {
    let settings = Config::new(TWO).read(&[]).unwrap();
    let [staging, support] = &settings.projects[..] else {
        panic!("{settings:?}");
    };
    assert_eq!(staging.alias.as_ref().unwrap().as_str(), "staging");
    assert_eq!(staging.api_key, "kapso-key-of-staging");
    assert_eq!((&staging.teams, &staging.channels), (&None, &None));
    assert_eq!(staging.creators, Creators::default(), "nobody");
    assert_eq!(support.alias.as_ref().unwrap().as_str(), "support");
    assert_eq!(support.api_key, "kapso-key-of-support", "next to the configuration");
    assert!(support.api_key.is_sensitive());
    assert_eq!(support.channels.as_deref().unwrap(), ["C0123456789"]);
    assert_eq!(support.teams.as_deref().unwrap(), ["T0123456789", "E0123456789"]);
    assert_eq!(support.default_agent.as_deref(), Some("agent-123abc"));
    assert_eq!(support.creators, Creators::Only(vec!["U0123456789".to_owned()]));
    let printed = format!("{settings:?}");
    assert!(!printed.contains("kapso-key"), "{printed}");
}

#[test]
fn a_project_that_names_no_creators_has_those_of_the_variable() {
    let config = Config::new(TWO);
    let settings = config.read(&[("CREATE_USERS", "*")]).unwrap();
    assert_eq!(settings.projects[0].creators, Creators::Everyone);
    assert_eq!(
        settings.projects[1].creators,
        Creators::Only(vec!["U0123456789".to_owned()])
    );
    let everyone = TWO.replace("[\"U0123456789\"]", "[\"*\"]");
    let settings = Config::new(&everyone).read(&[]).unwrap();
    assert_eq!(settings.projects[1].creators, Creators::Everyone);
}

#[test]
fn all_problems_of_file_and_environment_are_reported_at_once() {
    let config = Config::new(
        r#"project = 1
[projects.Support]
api_key_fiel = "support"
channels = ["general", 7]
teams = []
[projects.staging]
api_key_file = "nowhere"
api_key_env = "STAGING_KEY"
[projects.third]
api_key_env = "NO_SUCH_VARIABLE"
default_agent = "a/b"
create_users = "U0123456789"
[projects.fourth]
api_key_file = "support"
channel = ["C0123456789"]
"#,
    );
    let problems = config.problems(&[("KAPSO_API_KEY", "a1b2c3d4"), ("DEFAULT_AGENT", "x"), ("PORT", "zebra")]);
    insta::assert_snapshot!(problems.join("\n"));
}

#[test]
fn a_file_that_is_no_toml_or_names_no_project_is_reported() {
    for (text, problem) in [
        ("[projects.support\n", "CONFIG_FILE: line 1: "),
        ("\n\n[projects.a]\napi_key_env = STAGING_KEY\n", "CONFIG_FILE: line 4: "),
        (
            "[projects.a]\napi_key_env = \"STAGING_KEY\"\n[projects.a]\n",
            "CONFIG_FILE: line 3: ",
        ),
        ("", "CONFIG_FILE: names no project, such as [projects.support]"),
        (
            "[projects]\n",
            "CONFIG_FILE: names no project, such as [projects.support]",
        ),
        (
            "projects = 3\n",
            "CONFIG_FILE: line 1: projects is not a table such as [projects.support]",
        ),
        ("[projects]\na = 3\n", "CONFIG_FILE: line 2: projects.a is not a table"),
    ] {
        let problems = Config::new(text).problems(&[]);
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
        assert!(problems[0].starts_with(problem), "{text}: {problems:?}");
    }
    let config = Config::new(TWO);
    fs::remove_file(config.path()).unwrap();
    assert_eq!(
        config.problems(&[]),
        ["CONFIG_FILE: the file cannot be read (entity not found)"]
    );
}

#[test]
fn a_key_in_a_wrong_place_is_not_quoted() {
    let planted = "kapso-key-planted-7d1f";
    for text in [
        format!("[projects.a]\napi_key_env = \"{planted}\"\n"),
        format!("[projects.a]\napi_key_file = \"{planted}\"\n"),
        format!("[projects.a]\napi_key = \"{planted}\"\n"),
        format!("[projects.a]\napi_key_env = {planted}\n"),
    ] {
        let problems = Config::new(&text).problems(&[]).join("\n");
        assert!(!problems.contains(planted), "{problems}");
    }
}

proptest! {
    #[test]
    fn no_file_breaks_the_reader(text in "(?s).{0,400}") {
        let _ = Config::new(&text).read(&[]);
    }

    #[test]
    fn a_misspelt_key_is_reported_with_the_nearest_one(at in 0_usize..12, letter in "[a-z]") {
        let key = "channels";
        let misspelt = format!("{}{letter}{}", &key[..at.min(key.len())], &key[at.min(key.len())..]);
        let text = format!("[projects.a]\napi_key_env = \"STAGING_KEY\"\n{misspelt} = [\"C0123456789\"]\n");
        let problems = Config::new(&text).problems(&[]);
        let expected = format!("CONFIG_FILE: line 3: `{misspelt}` is not a key of a project; the nearest one is `channels`");
        prop_assert_eq!(problems, [expected]);
    }
}
