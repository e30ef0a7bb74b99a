//! `/sandbox list [page]`: the project's sessions, ten per page.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::session_id::{corrected, session_id};
use super::show::WORD as SHOW;
use super::{Command, CommandWord, Commands, Definition, Outcome, ParseError, RequestContext, Response, Usage, new};
use crate::cards::buttons::{Action, SessionValue, button, decode_value, encode_value};
#[cfg(feature = "demo")]
use crate::cards::samples::{SAMPLE_ID, SampleGroup, sessions};
use crate::cards::sentence::{fill, foreign, join, number, paragraph};
use crate::cards::session::{Badge, badge, masked, statement};
use crate::cards::{Problem, RenderContext, Replaces, View, expiry, problem};
use crate::config::Creators;
use crate::kapso::{Page, Session, SessionId, Status};
use crate::projects::ProjectRef;
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::{Mrkdwn, clean};

/// Sessions on a page: readable on a phone, and well within Slack's 50 blocks.
const PER_PAGE: u32 = 10;
/// More pages than any project has.
const LAST_PAGE: u32 = 999_999;
/// Longer names are cut, so that a row fits into two lines on a phone.
const NAME_MAX: usize = 60;

const WORD: &CommandWord = &CommandWord {
    name: "list",
    takes_session_id: false,
    usages: &[Usage {
        typed: "list [page]",
        does: "lists the sessions, ten per page",
    }],
    button: "Show the list",
    examples: &[],
    parse,
    usage_error: |context| {
        fill(
            "Page numbers go from 1 to {last}. Type {first} for the first page, or for example {second}.",
            [
                ("last", number(LAST_PAGE.into())),
                ("first", context.typed("list")),
                ("second", context.typed("list 2")),
            ],
        )
    },
};

/// Shows a page of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Which page, from 1 on.
    pub page: u32,
}

/// A page of the list.
#[derive(Clone, Debug)]
struct Listing {
    /// Which page, from 1 on.
    number: u32,
    page: Page,
    /// Who may create sessions, for a reader who may not.
    may_not_create: Option<Creators>,
}

impl Definition for List {
    const NAME: &'static str = WORD.name;
    const WORD: Option<&'static CommandWord> = Some(WORD);
    type Scope = ProjectRef;
    const CREATES: bool = false;
    const POSTS_RESERVED: u32 = 0;

    fn session_id(&self) -> Option<&SessionId> {
        None
    }

    fn typed(&self) -> Option<String> {
        Some(match self.page {
            1 => WORD.name.to_owned(),
            page => format!("{} {page}", WORD.name),
        })
    }

    async fn run(self, project: ProjectRef, commands: &Commands, request: &RequestContext) -> Response {
        let mut page = match project.kapso.page(self.page, PER_PAGE).await {
            Ok(page) => page,
            Err(error) => {
                let problem = Problem::from(&error);
                return commands.problem(&problem, request).caused_by(Arc::new(error));
            }
        };
        log_unreadable(&page, request);
        // Should Kapso send more, the buttons would exceed the limit on blocks.
        page.sessions.truncate(PER_PAGE as usize);
        let may_create = project.may_create(&request.who);
        let listing = Listing {
            number: self.page,
            page,
            may_not_create: (!may_create).then(|| project.creators().clone()),
        };
        let context = commands.render_context(request);
        Response::new(Outcome::Listed, render(&listing, &context), &context)
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let view = |(title, listing)| (title, render(&listing, context));
        vec![SampleGroup::new(
            "The list of sessions",
            samples(context.now).into_iter().map(view),
            context,
        )]
    }
}

/// Tells the operator about sessions that could not be read.
pub(super) fn log_unreadable(page: &Page, request: &RequestContext) {
    if page.unreadable > 0 {
        tracing::warn!(
            request_id = request.request_id,
            unreadable = page.unreadable,
            "sessions of a list could not be read"
        );
    }
}

