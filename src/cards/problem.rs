//! A fault as a sentence: what happened, what to do, and the words to find it in the operator's log.

use super::RenderContext;
use crate::commands::{NewSession, Problem, Verb};
use crate::config::{AccessLists, Creators};
use crate::slack::UserId;
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// How many people or channels are named to somebody who is not on a list.
const NAMED_MAX: usize = 10;

/// Draws a fault.
pub(super) fn problem(problem: &Problem, look: &RenderContext<'_>) -> Message {
    with_request(sentence(problem, look), look)
}

/// A sentence, with the words to find it in the operator's log.
pub(super) fn with_request(text: Mrkdwn, look: &RenderContext<'_>) -> Message {
    let request = Mrkdwn::new("Request ").code(look.request_id);
    let blocks = [Block::section(Text::mrkdwn(text.clone()))]
        .into_iter()
        .chain(Block::context(vec![Text::mrkdwn(request)]));
    Message::ephemeral(text, blocks.collect())
}

fn sentence(problem: &Problem, look: &RenderContext<'_>) -> Mrkdwn {
    match problem {
        Problem::NotFound(id) => {
            // Another word may be anything, such as a code or a phone number typed by mistake.
            let text = if id.is_uuid() {
                Mrkdwn::new("There is no session ").code(id.as_str())
            } else {
                Mrkdwn::new("There is no session with this id")
            };
            text.own(" in this app's Kapso project. Check the id, and whether it belongs to another project.")
        }
        Problem::KeyRefused => Mrkdwn::new(
            "Kapso refused this app's key, so nothing can be looked up or created. Please tell whoever runs this app.",
        ),
        Problem::Limited { retry_after } => Mrkdwn::new("Kapso is limiting this app's requests. Try again in ")
            .number(retry_after.as_secs().max(1))
            .own(" s."),
        Problem::NoAnswer => Mrkdwn::new("Kapso did not answer. Nothing was changed; try again in a moment."),
        Problem::Unintelligible => {
            Mrkdwn::new("Kapso answered in a way this app does not know. Please tell whoever runs this app.")
        }
        Problem::NotAllowed(allowed) => not_allowed(allowed),
        Problem::TooManyWatches { mine: Some(mine) } => Mrkdwn::new("You watch ").number(u64::from(*mine)).own(
            " sessions already, as many as one person may. Press Stop watching on one of them, or wait until one ends.",
        ),
        Problem::TooManyWatches { mine: None } => Mrkdwn::new(
            "So many sessions are watched just now that no other can be. Try again in some minutes, or use Refresh.",
        ),
        Problem::MayNotCreate(allowed) => may_create(Mrkdwn::new("You cannot create sessions here."), allowed),
        Problem::NotAccepted(wanted) => not_accepted(wanted),
        Problem::Unsure => Mrkdwn::new("Kapso did not confirm it: the session may have been created, or not. Look at ")
            .code(&look.typed(Verb::List.name()))
            .own(" before you try again."),
        Problem::CameToNothing => Mrkdwn::new(
            "This very request was here before, and nothing was created then. Type the command once more to try again.",
        ),
        Problem::NoLetterbox => Mrkdwn::new(
            "This app could not tell you here: it posts nothing to the address that Slack gave with your request. \
             Nothing was begun. Please tell whoever runs this app.",
        ),
        Problem::NoStore => Mrkdwn::new(
            "This app cannot remember anything just now, so it did not even begin: it keeps no watch, and creates no \
             session of which it cannot make sure that there will be only one. Try again in a minute; if it happens \
             again, please tell whoever runs this app.",
        ),
        Problem::StaleButton => {
            Mrkdwn::new("This button is too old, or from another version of the app. Type the command again.")
        }
        Problem::Stopping => {
            Mrkdwn::new("The app is just being restarted. Nothing was done; try again in a few seconds.")
        }
        Problem::Broken => Mrkdwn::new(
            "This app has made a mistake, and there is no answer. Try again; if it happens again, \
             please tell whoever runs this app.",
        ),
    }
}

fn not_allowed(allowed: &AccessLists) -> Mrkdwn {
    let mut text = Mrkdwn::new("You cannot use this here.");
    if let Some(users) = &allowed.users {
        text = people(text.own(" It is open to "), users).own(".");
    }
    if let Some((named, more)) = allowed.channels.as_deref().map(named) {
        text = text.own(" It works in ");
        for (place, channel) in named.iter().enumerate() {
            text = text.own(comma(place)).channel(channel);
        }
        text = text.own(more).own(".");
    }
    if allowed.teams.is_some() {
        text = text.own(" It is meant for certain workspaces only.");
    }
    text.own(" Whoever runs this app can change that.")
}

/// Adds who may create sessions, for somebody who may not.
pub(super) fn may_create(text: Mrkdwn, allowed: &AccessLists) -> Mrkdwn {
    let text = match &allowed.creators {
        Creators::Only(users) if users.is_empty() => text.own(" Nobody can: they are made in Kapso."),
        Creators::Only(users) => people(text.own(" Ask one of those who can: "), users).own("."),
        // Then there is nobody to read this.
        Creators::Everyone => text,
    };
    text.own(" Whoever runs this app can change that.")
}

fn not_accepted(wanted: &NewSession) -> Mrkdwn {
    let text = Mrkdwn::new("Kapso does not create a session for ").code(wanted.phone.as_str());
    match &wanted.agent {
        Some(agent) => text
            .own(" with the agent ")
            .code(agent.as_str())
            .own(". Check the number, and whether the agent is one of this app's Kapso project."),
        None => text.own(". Check the number: it must be one that WhatsApp reaches."),
    }
}

fn people(mut text: Mrkdwn, users: &[String]) -> Mrkdwn {
    let (named, more) = named(users);
    for (place, user) in named.iter().filter_map(|id| UserId::parse(id)).enumerate() {
        text = text.own(comma(place)).person(&user);
    }
    text.own(more)
}

fn named(list: &[String]) -> (&[String], &'static str) {
    let more = if list.len() > NAMED_MAX { " and others" } else { "" };
    (&list[..list.len().min(NAMED_MAX)], more)
}

fn comma(place: usize) -> &'static str {
    if place == 0 { "" } else { ", " }
}
