//! The one message that ends a watch: how the session changed, or that the time is up.

use jiff::Timestamp;

use super::buttons::{Action, SessionValue, button};
use super::sentence::fill;
use super::{RenderContext, session, time};
use crate::kapso::{Session, SessionId, Status};
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;
use crate::watches::policy::{Change, Ending};

/// The end of a watch.
#[derive(Clone, Copy, Debug)]
pub struct Notification<'a> {
    /// What ended the watch.
    pub ending: Ending,
    /// The watched session.
    pub id: &'a SessionId,
    /// The session as it was seen last, if it was seen at all.
    pub session: Option<&'a Session>,
    /// When the session was created, if Kapso said so.
    pub created_at: Option<Timestamp>,
}

/// Renders a notification.
#[must_use]
pub fn render(notification: &Notification<'_>, context: &RenderContext<'_>) -> Message {
    let text = text(notification, context);
    let value = SessionValue(notification.id.clone());
    let show = || button(Action::ShowFullCard, "Show the session", &value, context);
    let buttons = match notification.ending {
        Ending::Changed(Change::Gone) | Ending::ProjectUnavailable => Vec::new(),
        Ending::Changed(Change::Activated | Change::Expired | Change::Superseded) => {
            let create = notification
                .session
                .and_then(|session| session::create_button(session, context));
            [show()].into_iter().chain(create).collect()
        }
        Ending::TimeUp => vec![button(Action::StartWatching, "Keep watching", &value, context), show()],
    };
    // Who may not use the project any more learns nothing about its sessions.
    let is_usable = notification.ending != Ending::ProjectUnavailable;
    let footer = is_usable.then(|| session::footer(notification.id, None)).flatten();
    let blocks = [Block::section(Text::mrkdwn(text.clone()))]
        .into_iter()
        .chain(Block::actions(buttons))
        .chain(footer);
    context.name_project(Message::ephemeral(text, blocks.collect()))
}

fn text(notification: &Notification<'_>, context: &RenderContext<'_>) -> Mrkdwn {
    let subject = [("subject", subject(notification))];
    match notification.ending {
        Ending::Changed(Change::Activated) => activated(notification, context.now),
        Ending::Changed(Change::Expired) if was_active(notification) => {
            let what = fill("⚫ {subject} has expired.", subject);
            session::advise(what, "Create a new session to continue.", context)
        }
        Ending::Changed(Change::Expired) => {
            let what = fill("⚫ {subject} expired before it was activated.", subject);
            session::advise(what, "Create a new session for a fresh link.", context)
        }
        Ending::Changed(Change::Superseded) => {
            let what = fill(
                "🔵 {subject} was superseded: another project has claimed this phone.",
                subject,
            );
            session::advise(what, "Create a new session to claim it back.", context)
        }
        Ending::Changed(Change::Gone) => {
            Mrkdwn::new("This session no longer exists in Kapso, so I've stopped watching.")
        }
        Ending::ProjectUnavailable => {
            Mrkdwn::new("The Kapso project of this session can no longer be used here, so I've stopped watching it.")
        }
        Ending::TimeUp => fill(
            "⏳ {subject} is not active yet. I've stopped watching (Slack's 30-minute limit). Press to keep watching.",
            subject,
        ),
    }
}

fn activated(notification: &Notification<'_>, now: Timestamp) -> Mrkdwn {
    let subject = subject(notification);
    let activated_at = notification.session.and_then(|session| session.activated_at);
    let took = notification
        .created_at
        .map(|created_at| activated_at.unwrap_or(now).duration_since(created_at))
        .filter(|took| !took.is_negative());
    match took {
        Some(took) => fill(
            "🟢 {subject} is active now, {duration} after it was created. Messages from this phone to the sandbox \
             number reach the agent.",
            [("subject", subject), ("duration", time::length(took))],
        ),
        None => fill(
            "🟢 {subject} is active now. Messages from this phone to the sandbox number reach the agent.",
            [("subject", subject)],
        ),
    }
}

/// Whether an expired session was active in the meantime, between two polls.
fn was_active(notification: &Notification<'_>) -> bool {
    notification
        .session
        .is_some_and(|session| session.activated_at.is_some() || session.status == Status::Active)
}

/// With a masked phone number: the watch may have been started on a shared card.
fn subject(notification: &Notification<'_>) -> Mrkdwn {
    match notification.session {
        Some(session) => {
            let phone = session.phone.as_deref().map(session::masked);
            session::subject(phone.as_deref(), session.agent.as_deref())
        }
        None => Mrkdwn::new("The sandbox session you are watching"),
    }
}
