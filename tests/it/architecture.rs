//! The walls of the app: who may know whom.


use crate::support::sources::sources;

/// Fails with every line of a file for which `inside` holds that has one of `words`, code and comments alike.
fn forbid(words: &[&str], inside: impl Fn(&str) -> bool, why: &str) {
    let mut breaches = Vec::new();
    for (name, text) in sources() {
        if !inside(&name) {
            continue;
        }
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code.filter(|line| words.iter().any(|word| line.contains(word))) {
            breaches.push(format!("src/{name}: {}", line.trim()));
        }
    }
    assert!(breaches.is_empty(), "{why}: {breaches:#?}");
}

#[test]
fn slack_and_kapso_import_no_sibling_but_the_clock() {
    let siblings = [
        "crate::app",
        "crate::dispatch",
        "crate::cli",
        "crate::commands",
        "crate::config",
        "crate::demo",
        "crate::routes",
        "crate::jobs",
        "crate::manifest",
        "crate::server",
        "crate::telemetry",
        "crate::session_card",
    ];
    let both = "each knows its own wire alone";
    forbid(
        &siblings,
        |name| name.starts_with("slack/") || name.starts_with("kapso/"),
        both,
    );
    forbid(&["crate::kapso"], |name| name.starts_with("slack/"), both);
    forbid(&["crate::slack"], |name| name.starts_with("kapso/"), both);
}

#[test]
fn commands_speak_no_http_and_views_do_not_wait() {
    forbid(
        &["axum", "reqwest", "hyper"],
        |name| name.starts_with("commands/"),
        "commands decide",
    );
    forbid(
        &["async ", ".await", "tokio"],
        |name| name.starts_with("cards/"),
        "views are pure",
    );
}

#[test]
fn only_config_reads_the_environment() {
    let readers = ["env::var", "env::vars", "dotenvy", "option_env!"];
    forbid(
        &readers,
        |name| !name.starts_with("config/"),
        "one reader of the environment",
    );
}

#[test]
fn only_those_spawn_whose_tasks_are_waited_for() {
    let allowed =
        |name: &str| matches!(name, "app.rs" | "server.rs") || name.starts_with("dispatch/") || name.starts_with("demo/");
    forbid(
        &[".spawn(", "tokio::spawn", "thread::spawn"],
        |name| !allowed(name),
        "every task is waited for",
    );
}

#[test]
fn only_the_fakes_owners_enter_the_demo() {
    forbid(
        &["crate::demo"],
        |name| name != "cli.rs" && !name.starts_with("demo/"),
        "the demo is not shipped",
    );
}

#[test]
fn every_file_opens_with_its_one_sentence() {
    for (name, text) in sources() {
        assert!(text.starts_with("//! "), "src/{name} opens with a sentence");
    }
}

#[test]
fn every_file_can_be_read_in_one_sitting() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|(name, text)| (name, text.lines().count()))
        .filter(|(_, lines)| *lines > 320)
        .collect();
    assert!(long.is_empty(), "about 300 lines is one sitting: {long:?}");
}
