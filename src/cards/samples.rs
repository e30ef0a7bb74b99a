//! Sample data and samples of what several commands render, for the gallery.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::sentence::fill;
use super::{Notification, Problem, RenderContext, View, notification, problem};
use crate::config::{AccessLists, Creators};
use crate::kapso::{ActivationLink, AgentId, NotWhatsApp, Session, SessionId, Status};
use crate::slack::blocks::{Block, Text};
use crate::slack::form::{FieldErrors, Form};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;
use crate::slack::web_api::Refusal;
use crate::watches::policy::{Change, News};

/// Kapso's published sample of a session id.
pub(crate) const SAMPLE_ID: &str = "123e4567-e89b-12d3-a456-426614174000";

/// A person for samples.
pub(crate) const SAMPLE_USER: &str = "U2147483697";

/// A name with every kind of markup in it.
const HOSTILE: &str =
    "<!channel> *bold* `code` <https://evil.example|click> <script>alert(1)</script> &lt;b&gt; \u{202e}txet";

/// Messages that belong together in the gallery.
#[derive(Debug)]
pub(crate) struct SampleGroup {
    pub(crate) title: &'static str,
    pub(crate) samples: Vec<(String, Message)>,
    /// Forms, with the errors that they show.
    pub(crate) forms: Vec<(String, Form, Option<FieldErrors>)>,
}

impl SampleGroup {
    pub(crate) fn new(
        title: &'static str,
        samples: impl IntoIterator<Item = (impl Into<String>, View)>,
        context: &RenderContext<'_>,
    ) -> Self {
        let sample = |(title, view): (_, View)| (Into::into(title), view.into_message(context));
        Self {
            title,
            samples: samples.into_iter().map(sample).collect(),
            forms: Vec::new(),
        }
    }

    pub(crate) fn with_forms(
        self,
        forms: impl IntoIterator<Item = (impl Into<String>, Form, Option<FieldErrors>)>,
    ) -> Self {
        let form = |(title, form, errors): (_, _, _)| (Into::into(title), form, errors);
        Self {
            forms: forms.into_iter().map(form).collect(),
            ..self
        }
    }
}

/// Lists sample values of an enum, pattern by pattern, with their titles. A variant without samples does not compile.
macro_rules! sample_values {
    ($type:ty { $($pattern:pat => $samples:expr),+ $(,)? }) => {{
        let _complete = |one: &$type| match one { $($pattern => ()),+ };
        let mut all: Vec<(String, $type)> = Vec::new();
        $({
            let before = all.len();
            all.extend($samples.into_iter().map(|(title, value)| (String::from(title), value)));
            debug_assert!(all.len() > before && all[before..].iter().all(|(_, value)| matches!(value, $pattern)));
        })+
        all
    }};
}

pub(crate) use sample_values;

pub(crate) fn sample_id() -> Option<SessionId> {
    SessionId::parse(SAMPLE_ID)
}

/// Every problem.
pub(crate) fn problems(context: &RenderContext<'_>) -> SampleGroup {
    let on_lists = |teams: Option<&str>, channels: Option<&str>, users: Option<&str>| {
        let list = |ids: Option<&str>| Some(ids?.split(' ').map(str::to_owned).collect());
        Problem::NotAllowed(Arc::new(AccessLists {
            teams: list(teams),
            channels: list(channels),
            users: list(users),
        }))
    };
    let created_by =
        |people: &[&str]| Problem::MayNotCreate(Creators::Only(people.iter().copied().map(str::to_owned).collect()));
    let problems = sample_values!(Problem {
        Problem::NotFound(_) => [
            ("No such session", SAMPLE_ID),
            ("No such session, and the ID is not a UUID", "agent-7"),
            ("No such session, perhaps a code", "ABC123"),
            ("No such session, perhaps a phone number", "1812345678"),
        ]
            .into_iter()
            .filter_map(|(title, id)| Some((title, Problem::NotFound(SessionId::parse(id)?)))),
        Problem::KeyRefused => [("The key is refused", Problem::KeyRefused)],
        Problem::Limited { .. } => [(
            "The rate limit is used up",
            Problem::Limited { retry_after: Duration::from_secs(42) },
        )],
        Problem::NoAnswer => [("Kapso does not answer", Problem::NoAnswer)],
        Problem::KapsoError => [("Kapso has an error", Problem::KapsoError)],
        Problem::Unintelligible => [("Kapso sends an unexpected response", Problem::Unintelligible)],
        Problem::Moved => [("Kapso has moved its API", Problem::Moved)],
        Problem::NotAllowed(_) => [
            ("Open to some people", on_lists(None, None, Some("U2147483697 W012A3CDE"))),
            ("Open to more people than are named", on_lists(None, None, Some(&["U2147483697"; 11].join(" ")))),
            ("Open in some channels", on_lists(None, Some("C2147483705"), None)),
            ("Open to some workspaces", on_lists(Some("T0001ABCD"), None, None)),
        ],
        Problem::MayNotCreate(_) => [
            ("Nobody creates sessions", created_by(&[])),
            ("Some people create sessions", created_by(&["U2147483697", "W012A3CDE"])),
        ],
        Problem::ProjectUnavailable => [("The project is no longer set up", Problem::ProjectUnavailable)],
        Problem::NoProjectHere => [("No project may be used here", Problem::NoProjectHere)],
        Problem::NoStore => [("The database does not work", Problem::NoStore)],
        Problem::ResponseUrlNotAllowed => [("Nothing could be posted later", Problem::ResponseUrlNotAllowed)],
        Problem::Unsure => [("It is unknown whether it was created", Problem::Unsure)],
        Problem::StaleButton => [("A button of another version", Problem::StaleButton)],
        Problem::Stopping => [("The app is stopping", Problem::Stopping)],
        Problem::Broken => [("The app is broken", Problem::Broken)],
    });
    let view = |(title, problem)| (title, problem::render(&problem, context));
    SampleGroup::new("What went wrong", problems.into_iter().map(view), context)
}

