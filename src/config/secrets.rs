//! The secrets: out of a variable or a file, and never a placeholder.

use std::fs;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::{Environment, Problems};
use crate::jobs::{DatabaseUrl, NotADatabase};

impl Environment {
    /// A secret out of its variable or out of the file that `NAME_FILE` names.
    fn secret(&self, problems: &mut Problems, name: &str) -> Option<SecretString> {
        let file_name = format!("{name}_FILE");
        if self.get(name).is_none() && self.get(&file_name).is_none() {
            problems.add(
                name,
                format_args!("is missing (or name a file that holds it in {file_name})"),
            );
        }
        self.optional_secret(problems, name)
    }

    /// A secret that may be unset.
    fn optional_secret(&self, problems: &mut Problems, name: &str) -> Option<SecretString> {
        let file_name = format!("{name}_FILE");
        let value = match (self.get(name), self.get(&file_name)) {
            (Some(_), Some(_)) => {
                problems.add(name, format_args!("is set, and so is {file_name}: unset one of them"));
                return None;
            }
            (Some(value), None) => value.to_owned(),
            (None, Some(file)) => match fs::read_to_string(file) {
                Ok(content) => content.trim().to_owned(),
                Err(error) => {
                    problems.add(&file_name, format_args!("the file cannot be read ({})", error.kind()));
                    return None;
                }
            },
            (None, None) => return None,
        };
        if value.is_empty() {
            problems.add(&file_name, "the file is empty");
            return None;
        }
        Some(value.into())
    }

    pub(super) fn signing_secrets(&self, problems: &mut Problems) -> Vec<SecretString> {
        const NAME: &str = "SLACK_SIGNING_SECRET";
        let Some(value) = self.secret(problems, NAME) else {
            return Vec::new();
        };
        let parts: Vec<&str> = value.expose_secret().split(',').map(str::trim).collect();
        if parts.len() > 2 {
            problems.add(NAME, "holds more than two secrets");
        } else if parts.iter().any(|part| part.is_empty()) {
            problems.add(NAME, "has nothing on one side of its comma");
        } else if parts.iter().any(|part| is_placeholder(part)) {
            problems.add(
                NAME,
                "still holds a placeholder; Slack shows the secret under Basic Information",
            );
        } else if parts.iter().any(|part| !part.bytes().all(|b| b.is_ascii_graphic())) {
            problems.add(NAME, "holds characters that no signing secret has");
        }
        parts.into_iter().map(SecretString::from).collect()
    }

    pub(super) fn api_key(&self, problems: &mut Problems) -> Option<HeaderValue> {
        const NAME: &str = "KAPSO_API_KEY";
        let value = self.secret(problems, NAME)?;
        let value = value.expose_secret();
        if is_placeholder(value) {
            problems.add(
                NAME,
                "still holds a placeholder; Kapso shows the project's keys in its settings",
            );
            return None;
        }
        if !value.bytes().all(|b| b.is_ascii_graphic()) {
            problems.add(NAME, "holds characters that no API key has");
            return None;
        }
        let mut key = HeaderValue::from_str(value).ok()?;
        key.set_sensitive(true);
        Some(key)
    }

    /// Where what is owed is kept. A secret, since it may hold a password.
    pub(super) fn database(&self, problems: &mut Problems) -> DatabaseUrl {
        const NAME: &str = "DATABASE_URL";
        let default = DatabaseUrl::file("kapso-slack.db");
        let Some(url) = self.optional_secret(problems, NAME) else {
            return default;
        };
        url.expose_secret().parse().unwrap_or_else(|problem: NotADatabase| {
            problems.add(NAME, problem);
            default
        })
    }
}

/// What examples and templates hold where a secret belongs.
fn is_placeholder(value: &str) -> bool {
    const WORDS: [&str; 10] = [
        "secret",
        "password",
        "todo",
        "none",
        "null",
        "undefined",
        "placeholder",
        "test",
        "key",
        "token",
    ];
    const BEGINNINGS: [&str; 9] = [
        "changeme",
        "change-me",
        "change_me",
        "your-",
        "your_",
        "replace",
        "insert",
        "example",
        "placeholder",
    ];
    let value = value.to_ascii_lowercase();
    let mut bytes = value.bytes();
    let first = bytes.next();
    WORDS.contains(&value.as_str())
        || BEGINNINGS.iter().any(|beginning| value.starts_with(beginning))
        || value.starts_with(['<', '$', '{', '['])
        || value.ends_with("-here")
        || value.ends_with("_here")
        || value.contains("...")
        || value.contains('…')
        || bytes.all(|byte| Some(byte) == first)
}
