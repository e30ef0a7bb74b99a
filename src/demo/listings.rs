//! Sample data of the gallery for lists and new sessions.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::demo_server::PENDING;
use super::samples::Sample;
use crate::commands::{ConfirmationToken, Listing, NewSession, Phone, Reply, SAMPLE_PHONE};
use crate::jobs::{Created, Creation};
use crate::kapso::{AgentId, Page, Session, SessionId};

/// Pages of the list: with all that there is, in the middle of it, past its end, and of projects that have little.
pub(super) fn listings(sessions: &[Sample<Session>]) -> Vec<Sample<Listing>> {
    let all: Vec<_> = sessions.iter().map(|(_, session)| Arc::new(session.clone())).collect();
    let listing = |number, many, total_pages, total_count| Listing {
        number,
        page: Page {
            sessions: all.iter().take(many).cloned().collect(),
            count: many,
            total_pages,
            total_count,
        },
        creators: None,
    };
    let nobody = Listing {
        creators: Some(Arc::default()),
        ..listing(1, 0, Some(0), Some(0))
    };
    let odd = Listing {
        page: Page {
            sessions: all.iter().rev().take(3).cloned().collect(),
            count: 3,
            total_pages: Some(1),
            total_count: Some(3),
        },
        ..nobody.clone()
    };
    [
        ("The only page", listing(1, 4, Some(1), Some(4))),
        ("One of three pages", listing(2, 10, Some(3), Some(23))),
        (
            "Where Kapso does not say how many there are",
            listing(1, 10, None, None),
        ),
        ("With names that do not fit", odd),
        ("Past the end", listing(999, 0, Some(3), Some(23))),
        ("No sessions yet", listing(1, 0, Some(0), Some(0))),
        ("No sessions yet, and none to be created", nobody),
    ]
    .map(|(title, sample)| (title.to_owned(), sample))
    .into()
}

/// Another one for the same phone?
pub(super) fn questions(now: Timestamp) -> Vec<Sample<Reply>> {
    let ask = |title: &str, outcome| {
        let begun_at = now - SignedDuration::from_secs(20);
        let earlier = Creation { begun_at, outcome };
        wanted(Some("agent-123abc")).map(|wanted| (title.to_owned(), Reply::AskAgain { wanted, earlier }))
    };
    let created = SessionId::parse(PENDING).map(Created::Session);
    [ask("There is one", created), ask("There may be one", None)]
        .into_iter()
        .flatten()
        .collect()
}

pub(super) fn wanted(agent: Option<&str>) -> Option<NewSession> {
    Some(NewSession {
        phone: Phone::parse(SAMPLE_PHONE)?,
        agent: agent.and_then(AgentId::parse),
        answers: ConfirmationToken::parse(&"5eed".repeat(16)),
    })
}