/// Samples of pages: the only one, one of several, past the end, and of empty projects.
#[cfg(feature = "demo")]
fn samples(now: Timestamp) -> [(&'static str, Listing); 11] {
    let with_own_id = |(number, (_, session)): (u32, (String, Session))| {
        let id = format!("{:08x}{}", 0x123e_4567_u32.wrapping_mul(number), &SAMPLE_ID[8..]);
        let id = SessionId::parse(&id).unwrap_or_else(|| session.id.clone());
        Arc::new(Session { id, ..session })
    };
    let all: Vec<_> = (1..).zip(sessions(now)).map(with_own_id).collect();
    let listing = |number, many, total_pages, total_count| Listing {
        number,
        page: Page {
            sessions: all.iter().take(many).cloned().collect(),
            count: many,
            unreadable: 0,
            total_pages,
            total_count,
        },
        may_not_create: None,
    };
    let read_only = Listing {
        may_not_create: Some(Creators::default()),
        ..listing(1, 0, Some(0), Some(0))
    };
    let unusual = Listing {
        page: Page {
            sessions: all.iter().rev().take(4).cloned().collect(),
            count: 4,
            unreadable: 0,
            total_pages: Some(1),
            total_count: Some(4),
        },
        ..read_only.clone()
    };
    let partly_read = |unreadable: usize| {
        let listing = listing(1, 4, Some(1), Some(4 + unreadable as u64));
        Listing {
            page: Page {
                count: 4 + unreadable,
                unreadable,
                ..listing.page
            },
            ..listing
        }
    };
    [
        ("The only page", listing(1, 4, Some(1), Some(4))),
        ("The only session", listing(1, 1, Some(1), Some(1))),
        ("One of three pages", listing(2, 10, Some(3), Some(23))),
        (
            "Where Kapso does not say how many there are",
            listing(1, 10, None, None),
        ),
        ("With unusual sessions", unusual),
        ("With a session that cannot be read", partly_read(1)),
        ("With sessions that cannot be read", partly_read(3)),
        ("Past the end", listing(999, 0, Some(3), Some(23))),
        ("Past the only page", listing(2, 0, Some(1), Some(4))),
        ("No sessions yet", listing(1, 0, Some(0), Some(0))),
        ("No sessions yet, and none to be created", read_only),
    ]
}

fn parse(rest: &[&str]) -> Result<Command, ParseError> {
    let page = |word: &&str| {
        let digits = word.trim_matches(['#', '.', ',']);
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| is_number)?;
        (1..=LAST_PAGE).contains(&number).then_some(List { page: number })
    };
    let is_session = |word: &&str| session_id(word).is_some_and(|id| id.is_uuid());
    match rest {
        [] => Ok(List { page: 1 }.into()),
        [word] if let Some(list) = page(word) => Ok(list.into()),
        _ if rest.iter().any(is_session) => Err(corrected(rest, SHOW)),
        _ => Err(match rest.iter().find_map(page).and_then(|list| list.typed()) {
            Some(instead) => ParseError::instead(instead),
            // Such as `list sessions`.
            None if !rest.iter().any(|word| word.contains(|c: char| c.is_ascii_digit())) => {
                ParseError::instead(WORD.name)
            }
            None => ParseError::Usage(WORD),
        }),
    }
}

/// The content of the value of a button that turns a list to a page: `v1:<page>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageValue(pub u32);

impl PageValue {
    /// Reads a content; `None` for anything that [`fmt::Display`] does not write.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let [page] = decode_value(value)?[..] else {
            return None;
        };
        let page = Self(page.parse().ok()?);
        ((1..=LAST_PAGE).contains(&page.0) && page.to_string() == value).then_some(page)
    }
}

impl fmt::Display for PageValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode_value([self.0.to_string().as_str()]))
    }
}

impl Listing {
    /// The number of the page before, or of the last one there is if this one is past the end.
    fn previous(&self) -> Option<u32> {
        let last = self.page.total_pages.unwrap_or(LAST_PAGE).max(1);
        (self.number > 1).then(|| last.min(self.number - 1))
    }

