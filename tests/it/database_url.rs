//! `DATABASE_URL`: the accepted forms; its password is never shown.

use std::fs;

use kapso_slack::config::{DatabaseUrl, Environment};

use crate::support::databases::Folder;
use crate::support::{KEY, SECRET};

/// The database of the settings with this variable, or their problems.
fn configured(name: &str, value: &str) -> Result<String, String> {
    let variables = [("SLACK_SIGNING_SECRET", SECRET), ("KAPSO_API_KEY", KEY), (name, value)];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    match Environment::of(variables).settings() {
        Ok(settings) => Ok(format!("{:?}", settings.database)),
        Err(problems) => Err(problems.to_string()),
    }
}

#[test]
fn a_file_memory_or_a_server_is_accepted() {
    for (value, taken) in [
        ("", "sqlite:kapso-slack.db"),
        ("sqlite:kapso-slack.db", "sqlite:kapso-slack.db"),
        ("sqlite:/data/jobs.db", "sqlite:/data/jobs.db"),
        ("sqlite:///data/jobs.db", "sqlite:/data/jobs.db"),
        ("sqlite://jobs.db?mode=rwc", "sqlite:jobs.db"),
        ("sqlite::memory:", "sqlite::memory:"),
        ("postgres://kapso:hunter2@db/kapso", "postgres://[REDACTED]"),
        (
            "postgresql://db/kapso?sslmode=require&password=hunter2",
            "postgres://[REDACTED]",
        ),
    ] {
        assert_eq!(configured("DATABASE_URL", value).as_deref(), Ok(taken), "{value}");
    }
}

#[test]
fn any_other_value_is_rejected_without_quoting_it() {
    for value in [
        "jobs-hunter2.db",
        "sqlite:",
        "sqlite:///",
        "sqlite:/data/hunter2/",
        "sqlite:jobs.db?mode=ro&hunter2",
        "mysql://kapso:hunter2@db/kapso",
        "postgres:kapso:hunter2@db",
        "postgres://kapso:hunter2@db:port/kapso",
        "postgres://kapso:hunter2@db/kapso?sslmode=hunter2",
    ] {
        let problem = configured("DATABASE_URL", value).unwrap_err();
        assert!(problem.contains("DATABASE_URL: is neither"), "{value}: {problem}");
        assert!(!problem.contains("hunter2"), "{value}: {problem}");
    }
}

#[test]
fn it_can_be_read_from_a_file() {
    let folder = Folder::new();
    let file = folder.join("url");
    fs::write(&file, "postgres://kapso:hunter2@db/kapso\n").unwrap();
    let taken = configured("DATABASE_URL_FILE", file.to_str().unwrap());
    assert_eq!(taken.as_deref(), Ok("postgres://[REDACTED]"));
    let missing = configured("DATABASE_URL_FILE", folder.join("none").to_str().unwrap()).unwrap_err();
    assert!(
        missing.contains("DATABASE_URL_FILE: the file cannot be read"),
        "{missing}"
    );
}

#[test]
fn its_kind_has_a_name_for_log_and_readyz() {
    for (url, kind) in [
        ("sqlite::memory:", "sqlite"),
        ("sqlite:a.db", "sqlite"),
        ("postgres://db/kapso", "postgres"),
    ] {
        assert_eq!(url.parse::<DatabaseUrl>().unwrap().kind().name(), kind);
    }
}
