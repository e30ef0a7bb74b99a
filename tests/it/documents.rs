//! The documents agree with the code.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use kapso_slack::commands::{self, CommandWord, Outcome};
use kapso_slack::config::{PROJECT_KEYS, VARIABLES};
use kapso_slack::db::Database;
use kapso_slack::dispatch::{FollowUpJob, LateReply, PendingNotification};
use kapso_slack::doctor::{KINDS, Kind, Severity};
use kapso_slack::manifest::{self, Transport};
use kapso_slack::routes::{COMMANDS, HEALTHZ, INTERACTIONS, METRICS, QR, READYZ};
use kapso_slack::telemetry::{Labels, Metrics};
use kapso_slack::watches::Watch;
use kapso_slack::watches::policy::News;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sqlx::query_scalar;

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
    let found = read(path);
    let differs = |(found, expected): &(&str, &str)| found != expected;
    let difference = found.lines().zip(expected.lines()).find(differs);
    assert!(
        found == expected,
        "{path} is out of date, {difference:?}: run UPDATE_DOCS=1 cargo test --test it -- documents"
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
fn the_findings_of_doctor_are_generated() {
    let row = |kind: &&Kind| {
        let warning = match kind.severity {
            Severity::Problem => "",
            Severity::Warning => " (warning)",
        };
        [
            format!("`{}`{warning}", kind.code),
            format!("{}. {}", kind.what, kind.why),
            kind.fix.to_owned(),
        ]
    };
    let findings = table(["finding", "what it means", "how to mend it"], KINDS.iter().map(row));
    parts_are_generated("docs/operating.md", &[("findings", findings)]);
}

#[test]
fn the_link_that_creates_the_app_is_generated() {
    let manifest = manifest::for_deployment(Transport::SocketMode, "/sandbox").unwrap();
    let link = format!(
        "   [Create the app in Slack]({})\n   ",
        manifest::one_click_link(&manifest)
    );
    parts_are_generated("README.md", &[("link", link)]);
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
    let metrics = Metrics::new(&Labels {
        outcomes: vec!["shown"],
        news: vec!["activated"],
        reconnect_reasons: vec!["warning"],
        refusals: vec!["missing_scope"],
        envelope_types: vec!["interactive"],
    });
    metrics.set_watches(None, 0);
    metrics.set_kapso_rate_limit_left(None, 0);
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
fn the_keys_of_a_project_are_generated() {
    let rows = PROJECT_KEYS
        .iter()
        .map(|(key, what)| [format!("`{key}`"), (*what).to_owned()]);
    let keys = table(["key", "what"], rows);
    parts_are_generated("docs/projects.md", &[("project keys", keys)]);
}

#[test]
fn the_reasons_for_which_watches_end_are_documented() {
    let operating = read("docs/operating.md");
    let (_, row) = operating.split_once("| `news` |").unwrap();
    let row = row.lines().next().unwrap();
    for ending in News::ALL {
        let name = ending.name();
        assert!(row.contains(&format!("`{name}`")), "docs/operating.md names {name}");
    }
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
        "SLACK_APP_TOKEN_FILE",
        "SLACK_SIGNING_SECRET_FILE",
        "KAPSO_API_KEY_FILE",
        "POSTGRES_USER",
        "POSTGRES_DB",
        "POSTGRES_PASSWORD",
        "SSL_CERT_FILE",
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

/// The folders below which, and the file name extensions with which, a word in a document is a path in this repository.
const FOLDERS: [&str; 6] = ["benches/", "docs/", "examples/", "scripts/", "src/", "tests/"];
const EXTENSIONS: [&str; 8] = [".rs", ".md", ".sql", ".toml", ".json", ".snap", ".js", ".html"];

/// The paths of this repository that a document names: relative to its root, to `src` or to `docs`. A path with `<…>` in
/// it is one that the reader has to fill in.
fn paths(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-./<>{}:".contains(c)))
        .map(|word| word.trim_start_matches("./").trim_matches([':', '.']))
        .filter(|word| !word.contains(['<', '>', '{', ':']) && !word.starts_with('/'))
        .filter(|word| {
            FOLDERS.iter().any(|folder| word.starts_with(folder))
                || EXTENSIONS
                    .iter()
                    .any(|extension| word.len() > extension.len() && word.ends_with(extension))
                || (word.ends_with('/') && word.len() > 1)
        })
        .collect()
}

#[test]
fn the_files_that_documents_for_contributors_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (document, at_least) in [
        ("docs/architecture.md", 50),
        ("CONTRIBUTING.md", 15),
        ("docs/guarantees.md", 8),
    ] {
        let text = read(document);
        let named = paths(&text);
        assert!(named.len() >= at_least, "{document} names only {named:?}");
        let missing: Vec<_> = named
            .iter()
            .filter(|path| {
                !["", "src", "docs"]
                    .iter()
                    .any(|folder| root.join(folder).join(path).exists())
            })
            .collect();
        assert!(
            missing.is_empty(),
            "{document} names files that do not exist: {missing:?}"
        );
    }
}

#[test]
fn the_tests_that_documents_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .chain([root.join("CONTRIBUTING.md"), root.join("README.md")]);
    let mut named = 0;
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for line in text.lines() {
            for (_, behind) in line
                .match_indices("--test it ")
                .map(|(at, found)| line.split_at(at + found.len()))
            {
                let filters = behind.split('`').next().unwrap().split_whitespace();
                for filter in filters.take_while(|word| !word.starts_with('#')) {
                    let module = filter.split("::").next().unwrap();
                    // An option of the test program, or a placeholder.
                    if module.starts_with(['-', '<']) || filter.ends_with(['>', '…']) {
                        continue;
                    }
                    named += 1;
                    assert!(
                        root.join(format!("tests/it/{module}.rs")).exists(),
                        "{} names the test {module}",
                        document.display()
                    );
                }
            }
        }
    }
    assert!(named >= 10, "only {named} tests are named");
}

