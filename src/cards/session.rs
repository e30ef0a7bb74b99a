//! The card of one session.

use jiff::{SignedDuration, Timestamp};

use super::buttons::{Action, SessionValue, button};
use super::sentence::{date, fill, foreign, join, monospace, person};
use super::time::from_now;
use super::{RenderContext, ReplyTarget, buttons, expiry};
use crate::kapso::{ActivationLink, Expiry, NotWhatsApp, Session, SessionId, Status};
use crate::qr;
use crate::slack::UserId;
use crate::slack::blocks::{Block, Button, Dialog, Fact, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;
use crate::watches::WatchedUntil;

/// How long a code usually works after its session's creation.
const CODE_LIFETIME: SignedDuration = SignedDuration::from_mins(15);
/// Longer texts of Kapso are cut in the top-level text.
const SPOKEN_MAX: usize = 80;
/// A longer link is in the button only, so that the top-level text is never cut in the middle of it.
const SPOKEN_LINK_MAX: usize = 500;

/// How a status is shown at a glance.
pub(crate) enum Badge<'a> {
    Known {
        emoji: &'static str,
        title: &'static str,
    },
    /// A status that this app does not know, as Kapso names it.
    Unknown(&'a str),
}

/// Whether the reader is notified when the session changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// No, or unknown.
    No,
    /// Until this time.
    Until(Timestamp),
    /// Until this time, and not longer for this reason: a sentence.
    UntilBecause(Timestamp, &'static str),
    /// By direct message, until this time at the latest.
    Directly(Timestamp),
    /// They have just stopped watching.
    NoLonger,
    /// They wanted to stop, and were not watching.
    NotAtAll,
    /// They wanted to watch, and there is nothing to wait for any more.
    NothingToWatch,
}

impl Watched {
    pub(crate) fn until(until: Option<WatchedUntil>) -> Self {
        match until {
            None => Self::No,
            Some(until) if until.directly => Self::Directly(until.at),
            Some(until) => Self::Until(until.at),
        }
    }
}

/// The card of a session, with the phone number masked where others may see it.
#[must_use]
pub fn card(session: &Session, watched: Watched, context: &RenderContext<'_>) -> Message {
    render(None, None, session, watched, context)
}

/// The card of a session for a whole channel, shared by the person in the origin.
#[must_use]
pub fn card_for_channel(session: &Session, context: &RenderContext<'_>) -> Message {
    let context = RenderContext {
        target: ReplyTarget::SharedCard,
        ..*context
    };
    card(session, Watched::No, &context).in_channel()
}

/// The card of a session that was created for this request, or for an earlier copy of it.
pub(crate) fn card_after_creating(session: &Session, is_old: bool, context: &RenderContext<'_>) -> Message {
    let created = Mrkdwn::new(if is_old {
        "This session was already created."
    } else {
        "Session created."
    });
    render(Some(created), None, session, Watched::No, context)
}

/// The card of a session for the person who has just shared it.
pub(crate) fn card_after_sharing(session: &Session, watched: Watched, context: &RenderContext<'_>) -> Message {
    let note = Mrkdwn::new("📣 Shared with everybody in this channel.");
    render(None, Some(note), session, watched, context)
}

/// The card; `lead` is what it begins with, and `done` is a note about what was just done with the session.
fn render(
    lead: Option<Mrkdwn>,
    done: Option<Mrkdwn>,
    session: &Session,
    watched: Watched,
    context: &RenderContext<'_>,
) -> Message {
    let phone = visible_phone(session, context);
    let code = useful_code(session, context.now);
    let link = match (session.status_at(context.now), &session.activation_link) {
        (Status::Pending, Some(Ok(link))) => Some(link),
        _ => None,
    };
    let shareable = done.is_none();
    let watch_note = watch_note(watched, session, context.now);
    let notes: Vec<Mrkdwn> = done.into_iter().chain(watch_note).collect();

    let mut blocks = vec![Block::header("WhatsApp sandbox session")];
    blocks.extend(
        lead.clone()
            .map(|lead| Block::section(Text::mrkdwn(fill("✅ {lead}", [("lead", lead)])))),
    );
    blocks.extend(status(session, link, context));
    blocks.push(facts(session, phone.as_deref(), code));
    let paragraphs = expiry::on_card(session, context.now)
        .into_iter()
        .chain(warnings(session, context))
        .chain(notes.iter().cloned());
    blocks.extend(paragraphs.map(|text| Block::section(Text::mrkdwn(text))));
    blocks.extend(button_row(session, watched, link, shareable, context));
    blocks.extend(footer(&session.id, context.shared_by()));

    let text = spoken(session, phone.as_deref(), code, link, context.now);
    Message::ephemeral(join(" ", lead.into_iter().chain([text]).chain(notes)), blocks)
}

/// The code while it can be of use: until the tester has sent it or the session has expired. A session with an unknown
/// status may still need it.
fn useful_code(session: &Session, now: Timestamp) -> Option<&str> {
    match (session.status_at(now), session.expiry_at(now)) {
        (Status::Active | Status::Expired | Status::Superseded, _) | (_, Some(Expiry::Past(_))) => None,
        (Status::Pending | Status::Other(_), Some(Expiry::Future(_)) | None) => session.activation_code.as_deref(),
    }
}

pub(crate) fn badge(status: &Status) -> Badge<'_> {
    let (emoji, title) = match status {
        Status::Pending => ("🟡", "Waiting for activation"),
        Status::Active => ("🟢", "Active"),
        Status::Expired => ("⚫", "Expired"),
        Status::Superseded => ("🔵", "Superseded"),
        Status::Other(word) => return Badge::Unknown(word),
    };
    Badge::Known { emoji, title }
}

