//! The layout of the tests: shared helpers are in `support`, and no test module imports another one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every Rust file below a folder of `tests/`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The text of a file without comments and without what is inside string literals.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let raw_hashes = rest
            .strip_prefix('r')
            .map(|behind| &behind[..behind.len() - behind.trim_start_matches('#').len()])
            .filter(|hashes| rest[1 + hashes.len()..].starts_with('"') && !code.ends_with(is_part_of_name));
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(hashes) = raw_hashes {
            let begin = 1 + hashes.len() + 1;
            let close = format!("\"{hashes}");
            begin + rest[begin..].find(&close).unwrap() + close.len()
        } else if next == '"' {
            string_end(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\") {
            // A character literal that would look like the beginning of a string, or has an escape in it.
            2 + rest[2..].find('\'').unwrap() + 1
        } else {
            code.push(next);
            next.len_utf8()
        };
        rest = &rest[end..];
    }
    code
}

/// Where the string literal at the beginning of `text` ends.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == '"' && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    panic!("a string literal does not end: {text}")
}

fn is_part_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The modules of the crate's root that a file names by `crate::…` or, in a file of the root, by `super::…`; those in
/// groups such as `crate::{a, b::c}` too.
fn modules(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for root in ["crate", "super"] {
        for (at, _) in code.match_indices(root) {
            let behind = code[at + root.len()..].trim_start();
            let Some(path) = behind.strip_prefix("::") else {
                continue;
            };
            if code[..at].ends_with(is_part_of_name) {
                continue;
            }
            let path = path.trim_start();
            match path.strip_prefix('{') {
                Some(group) => found.extend(members(group)),
                None => found.extend(first_name(path)),
            }
        }
    }
    found
}

/// The first names of the paths in a group whose opening brace is consumed.
fn members(group: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut begin = 0;
    let mut found = Vec::new();
    for (at, c) in group.char_indices() {
        let closes = c == '}' && depth == 0;
        if closes || (c == ',' && depth == 0) {
            found.extend(first_name(&group[begin..at]));
            begin = at + 1;
        }
        match c {
            _ if closes => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    found
}

fn first_name(path: &str) -> Option<String> {
    let name: String = path.trim_start().chars().take_while(|c| is_part_of_name(*c)).collect();
    (!name.is_empty()).then_some(name)
}

/// The imports of test modules by other files, one line each, in a folder of `tests/` whose helpers are in `support`.
fn imports_of_test_modules(folder: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let files = files(&root);
    let tests: BTreeSet<String> = files
        .iter()
        .filter(|path| path.parent() == Some(&root))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "main" && name != "support")
        .collect();
    assert!(tests.len() > 5, "the test modules of tests/{folder}: {tests:?}");
    let imports = |path: &PathBuf| {
        let code = code(&fs::read_to_string(path).unwrap());
        let imported: Vec<_> = modules(&code).intersection(&tests).cloned().collect();
        let name = path.strip_prefix(&root).unwrap().display().to_string();
        imported
            .into_iter()
            .map(move |module| format!("{name} imports {module}"))
            .collect::<Vec<_>>()
    };
    files.iter().flat_map(imports).collect()
}

#[test]
fn no_test_module_imports_another_one() {
    for folder in ["it", "browser"] {
        let imports = imports_of_test_modules(folder);
        assert!(
            imports.is_empty(),
            "move what is shared to tests/{folder}/support: {imports:#?}"
        );
    }
}

#[test]
fn imports_are_seen_in_every_form() {
    for text in [
        "use crate::log;",
        "use crate::log::{line, lines};",
        "use crate::{support::ID, log::line};",
        "use crate::{\n    support::{ID, KEY},\n    log,\n};",
        "fn it() { crate::log::line() }",
        "use super::log::line;",
        "let c = '\"'; crate::log::line(); let d = '\"';",
        "let s = \"\\\"\"; crate::log::line();",
        "let s = r#\"a \" b\"#; crate::log::line();",
        "let s = \"\"; crate::log::line();",
        "let c = '\\''; crate::log::line();",
    ] {
        assert!(modules(&code(text)).contains("log"), "{text}");
    }
    for text in [
        "use crate::support::log;",
        "use crate::{support::{ID, log}};",
        "// crate::log",
        "let s = \"crate::log\";",
        "let s = \"\\\" crate::log\";",
        "let s = r#\"\" crate::log\"#;",
        "use my_crate::log;",
    ] {
        assert!(!modules(&code(text)).contains("log"), "{text}");
    }
}
