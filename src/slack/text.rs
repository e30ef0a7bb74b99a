//! Text for Slack: foreign text is sanitized, and everything is cut to Slack's limits.
//!
//! Source: <https://docs.slack.dev/messaging/formatting-message-text>.

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

use jiff::Timestamp;
use url::Url;

use super::UserId;
use crate::config::is_slack_id;

/// Foreign text as it may be shown in `plain_text` or `rich_text`: without control, bidirectional and invisible
/// characters, white space folded, and cut to `max` characters with an ellipsis.
#[must_use]
pub fn clean(text: &str, max: usize) -> String {
    if text.len() <= max && is_clean(text.as_bytes()) {
        return text.to_owned();
    }
    let mut clean = String::with_capacity(text.len().min(max * 4));
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            if !clean.is_empty() && !clean.ends_with(' ') {
                clean.push(' ');
            }
        } else if !is_invisible(c) {
            clean.push(c);
        }
    }
    clean.truncate(clean.trim_end().len());
    match cut(&clean, max) {
        Cow::Borrowed(_) => clean,
        Cow::Owned(cut) => cut,
    }
}

/// Whether the text needs no cleaning: printable ASCII with single spaces inside, as nearly all text is.
fn is_clean(text: &[u8]) -> bool {
    let mut before = b' ';
    text.iter().all(|&b| {
        let fits = matches!(b, b' '..=b'~') && !(b == b' ' && before == b' ');
        before = b;
        fits
    }) && before != b' '
}

/// `text`, or its first `max - 1` characters and an ellipsis.
#[must_use]
pub fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return text.into();
    }
    let mut ends = text.char_indices().map(|(at, _)| at);
    match (ends.nth(max.saturating_sub(1)), ends.next()) {
        (Some(end), Some(_)) => format!("{}…", &text[..end]).into(),
        _ => text.into(),
    }
}

/// Slack's markup, or its longest beginning that fits into `max` characters with an ellipsis. Nothing that belongs
/// together is cut: an entity such as `&amp;`, a link, date or mention in `<…>`, text between backticks. Everything in
/// markup is cut here and nowhere else.
#[must_use]
pub(super) fn cut_markup(markup: &str, max: usize) -> Cow<'_, str> {
    if markup.len() <= max || markup.chars().count() <= max {
        return markup.into();
    }
    let mut room = max.saturating_sub(1);
    let mut end = 0;
    while let Some(unit) = first_unit(&markup[end..]) {
        match room.checked_sub(unit.chars().count()) {
            Some(left) => room = left,
            None => break,
        }
        end += unit.len();
    }
    format!("{}…", &markup[..end]).into()
}

/// The first part of markup that must not be cut: mostly one character. `None` at the end.
fn first_unit(markup: &str) -> Option<&str> {
    let first = markup.chars().next()?;
    let last = match first {
        '<' => Some('>'),
        '&' => Some(';'),
        '`' => Some('`'),
        _ => None,
    };
    let end = last.and_then(|last| Some(1 + markup[1..].find(last)? + 1));
    Some(&markup[..end.unwrap_or(first.len_utf8())])
}

/// Whether the character changes how others are shown, or shows nothing: bidirectional controls, zero-width
/// characters, tags. The joiners U+200C and U+200D stay: scripts and emoji need them.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}'
        | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
        | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Text in Slack's markup. Only string constants can add markup; text from elsewhere is added with
/// [`Mrkdwn::foreign`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mrkdwn(String);

impl Mrkdwn {
    /// Starts with a constant, which may contain markup.
    #[must_use]
    pub fn new(words: &'static str) -> Self {
        Self(words.to_owned())
    }

    /// An empty text with room for so many bytes.
    #[must_use]
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// The length in bytes.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a constant, which may contain markup.
    #[must_use]
    pub fn constant(mut self, words: &'static str) -> Self {
        self.0.push_str(words);
        self
    }

    /// Adds a number.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        let _ = write!(self.0, "{number}");
        self
    }

    /// Adds foreign text, cut to `max` characters. Markup characters and bare addresses are removed, the rest is
    /// escaped.
    #[must_use]
    pub fn foreign(mut self, words: &str, max: usize) -> Self {
        let plain: String = clean(words, max)
            .chars()
            .map(|c| match c {
                '*' | '_' | '~' | '`' | '@' | '#' | ':' | '|' | '\u{FF20}' => ' ',
                c => c,
            })
            .collect();
        let mut first = true;
        for word in plain.split_whitespace().filter(|word| !is_address(word)) {
            if !first {
                self.0.push(' ');
            }
            first = false;
            self.escape(word);
        }
        self
    }

    /// Adds a command or an id to copy, in code style.
    #[must_use]
    pub fn monospace(mut self, words: &str) -> Self {
        self.0.push('`');
        self.escape(&clean(words, 200).replace('`', "'"));
        self.0.push('`');
        self
    }

    /// Adds a time, shown in the reader's own time zone, or in UTC by clients that cannot.
    #[must_use]
    pub fn date(mut self, at: Timestamp) -> Self {
        let _ = write!(
            self.0,
            "<!date^{}^{{date_short_pretty}} at {{time}}|{}>",
            at.as_second(),
            utc(at)
        );
        self
    }

    /// Adds a time in UTC, for clients that do not render markup.
    #[must_use]
    pub fn utc(mut self, at: Timestamp) -> Self {
        let _ = write!(self.0, "{}", utc(at));
        self
    }

    /// Adds a link that shows its own address.
    #[must_use]
    pub fn link(mut self, address: &Url) -> Self {
        self.0.push('<');
        self.escape(&address.as_str().replace('|', "%7C"));
        self.0.push('>');
        self
    }

    /// Mentions a person.
    #[must_use]
    pub fn person(mut self, user: &UserId) -> Self {
        let _ = write!(self.0, "<@{}>", user.as_str());
        self
    }

    /// Mentions a channel. Anything but a channel id is left out.
    #[must_use]
    pub fn channel(mut self, id: &str) -> Self {
        if is_slack_id(id, &['C', 'G', 'D']) {
            let _ = write!(self.0, "<#{id}>");
        }
        self
    }

    /// Adds another text.
    #[must_use]
    pub fn then(mut self, other: &Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    /// The text, cut to `max` characters as by [`cut_markup`].
    #[must_use]
    pub(super) fn into_text(self, max: usize) -> String {
        match cut_markup(&self.0, max) {
            Cow::Borrowed(_) => self.0,
            Cow::Owned(cut) => cut,
        }
    }

    fn escape(&mut self, words: &str) {
        let mut rest = words;
        while let Some(at) = rest.find(['&', '<', '>']) {
            self.0.push_str(&rest[..at]);
            self.0.push_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                _ => "&gt;",
            });
            rest = &rest[at + 1..];
        }
        self.0.push_str(rest);
    }
}

/// Whether Slack's clients might turn the word into a link: it has two slashes, or a dot between what could be labels
/// of a domain, whatever punctuation surrounds them.
fn is_address(word: &str) -> bool {
    // Letters of every script, with their accents and joiners.
    let is_label = |c: char| c == '-' || !c.is_ascii_punctuation();
    word.contains("//")
        || word.match_indices('.').any(|(dot, _)| {
            let top = || word[dot + 1..].chars().take_while(|c| is_label(*c));
            word[..dot].ends_with(is_label) && top().count() >= 2 && !top().all(|c| c.is_ascii_digit())
        })
}

/// `2026-11-23 10:00 UTC`.
fn utc(at: Timestamp) -> impl Display {
    at.strftime("%Y-%m-%d %H:%M UTC")
}
