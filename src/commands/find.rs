//! `/sandbox <+phone>`: the newest session of a phone, or an offer to create one.

use std::sync::Arc;

use jiff::SignedDuration;

#[cfg(feature = "demo")]
use super::new;
use super::{CommandWord, Commands, Definition, Outcome, Phone, RequestContext, Response};
use crate::cards::buttons::{Action, TypedValue, button};
#[cfg(feature = "demo")]
use crate::cards::samples::SampleGroup;
use crate::cards::sentence::{fill, join, monospace, number};
use crate::cards::session::{self, Watched};
use crate::cards::{Problem, RenderContext, Replaces, View, problem};
use crate::config::AccessLists;
use crate::kapso::{self, Session};
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

/// Where a search ended without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Searched {
    /// After the last session.
    All,
    /// Before it.
    Newest {
        /// How many sessions were searched.
        count: u64,
        /// How many there are, if Kapso says so.
        of: Option<u64>,
    },
}

/// The result of a search.
enum Search {
    Found(Arc<Session>),
    /// And what prevented more, if anything did.
    NotFound(Searched, Option<kapso::Error>),
    Failed(kapso::Error),
}

impl Definition for Find {
    const NAME: &'static str = "find";
    /// Its usage is with that of `show`.
    const WORD: Option<&'static CommandWord> = None;
    const CREATES: bool = false;
    const POSTS_RESERVED: u32 = 0;

    fn session_id(&self) -> Option<&kapso::SessionId> {
        None
    }

    fn typed(&self) -> Option<String> {
        Some(self.0.as_str().to_owned())
    }

    async fn run(self, commands: &Commands, request: &RequestContext) -> Response {
        let search = search(&self.0, commands).await;
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
        let may_not_create = (!context.may_create).then_some(&*commands.access);
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
        let nobody_creates = AccessLists::default();
        let stopped = |of| Searched::Newest { count: 1_000, of };
        let samples = [
            ("To be created", Searched::All, None),
            ("Not to be created", Searched::All, Some(&nobody_creates)),
            ("Among the newest only", stopped(Some(2_345)), None),
            (
                "Where Kapso does not say how many there are",
                stopped(None),
                Some(&nobody_creates),
            ),
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
async fn search(phone: &Phone, commands: &Commands) -> Search {
    let began = commands.clock.now();
    let mut count = 0;
    let mut of = None;
    for number in 1..=MAX_PAGES {
        let page = if number == 1 {
            commands.kapso.page(number, PER_PAGE).await
        } else if commands.clock.now().duration_since(began).abs() > MAX_TIME {
            break;
        } else {
            commands.kapso.page_if_spare(number, PER_PAGE).await
        };
        let page = match page {
            Ok(page) => page,
            Err(error) if number == 1 => return Search::Failed(error),
            Err(error) => return Search::NotFound(Searched::Newest { count, of }, Some(error)),
        };
        let of_phone = page.sessions.iter().filter(|session| is_of(session, phone));
        // Kapso's order is newest first; of equal times, the first.
        if let Some(newest) = of_phone.rev().max_by_key(|session| session.created_at) {
            return Search::Found(Arc::clone(newest));
        }
        count += u64::try_from(page.count).unwrap_or_default();
        of = page.total_count;
        if !page.has_next(number, PER_PAGE) {
            return Search::NotFound(Searched::All, None);
        }
    }
    Search::NotFound(Searched::Newest { count, of }, None)
}

fn is_of(session: &Session, phone: &Phone) -> bool {
    let written = session.phone.as_deref();
    written
        .and_then(|written| Phone::parse(written).or_else(|| Phone::guess(written)))
        .as_ref()
        == Some(phone)
}

fn render(
    phone: &Phone,
    searched: Searched,
    may_not_create: Option<&AccessLists>,
    context: &RenderContext<'_>,
) -> View {
    let shown = ("phone", monospace(phone.as_str()));
    let result = match searched {
        Searched::All => fill("There is no session for {phone} in this app's Kapso project.", [shown]),
        Searched::Newest { count, of: Some(of) } => fill(
            "I found no session for {phone} among the newest {count} sessions, and stopped there: there are {of} in \
             this app's Kapso project.",
            [shown, ("count", number(count)), ("of", number(of))],
        ),
        Searched::Newest { count, of: None } => fill(
            "I found no session for {phone} among the newest {count} sessions, and stopped there: there are more in \
             this app's Kapso project.",
            [shown, ("count", number(count))],
        ),
    };
    let new = format!("new {}", phone.as_str());
    let next = match may_not_create {
        None => fill("Create one: {new}", [("new", context.typed(&new))]),
        Some(allowed) => join(
            " ",
            [
                Mrkdwn::new("You cannot create sessions here."),
                problem::who_may_create(allowed),
            ],
        ),
    };
    let text = join(" ", [result, next]);
    let run = |text, command| button(Action::RunCommand, text, &TypedValue(command), context);
    let create = may_not_create.is_none().then(|| run("Create a session", new));
    let list = match searched {
        Searched::All => None,
        Searched::Newest { .. } => Some(run("Show the list", "list".to_owned())),
    };
    // An action id may occur only once in a row.
    let rows = [create, list].into_iter().flatten();
    let blocks = [Block::section(Text::mrkdwn(text.clone()))]
        .into_iter()
        .chain(rows.filter_map(|button| Block::actions(vec![button])));
    View::new(Message::ephemeral(text, blocks.collect()), Replaces::Nothing)
}
