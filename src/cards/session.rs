//! The card of one session.

use jiff::{SignedDuration, Timestamp};

use super::RenderContext;
use super::buttons::buttons;
use super::time::relative;
use crate::kapso::{ActivationLink, NotWhatsApp, Session, SessionId, Status};
use crate::slack::UserId;
use crate::slack::blocks::{Block, Fact, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// How long after a session's creation its code is said to work.
const CODE_LIFETIME: SignedDuration = SignedDuration::from_mins(15);
/// Longer words of Kapso's are cut in the one-sentence text.
const SPOKEN_MAX: usize = 80;
/// A longer link is left to its button, so that the one-sentence text is never cut in the middle of it.
const SPOKEN_LINK_MAX: usize = 500;

/// A status in our words.
pub(super) struct Words {
    /// The status at a glance.
    pub(super) emoji: &'static str,
    /// The same in words.
    pub(super) title: &'static str,
    /// The same inside a sentence that begins "The sandbox session …".
    pub(super) spoken: &'static str,
    /// What it means and what to do next.
    next: &'static str,
}

/// Whether somebody waits for a session to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// Not that the card knows of.
    No,
    /// Until then.
    Until(Timestamp),
    /// They have just stopped.
    NoLonger,
}

/// The card for a session: for its asker, or masked where it stands in a channel or where one there led to it.
pub(super) fn card(session: &Session, watched: Watched, look: &RenderContext<'_>) -> Message {
    card_saying(None, session, watched, look)
}

/// The card of a session that has just been shared, for who shared it.
pub(super) fn was_shared(session: &Session, watched: Watched, look: &RenderContext<'_>) -> Message {
    let words = Mrkdwn::new("📣 Shared with everybody in this channel.");
    card_saying(Some(&words), session, watched, look)
}

/// The card, which says that something was done, if something was.
fn card_saying(done: Option<&Mrkdwn>, session: &Session, watched: Watched, look: &RenderContext<'_>) -> Message {
    let phone = phone(session, look);
    let pending = session.status == Status::Pending;
    // Of use only as long as the tester has not sent it; an unknown status may be such a one.
    let code = match session.status {
        Status::Pending | Status::Other(_) => session.activation_code.as_deref(),
        _ => None,
    };
    let link = match (&session.activation_link, pending) {
        (Some(Ok(link)), true) => Some(link),
        _ => None,
    };

    let mut blocks = vec![Block::header("WhatsApp sandbox session")];
    blocks.extend(status(session, link));
    blocks.push(facts(session, phone.as_deref(), code));
    if let Some(expires_at) = session.expires_at {
        blocks.push(Block::section(Text::mrkdwn(expiry(expires_at, look.now))));
    }
    blocks.extend(warnings(session, look.now).map(|words| Block::section(Text::mrkdwn(words))));
    let said: Vec<Mrkdwn> = done
        .cloned()
        .into_iter()
        .chain(watch_words(watched, look.now))
        .collect();
    blocks.extend(said.iter().cloned().map(|words| Block::section(Text::mrkdwn(words))));
    let shareable = done.is_none();
    blocks.extend(buttons(session, watched, link, shareable, look));
    blocks.extend(small_print(&session.id, look.sharer));

    let mut text = spoken(session, phone.as_deref(), code, link, look.now);
    for words in &said {
        text = text.own(" ").then(words);
    }
    Message::ephemeral(text, blocks)
}

pub(super) fn words(status: &Status) -> Option<Words> {
    Some(match status {
        Status::Pending => Words {
            emoji: "🟡",
            title: "Waiting for activation",
            spoken: "is waiting for activation",
            next: "Open the link on the tester's phone and send the message it holds.",
        },
        Status::Active => Words {
            emoji: "🟢",
            title: "Active",
            spoken: "is active",
            next: "Messages from this phone to the sandbox number reach the agent.",
        },
        Status::Expired => Words {
            emoji: "⚫",
            title: "Expired",
            spoken: "has expired",
            next: "Messages from this phone no longer reach the agent. Create a new session to go on.",
        },
        Status::Superseded => Words {
            emoji: "🔵",
            title: "Superseded",
            spoken: "was superseded",
            next: "Another project has claimed this phone, and messages go to its newer session. \
                   Create a new session to claim the phone back.",
        },
        Status::Other(_) => return None,
    })
}

fn status(session: &Session, link: Option<&ActivationLink>) -> Vec<Block> {
    if let Some(words) = words(&session.status) {
        let title = Mrkdwn::new(words.emoji).own(" *").own(words.title).own("*");
        // Where there is no link to open, a warning says what to do instead.
        let text = match (&session.status, link) {
            (Status::Pending, None) => title,
            _ => title.own("\n").own(words.next),
        };
        return vec![Block::section(Text::mrkdwn(text))];
    }
    let Status::Other(status) = &session.status else {
        return Vec::new();
    };
    let status = Fact {
        label: "⚪ Status",
        value: status,
        code: false,
    };
    let next = Mrkdwn::new("This app does not know this status yet; Kapso's dashboard says what it means.");
    vec![Block::facts(&[status]), Block::section(Text::mrkdwn(next))]
}

