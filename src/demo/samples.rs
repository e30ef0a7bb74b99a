//! Sample data for the gallery: every fault, every slip, and sessions in every state.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::demo_server::PENDING;
use super::listings::wanted;
use crate::commands::{ParseError, Problem, Verb};
use crate::config::{AccessLists, Creators};
use crate::kapso::{ActivationLink, NotWhatsApp, Session, SessionId, Status};

/// What a view is drawn from, with a title.
pub(super) type Sample<T> = (String, T);

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

pub(super) use samples;

pub(super) fn titled<T>((title, sample): (impl Into<String>, T)) -> Sample<T> {
    (title.into(), sample)
}

pub(super) fn misread() -> Vec<Sample<ParseError>> {
    samples!(ParseError {
        ParseError::DidYouMean { .. } => [
            ("A verb with a slip", ParseError::DidYouMean { instead: "help".to_owned(), as_id: id("helpp") }),
            ("An id among other words", ParseError::DidYouMean { instead: format!("show {PENDING}"), as_id: None }),
        ],
        ParseError::NoId(_) => [
            ("No id in it", ParseError::NoId(Verb::Show)),
            ("Nothing to watch in it", ParseError::NoId(Verb::Watch)),
        ],
        ParseError::NoPage => [("No page of the list", ParseError::NoPage)],
        ParseError::NoPhone => [("No phone number", ParseError::NoPhone)],
    })
    .concat()
}

pub(super) fn problems() -> Vec<Sample<Problem>> {
    let on_lists = |teams: Option<&str>, channels: Option<&str>, users: Option<&str>| {
        let list = |ids: Option<&str>| Some(ids?.split(' ').map(str::to_owned).collect());
        Problem::NotAllowed(Arc::new(AccessLists {
            teams: list(teams),
            channels: list(channels),
            users: list(users),
            creators: Creators::default(),
        }))
    };
    let created_by = |people: &[&str]| {
        Problem::MayNotCreate(Arc::new(AccessLists {
            creators: Creators::Only(people.iter().copied().map(str::to_owned).collect()),
            ..AccessLists::default()
        }))
    };
    let not_accepted = |agent| wanted(agent).into_iter().map(Problem::NotAccepted);
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
        Problem::TooManyWatches { .. } => [
            ("One person watches too much", Problem::TooManyWatches { mine: Some(20) }),
            ("All watch too much", Problem::TooManyWatches { mine: None }),
        ],
        Problem::MayNotCreate(_) => [
            ("Nobody creates sessions", created_by(&[])),
            ("Some people create sessions", created_by(&["U2147483697", "W012A3CDE"])),
        ],
        Problem::NotAccepted(_) => not_accepted(None)
            .map(|problem| ("Kapso does not take the number", problem))
            .chain(not_accepted(Some("agent-123abc")).map(|problem| ("Kapso does not take number or agent", problem))),
        Problem::Unsure => [("Nobody knows whether it was created", Problem::Unsure)],
        Problem::CameToNothing => [("The same request again", Problem::CameToNothing)],
        Problem::NoStore => [("The store does not work", Problem::NoStore)],
        Problem::NoLetterbox => [("Nothing could be posted later", Problem::NoLetterbox)],
        Problem::StaleButton => [("A button of another version", Problem::StaleButton)],
        Problem::Stopping => [("The app is stopping", Problem::Stopping)],
        Problem::Broken => [("The app is broken", Problem::Broken)],
    })
    .concat()
}

/// Sessions in every status, and with everything that can be odd about one.
pub(super) fn sessions(now: Timestamp) -> Vec<Sample<Session>> {
    let Some(usual) = usual(now) else {
        return Vec::new();
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

/// A session as most are.
pub(super) fn usual(now: Timestamp) -> Option<Session> {
    Some(Session {
        id: id(PENDING)?,
        status: Status::Pending,
        phone: Some("+12345678901".to_owned()),
        activation_code: Some("ABC123".to_owned()),
        activation_link: Some(ActivationLink::parse("https://wa.me/12345678901?text=ABC123")),
        agent: Some("Customer Support Agent".to_owned()),
        created_at: Some(now),
        activated_at: None,
        expires_at: Some(now + SignedDuration::from_hours(24)),
    })
}

/// A name with every kind of markup in it.
const HOSTILE: &str =
    "<!channel> *bold* `code` <https://evil.example|click> <script>alert(1)</script> &lt;b&gt; \u{202e}txet";

fn id(text: &str) -> Option<SessionId> {
    SessionId::parse(text)
}
