//! Reads a `.env` file: lines such as `NAME=value`, with values as they are written.
//!
//! Not through a crate: dotenvy expands `$` in values and so cuts a secret such as `ab$cd`, stops at the first line that
//! it cannot read, and does not stop at all when it reads a folder.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// Longest file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// The contents of a `.env` file. Errors never quote it: a line may contain a secret.
#[derive(Debug, Default)]
pub(super) struct DotEnv {
    /// Name and value, in the file's order.
    pub variables: Vec<(String, String)>,
    pub bad_lines: Vec<BadLine>,
    /// Why the file could not be read at all.
    pub unreadable: Option<String>,
}

/// A line that cannot be read.
#[derive(Debug)]
pub(super) struct BadLine {
    /// From 1.
    pub number: usize,
    /// The word that it begins with, after `export`: perhaps a variable's name.
    pub first_word: String,
}

impl DotEnv {
    /// Reads a file. A missing file is an empty one.
    pub(super) fn read(path: &Path) -> Self {
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
        let unreadable = match read {
            Ok(_) if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) => {
                "is not UTF-8 text but UTF-16, and was not read".to_owned()
            }
            Ok(_) => return Self::parse(&bytes),
            Err(error) => match error.kind() {
                ErrorKind::NotFound => return Self::default(),
                ErrorKind::IsADirectory => "is a folder, not a file, and was not read; Docker creates a folder if the \
                     file to mount does not exist"
                    .to_owned(),
                kind => format!("could not be read ({kind})"),
            },
        };
        Self {
            unreadable: Some(unreadable),
            ..Self::default()
        }
    }

    fn parse(bytes: &[u8]) -> Self {
        let mut parsed = Self::default();
        let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let mut next = 0;
        while let Some(line) = lines.get(next) {
            next += 1;
            let line = std::str::from_utf8(line).map(|line| line.trim_start_matches('\u{feff}').trim());
            match line.ok().and_then(parse_line) {
                Some(Line::Nothing) => {}
                Some(Line::Variable(name, value)) => parsed.variables.push((name, value)),
                Some(Line::OpenQuote(name, first, quote)) => match closing_line(&lines[next..], quote) {
                    Some((rest, count)) => {
                        parsed.variables.push((name, format!("{first}\n{rest}")));
                        next += count;
                    }
                    None => parsed.bad_lines.push(BadLine {
                        number: next,
                        first_word: name,
                    }),
                },
                None => parsed.bad_lines.push(BadLine {
                    number: next,
                    first_word: line.map(first_word).unwrap_or_default(),
                }),
            }
        }
        parsed
    }
}

enum Line {
    /// Blank, a comment, or a name alone, by which `docker --env-file` hands on a variable of its own environment.
    Nothing,
    Variable(String, String),
    /// The start of a value in quotes that does not end on its line.
    OpenQuote(String, String, char),
}

fn parse_line(line: &str) -> Option<Line> {
    if line.is_empty() || line.starts_with('#') {
        return Some(Line::Nothing);
    }
    let line = without_export(line);
    let (name, value) = match line.split_once('=') {
        Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
        None => (line, None),
    };
    let mut letters = name.chars();
    let is_name = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if !is_name {
        return None;
    }
    let Some(value) = value else {
        return Some(Line::Nothing);
    };
    let name = name.to_owned();
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        return Some(Line::Variable(name, without_comment(value).to_owned()));
    };
    let quoted = &value[1..];
    match quoted.split_once(quote) {
        Some((value, rest)) => is_blank_or_comment(rest).then(|| Line::Variable(name, value.to_owned())),
        None => Some(Line::OpenQuote(name, quoted.to_owned(), quote)),
    }
}

/// The rest of a value in quotes, and on how many further lines it stands.
fn closing_line(lines: &[&[u8]], quote: char) -> Option<(String, usize)> {
    let mut value = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let line = std::str::from_utf8(line).ok()?.trim_end();
        if let Some((last, rest)) = line.split_once(quote) {
            value.push(last);
            return is_blank_or_comment(rest).then(|| (value.join("\n"), index + 1));
        }
        value.push(line);
    }
    None
}

fn without_export(line: &str) -> &str {
    match line.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    }
}

/// An unquoted value without the comment behind it, which has white space before its `#`.
fn without_comment(value: &str) -> &str {
    let comment = value
        .char_indices()
        .find(|(at, c)| *c == '#' && value[..*at].ends_with([' ', '\t']));
    comment.map_or(value, |(at, _)| value[..at].trim_end())
}

fn is_blank_or_comment(text: &str) -> bool {
    let text = text.trim_start();
    text.is_empty() || text.starts_with('#')
}

fn first_word(line: &str) -> String {
    let line = without_export(line);
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    line[..end.unwrap_or(line.len())].to_owned()
}
