//! What watchers read: that they will hear, that they will not, and the news.

use jiff::Timestamp;

use super::session::{self, Watched};
use super::time::about;
use super::{RenderContext, help};
use crate::commands::{Action, ButtonValue};
use crate::jobs::watch::News;
use crate::kapso::{Session, SessionId};
use crate::slack::blocks::{Block, Button, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// The end of a watch.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// The news; none if there were none in time.
    pub news: Option<News>,
    /// The session's id.
    pub id: &'a SessionId,
    /// The session as it was seen last, where somebody saw it.
    pub session: Option<&'a Session>,
    /// When the session was created, where Kapso said so.
    pub created_at: Option<Timestamp>,
}

/// The session, of whose changes its asker hears from now on.
pub(super) fn watching(session: &Session, until: Timestamp, look: &RenderContext<'_>) -> Message {
    session::card(session, Watched::Until(until), look)
}

/// The session, of whose changes its asker hears no longer.
pub(super) fn unwatched(id: &SessionId, session: Option<&Session>, look: &RenderContext<'_>) -> Message {
    if let Some(session) = session {
        return session::card(session, Watched::NoLonger, look);
    }
    let text = Mrkdwn::new("You will not hear of the session ")
        .code(id.as_str())
        .own(" any more.");
    help::sentence(text)
}

/// What a watch says at its end.
#[must_use]
pub fn notice(notice: &Notice<'_>, look: &RenderContext<'_>) -> Message {
    let text = words(notice, look);
    let value = ButtonValue {
        id: notice.id.clone(),
        sharer: look.sharer.cloned(),
    }
    .to_string();
    let show = Button::action(Action::Refresh.id(), "Show the session", &value);
    let buttons = match notice.news {
        Some(News::Gone) => Vec::new(),
        Some(_) => vec![show],
        None => vec![Button::action(Action::Watch.id(), "Go on watching", &value), show],
    };
    let blocks = [Block::section(Text::mrkdwn(text.clone()))]
        .into_iter()
        .chain(Block::actions(buttons))
        .chain(session::small_print(notice.id, None));
    Message::ephemeral(text, blocks.collect())
}

fn words(notice: &Notice<'_>, look: &RenderContext<'_>) -> Mrkdwn {
    match notice.news {
        Some(News::Activated) => {
            let text = whose(Mrkdwn::new("🟢 "), notice).own(" is active now");
            let activated_at = notice.session.and_then(|session| session.activated_at);
            let took = match (notice.created_at, activated_at.unwrap_or(look.now)) {
                (Some(created_at), activated_at) if activated_at >= created_at => {
                    Some(activated_at.duration_since(created_at))
                }
                _ => None,
            };
            let text = match took {
                Some(took) => about(text.own(", "), took).own(" after it was created"),
                None => text,
            };
            text.own(". Messages from this phone to the sandbox number reach the agent.")
        }
        Some(News::Expired) => whose(Mrkdwn::new("⚫ "), notice)
            .own(" has expired before it was activated. A new session gives a fresh link."),
        Some(News::Superseded) => whose(Mrkdwn::new("🔵 "), notice)
            .own(" was superseded: another project has claimed this phone. A new session claims it back."),
        Some(News::Gone) => Mrkdwn::new("Kapso has no such sandbox session any more, so there is nothing to wait for."),
        None => whose(Mrkdwn::new("⏳ "), notice).own(
            " is not active yet, and I stop watching now: Slack lets an app answer for half an hour. Press to go on.",
        ),
    }
}

/// "The sandbox session of … with the agent …", as far as it is known.
fn whose(text: Mrkdwn, notice: &Notice<'_>) -> Mrkdwn {
    match notice.session {
        Some(session) => {
            // A watch may have begun on a card that others see.
            let phone = session.phone.as_deref().map(session::masked);
            session::whose(text.own("The sandbox session"), phone.as_deref(), session)
        }
        None => text.own("The sandbox session you watch"),
    }
}
