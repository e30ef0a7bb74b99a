//! The import direction between the modules of the crate, and other rules that the compiler does not check.
//!
//! The test reads each file as a stream of tokens. So it sees a path wherever it is: in a grouped `use`, behind `super`,
//! inside a function, and inside a macro.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::support::sources::sources;

/// The modules below `src`, from the top to the bottom. A module imports only modules below it.
const LAYERS: &[&str] = &[
    "main",
    "bin",
    "cli",
    "demo",
    "doctor",
    "manifest",
    "app",
    "routes",
    "dispatch",
    "commands",
    "cards",
    "watches",
    "queue",
    "idempotency",
    "qr",
    "projects",
    "db",
    "slack",
    "kapso",
    "config",
    "server",
    "telemetry",
    "json",
    "clock",
];

/// A path from the root of the crate, such as `["config", "Settings"]`.
type Path = Vec<String>;

/// A source file, parsed.
struct File {
    name: String,
    /// The module that it is, such as `["slack", "request"]`; empty for `lib.rs`.
    module: Path,
    tokens: Vec<TokenTree>,
}

impl File {
    fn parse(name: &str, text: &str) -> Self {
        let mut module: Path = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if matches!(module.last().unwrap().as_str(), "mod" | "lib") {
            module.pop();
        }
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("src/{name}: {error}"));
        Self {
            name: name.to_owned(),
            module,
            tokens: tokens.into_iter().collect(),
        }
    }

    /// Every path in the file that begins at the root of the crate or can be resolved from there.
    fn paths(&self) -> BTreeSet<Path> {
        // The entry points are crates of their own, which reach the library by its name.
        let module = match self.module.first().map(String::as_str) {
            Some("main" | "bin") => &[][..],
            _ => &self.module,
        };
        let mut found = BTreeSet::new();
        find_paths(&self.tokens, module, &mut found);
        found
    }

    fn idents(&self) -> Vec<String> {
        fn collect(tokens: &[TokenTree], found: &mut Vec<String>) {
            for (at, token) in tokens.iter().enumerate() {
                match token {
                    // With their `!`, so that `option_env!` differs from a function of that name.
                    TokenTree::Ident(_) if is_punct(tokens.get(at + 1), '!') => found.push(format!("{token}!")),
                    TokenTree::Ident(_) => found.push(token.to_string()),
                    TokenTree::Group(group) => collect(&trees(group.stream()), found),
                    _ => {}
                }
            }
        }
        let mut found = Vec::new();
        collect(&self.tokens, &mut found);
        found
    }
}

fn files() -> Vec<File> {
    sources().iter().map(|(name, text)| File::parse(name, text)).collect()
}

fn trees(stream: TokenStream) -> Vec<TokenTree> {
    stream.into_iter().collect()
}

fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')
}

fn find_paths(tokens: &[TokenTree], module: &[String], found: &mut BTreeSet<Path>) {
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Ident(ident) => {
                let next = match ident.to_string().as_str() {
                    "mod" => inline_module(tokens, at, module, found),
                    "crate" | "kapso_slack" => path_after(tokens, at, &[], found),
                    "self" => path_after(tokens, at, module, found),
                    "super" => path_after(tokens, at, parent(module), found),
                    _ => None,
                };
                at = next.unwrap_or(at + 1);
            }
            TokenTree::Group(group) => {
                find_paths(&trees(group.stream()), module, found);
                at += 1;
            }
            _ => at += 1,
        }
    }
}

fn parent(module: &[String]) -> &[String] {
    &module[..module.len().saturating_sub(1)]
}

/// Searches `mod name { … }`, where `super` means the module around it. Returns where it ends.
fn inline_module(tokens: &[TokenTree], at: usize, module: &[String], found: &mut BTreeSet<Path>) -> Option<usize> {
    match (tokens.get(at + 1), tokens.get(at + 2)) {
        (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) if body.delimiter() == Delimiter::Brace => {
            let inner = [module, &[name.to_string()]].concat();
            find_paths(&trees(body.stream()), &inner, found);
            Some(at + 3)
        }
        _ => None,
    }
}

