//! The documents agree with the code.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use kapso_slack::commands::{self, CommandWord, Outcome};
use kapso_slack::config::VARIABLES;
use kapso_slack::routes::{COMMANDS, HEALTHZ, INTERACTIONS, METRICS, QR, READYZ};
use kapso_slack::telemetry::Metrics;
use serde_json::json;

use crate::support::sources::sources;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The text between `<!-- name: … -->` and `<!-- /name -->`.
fn part<'d>(document: &'d str, name: &str) -> &'d str {
    &document[range(document, name)]
}

fn range(document: &str, name: &str) -> Range<usize> {
    let end_of = |words: &str, from: usize| Some(from + document[from..].find(words)? + words.len());
    let start = end_of(&format!("<!-- {name}: "), 0).and_then(|marked| end_of(" -->\n", marked));
    let start = start.unwrap_or_else(|| panic!("no part {name}"));
    let length = document[start..].find(&format!("<!-- /{name} -->")).unwrap();
    start..start + length
}

/// Compares a file with its text as the code generates it, or writes that text if `UPDATE_DOCS=1` is set.
fn is_generated(path: &str, expected: &str) {
    if env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), expected).unwrap();
    }
    assert_eq!(
        read(path),
        expected,
        "{path} is out of date: run UPDATE_DOCS=1 cargo test --test it documents"
    );
}

/// Compares the generated parts of a document with what the code says, or rewrites them.
fn parts_are_generated(path: &str, parts: &[(&str, String)]) {
    let mut document = read(path);
    for (name, expected) in parts {
        document.replace_range(range(&document, name), expected);
    }
    is_generated(path, &document);
}

/// A table in Markdown.
fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = format!("| {} |\n{}|\n", head.join(" | "), "|---".repeat(N));
    for row in rows {
        let _ = writeln!(table, "| {} |", row.join(" | "));
    }
    table
}

#[test]
fn the_readmes_commands_and_variables_are_generated() {
    let usages = CommandWord::all().flat_map(|word| word.usages);
    let commands = table(
        ["type", "what it does"],
        usages.map(|usage| [format!("`/sandbox {}`", usage.typed), usage.does.to_owned()]),
    );
    let variables = table(
        ["variable", "default", "what"],
        VARIABLES.iter().map(|variable| {
            [
                format!("`{}`", variable.name),
                variable.default.to_owned(),
                variable.what.to_owned(),
            ]
        }),
    );
    parts_are_generated("README.md", &[("commands", commands), ("variables", variables)]);
}

#[test]
fn the_verbs_and_outcomes_in_the_log_are_generated() {
    let row = |word: &str, what: &str| [format!("`{word}`"), what.trim_end_matches('.').to_owned()];
    let verbs = table(
        ["`verb`", "what it is"],
        commands::Command::NAMES
            .chunk_by(|(name, _), (next, _)| name == next)
            .map(|same| {
                let what: Vec<_> = same.iter().map(|(_, what)| what.trim_end_matches('.')).collect();
                row(same[0].0, &what.join("; "))
            }),
    );
    let outcomes = table(
        ["`outcome`", "what happened"],
        Outcome::ALL
            .iter()
            .map(|outcome| row(outcome.word(), outcome.description())),
    );
    parts_are_generated("docs/operating.md", &[("verbs", verbs), ("outcomes", outcomes)]);
}

#[test]
fn the_manifests_hint_is_generated() {
    let path = "manifest/slack-app.json";
    let lines = read(path);
    let line = |line: &str| match line.split_once("\"usage_hint\": ") {
        Some((indent, rest)) => {
            let comma = if rest.ends_with(',') { "," } else { "" };
            format!("{indent}\"usage_hint\": {}{comma}\n", json!(CommandWord::hint()))
        }
        None => format!("{line}\n"),
    };
    let expected: String = lines.lines().map(line).collect();
    assert!(expected.contains("usage_hint"), "{path} has a hint");
    is_generated(path, &expected);
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
    let page = Metrics::new(["shown"], ["activated"]).to_text();
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
        "UPDATE_DOCS",
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
