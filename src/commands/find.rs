//! `/sandbox <+phone>`: the newest session of a phone, or an offer to create one.

use std::sync::Arc;

use jiff::SignedDuration;

#[cfg(feature = "demo")]
use super::new;
use super::{CommandWord, Commands, Definition, Outcome, Phone, RequestContext, Response, list};
use crate::cards::buttons::{Action, TypedValue, button};
#[cfg(feature = "demo")]
use crate::cards::samples::SampleGroup;
use crate::cards::sentence::{fill, join, monospace, number};
use crate::cards::session::{self, Watched};
use crate::cards::{Problem, RenderContext, Replaces, View, problem};
use crate::config::Creators;
use crate::kapso::{self, Session};
use crate::projects::ProjectRef;
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// Sessions on a page: Kapso's maximum, so that few requests are needed.
const PER_PAGE: u32 = 100;
/// How many pages are read at most.
const MAX_PAGES: u32 = 10;
/// After this no further page is requested.
const MAX_TIME: SignedDuration = SignedDuration::from_secs(15);

/// Shows the newest session of a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find(pub Phone);

/// What was searched without finding a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Searched {
    /// How many sessions.
    count: u64,
    /// How many there are, if Kapso says so.
    of: Option<u64>,
    /// How many of those that were searched could not be read.
    unreadable: u64,
    end: End,
}

/// Where a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// After the last session.
    Last,
    /// After [`MAX_PAGES`].
    MaxPages,
    /// Earlier, because Kapso failed, was slow or limits this app's requests: worth another try.
    Early,
}

/// The result of a search.
enum Search {
    Found(Arc<Session>),
    /// And the error that ended it, if one did.
    NotFound(Searched, Option<kapso::Error>),
    Failed(kapso::Error),
}

impl Definition for Find {
    const NAME: &'static str = "find";
    /// Its usage is with that of `show`.
    const WORD: Option<&'static CommandWord> = None;
    type Scope = ProjectRef;
    const CREATES: bool = false;
    const POSTS_RESERVED: u32 = 0;

    fn session_id(&self) -> Option<&kapso::SessionId> {
        None
    }

    fn typed(&self) -> Option<String> {
        Some(self.0.as_str().to_owned())
    }

    async fn run(self, project: ProjectRef, commands: &Commands, request: &RequestContext) -> Response {
        let search = search(&self.0, &project, commands, request).await;
        let context = commands.render_context(request);
        let (searched, stopped_by) = match search {
            Search::Found(session) => {
                let view = View::new(session::card(&session, Watched::No, &context), Replaces::OwnCard);
                return Response::new(Outcome::Shown, view, &context).showing(&session.id);
            }
            Search::NotFound(searched, stopped_by) => (searched, stopped_by),
            Search::Failed(error) => {
                let problem = Problem::from(&error);
                return commands.problem(&problem, request).caused_by(Arc::new(error));
            }
        };
        let may_not_create = (!context.may_create).then(|| project.creators());
        let view = render(&self.0, searched, may_not_create, &context);
        let response = Response::new(Outcome::NotFound, view, &context);
        match stopped_by {
            Some(error) => response.caused_by(Arc::new(error)),
            None => response,
        }
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let Some(phone) = Phone::parse(new::SAMPLE_PHONE) else {
            return Vec::new();
        };
        let nobody_creates = Creators::default();
        let all = Searched {
            count: 42,
            of: Some(42),
            unreadable: 0,
            end: End::Last,
        };
        let newest = |of| Searched {
            count: 1_000,
            of,
            end: End::MaxPages,
            ..all
        };
        let early = Searched {
            end: End::Early,
            ..newest(Some(2_345))
        };
        let unreadable = |unreadable| Searched { unreadable, ..all };
        let samples = [
            ("To be created", all, None),
            ("Not to be created", all, Some(&nobody_creates)),
            ("Among the newest only", newest(Some(2_345)), None),
            (
                "Where Kapso does not say how many there are",
                newest(None),
                Some(&nobody_creates),
            ),
            ("Until Kapso failed", early, None),
            ("With a session that cannot be read", unreadable(1), None),
            ("With sessions that cannot be read", unreadable(3), None),
        ];
        let view = |(title, searched, may_not_create)| (title, render(&phone, searched, may_not_create, context));
        vec![SampleGroup::new(
            "A phone without a session",
            samples.into_iter().map(view),
            context,
        )]
    }
}