/// Every notification of a watch.
pub(crate) fn notifications(context: &RenderContext<'_>) -> SampleGroup {
    let changed = News::Changed;
    let endings = sample_values!(News {
        News::Changed(Change::Activated) => [("Activated", changed(Change::Activated))],
        News::Changed(Change::Expired) => [("Expired", changed(Change::Expired))],
        News::Changed(Change::Superseded) => [("Superseded", changed(Change::Superseded))],
        News::Changed(Change::Gone) => [("Gone", changed(Change::Gone))],
        News::ExpiresSoon => [("It expires soon (a direct message)", News::ExpiresSoon)],
        News::TimeUp => [("The time is up", News::TimeUp)],
        News::ProjectUnavailable => [("The project is no longer set up", News::ProjectUnavailable)],
    });
    let usual = usual_session(context.now);
    let ago = |hours| Some(context.now - SignedDuration::from_hours(hours));
    let recently = Some(context.now - SignedDuration::from_mins(3));
    let activated = |title: &str, created_at| (title.to_owned(), changed(Change::Activated), usual.clone(), created_at);
    let was_active = |session| Session {
        status: Status::Expired,
        activated_at: Some(context.now - SignedDuration::from_mins(2)),
        ..session
    };
    let all = endings
        .into_iter()
        .map(|(title, ending)| (title, ending, usual.clone(), recently))
        .chain([
            activated("Activated after an hour", ago(1)),
            activated("Activated after three days", ago(72)),
            activated("Activated, and Kapso did not say when it was created", None),
            (
                "The time is up, and it is active".to_owned(),
                News::TimeUp,
                usual.clone().map(|session| Session {
                    status: Status::Active,
                    ..session
                }),
                recently,
            ),
            (
                "Expired after it was active".to_owned(),
                changed(Change::Expired),
                usual.clone().map(was_active),
                recently,
            ),
        ]);
    let message = |(title, ending, session, created_at): (String, News, Option<Session>, _)| {
        let session = session.as_ref()?;
        let notification = Notification {
            news: ending,
            id: &session.id,
            session: Some(session),
            created_at,
            expires_at: session.expires_at,
            is_direct: false,
            goes_on: false,
        };
        Some((title, notification::render(&notification, context)))
    };
    let unseen = usual.as_ref().map(|session| {
        let notification = Notification {
            news: News::TimeUp,
            id: &session.id,
            session: None,
            created_at: None,
            expires_at: None,
            is_direct: false,
            goes_on: false,
        };
        let title = "The time is up, and Kapso never answered".to_owned();
        let direct = Notification {
            is_direct: true,
            ..notification
        };
        [
            (title, notification::render(&notification, context)),
            (
                "A week is over, and Kapso never answered".to_owned(),
                notification::render(&direct, context),
            ),
        ]
    });
    SampleGroup {
        title: "Notifications of a watch",
        samples: all
            .filter_map(message)
            .chain(unseen.into_iter().flatten())
            .chain(usual.iter().flat_map(|usual| direct_messages(usual, context)))
            .collect(),
        forms: Vec::new(),
    }
}

/// The notifications that differ as direct messages, and those that Slack refused.
fn direct_messages(session: &Session, context: &RenderContext<'_>) -> Vec<(String, Message)> {
    let activated = News::Changed(Change::Activated);
    let message = |news| {
        let notification = Notification {
            news,
            id: &session.id,
            session: Some(session),
            created_at: session.created_at,
            expires_at: None,
            is_direct: true,
            goes_on: news != News::TimeUp,
        };
        notification::render(&notification, context)
    };
    let told = [
        ("Activated, as a direct message", activated),
        ("It expires soon, and Kapso does not say when", News::ExpiresSoon),
        ("A week is over", News::TimeUp),
    ];
    let told = told.map(|(title, news)| (title.to_owned(), message(news)));
    let refusals = Refusal::samples().into_iter().map(|refusal| (refusal, None));
    let goes_on = [Some(true), Some(false)].map(|goes_on| (Refusal::CannotDmBot, goes_on));
    let refused = refusals.chain(goes_on).map(|(refusal, goes_on)| {
        let why = || Mrkdwn::new(notification::why_not_direct(&refusal, goes_on));
        let message = message(activated).labelled(
            fill("{why} ", [("why", why())]),
            Block::context(vec![Text::mrkdwn(why())]),
        );
        let then = match goes_on {
            None => "",
            Some(true) => ", and the watch goes on",
            Some(false) => ", and the watch ends",
        };
        (format!("Slack refused the direct message: {refusal}{then}"), message)
    });
    told.into_iter().chain(refused).collect()
}

