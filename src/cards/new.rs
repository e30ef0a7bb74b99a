//! "Again?", asked before a second session is created for the same phone.

use super::RenderContext;
use crate::commands::{Action, AgainValue, ButtonValue, NewSession, Verb};
use crate::jobs::{Created, Creation};
use crate::slack::blocks::{Block, Button, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// Asks whether there is to be another one.
pub(super) fn ask_again(wanted: &NewSession, earlier: &Creation, look: &RenderContext<'_>) -> Message {
    let text = Mrkdwn::new("You asked for a session for ")
        .code(wanted.phone.as_str())
        .own(" less than a minute ago");
    let created = match &earlier.outcome {
        Some(Created::Session(id)) => Some(id),
        _ => None,
    };
    let text = if created.is_some() {
        text.own(", and got one.")
    } else {
        text.own(", and there may be one: look at ")
            .code(&look.typed(Verb::List.name()))
            .own(" first.")
    };
    let text = text.own(" Do you want another one?");
    let again = AgainValue(wanted.clone()).to_string();
    let mut buttons = vec![Button::action(Action::Again.id(), "Yes, another one", &again)];
    buttons.extend(created.map(|id| {
        let value = ButtonValue {
            id: id.clone(),
            sharer: None,
        };
        Button::action(Action::Show.id(), "Show that one", &value.to_string())
    }));
    let blocks = [Block::section(Text::mrkdwn(text.clone()))]
        .into_iter()
        .chain(Block::actions(buttons));
    Message::ephemeral(text, blocks.collect())
}
