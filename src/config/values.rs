//! Checks of values that variables and `CONFIG_FILE` have in common.

use http::HeaderValue;

pub(super) const NOT_AN_AGENT_ID: &str = "is not the ID of an agent, such as agent-123abc";

/// A value without what editors, shells and `docker --env-file` leave around it: white space, a byte order mark, and one
/// pair of quotes.
pub(super) fn trimmed(value: &str) -> &str {
    let trim = |value| str::trim_matches(value, |c: char| c.is_whitespace() || c == '\u{feff}');
    let value = trim(value);
    let unquoted = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    unquoted.map_or(value, trim)
}

/// The header with this API key.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn api_key(value: &str) -> Result<HeaderValue, &'static str> {
    if is_placeholder(value) {
        return Err("still holds a placeholder; Kapso shows the project's keys in its settings");
    }
    if !is_graphic(value) {
        return Err("holds characters that no API key has");
    }
    if has_quotation_mark(value) {
        return Err("begins or ends with a quotation mark");
    }
    if is_slack_token(value) {
        return Err("is a Slack token; Kapso shows the project's keys in its settings");
    }
    let mut key = HeaderValue::from_str(value).map_err(|_| "holds characters that no API key has")?;
    key.set_sensitive(true);
    Ok(key)
}

/// Whether this is one safe path segment, as Kapso's ids are.
pub(super) fn is_agent_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

pub(super) fn is_graphic(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_graphic())
}

pub(super) fn has_quotation_mark(secret: &str) -> bool {
    const MARKS: [char; 3] = ['"', '\'', '`'];
    secret.starts_with(MARKS) || secret.ends_with(MARKS)
}

/// Whether this is a token of Slack's: `xoxb-…`, `xoxp-…`, `xoxe.…`, `xapp-…` and the like.
pub(super) fn is_slack_token(secret: &str) -> bool {
    let secret = secret.to_ascii_lowercase();
    secret.starts_with("xox") || secret.starts_with("xapp-")
}

/// Whether the value is what examples and templates hold where a secret belongs.
pub(super) fn is_placeholder(value: &str) -> bool {
    const WORDS: [&str; 9] = [
        "secret",
        "password",
        "todo",
        "none",
        "null",
        "undefined",
        "test",
        "key",
        "token",
    ];
    const PREFIXES: [&str; 13] = [
        "changeme",
        "change-me",
        "change_me",
        "your-",
        "your_",
        "replace",
        "insert",
        "example",
        "placeholder",
        "<",
        "$",
        "{",
        "[",
    ];
    let value = value.to_ascii_lowercase();
    let is_one_character_repeated = value.bytes().all(|byte| value.as_bytes()[0] == byte);
    WORDS.contains(&value.as_str())
        || PREFIXES.iter().any(|prefix| value.starts_with(prefix))
        || value.ends_with("-here")
        || value.ends_with("_here")
        || value.contains("...")
        || value.contains('…')
        || is_one_character_repeated
}
