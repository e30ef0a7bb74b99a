//! The file that `CONFIG_FILE` names.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use kapso_slack::config::Environment;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const KEY: &str = "kapso-key-0123456789abcdef";

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("kapso-slack-fuzz-{}.toml", std::process::id())));

fuzz_target!(|text: &[u8]| {
    fs::write(&*FILE, text).expect("the temporary folder can be written");
    let path = FILE.to_str().expect("UTF-8");
    let variables = [
        ("SLACK_SIGNING_SECRET", SECRET),
        ("SUPPORT_KEY", KEY),
        ("CONFIG_FILE", path),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    match Environment::of(variables).settings() {
        Ok(settings) => {
            assert!(!settings.projects.is_empty());
            assert!(!format!("{settings:?}").contains(KEY));
        }
        Err(problems) => {
            assert!(problems.iter().next().is_some());
            for problem in problems.iter() {
                assert!(problem.contains("CONFIG_FILE"), "{problem}");
                assert!(!problem.contains(char::is_control), "{problem:?}");
                assert!(!problem.contains(KEY), "{problem}");
            }
        }
    }
});