fn facts(session: &Session, phone: Option<&str>, code: Option<&str>) -> Block {
    let fact = |label, value| Fact {
        label,
        value,
        code: false,
    };
    let mut facts = vec![
        fact("Agent", session.agent.as_deref().unwrap_or("none assigned")),
        fact("Phone", phone.unwrap_or("not given")),
    ];
    facts.extend(code.map(|code| Fact {
        label: "Code",
        value: code,
        code: true,
    }));
    Block::facts(&facts)
}

fn expiry(expires_at: Timestamp, now: Timestamp) -> Mrkdwn {
    let over = expires_at < now;
    let words = Mrkdwn::new(if over { "Expired " } else { "Expires " })
        .date(expires_at)
        .own(" (");
    relative(words, expires_at, now).own(")")
}

fn warnings(session: &Session, now: Timestamp) -> impl Iterator<Item = Mrkdwn> {
    let pending = session.status == Status::Pending;
    let old = session
        .created_at
        .filter(|created_at| now.duration_since(*created_at) >= CODE_LIFETIME)
        .map(|created_at| {
            let words = Mrkdwn::new("⏳ This session was created ");
            relative(words, created_at, now).own(
                ", and a code is said to work for 15 minutes: it may have lapsed. A new session gives a fresh one.",
            )
        });
    let link = match (&session.activation_link, &session.activation_code) {
        (Some(Ok(_)), _) => None,
        (Some(Err(NotWhatsApp)), Some(_)) => Some(
            "⚠️ The activation link that Kapso gave does not lead to WhatsApp, so it is not shown. \
             Send the code from the tester's phone to the sandbox number instead.",
        ),
        (Some(Err(NotWhatsApp)), None) => Some(
            "⚠️ The activation link that Kapso gave does not lead to WhatsApp, so it is not shown, and there is no code. \
             A new session gives fresh ones.",
        ),
        (None, Some(_)) => {
            Some("Kapso gave no activation link. Send the code from the tester's phone to the sandbox number.")
        }
        (None, None) => Some("Kapso gave neither an activation link nor a code. A new session gives fresh ones."),
    };
    let over = session.expires_at.filter(|expires_at| *expires_at < now).map(|_| {
        Mrkdwn::new(
            "⏳ By Kapso's word its time is over, so the code may work no longer. A new session gives a fresh one.",
        )
    });
    over.or(old)
        .into_iter()
        .chain(link.map(Mrkdwn::new))
        .filter(move |_| pending)
}

fn watch_words(watched: Watched, now: Timestamp) -> Option<Mrkdwn> {
    match watched {
        Watched::No => None,
        Watched::Until(until) => Some(
            relative(Mrkdwn::new("👀 Watching until ").date(until).own(" ("), until, now)
                .own("): you will hear here when this session is activated or ends. Slack lets me answer no longer."),
        ),
        Watched::NoLonger => Some(Mrkdwn::new("You will not hear of this session any more.")),
    }
}

pub(super) fn small_print(id: &SessionId, sharer: Option<&UserId>) -> Option<Block> {
    let id = Mrkdwn::new("Session ").code(id.as_str());
    let words = match sharer {
        Some(sharer) => id.own(" · shared by ").person(sharer),
        None => id,
    };
    Block::context(vec![Text::mrkdwn(words)])
}

/// Adds " of this phone with that agent", as far as Kapso told.
pub(super) fn whose(mut text: Mrkdwn, phone: Option<&str>, session: &Session) -> Mrkdwn {
    if let Some(phone) = phone {
        text = text.own(" of ").foreign(phone, SPOKEN_MAX);
    }
    if let Some(agent) = &session.agent {
        text = text.own(" with the agent ").foreign(agent, SPOKEN_MAX);
    }
    text
}

/// The whole card as one text: all that a screen reader or a notification gets.
pub(super) fn spoken(
    session: &Session,
    phone: Option<&str>,
    code: Option<&str>,
    link: Option<&ActivationLink>,
    now: Timestamp,
) -> Mrkdwn {
    let mut text = whose(Mrkdwn::new("The sandbox session"), phone, session).own(" ");
    text = match (&session.status, words(&session.status)) {
        (Status::Other(status), _) => text.own("has the status ").foreign(status, SPOKEN_MAX),
        (_, Some(words)) => text.own(words.spoken),
        (_, None) => text,
    };
    text = text.own(".");
    if let Some(expires_at) = session.expires_at {
        let verb = if expires_at < now {
            " It expired at "
        } else {
            " It expires at "
        };
        text = relative(text.own(verb).utc(expires_at).own(", "), expires_at, now).own(".");
    }
    if let Some(link) = link.filter(|link| link.url().as_str().len() <= SPOKEN_LINK_MAX) {
        text = text.own(" Activate it: ").link(link.url());
    } else if let Some(code) = code {
        text = text.own(" Its code: ").foreign(code, SPOKEN_MAX).own(".");
    }
    text
}

/// The tester's phone, as it may be seen.
pub(super) fn phone(session: &Session, look: &RenderContext<'_>) -> Option<String> {
    let phone = session.phone.as_deref()?;
    Some(if look.masks() { masked(phone) } else { phone.to_owned() })
}

/// A phone number of which others see only the last four digits.
pub(super) fn masked(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().filter(char::is_ascii_digit).collect();
    match digits.len() {
        8.. => format!("•••• {}", digits[digits.len() - 4..].iter().collect::<String>()),
        _ => "••••".to_owned(),
    }
}
