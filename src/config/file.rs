//! The file that `CONFIG_FILE` names: TOML, with a table for each Kapso project.
//!
//! All its problems are collected, each with its line, and none quotes a secret.

use std::borrow::Cow;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use http::HeaderValue;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::values::{NOT_AN_AGENT_ID, api_key, is_agent_id, trimmed};
use super::{Alias, AllowList, Creators, Problems, ProjectSettings, is_slack_id};

/// The keys of a project, with what each is for the documentation.
pub const PROJECT_KEYS: &[(&str, &str)] = &[
    (
        API_KEY_FILE,
        "path of a file that holds the project's key; a relative path starts at the folder of this file. Either this or `api_key_env` is required",
    ),
    (API_KEY_ENV, "name of an environment variable that holds the key"),
    (
        CHANNELS,
        "channels (C…, G…, D…) in which the project may be used; without it, in all",
    ),
    (
        TEAMS,
        "workspaces (T…) or organisations (E…) in which it may be used; without it, in all",
    ),
    (
        DEFAULT_AGENT,
        "ID of the agent of sessions that are created without naming one",
    ),
    (
        CREATE_USERS,
        "people (U…, W…) who may create sessions in it, or `[\"*\"]` for all who may use it; without it, those in the variable `CREATE_USERS`",
    ),
];

const API_KEY_FILE: &str = "api_key_file";
const API_KEY_ENV: &str = "api_key_env";
const CHANNELS: &str = "channels";
const TEAMS: &str = "teams";
const DEFAULT_AGENT: &str = "default_agent";
const CREATE_USERS: &str = "create_users";
const PROJECTS: &str = "projects";
/// The name under which problems are reported.
const NAME: &str = "CONFIG_FILE";

/// What a file is read with besides its text.
pub(super) struct Surroundings<'a> {
    /// The value of an environment variable.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Who may create sessions in a project that does not say so.
    pub(super) creators: &'a Creators,
}

/// The projects in the file at `path`, in the order of their aliases. What is wrong is added to `problems`.
pub(super) fn read(path: &Path, surroundings: &Surroundings<'_>, problems: &mut Problems) -> Vec<ProjectSettings> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let folder = path.parent().unwrap_or(Path::new(""));
            parse(&text, folder, surroundings, problems)
        }
        Err(error) => {
            problems.add(NAME, format_args!("the file cannot be read ({})", error.kind()));
            Vec::new()
        }
    }
}

fn parse(text: &str, folder: &Path, surroundings: &Surroundings<'_>, problems: &mut Problems) -> Vec<ProjectSettings> {
    let (table, errors) = DeTable::parse_recoverable(text);
    // What follows from an error of the syntax would be misleading.
    if let Some(error) = errors.first() {
        let line = line_of(text, error.span().unwrap_or_default());
        problems.add(NAME, format_args!("line {line}: {}", one_line(error.message())));
        return Vec::new();
    }
    let mut reader = Reader {
        text,
        folder,
        surroundings,
        problems: Vec::new(),
    };
    let table = table.get_ref();
    for key in table.keys() {
        if key.get_ref() != PROJECTS {
            reader.unknown_key(key, "the file", &[PROJECTS]);
        }
    }
    let mut projects = Vec::new();
    for (key, value) in table {
        if key.get_ref() == PROJECTS {
            match value.get_ref() {
                DeValue::Table(table) => {
                    projects.extend(table.iter().filter_map(|(key, value)| reader.project(key, value)));
                }
                _ => reader.add(value.span(), "projects is not a table such as [projects.support]"),
            }
        }
    }
    let mut found = reader.problems;
    if projects.is_empty() && found.is_empty() {
        problems.add(NAME, "names no project, such as [projects.support]");
    }
    found.sort_by_key(|(line, _)| *line);
    for (line, problem) in found {
        problems.add(NAME, format_args!("line {line}: {problem}"));
    }
    projects.sort_by(|one, other| one.alias.cmp(&other.alias));
    projects
}

struct Reader<'a> {
    text: &'a str,
    folder: &'a Path,
    surroundings: &'a Surroundings<'a>,
    /// Each with its line.
    problems: Vec<(usize, String)>,
}

