//! The gallery: every view in every state, drawn with sample data by the functions that draw the real ones.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::House;
use super::house::PENDING;
use crate::commands::{Allowed, Misread, Problem, Reply, Verb};
use crate::kapso::{ActivationLink, NotWhatsApp, Session, SessionId, Status};
use crate::slack::UserId;
use crate::views::{self, Look, Place};

/// Views that belong together.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    title: &'static str,
    views: Vec<View>,
}

/// One view in one state.
#[derive(Debug, Serialize)]
struct View {
    title: String,
    message: Value,
}

/// What a view is drawn from, with a title.
type Sample<T> = (String, T);

/// Lists samples, pattern by pattern. The patterns make up a `match`, so that a variant that nobody gave samples does
/// not compile.
macro_rules! samples {
    ($type:ty { $($pattern:pat => $samples:expr),+ $(,)? }) => {{
        let _complete = |one: &$type| match one { $($pattern => ()),+ };
        vec![$({
            let samples: Vec<Sample<$type>> = $samples.into_iter().map(titled).collect();
            debug_assert!(!samples.is_empty() && samples.iter().all(|(_, sample)| matches!(sample, $pattern)));
            samples
        }),+]
    }};
}

fn titled<T>((title, sample): (impl Into<String>, T)) -> Sample<T> {
    (title.into(), sample)
}

/// Every view, as it is drawn at `now`.
pub(super) fn groups(now: Timestamp) -> Vec<Group> {
    let card = |(title, session), sharer| {
        let session = Arc::new(session);
        (title, Reply::Session { session, sharer })
    };
    let shared = sessions(now)
        .into_iter()
        .map(|sample| card(sample, UserId::parse("U2147483697")))
        .collect();
    let all = samples!(Reply {
        Reply::Session { .. } => sessions(now).into_iter().map(|sample| card(sample, None)),
        Reply::Help => [("Help", Reply::Help)],
        Reply::Coming(_) => [Verb::List, Verb::New, Verb::Watch].map(|verb| (verb.name(), Reply::Coming(verb))),
        Reply::Misread(_) => misread().into_iter().map(|(title, sample)| (title, Reply::Misread(sample))),
        Reply::Problem(_) => problems().into_iter().map(|(title, sample)| (title, Reply::Problem(sample))),
    });
    let mut groups: Vec<_> = all
        .into_iter()
        .map(|samples| group(samples, Place::Command, now))
        .collect();
    groups.insert(1, group(shared, Place::SharedCard, now));
    groups
}

fn group(samples: Vec<Sample<Reply>>, place: Place, now: Timestamp) -> Group {
    let title = match samples.first() {
        Some((_, Reply::Session { .. })) if place == Place::SharedCard => "A session, shared with a channel",
        Some((_, Reply::Session { .. })) => "A session",
        Some((_, Reply::Help)) | None => "Help",
        Some((_, Reply::Coming(_))) => "What comes in a later version",
        Some((_, Reply::Misread(_))) => "What was not understood",
        Some((_, Reply::Problem(_))) => "What went wrong",
    };
    let look = Look {
        now,
        command: House::COMMAND,
        request_id: "9f3c07ab",
        place,
    };
    let view = |(title, reply)| View {
        title,
        message: serde_json::from_slice(&views::draw(&reply, &look).to_json()).unwrap_or_default(),
    };
    Group {
        title,
        views: samples.into_iter().map(view).collect(),
    }
}

fn misread() -> Vec<Sample<Misread>> {
    samples!(Misread {
        Misread::DidYouMean { .. } => [
            ("A verb with a slip", Misread::DidYouMean { instead: "help".to_owned(), as_id: id("helpp") }),
            ("An id among other words", Misread::DidYouMean { instead: format!("show {PENDING}"), as_id: None }),
        ],
        Misread::NoId => [("No id in it", Misread::NoId)],
    })
    .concat()
}