/// Adds the path whose first word, at `at`, stands for `base`. Returns where it ends; `None` if it is no path.
fn path_after(tokens: &[TokenTree], at: usize, base: &[String], found: &mut BTreeSet<Path>) -> Option<usize> {
    if is_path_separator(tokens, at + 1) {
        return Some(path_below(tokens, at + 3, base, found));
    }
    // `use crate as other` would hide every path that begins with `other`.
    if matches!(tokens.get(at + 1), Some(TokenTree::Ident(word)) if word == "as") {
        found.insert(base.to_vec());
    }
    None
}

/// Adds the path, or the group of paths, that continues `base` at `at`. Returns where it ends.
fn path_below(tokens: &[TokenTree], mut at: usize, base: &[String], found: &mut BTreeSet<Path>) -> usize {
    let mut path = base.to_vec();
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(word)) => {
                match word.to_string().as_str() {
                    "self" => {}
                    "super" => drop(path.pop()),
                    word => path.push(word.to_owned()),
                }
                at += 1;
                if is_path_separator(tokens, at) {
                    at += 2;
                    continue;
                }
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                for entry in trees(group.stream()).split(|token| is_punct(Some(token), ',')) {
                    if !entry.is_empty() {
                        path_below(entry, 0, &path, found);
                    }
                }
                return at + 1;
            }
            // `*`, or the `<` of generic arguments.
            _ => {}
        }
        found.insert(path);
        return at;
    }
}

/// What is wrong with the list of layers, and with the imports of each file.
fn violations(layers: &[&str], files: &[File]) -> Vec<String> {
    let layer = |module: &str| layers.iter().position(|name| *name == module);
    let mut problems = Vec::new();
    let modules: BTreeSet<&str> = files
        .iter()
        .filter_map(|file| file.module.first().map(String::as_str))
        .collect();
    for module in &modules {
        if layer(module).is_none() {
            problems.push(format!(
                "src has a new module `{module}`: add it to LAYERS, above everything that it imports"
            ));
        }
    }
    for module in layers {
        if !modules.contains(module) {
            problems.push(format!("src has no module `{module}` any more: remove it from LAYERS"));
        }
    }
    for file in files {
        // `lib.rs` only declares the modules.
        let Some(module) = file.module.first() else { continue };
        for path in file.paths() {
            let name = &file.name;
            match path.first() {
                None => problems.push(format!("src/{name} imports the whole crate: import modules by name")),
                Some(imported) if imported == module => {}
                Some(imported) => match (layer(module), layer(imported)) {
                    (Some(importing), Some(below)) if importing < below => {}
                    (None, _) => {}
                    _ => problems.push(format!(
                        "src/{name} imports {}: `{imported}` is not below `{module}`",
                        path.join("::")
                    )),
                },
            }
        }
    }
    problems
}

/// Cycles between the files of one module, such as `commands/a.rs` and `commands/b.rs`. What a module's `mod.rs`
/// re-exports counts as an import of the file that defines it; `mod.rs` itself may import its files and be imported.
fn cycles(files: &[File]) -> Vec<String> {
    let by_module: BTreeMap<&[String], &File> = files.iter().map(|file| (file.module.as_slice(), file)).collect();
    let mut imports: BTreeMap<&[String], BTreeSet<&[String]>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.module.len() > 1) {
        let siblings = file.paths().into_iter().filter_map(|path| {
            let path = through_reexports(&path, &by_module);
            let (imported, _) = by_module.get_key_value(path.get(..2)?)?;
            (imported[0] == file.module[0] && *imported != file.module.as_slice()).then_some(*imported)
        });
        imports.insert(&file.module, siblings.collect());
    }
    // Removes files that import none of the others until only cycles, and what imports them, are left.
    loop {
        let free: Vec<&[String]> = imports
            .iter()
            .filter(|(_, imported)| !imported.iter().any(|module| imports.contains_key(module)))
            .map(|(module, _)| *module)
            .collect();
        if free.is_empty() {
            break;
        }
        for module in free {
            imports.remove(module);
        }
    }
    imports
        .iter()
        .map(|(module, imported)| {
            let imported: Vec<String> = imported.iter().map(|module| module.join("::")).collect();
            format!("{} imports {}", module.join("::"), imported.join(", "))
        })
        .collect()
}

