//! A page of the list of sessions.

use jiff::Timestamp;

use super::session::{masked, words};
use super::{RenderContext, help, problem};
use crate::commands::{Action, ButtonValue, Listing, PageValue, SAMPLE_PHONE, Verb};
use crate::kapso::{Session, Status};
use crate::slack::blocks::{Block, Button, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// Longer names are cut: a row is to fit into two lines of a phone.
const NAME_MAX: usize = 60;

/// Draws a page.
pub(super) fn list(listing: &Listing, look: &RenderContext<'_>) -> Message {
    if listing.is_empty_project() {
        return help::sentence(none_yet(listing, look));
    }
    let title = if listing.page.sessions.is_empty() {
        nothing_here(listing)
    } else {
        title(listing)
    };
    let mut spoken = Mrkdwn::new("Sandbox sessions. ").then(&title);
    let mut blocks = vec![
        Block::header("WhatsApp sandbox sessions"),
        Block::section(Text::mrkdwn(title)),
    ];
    for session in &listing.page.sessions {
        blocks.push(row(session, look.now));
        spoken = speak(spoken, session, look.now);
    }
    blocks.extend(turning(listing));
    Message::ephemeral(spoken, blocks)
}

fn none_yet(listing: &Listing, look: &RenderContext<'_>) -> Mrkdwn {
    let text = Mrkdwn::new("There are no sessions yet in this app's Kapso project.");
    match &listing.creators {
        None => text
            .own(" Make the first one for a tester's phone: ")
            .code(&look.typed(&format!("{} {SAMPLE_PHONE}", Verb::New.name()))),
        Some(creators) => problem::may_create(text.own(" You cannot create one here."), creators),
    }
}

fn nothing_here(listing: &Listing) -> Mrkdwn {
    let text = Mrkdwn::new("There is nothing to show on page ").number(listing.number.into());
    match listing.page.total_pages {
        Some(1) => text.own(": the list has one page").then(&in_all(listing)).own("."),
        Some(pages) => text
            .own(": the list has ")
            .number(pages.into())
            .own(" pages")
            .then(&in_all(listing))
            .own("."),
        None => text.own("."),
    }
}

fn title(listing: &Listing) -> Mrkdwn {
    let text = Mrkdwn::new("Page ").number(listing.number.into());
    let text = match listing.page.total_pages {
        Some(pages) => text.own(" of ").number(pages.into()),
        None => text,
    };
    text.then(&in_all(listing)).own(".")
}

fn in_all(listing: &Listing) -> Mrkdwn {
    match listing.page.total_count {
        Some(1) => Mrkdwn::new(", with one session in all"),
        Some(count) => Mrkdwn::new(", with ").number(count).own(" sessions in all"),
        None => Mrkdwn::default(),
    }
}

/// The name that Kapso gives stays plain text.
fn row(session: &Session, now: Timestamp) -> Block {
    let (emoji, status) = match (&session.status, words(&session.status)) {
        (Status::Other(status), _) => ("⚪", status.as_str()),
        (_, Some(words)) => (words.emoji, words.title),
        (_, None) => ("⚪", ""),
    };
    let phone = session.phone.as_deref().map_or_else(|| "no phone".to_owned(), masked);
    let agent = session.agent.as_deref().unwrap_or("no agent");
    let [status, agent] = [status, agent].map(|words| crate::slack::text::clean(words, NAME_MAX));
    let text = Text::plain(&format!("{emoji} {status} · {phone} · {agent}"));
    let expiry = session.expires_at.map(|at| {
        let verb = if at < now { "Expired " } else { "Expires " };
        Text::mrkdwn(Mrkdwn::new(verb).date(at))
    });
    let value = ButtonValue {
        id: session.id.clone(),
        sharer: None,
    };
    let show = Button::action(Action::Show.id(), "Show", &value.to_string());
    Block::row(text, expiry, show.labelled(&format!("Show the session of {phone}")))
}

fn speak(text: Mrkdwn, session: &Session, now: Timestamp) -> Mrkdwn {
    let mut text = text.own(" The session");
    if let Some(phone) = &session.phone {
        text = text.own(" of ").foreign(&masked(phone), NAME_MAX);
    }
    if let Some(agent) = &session.agent {
        text = text.own(" with the agent ").foreign(agent, NAME_MAX);
    }
    text = match (&session.status, words(&session.status)) {
        (Status::Other(status), _) => text.own(" has the status ").foreign(status, NAME_MAX),
        (_, Some(words)) => text.own(" ").own(words.spoken),
        (_, None) => text,
    };
    if let Some(expires_at) = session.expires_at {
        let verb = if expires_at < now { " (expired " } else { " (expires " };
        text = text.own(verb).utc(expires_at).own(")");
    }
    text.own(".")
}

fn turning(listing: &Listing) -> Option<Block> {
    let turn = |action: Action, words, page| Button::action(action.id(), words, &PageValue(page).to_string());
    let back = listing.previous().map(|page| {
        let is_far = page + 1 < listing.number;
        turn(
            Action::PageBack,
            if is_far { "Last page" } else { "Previous page" },
            page,
        )
    });
    let on = listing.next().map(|page| turn(Action::Page, "Next page", page));
    Block::actions(back.into_iter().chain(on).collect())
}
