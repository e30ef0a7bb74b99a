//! The secrets: read from a variable or a file, rejected if they are placeholders, never quoted.

use std::fs;
use std::path::PathBuf;

use secrecy::ExposeSecret;

use crate::support::settings::{UNSET, problem, settings};
use crate::support::{KEY, SECRET};

/// A file with this content.
fn file(name: &str, content: impl AsRef<[u8]>) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("settings-{name}"));
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn placeholders_are_rejected() {
    let words = "changeme CHANGE_ME change-me-please your-signing-secret YOUR_KEY replace-this insert_key example-key \
                 placeholder <signing-secret> ${SECRET} {{secret}} [secret] secret-goes-here key_here abc... abc… \
                 xxxxxxxxxxxxxxxx ******** 0 secret Secret password todo none null undefined test key token";
    for placeholder in words.split(' ') {
        for name in ["SLACK_SIGNING_SECRET", "KAPSO_API_KEY"] {
            let problem = problem(&[(name, placeholder)]);
            assert!(
                problem.starts_with(&format!("{name}: still holds a placeholder")),
                "{placeholder}: {problem}"
            );
        }
        let problem = problem(&[("SLACK_SIGNING_SECRET", &format!("{SECRET},{placeholder}"))]);
        assert!(
            problem.contains("still holds a placeholder"),
            "{placeholder}: {problem}"
        );
    }
}

#[test]
fn real_secrets_are_accepted() {
    for secret in [
        SECRET,
        KEY,
        "8f742231b10e8888abcd99yyyzzz85a5",
        "kp_live_0a1b2c",
        "testing-0a1b2c",
        "a-key-of-ours",
    ] {
        assert!(
            settings(&[("SLACK_SIGNING_SECRET", secret), ("KAPSO_API_KEY", secret)]).is_ok(),
            "{secret}"
        );
    }
}

#[test]
fn no_problem_quotes_a_secret() {
    let path = file("quoted", "zebra zebra");
    for variables in [
        &[
            ("SLACK_SIGNING_SECRET", "zebra zebra"),
            ("KAPSO_API_KEY", "zebra zebra"),
        ][..],
        &[
            ("SLACK_SIGNING_SECRET", "zebra,zebra,zebra"),
            ("KAPSO_API_KEY", "zebra…"),
        ],
        &[("SLACK_SIGNING_SECRET", "zebra,"), ("KAPSO_API_KEY", "<zebra>")],
        &[
            ("SLACK_SIGNING_SECRET", "your-zebra"),
            ("KAPSO_API_KEY", "zebra\nzebra"),
        ],
        &[("SLACK_SIGNING_SECRET", UNSET), ("SLACK_SIGNING_SECRET_FILE", &path)],
        &[("KAPSO_API_KEY", UNSET), ("KAPSO_API_KEY_FILE", &path)],
        &[("KAPSO_API_KEY", "zebra"), ("KAPSO_API_KEY_FILE", &path)],
    ] {
        let problems = settings(variables).unwrap_err();
        assert!(!problems.contains("zebra"), "{problems}");
    }
}

#[test]
fn a_secret_may_come_from_a_file() {
    for (name, content, secrets) in [
        ("plain", "a1b2c3d4", &["a1b2c3d4"][..]),
        ("newline", "a1b2c3d4\n", &["a1b2c3d4"]),
        ("windows", " a1b2c3d4\r\n\r\n", &["a1b2c3d4"]),
        ("two", "a1b2c3d4,e5f6a7b8\n", &["a1b2c3d4", "e5f6a7b8"]),
        ("spaced", "a1b2c3d4 , e5f6a7b8\n", &["a1b2c3d4", "e5f6a7b8"]),
    ] {
        let path = file(name, content);
        let settings = settings(&[("SLACK_SIGNING_SECRET", UNSET), ("SLACK_SIGNING_SECRET_FILE", &path)]).unwrap();
        let read: Vec<&str> = settings
            .signing_secrets
            .iter()
            .map(ExposeSecret::expose_secret)
            .collect();
        assert_eq!(read, secrets, "{name}");
    }
    let path = file("key", "a1b2c3d4\n");
    let settings = settings(&[("KAPSO_API_KEY", " "), ("KAPSO_API_KEY_FILE", &path)]).unwrap();
    assert_eq!(settings.projects[0].api_key, "a1b2c3d4");
    assert!(settings.projects[0].api_key.is_sensitive());
}

#[test]
fn a_file_without_a_secret_is_reported() {
    let directory = env!("CARGO_TARGET_TMPDIR");
    let (empty, blank) = (file("empty", ""), file("blank", " \n\n"));
    let (binary, placeholder) = (file("binary", [0xFF, 0xFE]), file("placeholder", "changeme\n"));
    for name in ["SLACK_SIGNING_SECRET", "KAPSO_API_KEY"] {
        let file_name = &format!("{name}_FILE");
        for (path, says) in [
            (
                "/nowhere/at/all",
                format!("{file_name}: the file cannot be read (entity not found)"),
            ),
            (
                directory,
                format!("{file_name}: the file cannot be read (is a directory)"),
            ),
            (&binary, format!("{file_name}: the file cannot be read (invalid data)")),
            (&empty, format!("{file_name}: the file is empty")),
            (&blank, format!("{file_name}: the file is empty")),
            (&placeholder, format!("{name}: still holds a placeholder")),
        ] {
            let problem = problem(&[(name, UNSET), (file_name, path)]);
            assert!(problem.starts_with(&says), "{path}: {problem}");
        }
        let path = file("both", "a1b2c3d4");
        assert_eq!(
            problem(&[(name, "a1b2c3d4"), (file_name, &path)]),
            format!("{name}: is set, and so is {file_name}: unset one of them")
        );
    }
}

#[test]
fn printed_settings_show_no_secret() {
    let printed = format!("{:?}", settings(&[]).unwrap());
    assert!(printed.contains("reply_budget"), "{printed}");
    for secret in [SECRET, KEY] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
