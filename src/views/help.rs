//! What can be typed, and what was probably meant.

use super::Look;
use crate::commands::{Misread, Verb};
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// Kapso's published sample: an id as Kapso's look.
const SAMPLE_ID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// Everything that can be typed.
pub(super) fn help(look: &Look<'_>) -> Message {
    let mut lines = Mrkdwn::default();
    for (line, example) in Verb::all_examples().enumerate() {
        let start = if line == 0 { "" } else { "\n" };
        lines = lines
            .own(start)
            .code(&typed(look, example.typed))
            .own(" ")
            .own(example.does);
    }
    let text = Mrkdwn::new("What you can type:\n").then(&lines);
    let paste = Mrkdwn::new(
        "A pasted Kapso address that ends in the id works too. Only you see the answers. \
         Slack runs no slash commands in threads: type it in the channel.",
    );
    let no_qr = look
        .qr
        .is_none()
        .then(|| Mrkdwn::new("There are no QR codes here: whoever runs this app has not set `PUBLIC_URL`."));
    let small_print = [paste].into_iter().chain(no_qr).map(Text::mrkdwn).collect();
    let blocks = [
        Block::header("Kapso's WhatsApp sandbox"),
        Block::section(Text::mrkdwn(lines)),
    ]
    .into_iter()
    .chain(Block::context(small_print));
    Message::ephemeral(text, blocks.collect())
}

/// A verb that works in a later version.
pub(super) fn coming(verb: Verb, look: &Look<'_>) -> Message {
    let text = Mrkdwn::default()
        .code(&typed(look, verb.name()))
        .own(" comes in a later version. What works today: ")
        .code(&typed(look, "help"));
    sentence(text)
}

/// Text that was not understood.
pub(super) fn misread(misread: &Misread, look: &Look<'_>) -> Message {
    sentence(match misread {
        Misread::DidYouMean { instead, as_id } => {
            let text = Mrkdwn::new("Did you mean ")
                .code(&typed(look, instead))
                .own("?");
            match as_id {
                Some(id) => text
                    .own(" If it is a session's id: ")
                    .code(&typed(look, &format!("show {id}"))),
                None => text,
            }
        }
        Misread::NoId(verb) => Mrkdwn::new(
            "That holds no session id. An id has letters, digits, `-` and `_`; copy it from Kapso and type for example ",
        )
        .code(&typed(look, &sample(*verb)))
        .own(". More: ")
        .code(&typed(look, "help")),
    })
}

/// A verb's use, with an id to show how one looks.
fn sample(verb: Verb) -> String {
    match verb {
        Verb::Show => SAMPLE_ID.to_owned(),
        verb => format!("{} {SAMPLE_ID}", verb.name()),
    }
}

fn typed(look: &Look<'_>, words: &str) -> String {
    format!("{} {words}", look.command)
}

fn sentence(text: Mrkdwn) -> Message {
    Message::ephemeral(text.clone(), vec![Block::section(Text::mrkdwn(text))])
}