/// The texts in a Markdown document that stand in straight quotes, and the messages that begin the items of its lists.
/// Neither headings nor code.
fn quoted_texts(document: &str) -> Vec<String> {
    let mut quoted = Vec::new();
    let mut is_code = false;
    for line in document.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        }
        if is_code || line.starts_with(['#', '`']) {
            continue;
        }
        // Outside code spans.
        let prose: String = line.split('`').step_by(2).collect();
        quoted.extend(prose.split('"').skip(1).step_by(2).map(str::to_owned));
        let item = line.strip_prefix("- *").and_then(|item| item.split_once('*'));
        quoted.extend(item.map(|(message, _)| message.to_owned()));
    }
    quoted
}

#[test]
fn the_texts_that_documents_quote_are_those_of_the_program() {
    // Without comments, and with the lines of a long text joined.
    let mut program = String::new();
    for (_, text) in sources() {
        let code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
        program.extend(code.map(|line| {
            line.strip_suffix('\\')
                .map_or_else(|| format!("{line}\n"), str::to_owned)
        }));
    }
    // In the description of the log, messages are in italics; what is capitalised there is a button or a page of Slack.
    let operating = read("docs/operating.md");
    let messages = operating.lines().flat_map(|line| line.split('*').skip(1).step_by(2));
    let messages = messages.filter(|message| message.starts_with(char::is_lowercase));
    let messages: Vec<_> = messages
        .map(|message| ("docs/operating.md", message.to_owned()))
        .collect();
    let quoted = quoted_texts(&read("docs/troubleshooting.md")).into_iter();
    let quoted: Vec<_> = quoted.map(|text| ("docs/troubleshooting.md", text)).collect();
    assert!(
        messages.len() >= 10 && quoted.len() >= 15,
        "found only {messages:?} and {quoted:?}"
    );
    for (document, text) in messages.into_iter().chain(quoted) {
        for part in text.split('…') {
            let part = part.trim();
            assert!(
                program.contains(part),
                "{document} quotes {text:?}, but {part:?} is not in src"
            );
        }
    }
}

#[tokio::test]
async fn the_documented_columns_are_those_of_the_tables() {
    const SECTION: &str = "\n### `kapso_slack_";
    let database = Database::in_memory().await.unwrap();
    let columns: Vec<String> = query_scalar(
        "SELECT tables.name || '.' || columns.name
         FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
         WHERE tables.type = 'table' AND tables.name <> 'kapso_slack_migrations'",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    let columns: BTreeSet<String> = columns.into_iter().collect();
    let architecture = read("docs/architecture.md");
    let mut documented = BTreeSet::new();
    for section in architecture.split(SECTION).skip(1) {
        let (table, section) = section.split_once('`').unwrap();
        let section = section.split("\n#").next().unwrap();
        let names = section
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        documented.extend(names.map(|(column, _)| format!("kapso_slack_{table}.{column}")));
    }
    assert_eq!(documented, columns);
}

/// Reads a documented payload and writes it again.
fn reads<P: DeserializeOwned + Serialize>(documented: &str) {
    let value: Value = serde_json::from_str(documented).unwrap_or_else(|error| panic!("{error}: {documented}"));
    let payload: P = serde_json::from_str(documented).unwrap_or_else(|error| panic!("{error}: {documented}"));
    assert_eq!(
        serde_json::to_value(payload).unwrap(),
        value,
        "every field is documented"
    );
}

#[test]
fn the_documented_payloads_are_complete() {
    let architecture = read("docs/architecture.md");
    let examples: Vec<&str> = architecture
        .split("```json\n")
        .skip(1)
        .map(|example| example.split("```").next().unwrap())
        .collect();
    let [late_reply, notification, follow_up, watch, shared_card] = examples[..] else {
        panic!("docs/architecture.md has {} examples", examples.len());
    };
    reads::<LateReply>(late_reply);
    reads::<PendingNotification>(notification);
    reads::<FollowUpJob>(follow_up);
    reads::<Watch>(watch);
    reads::<Watch>(shared_card);
}

#[test]
fn the_documented_modules_are_those_of_the_architecture_test() {
    let test = read("tests/it/architecture.rs");
    let (_, layers) = test.split_once("const LAYERS: &[&str] = &[").unwrap();
    let layers: Vec<&str> = layers
        .split_once("];")
        .unwrap()
        .0
        .split('"')
        .skip(1)
        .step_by(2)
        .collect();
    let architecture = read("docs/architecture.md");
    let (_, modules) = architecture.split_once("| module | purpose |\n").unwrap();
    let documented: Vec<&str> = modules
        .lines()
        .skip(1)
        .map_while(|line| line.strip_prefix("| `"))
        .map(|line| line.split(['/', '.', '`']).next().unwrap())
        .collect();
    assert_eq!(documented, layers);
}
