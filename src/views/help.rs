//! What can be typed, and what was probably meant.

use super::Look;
use crate::commands::{Misread, SAMPLE_PHONE, Verb};
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// Kapso's published sample: an id as Kapso's look.
const SAMPLE_ID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// Everything that can be typed, by somebody who may create sessions or may not.
pub(super) fn help(creates: bool, look: &Look<'_>) -> Message {
    let mut lines = Mrkdwn::default();
    let verbs = Verb::ALL.into_iter().filter(|verb| creates || *verb != Verb::New);
    for (line, example) in verbs.flat_map(Verb::examples).enumerate() {
        let start = if line == 0 { "" } else { "\n" };
        lines = lines
            .own(start)
            .code(&look.typed(example.typed))
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

/// Text that was not understood.
pub(super) fn misread(misread: &Misread, look: &Look<'_>) -> Message {
    sentence(match misread {
        Misread::DidYouMean { instead, as_id } => {
            let text = Mrkdwn::new("Did you mean ")
                .code(&look.typed(instead))
                .own("?");
            match as_id {
                Some(id) => text
                    .own(" If it is a session's id: ")
                    .code(&look.typed(&format!("show {id}"))),
                None => text,
            }
        }
        Misread::NoId(verb) => Mrkdwn::new(
            "That holds no session id. An id has letters, digits, `-` and `_`; copy it from Kapso and type for example ",
        )
        .code(&look.typed(&sample(*verb)))
        .own(". More: ")
        .code(&look.typed("help")),
        Misread::NoPage => Mrkdwn::new("A page has a number from 1 on. Type ")
            .code(&look.typed("list"))
            .own(" for the first page, or for example ")
            .code(&look.typed("list 2"))
            .own("."),
        Misread::NoPhone => Mrkdwn::new(
            "That holds no phone number this app can read. Begin it with `+` and the country's code, and type for example ",
        )
        .code(&look.typed(&format!("new {SAMPLE_PHONE}")))
        .own(". Behind it there may be the id of an agent."),
    })
}

/// A verb's use, with an id to show how one looks.
fn sample(verb: Verb) -> String {
    match verb {
        Verb::Show => SAMPLE_ID.to_owned(),
        verb => format!("{} {SAMPLE_ID}", verb.name()),
    }
}

pub(super) fn sentence(text: Mrkdwn) -> Message {
    Message::ephemeral(text.clone(), vec![Block::section(Text::mrkdwn(text))])
}
