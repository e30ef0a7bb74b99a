//! What the documents say is what the code does.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use kapso_slack::commands::Verb;
use kapso_slack::config::VARIABLES;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What stands between `<!-- name: … -->` and `<!-- /name -->`.
fn part<'d>(document: &'d str, name: &str) -> &'d str {
    let (_, behind) = document
        .split_once(&format!("<!-- {name}: held to the code by a test -->\n"))
        .unwrap();
    behind.split_once(&format!("<!-- /{name} -->")).unwrap().0
}

#[test]
fn the_readmes_commands_are_the_helps() {
    let mut table = "| type | what it does |\n|---|---|\n".to_owned();
    for example in Verb::all_examples() {
        let _ = writeln!(table, "| `/sandbox {}` | {} |", example.typed, example.does);
    }
    assert_eq!(part(&read("README.md"), "commands"), table);
}

#[test]
fn the_readmes_variables_are_those_that_are_read() {
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