/// Whether the readers of this message are offered to create sessions. Not where the phone number is masked: the question
/// that follows shows it, and others who read the message may not be allowed to.
fn offers_creating(context: &RenderContext<'_>) -> bool {
    context.may_create && !context.masks_phone()
}

/// `advice` to create a session, which follows `what`, if the readers are offered to; otherwise whom to ask.
pub(crate) fn advise(what: Mrkdwn, advice: &'static str, context: &RenderContext<'_>) -> Mrkdwn {
    let advice = if offers_creating(context) {
        advice
    } else {
        "Ask somebody who may create sessions for a new one."
    };
    join(" ", [what, Mrkdwn::new(advice)])
}

/// What the status means and what to do next.
fn next_step(session: &Session, context: &RenderContext<'_>) -> Mrkdwn {
    let create = |what, advice| advise(Mrkdwn::new(what), advice, context);
    match (session.status_at(context.now), &session.status) {
        (Status::Pending, _) => Mrkdwn::new("Open the link on the tester's phone and send the pre-filled message."),
        (Status::Active, _) => Mrkdwn::new("Messages from this phone to the sandbox number reach the agent."),
        (Status::Expired, Status::Pending) => create(
            "It expired before it was activated.",
            "Create a new session for a fresh link.",
        ),
        // Known by the clock alone.
        (Status::Expired, Status::Active) => create(
            "Messages from this phone may no longer reach the agent.",
            "Create a new session to continue.",
        ),
        (Status::Expired, _) => create(
            "Messages from this phone no longer reach the agent.",
            "Create a new session to continue.",
        ),
        (Status::Superseded, _) => create(
            "Another project has claimed this phone, and messages go to its newer session.",
            "Create a new session to claim it back.",
        ),
        (Status::Other(_), _) => {
            Mrkdwn::new("This app doesn't recognise this status. Look the session up in Kapso's dashboard.")
        }
    }
}

fn status(session: &Session, link: Option<&ActivationLink>, context: &RenderContext<'_>) -> Vec<Block> {
    let status = session.status_at(context.now);
    let next = next_step(session, context);
    match badge(status) {
        Badge::Unknown(word) => {
            let fact = Fact {
                label: "⚪ Status",
                value: word,
                monospace: false,
            };
            vec![Block::facts(&[fact]), Block::section(Text::mrkdwn(next))]
        }
        Badge::Known { emoji, title } => {
            let title = fill(
                "{emoji} *{title}*",
                [("emoji", Mrkdwn::new(emoji)), ("title", Mrkdwn::new(title))],
            );
            // Where there is no link to open, a warning says what to do instead.
            let text = if matches!(status, Status::Pending) && link.is_none() {
                title
            } else {
                join("\n", [title, next])
            };
            vec![Block::section(Text::mrkdwn(text))]
        }
    }
}

fn facts(session: &Session, phone: Option<&str>, code: Option<&str>) -> Block {
    let fact = |label, value| Fact {
        label,
        value,
        monospace: false,
    };
    let mut facts = vec![
        fact("Agent", session.agent.as_deref().unwrap_or("none assigned")),
        fact("Phone", phone.unwrap_or("not given")),
    ];
    facts.extend(code.map(|code| Fact {
        label: "Code",
        value: code,
        monospace: true,
    }));
    Block::facts(&facts)
}