impl Reader<'_> {
    fn project(&mut self, key: &Spanned<Cow<'_, str>>, value: &Spanned<DeValue<'_>>) -> Option<ProjectSettings> {
        let name = key.get_ref();
        let alias = Alias::parse(name);
        if alias.is_none() {
            let problem = format!(
                "`{}` is not an alias: a lower-case letter, then up to {} lower-case letters, digits, - and _",
                shown(name),
                Alias::MAX - 1
            );
            self.add(key.span(), &problem);
        }
        let DeValue::Table(table) = value.get_ref() else {
            self.add(value.span(), &format!("projects.{} is not a table", shown(name)));
            return None;
        };
        let known: Vec<&str> = PROJECT_KEYS.iter().map(|(key, _)| *key).collect();
        for key in table.keys() {
            if !known.contains(&key.get_ref().as_ref()) {
                self.unknown_key(key, "a project", &known);
            }
        }
        let get = |wanted: &str| {
            let entry = table.iter().find(|(key, _)| key.get_ref() == wanted);
            entry.map(|(_, value)| value)
        };
        let api_key = self.api_key(name, key.span(), get(API_KEY_FILE), get(API_KEY_ENV));
        let channels = self.allow_list(CHANNELS, get(CHANNELS), &['C', 'G', 'D']);
        let teams = self.allow_list(TEAMS, get(TEAMS), &['T', 'E']);
        let default_agent = get(DEFAULT_AGENT).and_then(|value| self.agent(value));
        let creators = match get(CREATE_USERS) {
            Some(value) => self.creators(value),
            None => self.surroundings.creators.clone(),
        };
        Some(ProjectSettings {
            alias: Some(alias?),
            api_key: api_key?,
            teams,
            channels,
            default_agent,
            creators,
        })
    }

    fn api_key(
        &mut self,
        project: &str,
        span: Range<usize>,
        file: Option<&Spanned<DeValue<'_>>>,
        variable: Option<&Spanned<DeValue<'_>>>,
    ) -> Option<HeaderValue> {
        let (key, value, span) = match (file, variable) {
            (Some(file), None) => (API_KEY_FILE, self.secret_of_file(file)?, file.span()),
            (None, Some(variable)) => (API_KEY_ENV, self.secret_of_variable(variable)?, variable.span()),
            (None, None) => {
                let problem = format!(
                    "projects.{} has neither {API_KEY_FILE} nor {API_KEY_ENV}",
                    shown(project)
                );
                self.add(span, &problem);
                return None;
            }
            (Some(file), Some(_)) => {
                self.add(
                    file.span(),
                    &format!("{API_KEY_FILE} and {API_KEY_ENV} are both set: remove one"),
                );
                return None;
            }
        };
        match api_key(&value) {
            Ok(key) => Some(key),
            Err(problem) => {
                self.add(span, &format!("{key}: the key {problem}"));
                None
            }
        }
    }

    fn secret_of_file(&mut self, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let path = PathBuf::from(self.text_value(API_KEY_FILE, value)?);
        match fs::read_to_string(self.folder.join(path)) {
            Ok(content) => {
                let secret = trimmed(&content);
                if secret.is_empty() {
                    self.add(value.span(), &format!("{API_KEY_FILE}: the file is empty"));
                    return None;
                }
                Some(secret.to_owned())
            }
            Err(error) => {
                let problem = format!("{API_KEY_FILE}: the file cannot be read ({})", error.kind());
                self.add(value.span(), &problem);
                None
            }
        }
    }

    fn secret_of_variable(&mut self, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let name = self.text_value(API_KEY_ENV, value)?;
        let secret = (self.surroundings.variable)(&name);
        if secret.is_none() {
            // Not quoted: it may be the key itself.
            let problem = format!("{API_KEY_ENV}: there is no variable of this name, or it is empty");
            self.add(value.span(), &problem);
        }
        secret
    }

    fn agent(&mut self, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let id = self.text_value(DEFAULT_AGENT, value)?;
        if !is_agent_id(&id) {
            let problem = format!("{DEFAULT_AGENT} {NOT_AN_AGENT_ID}");
            self.add(value.span(), &problem);
        }
        Some(id)
    }

    fn allow_list(&mut self, key: &str, value: Option<&Spanned<DeValue<'_>>>, first_letters: &[char]) -> AllowList {
        Some(self.ids(key, value?, first_letters, "leave it out to allow all"))
    }

    fn creators(&mut self, value: &Spanned<DeValue<'_>>) -> Creators {
        if let DeValue::Array(array) = value.get_ref()
            && let [only] = &array[..]
            && only.get_ref().as_str() == Some("*")
        {
            return Creators::Everyone;
        }
        let if_empty = "leave it out to use CREATE_USERS";
        Creators::Only(self.ids(CREATE_USERS, value, &['U', 'W'], if_empty))
    }

    fn ids(&mut self, key: &str, value: &Spanned<DeValue<'_>>, first_letters: &[char], if_empty: &str) -> Vec<String> {
        let example = first_letters[0];
        let DeValue::Array(array) = value.get_ref() else {
            self.add(
                value.span(),
                &format!("{key} is not a list such as [\"{example}012AB3CD\"]"),
            );
            return Vec::new();
        };
        let mut ids = Vec::new();
        for item in array {
            match item.get_ref().as_str() {
                Some(id) if is_slack_id(id, first_letters) => ids.push(id.to_owned()),
                other => {
                    let found = other.map_or_else(|| "an entry".to_owned(), |text| format!("`{}`", shown(text)));
                    let problem = format!("{key}: {found} is not a Slack ID such as {example}012AB3CD");
                    self.add(item.span(), &problem);
                }
            }
        }
        if array.is_empty() {
            self.add(value.span(), &format!("{key} lists no IDs; {if_empty}"));
        }
        ids
    }

    fn text_value(&mut self, key: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let text = value.get_ref().as_str().filter(|text| !text.trim().is_empty());
        if text.is_none() {
            self.add(value.span(), &format!("{key} is not a text in quotes"));
        }
        text.map(str::to_owned)
    }

    fn unknown_key(&mut self, key: &Spanned<Cow<'_, str>>, of: &str, known: &[&str]) {
        let name = key.get_ref();
        let nearest = known.iter().min_by_key(|known| strsim::osa_distance(known, name));
        let nearest = nearest.copied().unwrap_or_default();
        let problem = format!("`{}` is not a key of {of}; the nearest one is `{nearest}`", shown(name));
        self.add(key.span(), &problem);
    }

    fn add(&mut self, span: Range<usize>, problem: &str) {
        self.problems.push((line_of(self.text, span), problem.to_owned()));
    }
}

/// The number of the line in which a span begins.
fn line_of(text: &str, span: Range<usize>) -> usize {
    text.get(..span.start).unwrap_or(text).split('\n').count()
}

/// Text of the file for a message of one line.
fn shown(text: &str) -> String {
    const LONGEST: usize = 40;
    let plain: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    plain
}

fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join("; ")
}
