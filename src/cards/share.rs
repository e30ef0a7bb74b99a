//! A session for everybody in a channel, and what its sharer reads of it.

use super::problem::with_request;
use super::session::{self, Watched};
use super::{RenderContext, ReplyTarget};
use crate::kapso::Session;
use crate::slack::UserId;
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// The card for the channel: wherever the button was, others see this one.
pub(super) fn shared(session: &Session, sharer: &UserId, look: &RenderContext<'_>) -> Message {
    let for_all = RenderContext {
        place: ReplyTarget::SharedCard,
        sharer: Some(sharer),
        ..*look
    };
    session::card(session, Watched::No, &for_all).in_channel()
}

/// What the sharer reads afterwards: their own card says that it was shared.
pub(super) fn was_shared(session: &Session, watched: Watched, look: &RenderContext<'_>) -> Message {
    let card = session::was_shared(session, watched, look);
    // A card that others see is not replaced by one for the sharer.
    card.replacing(look.place == ReplyTarget::OwnCard)
}

/// What the sharer reads if the card did not get there, as far as we know.
pub(super) fn was_not_shared(look: &RenderContext<'_>) -> Message {
    let text = Mrkdwn::new(
        "Slack did not take the card for this channel, or did not say that it did. Look whether it is there before \
         you share it again.",
    );
    with_request(text, look).replacing(false)
}
