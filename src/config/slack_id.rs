//! The form of Slack's ids, checked for configured lists and for ids in requests.

/// Whether `text` is one of Slack's ids with one of these first letters (teams `T`, organisations `E`, channels
/// `C` `G` `D`, people `U` `W`). Ids are opaque beyond that.
#[must_use]
pub fn is_slack_id(text: &str, first_letters: &[char]) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| first_letters.contains(&first))
        && (2..=32).contains(&text.len())
        && chars.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}
