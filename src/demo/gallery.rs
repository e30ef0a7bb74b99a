//! The gallery: every view in every state, drawn with sample data by the functions that draw the real ones.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::DemoServer;
use super::listings::{listings, questions};
use super::samples::{Sample, misread, problems, samples, sessions, titled, usual};
use crate::cards::{self, Notice, RenderContext, ReplyTarget};
use crate::commands::Reply;
use crate::jobs::watch::{GOODBYE, News};
use crate::kapso::Session;
use crate::qr::{self, Addresses};
use crate::slack::UserId;
use crate::slack::message::Message;

/// Views that belong together.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    title: &'static str,
    pub(super) views: Vec<View>,
}

/// One view in one state.
#[derive(Debug, Serialize)]
pub(super) struct View {
    title: String,
    pub(super) message: Value,
    /// The addresses of the pictures that can be shown.
    pub(super) pictures: Value,
}

/// Every view, as it is drawn at `now`, with QR codes at `addresses`.
pub(super) fn groups(now: Timestamp, addresses: &Addresses) -> Vec<Group> {
    let card = |(title, session)| {
        let reply = Reply::Session {
            session: Arc::new(session),
            watched_until: None,
        };
        (title, reply)
    };
    let redrawn = sessions(now).into_iter().map(card).collect();
    let sharer = UserId::parse("U2147483697");
    let look = |place| RenderContext {
        now,
        command: DemoServer::COMMAND,
        request_id: "9f3c07ab",
        place,
        sharer: None,
        qr: Some(addresses),
    };
    let for_all = RenderContext {
        sharer: sharer.as_ref(),
        ..look(ReplyTarget::SharedCard)
    };
    let all = samples!(Reply {
        Reply::Session { .. } => sessions(now).into_iter().map(card),
        Reply::Watching { .. } => watched(now),
        Reply::Unwatched { .. } => unwatched(now),
        Reply::Qr { .. } => sessions(now).into_iter().find_map(with_qr),
        Reply::Shared { .. } => shared(now, "For everybody", None),
        Reply::List(_) => listings(&sessions(now)).into_iter().map(|(title, sample)| (title, Reply::List(sample))),
        Reply::Created(_) => usual(now).map(|session| ("Created", Reply::Created(Arc::new(session)))),
        Reply::AskAgain { .. } => questions(now),
        Reply::Help { .. } => [
            ("Help", Reply::Help { creates: true }),
            ("For somebody who may not create sessions", Reply::Help { creates: false }),
        ],
        Reply::ParseError(_) => misread().into_iter().map(|(title, sample)| (title, Reply::ParseError(sample))),
        Reply::Problem(_) => problems().into_iter().map(|(title, sample)| (title, Reply::Problem(sample))),
    });
    let mut groups: Vec<_> = all
        .into_iter()
        .map(|samples| group(samples, &look(ReplyTarget::Command)))
        .collect();
    groups.insert(1, group(redrawn, &for_all));
    groups.push(notices(&look(ReplyTarget::Command)));
    groups.push(follow_ups(&look(ReplyTarget::OwnCard)));
    groups
}

fn group(samples: Vec<Sample<Reply>>, look: &RenderContext<'_>) -> Group {
    let title = match samples.first() {
        Some((_, Reply::Session { .. })) if look.place == ReplyTarget::SharedCard => {
            "A session, refreshed where it was shared"
        }
        Some((_, Reply::Session { .. })) => "A session",
        Some((_, Reply::Watching { .. })) => "A session that is watched",
        Some((_, Reply::Unwatched { .. })) => "A session that is watched no longer",
        Some((_, Reply::Qr { .. })) => "A QR code",
        Some((_, Reply::Shared { .. })) => "Sharing a session with a channel",
        Some((_, Reply::List(_))) => "The list of sessions",
        Some((_, Reply::Created(_))) => "A new session",
        Some((_, Reply::AskAgain { .. })) => "Another session for the same phone",
        Some((_, Reply::Help { .. })) | None => "Help",
        Some((_, Reply::ParseError(_))) => "What was not understood",
        Some((_, Reply::Problem(_))) => "What went wrong",
    };
    let view = |(title, reply)| shown(title, &cards::draw(&reply, look));
    Group {
        title,
        views: samples.into_iter().map(view).collect(),
    }
}