/// `commands::Verb` as `commands::usage::Verb`, if `commands/mod.rs` re-exports it from there.
fn through_reexports(path: &[String], by_module: &BTreeMap<&[String], &File>) -> Path {
    let [module, item, ..] = path else {
        return path.to_vec();
    };
    let Some(root) = by_module.get(&path[..1]) else {
        return path.to_vec();
    };
    for (at, token) in root.tokens.iter().enumerate() {
        if !matches!(token, TokenTree::Ident(word) if word == "use") {
            continue;
        }
        let mut names = BTreeSet::new();
        path_below(&root.tokens, at + 1, std::slice::from_ref(module), &mut names);
        let mut defined = names.iter().filter(|name| name.len() == 3 && name[2] == *item);
        if let Some(name) = defined.find(|name| by_module.contains_key(&name[..2])) {
            return name.clone();
        }
    }
    path.to_vec()
}

#[test]
fn a_module_imports_only_modules_below_it() {
    let problems = violations(LAYERS, &files());
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn the_files_of_a_module_do_not_import_one_another_in_a_cycle() {
    let cycles = cycles(&files());
    assert!(cycles.is_empty(), "{cycles:#?}");
}

/// Fails for each file for which `applies` holds that contains one of these identifiers.
fn forbid(idents: &[&str], applies: impl Fn(&File) -> bool, reason: &str) {
    let mut problems = Vec::new();
    for file in files().iter().filter(|file| applies(file)) {
        for ident in file.idents().iter().filter(|ident| idents.contains(&ident.as_str())) {
            problems.push(format!("src/{} has `{ident}`", file.name));
        }
    }
    assert!(problems.is_empty(), "{reason}: {problems:#?}");
}

/// Fails for each file of `importing` that imports a module other than `allowed`.
fn allow_imports(importing: &str, allowed: &[&str]) {
    let mut problems = Vec::new();
    for file in files()
        .iter()
        .filter(|file| file.module.first().is_some_and(|name| name == importing))
    {
        let paths = file.paths();
        let others = paths
            .iter()
            .filter(|path| path.first().is_some_and(|name| name != importing));
        problems.extend(
            others
                .filter(|path| !allowed.contains(&path[0].as_str()))
                .map(|path| format!("src/{} imports {}", file.name, path.join("::"))),
        );
    }
    assert!(
        problems.is_empty(),
        "{importing} imports only {allowed:?}: {problems:#?}"
    );
}

#[test]
fn slack_kapso_and_telemetry_know_neither_one_another_nor_the_rest() {
    allow_imports("slack", &["config", "json", "clock"]);
    allow_imports("kapso", &["config", "clock"]);
    allow_imports("telemetry", &["json"]);
}

#[test]
fn commands_have_no_http_and_cards_are_pure() {
    forbid(
        &["axum", "reqwest", "hyper"],
        |file| file.name.starts_with("commands/"),
        "commands know nothing of HTTP",
    );
    forbid(
        &["async", "await", "tokio"],
        |file| file.name.starts_with("cards/"),
        "cards are pure",
    );
}

#[test]
fn only_config_reads_the_environment() {
    forbid(
        &["var", "var_os", "vars", "vars_os", "dotenvy", "option_env!"],
        |file| !file.name.starts_with("config/"),
        "only config reads the environment",
    );
}

#[test]
fn tasks_are_spawned_only_where_the_shutdown_waits_for_them() {
    let may_spawn = |file: &File| {
        // The log's threads are not tasks: the end of the process waits for them, for a bounded time.
        matches!(
            file.name.as_str(),
            "app.rs" | "server.rs" | "qr/image.rs" | "telemetry/log_writer.rs"
        ) || file.name.starts_with("dispatch/")
            || file.name.starts_with("demo/")
    };
    forbid(&["spawn"], |file| !may_spawn(file), "the shutdown waits for every task");
}

#[test]
fn only_the_command_line_imports_the_demo() {
    let problems: Vec<String> = files()
        .iter()
        .filter(|file| file.name != "cli.rs" && !file.name.starts_with("demo/"))
        .filter(|file| {
            file.paths()
                .iter()
                .any(|path| path.first().is_some_and(|name| name == "demo"))
        })
        .map(|file| file.name.clone())
        .collect();
    assert!(problems.is_empty(), "the demo is not in the image: {problems:?}");
}

#[test]
fn every_file_begins_with_a_sentence_about_it() {
    for (name, text) in sources() {
        assert!(text.starts_with("//! "), "src/{name} begins with `//! ` and a sentence");
    }
}

/// Tests of the check itself.
mod checker {
    use super::{File, cycles, violations};

    const LAYERS: &[&str] = &["top", "middle", "bottom"];

    /// The violations in the file `name` with this text, beside files without imports.
    fn check(name: &str, text: &str) -> Vec<String> {
        let mut files: Vec<File> = ["top/mod.rs", "middle/mod.rs", "bottom.rs", "lib.rs"]
            .into_iter()
            .filter(|other| *other != name)
            .map(|other| File::parse(other, ""))
            .collect();
        files.push(File::parse(name, text));
        violations(LAYERS, &files)
    }

    #[test]
    fn imports_of_modules_below_are_allowed() {
        for text in [
            "use crate::bottom::{self, Thing};",
            "use crate::{bottom, middle::part::{Other, Part}};",
            "use super::part; mod tests { use super::*; use super::super::middle::X; }",
            "pub(crate) fn f(self) { Self::g(); crate::bottom::f::<crate::middle::X>(self.top) }",
            "//! See [`crate::top`].\n\n/// See [`crate::top`].\nfn f() { log(\"crate::top::x\") } // crate::top::x",
            "use std::{fmt, top::X}; use top_crate::top::X;",
        ] {
            assert!(
                check("middle/part.rs", text).is_empty(),
                "{text}: {:?}",
                check("middle/part.rs", text)
            );
        }
    }

    #[test]
    fn every_form_of_a_path_to_a_module_above_is_found() {
        for text in [
            "use crate::top;",
            "use crate::top::Thing as Other;",
            "pub use crate::top::*;",
            "use crate::{bottom, top};",
            "use crate::{bottom::{A, B}, top::{self, Thing}};",
            "use crate::{bottom, self as _, top as renamed};",
            "use super::super::top::Thing;",
            "use super::super::{bottom, top};",
            "use self::super::super::top::Thing;",
            "mod tests { use super::super::super::top::Thing; }",
            "fn f() -> crate::top::Thing { todo!() }",
            "fn f() { if x { crate::top::g(); } }",
            "fn f() { super::super::top::g() }",
            "fn f(x: Option<crate::top::Thing>) {}",
            "fn f() { format!(\"{}\", crate::top::NAME) }",
            "macro_rules! m { () => { $crate::top::g() } }",
            "fn f() { select! { x = super::super::top::g() => {} } }",
            "#[derive(crate::top::Derive)] struct S;",
            "impl crate::top::Trait for S {}",
        ] {
            let problems = check("middle/part.rs", text);
            let expected = |problem: &String| problem.ends_with("`top` is not below `middle`");
            assert!(problems.iter().any(expected), "{text}: {problems:?}");
        }
    }

    #[test]
    fn the_root_of_the_crate_cannot_be_imported_under_another_name() {
        for text in [
            "use crate as root;",
            "use super::super as root;",
            "use crate::*;",
            "use crate::{self as root};",
        ] {
            let problems = check("middle/part.rs", text);
            assert_eq!(
                problems,
                ["src/middle/part.rs imports the whole crate: import modules by name"],
                "{text}"
            );
        }
    }

    #[test]
    fn a_new_or_missing_module_is_named_with_what_to_do() {
        assert_eq!(
            check("new/part.rs", ""),
            ["src has a new module `new`: add it to LAYERS, above everything that it imports"]
        );
        let files = ["top.rs", "middle.rs"].map(|name| File::parse(name, ""));
        assert_eq!(
            violations(LAYERS, &files),
            ["src has no module `bottom` any more: remove it from LAYERS"]
        );
    }

    #[test]
    fn a_cycle_between_files_of_a_module_is_found_through_reexports() {
        let parse = |sources: &[(&str, &str)]| -> Vec<File> {
            sources.iter().map(|(name, text)| File::parse(name, text)).collect()
        };
        let root = ("m/mod.rs", "mod a; mod b; mod c; pub use a::{A, Other}; pub use b::B;");
        let cycle = [
            root,
            ("m/a.rs", "use super::B;"),
            ("m/b.rs", "use crate::m::{A, C};"),
            ("m/c.rs", ""),
        ];
        assert_eq!(cycles(&parse(&cycle)), ["m::a imports m::b", "m::b imports m::a"]);
        let tree = [
            root,
            ("m/a.rs", "use super::b::B; use super::c;"),
            ("m/b.rs", "use super::c::C; use super::Root;"),
            ("m/c.rs", ""),
        ];
        assert!(cycles(&parse(&tree)).is_empty());
    }
}