    /// The number of the page after this one.
    fn next(&self) -> Option<u32> {
        self.page.has_next(self.number, PER_PAGE).then_some(self.number + 1)
    }

    /// Whether Kapso has no sessions at all.
    fn is_empty_project(&self) -> bool {
        let none = match self.page.total_count {
            Some(count) => count == 0,
            None => self.number == 1 && self.page.total_pages.unwrap_or(0) == 0,
        };
        none && self.page.count == 0
    }
}

fn render(listing: &Listing, context: &RenderContext<'_>) -> View {
    if listing.is_empty_project() {
        return View::new(paragraph(no_sessions_yet(listing, context)), Replaces::OwnCard);
    }
    let mut sessions = listing.page.sessions.clone();
    // Stable: in each group Kapso's order stays, newest first.
    sessions.sort_by_key(|session| rank(session.status_at(context.now)));
    let (title, summary) = if listing.page.count == 0 {
        let title = nothing_on_page(listing);
        (title.clone(), fill("Sandbox sessions. {title}", [("title", title)]))
    } else {
        let title = title(listing);
        (title.clone(), fill("Sandbox sessions. {title}.", [("title", title)]))
    };
    let ids = ids(&sessions);
    let rows = sessions.iter().zip(&ids).map(|(session, id)| row(session, id, context));
    let unreadable = unreadable(listing);
    let blocks = [
        Block::header("WhatsApp sandbox sessions"),
        Block::section(Text::mrkdwn(title)),
    ]
    .into_iter()
    .chain(rows)
    .chain(unreadable.clone().map(|text| Block::section(Text::mrkdwn(text))))
    .chain(page_buttons(listing, context));
    let spoken = sessions
        .iter()
        .zip(&ids)
        .map(|(session, id)| spoken(session, id, context.now));
    let text = join(" ", [summary].into_iter().chain(spoken).chain(unreadable));
    View::new(Message::ephemeral(text, blocks.collect()), Replaces::OwnCard)
}

/// Sessions in use come first on their page, and those that have ended last.
fn rank(status: &Status) -> u8 {
    match status {
        Status::Pending | Status::Active => 0,
        Status::Other(_) => 1,
        Status::Expired | Status::Superseded => 2,
    }
}

/// What tells the rows apart: the first group of an id that is a UUID, unless two rows would have the same.
fn ids(sessions: &[Arc<Session>]) -> Vec<&str> {
    let is_unique = |short: &str| sessions.iter().filter(|other| other.id.short() == short).count() == 1;
    let ids = sessions.iter().map(|session| match session.id.short() {
        short if is_unique(short) => short,
        _ => session.id.as_str(),
    });
    ids.collect()
}

fn unreadable(listing: &Listing) -> Option<Mrkdwn> {
    match listing.page.unreadable {
        0 => None,
        1 => Some(Mrkdwn::new(
            "1 session on this page could not be read. Please tell whoever runs this app.",
        )),
        count => Some(fill(
            "{count} sessions on this page could not be read. Please tell whoever runs this app.",
            [("count", number(u64::try_from(count).unwrap_or(u64::MAX)))],
        )),
    }
}

fn no_sessions_yet(listing: &Listing, context: &RenderContext<'_>) -> Mrkdwn {
    match &listing.may_not_create {
        None => fill(
            "There are no sessions yet in this app's Kapso project. Create the first one for a tester's phone: {new}",
            [("new", context.typed(new::EXAMPLE))],
        ),
        Some(creators) => fill(
            "There are no sessions yet in this app's Kapso project. You cannot create one here. {who}",
            [("who", problem::who_may_create(creators))],
        ),
    }
}