fn with_qr((_, session): Sample<Session>) -> Option<Sample<Reply>> {
    let link = qr::activation_link(&session)?.clone();
    let session = Arc::new(session);
    Some(("For the tester's phone".to_owned(), Reply::Qr { session, link }))
}

fn shown(title: String, message: &Message) -> View {
    View {
        title,
        message: serde_json::from_slice(&message.to_json()).unwrap_or_default(),
        pictures: Value::Null,
    }
}

fn watched(now: Timestamp) -> Vec<Sample<Reply>> {
    let reply = |session, until| Reply::Watching { session, until };
    let of = |session| ("From now on", reply(Arc::new(session), now + GOODBYE));
    usual(now).map(of).into_iter().map(titled).collect()
}

fn unwatched(now: Timestamp) -> Vec<Sample<Reply>> {
    let of = |session: Session| {
        let id = session.id.clone();
        let told = Some(Arc::new(session));
        [
            (
                "No longer",
                Reply::Unwatched {
                    id: id.clone(),
                    session: told,
                },
            ),
            (
                "No longer, and Kapso does not answer",
                Reply::Unwatched { id, session: None },
            ),
        ]
    };
    usual(now).map(of).into_iter().flatten().map(titled).collect()
}

fn shared(now: Timestamp, title: &str, watched_until: Option<Timestamp>) -> Option<Sample<Reply>> {
    let reply = Reply::Shared {
        session: Arc::new(usual(now)?),
        sharer: UserId::parse("U2147483697")?,
        watched_until,
    };
    Some(titled((title, reply)))
}

/// What follows the replies that something follows.
fn follow_ups(look: &RenderContext<'_>) -> Group {
    let samples = [
        (shared(look.now, "It was shared", None), true),
        (
            shared(look.now, "It was shared, and is watched", Some(look.now + GOODBYE)),
            true,
        ),
        (shared(look.now, "Slack did not take it", None), false),
    ];
    let view = |(sample, taken): (Option<Sample<Reply>>, bool)| {
        let (title, reply) = sample?;
        Some(shown(title, &cards::follow_up(&reply, taken, look)?))
    };
    Group {
        title: "What a sharer reads",
        views: samples.into_iter().filter_map(view).collect(),
    }
}

/// Every end of a watch.
fn notices(look: &RenderContext<'_>) -> Group {
    let news = samples!(News {
        News::Activated => [("Activated", News::Activated)],
        News::Expired => [("Expired", News::Expired)],
        News::Superseded => [("Superseded", News::Superseded)],
        News::Gone => [("Gone", News::Gone)],
    });
    let told = news.concat().into_iter().map(|(title, news)| (title, Some(news)));
    let all = told.chain([titled(("Nothing in half an hour", None))]);
    let session = usual(look.now);
    let view = |(title, news)| {
        let session = session.as_ref()?;
        let notice = Notice {
            news,
            id: &session.id,
            session: Some(session),
            created_at: Some(look.now - SignedDuration::from_mins(3)),
        };
        Some(shown(title, &cards::notice(&notice, look)))
    };
    Group {
        title: "What a watch ends with",
        views: all.filter_map(view).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::rules;

    #[test]
    fn every_view_keeps_slacks_rules_and_has_a_title_of_its_own() {
        let addresses = Addresses::new("http://127.0.0.1".parse().unwrap(), &["secret".into()]);
        let groups = groups("2026-11-23T10:00:00Z".parse().unwrap(), &addresses);
        for group in &groups {
            let mut titles: Vec<_> = group.views.iter().map(|view| &view.title).collect();
            assert!(!titles.is_empty(), "{} has views", group.title);
            titles.sort();
            titles.dedup();
            assert_eq!(titles.len(), group.views.len(), "{}", group.title);
            for view in &group.views {
                assert_eq!(rules::broken(&view.message), Vec::<String>::new(), "{}", view.title);
            }
        }
        let mut titles: Vec<_> = groups.iter().map(|group| group.title).collect();
        titles.dedup();
        assert_eq!(titles.len(), groups.len(), "every group is of another kind");
    }
}
