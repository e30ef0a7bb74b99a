//! "Show QR code": the activation link of a session for a phone, as a QR code and as text.

use super::show::shown;
use super::{CommandWord, Commands, Definition, Outcome, RequestContext, Response};
#[cfg(feature = "demo")]
use crate::cards::samples::{SampleGroup, usual_session};
use crate::cards::sentence::fill;
use crate::cards::session::{footer, spoken, visible_phone};
use crate::cards::{Action, RenderContext, Replaces, View};
use crate::kapso::{ActivationLink, Age, Session, SessionId};
use crate::projects::ProjectRef;
use crate::qr;
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

const TITLE: &str = "Or scan this code with the phone's camera.";
const ALT: &str = "QR code that opens WhatsApp with the message that activates this sandbox session";

/// Shows an activation link as a QR code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShowQrCode(pub SessionId);

impl Definition for ShowQrCode {
    const NAME: &'static str = Action::ShowQrCode.id();
    const WORD: Option<&'static CommandWord> = None;
    type Scope = ProjectRef;
    const CREATES: bool = false;
    const POSTS_RESERVED: u32 = 0;

    fn session_id(&self) -> Option<&SessionId> {
        Some(&self.0)
    }

    fn typed(&self) -> Option<String> {
        None
    }

    /// If there is nothing to activate any more, the card is out of date, and the session is shown as it is now.
    async fn run(self, project: ProjectRef, commands: &Commands, request: &RequestContext) -> Response {
        let session = match project.kapso.session(&self.0, Age::Recent).await {
            Ok(session) => session,
            Err(error) => return commands.session_problem(&self.0, error, request),
        };
        let context = commands.render_context(request);
        match qr::activation_link(&session, context.now) {
            Some(link) => {
                let view = render(&session, link, &context);
                Response::new(Outcome::Qr, view, &context).showing(&session.id)
            }
            None => shown(&session, None, &context),
        }
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let session = usual_session(context.now);
        let view = session
            .as_ref()
            .and_then(|session| Some(render(session, qr::activation_link(session, context.now)?, context)));
        let samples = view.map(|view| ("For the tester's phone", view));
        vec![SampleGroup::new("A QR code", samples, context)]
    }
}

/// The message makes sense without the picture, which Slack may fail to fetch.
fn render(session: &Session, link: &ActivationLink, context: &RenderContext<'_>) -> View {
    let open = fill(
        "Open this link on the tester's phone and send the pre-filled message: {link}",
        [("link", Mrkdwn::default().link(link.url()))],
    );
    let image = context
        .qr_addresses
        .and_then(|addresses| addresses.address(context.origin.project.as_ref(), &session.id, context.now))
        .and_then(|address| Block::image(&address, TITLE, ALT));
    let blocks = [Block::section(Text::mrkdwn(open))]
        .into_iter()
        .chain(image)
        .chain(footer(&session.id, None));
    let phone = visible_phone(session, context);
    let text = spoken(session, phone.as_deref(), None, Some(link), context.now);
    View::new(Message::ephemeral(text, blocks.collect()), Replaces::Nothing)
}