fn nothing_on_page(listing: &Listing) -> Mrkdwn {
    let page = number(listing.number.into());
    match (
        listing.page.total_pages.map(page_count),
        listing.page.total_count.map(session_count),
    ) {
        (Some(pages), Some(sessions)) => fill(
            "There is nothing to show on page {page}: the list has {pages} and {sessions}.",
            [("page", page), ("pages", pages), ("sessions", sessions)],
        ),
        (Some(pages), None) => fill(
            "There is nothing to show on page {page}: the list has {pages}.",
            [("page", page), ("pages", pages)],
        ),
        (None, _) => fill("There is nothing to show on page {page}.", [("page", page)]),
    }
}

fn title(listing: &Listing) -> Mrkdwn {
    let page = number(listing.number.into());
    let pages = listing.page.total_pages.map(|pages| number(pages.into()));
    match (pages, listing.page.total_count.map(session_count)) {
        (Some(pages), Some(sessions)) => fill(
            "Page {page} of {pages} · {sessions}",
            [("page", page), ("pages", pages), ("sessions", sessions)],
        ),
        (Some(pages), None) => fill("Page {page} of {pages}", [("page", page), ("pages", pages)]),
        (None, Some(sessions)) => fill("Page {page} · {sessions}", [("page", page), ("sessions", sessions)]),
        (None, None) => fill("Page {page}", [("page", page)]),
    }
}

fn page_count(count: u32) -> Mrkdwn {
    match count {
        1 => Mrkdwn::new("one page"),
        _ => fill("{count} pages", [("count", number(count.into()))]),
    }
}

fn session_count(count: u64) -> Mrkdwn {
    match count {
        1 => Mrkdwn::new("1 session"),
        _ => fill("{count} sessions", [("count", number(count))]),
    }
}

/// A row is plain text, because the agent's name is foreign text.
fn row(session: &Session, id: &str, context: &RenderContext<'_>) -> Block {
    let (emoji, status) = match badge(session.status_at(context.now)) {
        Badge::Known { emoji, title } => (emoji, title),
        Badge::Unknown(word) => ("⚪", word),
    };
    let phone = session.phone.as_deref().map_or_else(|| "no phone".to_owned(), masked);
    let agent = session.agent.as_deref().unwrap_or("no agent");
    let [status, agent] = [status, agent].map(|words| clean(words, NAME_MAX));
    let text = Text::plain(&format!("{emoji} {status} · {phone} · {agent} · {id}"));
    let expiry = expiry::in_row(session, context.now).map(Text::mrkdwn);
    let show = button(
        Action::ShowInNewMessage,
        "Show",
        &SessionValue(session.id.clone()),
        context,
    );
    Block::row(text, expiry, show.with_label(&format!("Show session {id} of {phone}")))
}

fn spoken(session: &Session, id: &str, now: Timestamp) -> Mrkdwn {
    let statement = ("statement", statement(subject(session, id), session.status_at(now)));
    match expiry::in_spoken_row(session, now) {
        Some(expiry) => fill("{statement} ({expiry}).", [statement, ("expiry", expiry)]),
        None => fill("{statement}.", [statement]),
    }
}

fn subject(session: &Session, id: &str) -> Mrkdwn {
    let words = |words: &str| foreign(words, NAME_MAX);
    let id = ("id", foreign(id, SessionId::MAX));
    let phone = session.phone.as_deref().map(|phone| words(&masked(phone)));
    match (phone, session.agent.as_deref().map(words)) {
        (Some(phone), Some(agent)) => fill(
            "Session {id} of {phone} with the agent {agent}",
            [id, ("phone", phone), ("agent", agent)],
        ),
        (Some(phone), None) => fill("Session {id} of {phone}", [id, ("phone", phone)]),
        (None, Some(agent)) => fill("Session {id} with the agent {agent}", [id, ("agent", agent)]),
        (None, None) => fill("Session {id}", [id]),
    }
}

