//! What can be done here, and what was probably meant.

use super::RenderContext;
use crate::commands::{Action, ParseError, SAMPLE_PHONE, Verb};
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// Kapso's published sample: an id as Kapso's look.
const SAMPLE_ID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// Everything that somebody can do here, who may create sessions or may not: groups of short lines, for a phone.
pub(super) fn help(creates: bool, look: &RenderContext<'_>) -> Message {
    let groups = [
        commands(creates, look),
        buttons(look),
        good_to_know(),
        not_active(creates, look),
    ];
    let text = groups
        .iter()
        .enumerate()
        .fold(Mrkdwn::default(), |text, (place, group)| {
            text.own(if place == 0 { "" } else { "\n\n" }).then(group)
        });
    let sections = groups.map(|group| Block::section(Text::mrkdwn(group)));
    let blocks = [Block::header("Kapso's WhatsApp sandbox")].into_iter().chain(sections);
    Message::ephemeral(text, blocks.collect())
}

fn commands(creates: bool, look: &RenderContext<'_>) -> Mrkdwn {
    let verbs = Verb::ALL.into_iter().filter(|verb| creates || *verb != Verb::New);
    let lines = verbs
        .flat_map(Verb::examples)
        .fold(Mrkdwn::new("*What you can type*"), |lines, example| {
            lines
                .own("\n")
                .code(&look.typed(example.typed))
                .own("\n")
                .own(example.does)
        });
    let new = creates.then(|| format!("{} {SAMPLE_PHONE}", Verb::New.name()));
    [SAMPLE_ID.to_owned()]
        .into_iter()
        .chain(new)
        .fold(lines.own("\nFor example"), |lines, words| {
            lines.own("\n").code(&look.typed(&words))
        })
}

fn buttons(look: &RenderContext<'_>) -> Mrkdwn {
    let lines = Action::ALL.into_iter().filter_map(|action| button(action, look)).fold(
        Mrkdwn::new("*What you can press on a session's card*"),
        |lines, (label, does)| lines.own("\n*").own(label).own("* ").own(does),
    );
    if look.qr.is_some() {
        return lines;
    }
    lines.own("\nThere are no QR codes here: whoever runs this app has not set `PUBLIC_URL`.")
}

/// What a card's button says, and what it does. The other buttons are explained by what they stand beside.
fn button(action: Action, look: &RenderContext<'_>) -> Option<(&'static str, &'static str)> {
    match action {
        Action::Open => Some(("Activate in WhatsApp", "opens the link")),
        Action::Qr => look.qr.map(|_| ("Show QR code", "shows the link to a phone's camera")),
        Action::Refresh => Some(("Refresh", "shows the session as it is now")),
        Action::Watch => Some(("Tell me when it is active", "does what `watch` does")),
        Action::Share => Some((
            "Share in channel",
            "shows the card to everybody there, with the phone number masked",
        )),
        Action::Unwatch | Action::Show | Action::Page | Action::PageBack | Action::Again => None,
    }
}

fn good_to_know() -> Mrkdwn {
    Mrkdwn::new(
        "*Good to know*\n\
         Slash commands do not work in threads: type them in the channel.\n\
         Only you see the answers, unless you share one.\n\
         A pasted Kapso address that ends in the id works too.",
    )
}

/// What to do where Kapso turns somebody's own app away.
fn not_active(creates: bool, look: &RenderContext<'_>) -> Mrkdwn {
    let text = Mrkdwn::new(
        "*If your own app gets “Active sandbox session required”*\n\
         Kapso says so, with status 403, while the session is not active: it waits for its tester, has expired, or was \
         superseded.\n\
         Look it up, and activate it or ",
    );
    if creates {
        text.own("make a new one: ")
            .code(&look.typed(&format!("{} {SAMPLE_PHONE}", Verb::New.name())))
    } else {
        text.own("have a new one made in Kapso.")
    }
}

/// Text that was not understood.
pub(super) fn misread(misread: &ParseError, look: &RenderContext<'_>) -> Message {
    sentence(match misread {
        ParseError::DidYouMean { instead, as_id } => {
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
        ParseError::NoId(verb) => Mrkdwn::new(
            "That holds no session id. An id has letters, digits, `-` and `_`; copy it from Kapso and type for example ",
        )
        .code(&look.typed(&sample(*verb)))
        .own(". More: ")
        .code(&look.typed("help")),
        ParseError::NoPage => Mrkdwn::new("A page has a number from 1 on. Type ")
            .code(&look.typed("list"))
            .own(" for the first page, or for example ")
            .code(&look.typed("list 2"))
            .own("."),
        ParseError::NoPhone => Mrkdwn::new(
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
