//! The one message that ends a watch: how the session changed, or that the time is up.

use jiff::Timestamp;

use super::buttons::{Action, SessionValue, button};
use super::sentence::{date, fill, utc};
use super::{RenderContext, session, time};
use crate::kapso::{Session, SessionId, Status};
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;
use crate::slack::web_api::Refusal;
use crate::watches::policy::{Change, News};

/// The end of a watch.
#[derive(Clone, Copy, Debug)]
pub struct Notification<'a> {
    /// What ended the watch.
    pub ending: News,
    /// The watched session.
    pub id: &'a SessionId,
    /// The session as it was seen last, if it was seen at all.
    pub session: Option<&'a Session>,
    /// When the session was created, if Kapso said so.
    pub created_at: Option<Timestamp>,
    /// For a direct message.
    pub direct: Option<DirectNews>,
}

/// What a direct message says besides.
#[derive(Clone, Copy, Debug)]
pub struct DirectNews {
    /// When the session expires, by the last poll.
    pub expires_at: Option<Timestamp>,
}

/// Why a message does not come as a direct message, for the person.
#[must_use]
pub fn why_not_direct(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::MissingScope(_) => {
            "I couldn't send this as a direct message: the app lacks the permission to. Your Slack administrators can grant it."
        }
        Refusal::AccountInactive => {
            "I couldn't send this as a direct message: the app has been deactivated in this workspace."
        }
        Refusal::TokenRevoked => {
            "I couldn't send this as a direct message: the app's access to this workspace was revoked."
        }
        Refusal::InvalidAuth | Refusal::TokenExpired => {
            "I couldn't send this as a direct message: Slack doesn't accept the app's token. Its operator can replace it."
        }
        Refusal::MessagesTabDisabled => {
            "I couldn't send this as a direct message: the app's Messages tab is turned off. Its operator can turn it on."
        }
        Refusal::CannotDmBot => "I couldn't send this as a direct message: bots can't get any.",
        Refusal::NotInChannel | Refusal::ChannelNotFound => {
            "I couldn't send this as a direct message: Slack didn't find you in the workspace of the app."
        }
        Refusal::CantUpdateMessage
        | Refusal::MessageNotFound
        | Refusal::MsgTooLong
        | Refusal::ExpiredTriggerId
        | Refusal::Other(_) => "I couldn't send this as a direct message: Slack refused it.",
    }
}

/// Why a watch gets no direct messages, for the person who starts it.
#[must_use]
pub fn why_no_direct_messages(refusal: Option<&Refusal>) -> &'static str {
    match refusal {
        None => "(I can't send direct messages right now: Slack isn't answering.)",
        Some(Refusal::MissingScope(_)) => {
            "(I can't send direct messages: the app lacks the permission to. Your Slack administrators can grant it.)"
        }
        Some(Refusal::AccountInactive) => {
            "(I can't send direct messages: the app has been deactivated in this workspace.)"
        }
        Some(Refusal::TokenRevoked) => {
            "(I can't send direct messages: the app's access to this workspace was revoked.)"
        }
        Some(Refusal::MessagesTabDisabled) => {
            "(I can't send direct messages: the app's Messages tab is turned off. Its operator can turn it on.)"
        }
        Some(_) => "(I can't send direct messages: Slack doesn't accept the app's token. Its operator can replace it.)",
    }
}

/// Renders a notification.
#[must_use]
pub fn render(notification: &Notification<'_>, context: &RenderContext<'_>) -> Message {
    // Absolute times: a notification may arrive hours after it was rendered.
    let spoken = text(notification, context, utc);
    let shown = text(notification, context, date);
    let value = SessionValue(notification.id.clone());
    let show = || button(Action::ShowFullCard, "Show the session", &value, context);
    // With direct messages, the watch goes on.
    let stop = || {
        let goes_on = notification.direct.is_some();
        goes_on.then(|| button(Action::StopWatching, "Stop watching", &value, context))
    };
    let buttons = match notification.ending {
        News::ExpiresSoon | News::Changed(Change::Activated) => [show()].into_iter().chain(stop()).collect(),
        News::Changed(Change::Gone) | News::ProjectUnavailable => Vec::new(),
        News::Changed(Change::Expired | Change::Superseded) => {
            let create = notification
                .session
                .and_then(|session| session::create_button(session, context));
            [show()].into_iter().chain(create).collect()
        }
        News::TimeUp => vec![button(Action::StartWatching, "Keep watching", &value, context), show()],
    };
    // Who may not use the project any more learns nothing about its sessions.
    let is_usable = notification.ending != News::ProjectUnavailable;
    let footer = is_usable.then(|| session::footer(notification.id, None)).flatten();
    let blocks = [Block::section(Text::mrkdwn(shown))]
        .into_iter()
        .chain(Block::actions(buttons))
        .chain(footer);
    context.name_project(Message::ephemeral(spoken, blocks.collect()))
}

fn text(notification: &Notification<'_>, context: &RenderContext<'_>, date: fn(Timestamp) -> Mrkdwn) -> Mrkdwn {
    let subject = [("subject", subject(notification))];
    match notification.ending {
        News::Changed(Change::Activated) => activated(notification, context.now),
        News::Changed(Change::Expired) if was_active(notification) => {
            let what = fill("⚫ {subject} has expired.", subject);
            session::advise(what, "Create a new session to continue.", context)
        }
        News::Changed(Change::Expired) => {
            let what = fill("⚫ {subject} expired before it was activated.", subject);
            session::advise(what, "Create a new session for a fresh link.", context)
        }
        News::Changed(Change::Superseded) => {
            let what = fill(
                "🔵 {subject} was superseded: another project has claimed this phone.",
                subject,
            );
            session::advise(what, "Create a new session to claim it back.", context)
        }
        News::Changed(Change::Gone) => Mrkdwn::new("This session no longer exists in Kapso, so I've stopped watching."),
        News::ProjectUnavailable => {
            Mrkdwn::new("The Kapso project of this session can no longer be used here, so I've stopped watching it.")
        }
        News::ExpiresSoon => {
            let at = notification.direct.and_then(|direct| direct.expires_at);
            let [(_, subject)] = subject;
            match at {
                Some(at) => fill(
                    "⏰ {subject} expires {date}.",
                    [("subject", subject), ("date", date(at))],
                ),
                None => fill("⏰ {subject} expires soon.", [("subject", subject)]),
            }
        }
        News::TimeUp if notification.direct.is_some() => fill(
            "⏳ I've watched this session for a week and have stopped now: {subject}. Press to keep watching.",
            subject,
        ),
        News::TimeUp => fill(
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