/// Problems that may prevent the tester from activating a pending session.
fn warnings(session: &Session, context: &RenderContext<'_>) -> Vec<Mrkdwn> {
    let now = context.now;
    if *session.status_at(now) != Status::Pending {
        return Vec::new();
    }
    let old = session
        .created_at
        .filter(|created_at| now.duration_since(*created_at) >= CODE_LIFETIME);
    let time = old.map(|created_at| {
        let what = fill(
            "⏳ This session was created {relative}. Codes usually expire after 15 minutes, so this one may no longer \
             work.",
            [("relative", from_now(created_at, now))],
        );
        advise(what, "Create a new session for a fresh code.", context)
    });
    let neither = |what| advise(Mrkdwn::new(what), "Create a new session to get both.", context);
    let link = match (&session.activation_link, &session.activation_code) {
        (Some(Ok(_)), _) => None,
        (Some(Err(NotWhatsApp)), Some(_)) => Some(Mrkdwn::new(
            "⚠️ Kapso's activation link does not lead to WhatsApp, so it is not shown. \
             Send the code from the tester's phone to the sandbox number instead.",
        )),
        (Some(Err(NotWhatsApp)), None) => Some(neither(
            "⚠️ Kapso's activation link does not lead to WhatsApp, so it is not shown, and there is no code.",
        )),
        (None, Some(_)) => Some(Mrkdwn::new(
            "Kapso didn't provide an activation link. Send the code from the tester's phone to the sandbox number.",
        )),
        (None, None) => Some(neither("Kapso didn't provide an activation link or a code.")),
    };
    time.into_iter().chain(link).collect()
}

fn watch_note(watched: Watched, session: &Session, now: Timestamp) -> Option<Mrkdwn> {
    let status = session.status_at(now);
    let has_reminder = session.expires_at.is_some();
    match watched {
        Watched::No => None,
        Watched::Until(until) => Some(fill(
            "👀 Watching until {date} ({relative}). I'll post here when it is activated or ends. \
             (Slack's limit is 30 minutes.)",
            [("date", date(until)), ("relative", from_now(until, now))],
        )),
        Watched::UntilBecause(until, why) => Some(fill(
            "👀 Watching until {date} ({relative}). I'll post here when it is activated or ends. {why}",
            [
                ("date", date(until)),
                ("relative", from_now(until, now)),
                ("why", Mrkdwn::new(why)),
            ],
        )),
        Watched::Directly(until) if *status == Status::Active && !has_reminder => Some(fill(
            "👀 Watching until it ends, or until {date}. I'll send you a direct message when it ends.",
            [("date", date(until))],
        )),
        Watched::Directly(until) if !has_reminder => Some(fill(
            "👀 Watching until it ends, or until {date}. I'll send you a direct message when it is activated and when \
             it ends.",
            [("date", date(until))],
        )),
        Watched::Directly(until) if *status == Status::Active => Some(fill(
            "👀 Watching until it ends, or until {date}. I'll send you a direct message half an hour before it expires, \
             and when it ends.",
            [("date", date(until))],
        )),
        Watched::Directly(until) => Some(fill(
            "👀 Watching until it ends, or until {date}. I'll send you a direct message when it is activated, half an \
             hour before it expires, and when it ends.",
            [("date", date(until))],
        )),
        Watched::NoLonger => Some(Mrkdwn::new("Stopped watching this session.")),
        Watched::NotAtAll => Some(Mrkdwn::new("You are not watching this session.")),
        Watched::NothingToWatch if status.has_ended() => {
            Some(Mrkdwn::new("I'm not watching this session: it has ended."))
        }
        Watched::NothingToWatch => Some(Mrkdwn::new("I'm not watching this session: it is active already.")),
    }
}

/// The row of buttons below a session's card. A card that was just shared is not `shareable` again.
fn button_row(
    session: &Session,
    watched: Watched,
    link: Option<&ActivationLink>,
    shareable: bool,
    context: &RenderContext<'_>,
) -> Option<Block> {
    let value = SessionValue(session.id.clone());
    let open = link.and_then(|link| Button::primary_link(Action::OpenWhatsApp.id(), buttons::ACTIVATE, link.url()));
    let qr_code = context
        .qr_addresses
        .and_then(|_| qr::activation_link(session, context.now))
        .map(|_| button(Action::ShowQrCode, buttons::QR_CODE, &value, context));
    let refresh = button(Action::ShowFullCard, buttons::REFRESH, &value, context);
    let watch = match watched {
        Watched::Until(_) | Watched::UntilBecause(..) | Watched::Directly(_) => {
            Some(button(Action::StopWatching, "Stop watching", &value, context))
        }
        Watched::No | Watched::NoLonger | Watched::NotAtAll if *session.status_at(context.now) == Status::Pending => {
            Some(button(Action::StartWatching, buttons::WATCH, &value, context))
        }
        Watched::No | Watched::NoLonger | Watched::NotAtAll | Watched::NothingToWatch => None,
    };
    // A direct message is in no channel.
    let share = (shareable
        && context.origin.direct.is_none()
        && !context.masks_phone()
        && session.can_be_activated(context.now))
    .then(|| button(Action::ShareInChannel, buttons::SHARE, &value, context).with_confirmation(sharing_dialog()));
    let row = open
        .into_iter()
        .chain(qr_code)
        .chain([refresh])
        .chain(watch)
        .chain(share)
        .chain(create_button(session, context));
    Block::actions(row.collect())
}

