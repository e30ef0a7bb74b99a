//! The buttons of a session's card.

use super::RenderContext;
use super::session::Watched;
use crate::commands::{Action, ButtonValue};
use crate::kapso::{ActivationLink, Session, Status};
use crate::qr;
use crate::slack::blocks::{Block, Button, Dialog};

/// The row of buttons. What is shared already, by whomever, has none to share it.
pub(super) fn buttons(
    session: &Session,
    watched: Watched,
    link: Option<&ActivationLink>,
    shareable: bool,
    look: &RenderContext<'_>,
) -> Option<Block> {
    let value = ButtonValue {
        id: session.id.clone(),
        sharer: look.sharer.cloned(),
    }
    .to_string();
    let open = link.and_then(|link| Button::primary_link(Action::Open.id(), "Activate in WhatsApp", link.url()));
    let code = look
        .qr
        .and_then(|_| qr::activation_link(session))
        .map(|_| Button::action(Action::Qr.id(), "Show QR code", &value));
    let refresh = Button::action(Action::Refresh.id(), "Refresh", &value);
    let watch = match watched {
        Watched::Until(_) => Some(Button::action(Action::Unwatch.id(), "Stop watching", &value)),
        _ if session.status == Status::Pending => {
            Some(Button::action(Action::Watch.id(), "Tell me when it is active", &value))
        }
        _ => None,
    };
    let share = (shareable && !look.masks() && session.can_be_activated())
        .then(|| Button::action(Action::Share.id(), "Share in channel", &value).asking(sharing()));
    let row = open.into_iter().chain(code).chain([refresh]).chain(watch).chain(share);
    Block::actions(row.collect())
}

/// What somebody has to know before they show a session to others.
fn sharing() -> Dialog {
    Dialog::new(
        "Share this session?",
        "Everybody here will see the card with its link and its code. Of the phone number they see no more than \
         the last four digits. If people from other companies are in this channel, they see it too.",
        "Share",
        "Cancel",
    )
}
