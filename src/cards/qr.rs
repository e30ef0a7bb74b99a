//! The activation link for a phone: as a QR code, and as text for whoever does not see it.

use super::RenderContext;
use super::session::{phone, small_print, spoken};
use crate::kapso::{ActivationLink, Session};
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

const TITLE: &str = "Or scan this code with the phone's camera.";
const ALT: &str = "QR code that opens WhatsApp with the message that activates this sandbox session";

/// The message with a session's QR code. It holds together without the picture, which Slack may fail to fetch.
pub(super) fn qr(session: &Session, link: &ActivationLink, look: &RenderContext<'_>) -> Message {
    let open = Mrkdwn::new("Open this link on the tester's phone and send the message it holds: ").link(link.url());
    let image = look
        .qr
        .and_then(|addresses| addresses.address(&session.id, look.now))
        .and_then(|address| Block::image(&address, TITLE, ALT));
    let blocks = [Block::section(Text::mrkdwn(open))]
        .into_iter()
        .chain(image)
        .chain(small_print(&session.id, None));
    let phone = phone(session, look);
    let text = spoken(session, phone.as_deref(), None, Some(link), look.now);
    Message::ephemeral(text, blocks.collect())
}
