//! The documents agree with the code.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kapso_slack::commands::Verb;
use kapso_slack::config::VARIABLES;
use kapso_slack::routes::{COMMANDS, HEALTHZ, INTERACTIONS, METRICS, QR, READYZ};
use kapso_slack::telemetry::{Delivery, Metrics};
use reqwest::StatusCode;

use crate::support::sources::sources;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The text between `<!-- name: … -->` and `<!-- /name -->`.
fn part<'d>(document: &'d str, name: &str) -> &'d str {
    let (_, behind) = document
        .split_once(&format!("<!-- {name}: held to the code by a test -->\n"))
        .unwrap();
    behind.split_once(&format!("<!-- /{name} -->")).unwrap().0
}

#[test]
fn the_readme_lists_the_commands_of_the_help() {
    let mut table = "| type | what it does |\n|---|---|\n".to_owned();
    for example in Verb::all_examples() {
        let _ = writeln!(table, "| `/sandbox {}` | {} |", example.typed, example.does);
    }
    assert_eq!(part(&read("README.md"), "commands"), table);
}

#[test]
fn the_readme_lists_the_variables_that_are_read() {
    let mut table = "| variable | default | what |\n|---|---|---|\n".to_owned();
    for variable in VARIABLES {
        let _ = writeln!(
            table,
            "| `{}` | {} | {} |",
            variable.name, variable.default, variable.what
        );
    }
    assert_eq!(part(&read("README.md"), "variables"), table);
}

/// The names in the first column of the table with this name.
fn first_column(document: &str, name: &str) -> BTreeSet<String> {
    part(document, name)
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()))
        .collect()
}

#[test]
fn the_documented_metrics_are_those_that_exist() {
    let metrics = Metrics::new();
    // A family is on the page only after something was counted.
    metrics.count_reply("shown", Delivery::InTime, Duration::ZERO);
    metrics.count_rejected_request(StatusCode::UNAUTHORIZED);
    metrics.count_notification("activated", Delivery::Late);
    metrics.count_kapso_request(None, Duration::ZERO);
    let page = metrics.to_text();
    let there = page
        .lines()
        .filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split_once(' ')?.0.to_owned()))
        .collect();
    assert_eq!(first_column(&read("docs/operating.md"), "metrics"), there);
}

#[test]
fn the_documented_log_fields_are_those_that_exist() {
    let mut there = BTreeSet::new();
    for (name, text) in sources() {
        if name.starts_with("demo/") {
            continue;
        }
        for level in ["error", "warn", "info", "debug", "trace"] {
            for line in text.split(&format!("tracing::{level}!(")).skip(1) {
                there.extend(fields(line));
            }
        }
    }
    assert_eq!(first_column(&read("docs/operating.md"), "log fields"), there);
}

/// The field names among the arguments of a log macro, with which `text` begins: what is before a `=` or alone, outside
/// quotes.
fn fields(text: &str) -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    let (mut depth, mut quoted, mut field) = (0, false, String::new());
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => continue,
            '(' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            ')' | ',' if depth == 0 => {
                let name = field.split('=').next().unwrap().trim().trim_start_matches(['%', '?']);
                if !name.is_empty() && !name.starts_with("target:") {
                    fields.insert(name.to_owned());
                }
                field.clear();
                if c == ')' {
                    break;
                }
                continue;
            }
            _ => {}
        }
        if !quoted && c != '"' {
            field.push(c);
        }
    }
    fields
}

#[test]
fn every_route_is_documented() {
    let operating = read("docs/operating.md");
    for route in [COMMANDS, INTERACTIONS, QR, HEALTHZ, READYZ, METRICS] {
        assert!(
            operating.contains(&format!("{route}`")),
            "docs/operating.md names {route}"
        );
    }
    // No other routes are served: the route table is in one file.
    let routes = sources().into_iter().find(|(name, _)| name == "routes.rs").unwrap().1;
    assert_eq!(routes.matches("pub const ").count(), 6, "each route is named above");
}

#[test]
fn every_verb_of_the_program_is_documented() {
    let help = Command::new(env!("CARGO_BIN_EXE_kapso-slack"))
        .arg("--help")
        .output()
        .unwrap()
        .stdout;
    let help = String::from_utf8(help).unwrap();
    let (_, verbs) = help.split_once("Commands:\n").unwrap();
    let operating = read("docs/operating.md");
    let verbs: Vec<&str> = verbs
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.len() >= 5, "{help}");
    for verb in verbs {
        assert!(
            operating.contains(&format!("`{verb}`")),
            "docs/operating.md names {verb}"
        );
    }
}

#[test]
fn variables_and_links_in_the_documents_exist() {
    let mut variables: BTreeSet<&str> = VARIABLES.iter().map(|variable| variable.name).collect();
    variables.extend([
        "RAILWAY_DEPLOYMENT_DRAINING_SECONDS",
        "SLACK_SIGNING_SECRET_FILE",
        "KAPSO_API_KEY_FILE",
        "POSTGRES_USER",
        "POSTGRES_DB",
        "POSTGRES_PASSWORD",
    ]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents: Vec<_> = fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    documents.extend([
        root.join("README.md"),
        root.join(".env.example"),
        root.join("compose.yaml"),
    ]);
    for document in documents.iter().filter(|path| path.is_file()) {
        let text = fs::read_to_string(document).unwrap();
        let name = document.display();
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        for word in words.filter(|word| word.contains('_') && word.len() > 4) {
            assert!(
                variables.contains(word.trim_matches('_')),
                "{name} names {word}, which nothing reads"
            );
        }
        for (_, behind) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let target = behind.split([')', '#']).next().unwrap();
            if !target.is_empty() && !target.contains("://") {
                let path = document.parent().unwrap().join(target);
                assert!(path.exists(), "{name} links to {target}");
            }
        }
    }
}