/// Reads pages of the list, newest first, until one has a session of the phone. Stops early after [`MAX_PAGES`] or
/// [`MAX_TIME`], and when the rest of the rate limit is reserved for other commands.
async fn search(phone: &Phone, project: &ProjectRef, commands: &Commands, request: &RequestContext) -> Search {
    let began = commands.clock.now();
    let mut searched = Searched {
        count: 0,
        of: None,
        unreadable: 0,
        end: End::Early,
    };
    for number in 1..=MAX_PAGES {
        let page = if number == 1 {
            project.kapso.page(number, PER_PAGE).await
        } else if commands.clock.now().duration_since(began).abs() > MAX_TIME {
            return Search::NotFound(searched, None);
        } else {
            project.kapso.page_if_spare(number, PER_PAGE).await
        };
        let page = match page {
            Ok(page) => page,
            Err(error) if number == 1 => return Search::Failed(error),
            Err(error) => return Search::NotFound(searched, Some(error)),
        };
        list::log_unreadable(&page, request);
        let of_phone = page.sessions.iter().filter(|session| is_of(session, phone));
        // Kapso's order is newest first; of equal times, the first.
        if let Some(newest) = of_phone.rev().max_by_key(|session| session.created_at) {
            return Search::Found(Arc::clone(newest));
        }
        searched.count += u64::try_from(page.count).unwrap_or_default();
        searched.unreadable += u64::try_from(page.unreadable).unwrap_or_default();
        searched.of = page.total_count;
        if !page.has_next(number, PER_PAGE) {
            searched.end = End::Last;
            return Search::NotFound(searched, None);
        }
    }
    searched.end = End::MaxPages;
    Search::NotFound(searched, None)
}

fn is_of(session: &Session, phone: &Phone) -> bool {
    let written = session.phone.as_deref();
    written
        .and_then(|written| Phone::parse(written).or_else(|| Phone::guess(written)))
        .as_ref()
        == Some(phone)
}

fn render(phone: &Phone, searched: Searched, may_not_create: Option<&Creators>, context: &RenderContext<'_>) -> View {
    let shown = ("phone", monospace(phone.as_str()));
    let result = match (searched.end, searched.of) {
        (End::Last, _) if searched.unreadable > 0 => {
            fill("I found no session for {phone} in this app's Kapso project.", [shown])
        }
        (End::Last, _) => fill("There is no session for {phone} in this app's Kapso project.", [shown]),
        (End::MaxPages | End::Early, Some(of)) => fill(
            "I found no session for {phone} among the newest {count} sessions, and stopped there: there are {of} in \
             this app's Kapso project.",
            [shown, ("count", number(searched.count)), ("of", number(of))],
        ),
        (End::MaxPages | End::Early, None) => fill(
            "I found no session for {phone} among the newest {count} sessions, and stopped there: there are more in \
             this app's Kapso project.",
            [shown, ("count", number(searched.count))],
        ),
    };
    let unreadable = match searched.unreadable {
        0 => None,
        1 => Some(Mrkdwn::new(
            "1 session could not be read. Please tell whoever runs this app.",
        )),
        count => Some(fill(
            "{count} sessions could not be read. Please tell whoever runs this app.",
            [("count", number(count))],
        )),
    };
    let new = format!("new {}", phone.as_str());
    let next = match (searched.end, may_not_create) {
        (End::Early, _) => Mrkdwn::new("Try again in a minute."),
        (End::Last | End::MaxPages, None) => fill("Create one: {new}", [("new", context.typed(&new))]),
        (End::Last | End::MaxPages, Some(creators)) => join(
            " ",
            [
                Mrkdwn::new("You cannot create sessions here."),
                problem::who_may_create(creators),
            ],
        ),
    };
    let text = join(" ", [result].into_iter().chain(unreadable).chain([next]));
    let run = |text, command| button(Action::RunCommand, text, &TypedValue(command), context);
    let first = match (searched.end, may_not_create) {
        (End::Early, _) => Some(run("Search again", phone.as_str().to_owned())),
        (End::Last | End::MaxPages, None) => Some(run("Create a session", new)),
        (End::Last | End::MaxPages, Some(_)) => None,
    };
    let has_searched_all = searched.end == End::Last && searched.unreadable == 0;
    let list = (!has_searched_all).then(|| run("Show the list", "list".to_owned()));
    // An action id may occur only once in a row.
    let rows = [first, list].into_iter().flatten();
    let blocks = [Block::section(Text::mrkdwn(text.clone()))]
        .into_iter()
        .chain(rows.filter_map(|button| Block::actions(vec![button])));
    View::new(Message::ephemeral(text, blocks.collect()), Replaces::Nothing)
}
