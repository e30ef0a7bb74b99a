//! The notifications of a watch: how the session changed, that it expires soon, or that the time is up.

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

/// The news of a watch.
#[derive(Clone, Copy, Debug)]
pub struct Notification<'a> {
    /// What the person is told.
    pub news: News,
    /// The watched session.
    pub id: &'a SessionId,
    /// The session as it was seen last, if it was seen at all.
    pub session: Option<&'a Session>,
    /// When the session was created, if Kapso said so.
    pub created_at: Option<Timestamp>,
    /// When the session expires, by the last poll.
    pub expires_at: Option<Timestamp>,
    /// Whether it is a direct message.
    pub is_direct: bool,
    /// Whether the watch goes on.
    pub goes_on: bool,
}

/// The one source of the sentences that tell a person why they get no direct message; with a text before and after it.
macro_rules! sentences {
    ($refusal:expr, $before:literal, $after:literal) => {
        match $refusal {
            Refusal::MissingScope(_) => concat!(
                $before,
                "the app lacks the permission to. Its operator can add it.",
                $after
            ),
            Refusal::AccountInactive => concat!($before, "the app has been deactivated in this workspace.", $after),
            Refusal::TokenRevoked => concat!($before, "the app's access to this workspace was revoked.", $after),
            Refusal::InvalidAuth | Refusal::TokenExpired => concat!(
                $before,
                "Slack doesn't accept the app's token. Its operator can replace it.",
                $after
            ),
            Refusal::MessagesTabDisabled => concat!(
                $before,
                "the app's Messages tab is turned off. Its operator can turn it on.",
                $after
            ),
            Refusal::CannotDmBot => concat!($before, "bots can't get any.", $after),
            Refusal::NotInChannel | Refusal::ChannelNotFound => {
                concat!($before, "Slack didn't find you in the workspace of the app.", $after)
            }
            Refusal::Forbidden(_) => concat!(
                $before,
                "the rules of this workspace don't allow it. Its administrators can change that.",
                $after
            ),
            Refusal::CantUpdateMessage
            | Refusal::MessageNotFound
            | Refusal::IsArchived
            | Refusal::MsgTooLong
            | Refusal::ExpiredTriggerId
            | Refusal::Other(_) => concat!($before, "Slack refused it.", $after),
        }
    };
}

/// Why a message does not come as a direct message, for the person; and whether the watch goes on, if it would have.
#[must_use]
pub fn why_not_direct(refusal: &Refusal, goes_on: Option<bool>) -> &'static str {
    match goes_on {
        None => sentences!(refusal, "I couldn't send this as a direct message: ", ""),
        Some(true) => sentences!(
            refusal,
            "I couldn't send this as a direct message: ",
            " So I'll watch this session for 28 minutes only."
        ),
        Some(false) => sentences!(
            refusal,
            "I couldn't send this as a direct message: ",
            " So I've stopped watching this session."
        ),
    }
}

/// Why a watch gets no direct messages, for the person who starts it.
#[must_use]
pub fn why_no_direct_messages(refusal: &Refusal) -> &'static str {
    sentences!(refusal, "(I can't send direct messages: ", ")")
}

/// Renders a notification.
#[must_use]
pub fn render(notification: &Notification<'_>, context: &RenderContext<'_>) -> Message {
    // Absolute times: a notification may arrive hours after it was rendered.
    let spoken = text(notification, context, utc);
    let shown = text(notification, context, date);
    let value = SessionValue(notification.id.clone());
    // A direct message stays: people read it again later.
    let show_action = if notification.is_direct {
        Action::ShowInNewMessage
    } else {
        Action::ShowFullCard
    };
    let show = || button(show_action, "Show the session", &value, context);
    let stop = || {
        notification
            .goes_on
            .then(|| button(Action::StopWatching, "Stop watching", &value, context))
    };
    let buttons = match notification.news {
        News::ExpiresSoon | News::Changed(Change::Activated) => [show()].into_iter().chain(stop()).collect(),
        News::Changed(Change::Gone) | News::ProjectUnavailable => Vec::new(),
        News::Changed(Change::Expired | Change::Superseded) => {
            let create = notification
                .session
                .and_then(|session| session::create_button(session, context));
            [show()].into_iter().chain(create).collect()
        }
        News::TimeUp if !notification.is_direct && is_active(notification, context.now) => vec![show()],
        News::TimeUp => vec![button(Action::StartWatching, "Keep watching", &value, context), show()],
    };
    // Who may not use the project any more learns nothing about its sessions.
    let is_usable = notification.news != News::ProjectUnavailable;
    let footer = is_usable.then(|| session::footer(notification.id, None)).flatten();
    let blocks = [Block::section(Text::mrkdwn(shown))]
        .into_iter()
        .chain(Block::actions(buttons))
        .chain(footer);
    context.name_project(Message::ephemeral(spoken, blocks.collect()))
}

fn text(notification: &Notification<'_>, context: &RenderContext<'_>, date: fn(Timestamp) -> Mrkdwn) -> Mrkdwn {
    let subject = [("subject", subject(notification))];
    match notification.news {
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
            let [(_, subject)] = subject;
            match notification.expires_at {
                Some(at) => fill(
                    "⏰ {subject} expires {date}.",
                    [("subject", subject), ("date", date(at))],
                ),
                None => fill("⏰ {subject} expires soon.", [("subject", subject)]),
            }
        }
        News::TimeUp if notification.is_direct && notification.session.is_none() => {
            Mrkdwn::new("⏳ I've watched a sandbox session for a week and have stopped now. Press to keep watching.")
        }
        News::TimeUp if notification.is_direct => fill(
            "⏳ {subject} has been watched for a week, so I've stopped now. Press to keep watching.",
            subject,
        ),
        News::TimeUp if is_active(notification, context.now) => fill(
            "⏳ {subject} is active. I've stopped watching (Slack's 30-minute limit).",
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

fn is_active(notification: &Notification<'_>, now: Timestamp) -> bool {
    notification
        .session
        .is_some_and(|session| *session.status_at(now) == Status::Active)
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