fn page_buttons(listing: &Listing, context: &RenderContext<'_>) -> Option<Block> {
    let turn = |action, text, page| button(action, text, &PageValue(page), context);
    let back = listing.previous().map(|page| {
        let is_far = page + 1 < listing.number;
        let text = if is_far { "Last page" } else { "Previous page" };
        turn(Action::PreviousPage, text, page)
    });
    let next = listing.next().map(|page| turn(Action::NextPage, "Next page", page));
    Block::actions(back.into_iter().chain(next).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cards::session::{Watched, card};
    use crate::cards::{Notification, ReplyTarget, notification};
    use crate::kapso::ActivationLink;
    use crate::slack::button_value::{Origin, ValueSigner};
    use crate::watches::policy::{Change, News};

    const USABLE: [&str; 6] = [
        "aiting for activation",
        "is active",
        "🟢",
        "xpires ",
        "number reach the agent",
        "in less than a minute",
    ];
    const OVER: [&str; 5] = ["xpired", "uperseded", "no longer reach", " ago", "session to continue"];
    const ONLY_WHILE_USABLE: [&str; 6] = [
        "wa.me",
        "ABC123",
        r#""action_id":"open""#,
        r#""action_id":"qr""#,
        r#""action_id":"watch""#,
        r#""action_id":"share""#,
    ];

    fn ending(status: &Status) -> News {
        match status {
            Status::Active => News::Changed(Change::Activated),
            Status::Expired => News::Changed(Change::Expired),
            Status::Superseded => News::Changed(Change::Superseded),
            Status::Pending | Status::Other(_) => News::TimeUp,
        }
    }

    proptest! {
        /// Wherever a session is shown, whatever Kapso says about it.
        #[test]
        fn nothing_says_that_a_session_is_usable_and_that_it_is_over(
            word in prop::sample::select(vec!["pending_activation", "active", "expired", "superseded", "paused"]),
            expires_in in prop::option::of(prop_oneof![-100_i64..100, -300_000_i64..300_000, 1_i64..250_000_000_000]),
            was_activated: bool,
            target in prop::sample::select(vec![ReplyTarget::Command, ReplyTarget::OwnCard, ReplyTarget::SharedCard]),
        ) {
            let now = Timestamp::from_second(1_800_000_000).unwrap();
            let session = Session {
                id: SessionId::parse("a").unwrap(),
                status: Status::from(word.to_owned()),
                phone: Some("+12345678901".to_owned()),
                activation_code: Some("ABC123".to_owned()),
                activation_link: Some(ActivationLink::parse("https://wa.me/1?text=ABC123")),
                agent: None,
                agent_id: None,
                created_at: None,
                activated_at: was_activated.then_some(now),
                expires_at: expires_in.map(|seconds| Timestamp::from_second(1_800_000_000 + seconds).unwrap()),
            };
            let context = RenderContext {
                now,
                command: "/sandbox",
                request_id: "5eed0001",
                target,
                may_create: true,
                origin: &Origin::default(),
                project: None,
                signer: &ValueSigner::new(&[]),
                qr_addresses: None,
            };
            let listing = Listing {
                number: 1,
                page: Page {
                    sessions: vec![Arc::new(session.clone())],
                    count: 1,
                    unreadable: 0,
                    total_pages: None,
                    total_count: None,
                },
                may_not_create: None,
            };
            let ended = Notification {
                news: ending(session.status_at(now)),
                id: &session.id,
                session: Some(&session),
                created_at: None,
                expires_at: None,
                is_direct: false,
                goes_on: false,
            };
            for message in [
                card(&session, Watched::No, &context),
                card(&session, Watched::NoLonger, &context),
                render(&listing, &context).into_message(&context),
                notification::render(&ended, &context),
            ] {
                let shown = message.to_json();
                let says = |words: &[&str]| words.iter().any(|words| shown.contains(words));
                prop_assert!(!(says(&USABLE) && says(&OVER)), "{}", shown);
                prop_assert!(!(says(&ONLY_WHILE_USABLE) && says(&OVER)), "{}", shown);
            }
        }
    }
}