/// The button that offers a new session in place of one that has ended.
pub(crate) fn create_button(session: &Session, context: &RenderContext<'_>) -> Option<Button> {
    let offers = offers_creating(context) && session.status_at(context.now).has_ended() && session.phone.is_some();
    let value = SessionValue(session.id.clone());
    offers.then(|| button(Action::CreateNewSession, buttons::CREATE, &value, context))
}

fn sharing_dialog() -> Dialog {
    Dialog::new(
        "Share this session?",
        "Everybody here will see the card with its link and its code. They see only the last four digits of the phone \
         number. If people from other companies are in this channel, they see it too.",
        "Share",
        "Cancel",
    )
}

/// The footer with the id of the session.
pub(crate) fn footer(id: &SessionId, shared_by: Option<&UserId>) -> Option<Block> {
    let id = monospace(id.as_str());
    let text = match shared_by {
        Some(user) => fill("Session {id} · shared by {user}", [("id", id), ("user", person(user))]),
        None => fill("Session {id}", [("id", id)]),
    };
    Block::context(vec![Text::mrkdwn(text)])
}

/// "The sandbox session of … with the agent …", with the parts that are known.
pub(crate) fn subject(phone: Option<&str>, agent: Option<&str>) -> Mrkdwn {
    let words = |words| foreign(words, SPOKEN_MAX);
    match (phone.map(words), agent.map(words)) {
        (Some(phone), Some(agent)) => fill(
            "The sandbox session of {phone} with the agent {agent}",
            [("phone", phone), ("agent", agent)],
        ),
        (Some(phone), None) => fill("The sandbox session of {phone}", [("phone", phone)]),
        (None, Some(agent)) => fill("The sandbox session with the agent {agent}", [("agent", agent)]),
        (None, None) => Mrkdwn::new("The sandbox session"),
    }
}

/// "… is waiting for activation".
pub(crate) fn statement(subject: Mrkdwn, status: &Status) -> Mrkdwn {
    match status {
        Status::Pending => fill("{subject} is waiting for activation", [("subject", subject)]),
        Status::Active => fill("{subject} is active", [("subject", subject)]),
        Status::Expired => fill("{subject} has expired", [("subject", subject)]),
        Status::Superseded => fill("{subject} was superseded", [("subject", subject)]),
        Status::Other(word) => fill(
            "{subject} has the status {status}",
            [("subject", subject), ("status", foreign(word, SPOKEN_MAX))],
        ),
    }
}

/// The card as one text, for screen readers and notifications.
pub(crate) fn spoken(
    session: &Session,
    phone: Option<&str>,
    code: Option<&str>,
    link: Option<&ActivationLink>,
    now: Timestamp,
) -> Mrkdwn {
    let statement = statement(subject(phone, session.agent.as_deref()), session.status_at(now));
    let expiry = expiry::spoken(session, now);
    let link = link.filter(|link| link.url().as_str().len() <= SPOKEN_LINK_MAX);
    let activation = match (link, code) {
        (Some(link), _) => Some(fill(
            "Activate it: {link}.",
            [("link", Mrkdwn::default().link(link.url()))],
        )),
        (None, Some(code)) => Some(fill("Its code: {code}.", [("code", foreign(code, SPOKEN_MAX))])),
        (None, None) => None,
    };
    join(
        " ",
        [statement.constant(".")].into_iter().chain(expiry).chain(activation),
    )
}

/// The tester's phone number as the readers of this message may see it.
pub(crate) fn visible_phone(session: &Session, context: &RenderContext<'_>) -> Option<String> {
    let phone = session.phone.as_deref()?;
    Some(if context.masks_phone() {
        masked(phone)
    } else {
        phone.to_owned()
    })
}

/// A phone number with only its last four digits.
pub(crate) fn masked(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().filter(char::is_ascii_digit).collect();
    match digits.len() {
        8.. => format!("•••• {}", digits[digits.len() - 4..].iter().collect::<String>()),
        _ => "••••".to_owned(),
    }
}