/// Sessions in every status, and with unusual fields.
pub(crate) fn sessions(now: Timestamp) -> Vec<(String, Session)> {
    let Some(usual) = usual_session(now) else {
        return Vec::new();
    };
    let statuses = sample_values!(Status {
        Status::Pending => [("Waiting for activation", Status::Pending)],
        Status::Active => [("Active", Status::Active)],
        Status::Expired => [("Expired", Status::Expired)],
        Status::Superseded => [("Superseded", Status::Superseded)],
        Status::Other(_) => [("A status that Kapso has added", Status::Other("paused_by_operator".to_owned()))],
    });
    let mut sessions: Vec<_> = statuses
        .into_iter()
        .map(|(title, status)| {
            let expires_at = match status {
                Status::Expired => now - SignedDuration::from_mins(30),
                Status::Pending | Status::Active | Status::Superseded | Status::Other(_) => {
                    now + SignedDuration::from_hours(24)
                }
            };
            let session = Session {
                status,
                expires_at: Some(expires_at),
                ..usual.clone()
            };
            (title, session)
        })
        .collect();
    let changed = |title: &str, change: &dyn Fn(&mut Session)| {
        let mut session = usual.clone();
        change(&mut session);
        (title.to_owned(), session)
    };
    sessions.extend([
        changed("Pending for longer than a code is valid", &|session| {
            session.created_at = Some(now - SignedDuration::from_mins(20));
        }),
        changed("Past its expiry, and still pending in Kapso", &|session| {
            session.expires_at = Some(now - SignedDuration::from_mins(5));
        }),
        changed("Past its expiry, and still active in Kapso", &|session| {
            session.status = Status::Active;
            session.expires_at = Some(now - SignedDuration::from_mins(5));
        }),
        changed("Without an end in sight", &|session| {
            session.expires_at = Some(Timestamp::MAX);
        }),
        changed("With a link that is not WhatsApp's", &|session| {
            session.activation_link = Some(Err(NotWhatsApp));
        }),
        changed("With a link that is not WhatsApp's, and without a code", &|session| {
            session.activation_link = Some(Err(NotWhatsApp));
            session.activation_code = None;
        }),
        changed("Without a link", &|session| session.activation_link = None),
        changed("Without a phone number", &|session| session.phone = None),
        changed("With the required fields only", &|session| {
            *session = Session {
                phone: None,
                activation_code: None,
                activation_link: None,
                agent: None,
                agent_id: None,
                created_at: None,
                expires_at: None,
                ..usual.clone()
            };
        }),
        changed("With markup in the agent's name", &|session| {
            session.agent = Some(HOSTILE.to_owned());
        }),
        changed("With a very long agent's name", &|session| {
            session.agent = Some("Customer Support ".repeat(40));
        }),
    ]);
    sessions
}

/// Sessions at various times before and after their expiry.
pub(crate) fn sessions_by_expiry(now: Timestamp) -> Vec<(String, Session)> {
    let second = SignedDuration::from_secs(1);
    let hours = SignedDuration::from_hours;
    let pending = [
        ("Waiting, and expires in seconds", second * 30),
        ("Waiting, and expires in an hour", hours(1)),
        ("Waiting, and expires in three days", hours(72)),
        ("Waiting, although it is past its expiry", -hours(1)),
    ];
    let expired = [
        ("Expired for five hours", -hours(5)),
        ("Expired for three days", -hours(72)),
    ];
    let session = |status: Status| {
        move |(title, left): (&str, SignedDuration)| {
            let session = Session {
                status: status.clone(),
                expires_at: Some(now + left),
                ..usual_session(now)?
            };
            Some((title.to_owned(), session))
        }
    };
    let pending = pending.into_iter().filter_map(session(Status::Pending));
    pending
        .chain(expired.into_iter().filter_map(session(Status::Expired)))
        .collect()
}

/// A typical session.
pub(crate) fn usual_session(now: Timestamp) -> Option<Session> {
    Some(Session {
        id: sample_id()?,
        status: Status::Pending,
        phone: Some("+12345678901".to_owned()),
        activation_code: Some("ABC123".to_owned()),
        activation_link: Some(ActivationLink::parse("https://wa.me/12345678901?text=ABC123")),
        agent: Some("Customer Support Agent".to_owned()),
        agent_id: AgentId::parse("agent-123abc"),
        created_at: Some(now),
        activated_at: None,
        expires_at: Some(now + SignedDuration::from_hours(24)),
    })
}
