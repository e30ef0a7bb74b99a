//! Whole sentences with `{name}` placeholders, so that each can be read, and later translated, in one piece.

use jiff::Timestamp;

use crate::slack::UserId;
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// Replaces each `{name}` in `template` with the value of that name.
#[expect(
    clippy::needless_pass_by_value,
    reason = "call sites are easier to read without references"
)]
pub(crate) fn fill<const N: usize>(template: &'static str, values: [(&str, Mrkdwn); N]) -> Mrkdwn {
    debug_assert!(
        values.iter().all(|(name, _)| template.contains(&format!("{{{name}}}"))),
        "a value that does not occur in {template:?}"
    );
    let length = template.len() + values.iter().map(|(_, value)| value.len()).sum::<usize>();
    let mut text = Mrkdwn::with_capacity(length);
    let mut rest = template;
    while let Some((before, (name, after_brace))) = rest
        .split_once('{')
        .and_then(|(before, after_brace)| Some((before, after_brace.split_once('}')?)))
    {
        text = text.constant(before);
        match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => text = text.then(value),
            None => debug_assert!(false, "no value for {{{name}}} in {template:?}"),
        }
        rest = after_brace;
    }
    text.constant(rest)
}

/// Texts with `separator` between them.
pub(crate) fn join(separator: &'static str, texts: impl IntoIterator<Item = Mrkdwn>) -> Mrkdwn {
    let mut texts = texts.into_iter();
    let first = texts.next().unwrap_or_default();
    texts.fold(first, |joined, text| joined.constant(separator).then(&text))
}

pub(crate) fn number(number: u64) -> Mrkdwn {
    Mrkdwn::default().number(number)
}

pub(crate) fn monospace(words: &str) -> Mrkdwn {
    Mrkdwn::default().monospace(words)
}

pub(crate) fn foreign(words: &str, max: usize) -> Mrkdwn {
    Mrkdwn::default().foreign(words, max)
}

pub(crate) fn date(at: Timestamp) -> Mrkdwn {
    Mrkdwn::default().date(at)
}

pub(crate) fn utc(at: Timestamp) -> Mrkdwn {
    Mrkdwn::default().utc(at)
}

pub(crate) fn person(user: &UserId) -> Mrkdwn {
    Mrkdwn::default().person(user)
}

/// A message that is one paragraph.
pub(crate) fn paragraph(text: Mrkdwn) -> Message {
    Message::ephemeral(text.clone(), vec![Block::section(Text::mrkdwn(text))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_in_by_name() {
        let text = fill(
            "{count} of {all}, {count}",
            [("all", number(3)), ("count", monospace("2"))],
        );
        assert_eq!(text, Mrkdwn::new("`2` of 3, `2`"));
        assert_eq!(fill("None at all", []), Mrkdwn::new("None at all"));
    }

    #[test]
    #[should_panic(expected = "no value for {page}")]
    fn a_forgotten_value_fails_the_test_that_renders_the_sentence() {
        fill("Page {page}", []);
    }

    #[test]
    fn texts_are_joined() {
        let texts = [Mrkdwn::new("a"), Mrkdwn::new("b")];
        assert_eq!(join(", ", texts), Mrkdwn::new("a, b"));
        assert_eq!(join(", ", []), Mrkdwn::default());
    }
}