fn problems() -> Vec<Sample<Problem>> {
    let on_lists = |teams: Option<&str>, channels: Option<&str>, users: Option<&str>| {
        let list = |ids: Option<&str>| Some(ids?.split(' ').map(str::to_owned).collect());
        Problem::NotAllowed(Arc::new(Allowed {
            teams: list(teams),
            channels: list(channels),
            users: list(users),
        }))
    };
    samples!(Problem {
        Problem::NotFound(_) => id(PENDING).map(|id| ("No such session", Problem::NotFound(id))),
        Problem::KeyRefused => [("The key is refused", Problem::KeyRefused)],
        Problem::Limited { .. } => [(
            "The rate limit is used up",
            Problem::Limited { retry_after: Duration::from_secs(42) },
        )],
        Problem::NoAnswer => [("Kapso does not answer", Problem::NoAnswer)],
        Problem::Unintelligible => [("Kapso answers with something else", Problem::Unintelligible)],
        Problem::NotAllowed(_) => [
            ("Open to some people", on_lists(None, None, Some("U2147483697 W012A3CDE"))),
            ("Open in some channels", on_lists(None, Some("C2147483705"), None)),
            ("Open to some workspaces", on_lists(Some("T0001ABCD"), None, None)),
        ],
        Problem::StaleButton => [("A button of another version", Problem::StaleButton)],
        Problem::Stopping => [("The app is stopping", Problem::Stopping)],
        Problem::Broken => [("The app is broken", Problem::Broken)],
    })
    .concat()
}

/// Sessions in every status, and with everything that can be odd about one.
fn sessions(now: Timestamp) -> Vec<Sample<Session>> {
    let Some(id) = id(PENDING) else {
        return Vec::new();
    };
    let usual = Session {
        id,
        status: Status::Pending,
        phone: Some("+12345678901".to_owned()),
        activation_code: Some("ABC123".to_owned()),
        activation_link: Some(ActivationLink::parse("https://wa.me/12345678901?text=ABC123")),
        agent: Some("Customer Support Agent".to_owned()),
        created_at: Some(now),
        activated_at: None,
        expires_at: Some(now + SignedDuration::from_hours(24)),
    };
    let statuses = samples!(Status {
        Status::Pending => [("Waiting for activation", Status::Pending)],
        Status::Active => [("Active", Status::Active)],
        Status::Expired => [("Expired", Status::Expired)],
        Status::Superseded => [("Superseded", Status::Superseded)],
        Status::Other(_) => [("A status that Kapso has added", Status::Other("paused_by_operator".to_owned()))],
    });
    let mut sessions: Vec<_> = statuses
        .concat()
        .into_iter()
        .map(|(title, status)| {
            let expires_at = match status {
                Status::Expired => now - SignedDuration::from_mins(30),
                _ => now + SignedDuration::from_hours(24),
            };
            let session = Session {
                status,
                expires_at: Some(expires_at),
                ..usual.clone()
            };
            (title, session)
        })
        .collect();
    let odd = |title: &str, change: &dyn Fn(&mut Session)| {
        let mut session = usual.clone();
        change(&mut session);
        (title.to_owned(), session)
    };
    sessions.extend([
        odd("Waiting for longer than a code works", &|session| {
            session.created_at = Some(now - SignedDuration::from_mins(20));
        }),
        odd("With a link that is not WhatsApp's", &|session| {
            session.activation_link = Some(Err(NotWhatsApp));
        }),
        odd("Without a link", &|session| session.activation_link = None),
        odd("With no more than Kapso promises", &|session| {
            *session = Session {
                phone: None,
                activation_code: None,
                activation_link: None,
                agent: None,
                created_at: None,
                expires_at: None,
                ..usual.clone()
            };
        }),
        odd("With a name that tries to act", &|session| {
            session.agent = Some(HOSTILE.to_owned());
        }),
        odd("With a name that does not end", &|session| {
            session.agent = Some("Customer Support ".repeat(40));
        }),
    ]);
    sessions
}

/// A name with every kind of markup in it.
const HOSTILE: &str =
    "<!channel> *bold* `code` <https://evil.example|click> <script>alert(1)</script> &lt;b&gt; \u{202e}txet";

fn id(text: &str) -> Option<SessionId> {
    SessionId::parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::rules;

    #[test]
    fn every_view_keeps_slacks_rules_and_has_a_title_of_its_own() {
        let groups = groups("2026-11-23T10:00:00Z".parse().unwrap());
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
