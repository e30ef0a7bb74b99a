//! `/sandbox watch <id>` and "Tell me when it is active": a notification when a session changes.

use super::session_id::one_session_id;
use super::show::{no_session_id, sample_of};
use super::{CommandWord, Commands, Definition, Outcome, RequestContext, Response, Usage};
use crate::cards::notification::why_no_direct_messages;
#[cfg(feature = "demo")]
use crate::cards::samples::{SampleGroup, usual_session};
use crate::cards::sentence::{fill, number};
use crate::cards::session::{self, Watched};
use crate::cards::{Problem, RenderContext, Replaces, ReplyTarget, View, problem};
use crate::kapso::{Age, Session, SessionId, Status};
use crate::projects::ProjectRef;
use crate::queue::Upserted;
use crate::slack::direct_messages::Availability;
use crate::slack::text::Mrkdwn;
#[cfg(feature = "demo")]
use crate::slack::web_api::Refusal;
#[cfg(feature = "demo")]
use crate::watches::policy::DIRECT_DURATION;
use crate::watches::policy::{self, WATCH_DURATION};
use crate::watches::{self, Direct, PressedCard, QUOTA, Watch};

pub(super) const WORD: &CommandWord = &CommandWord {
    name: "watch",
    takes_session_id: true,
    usages: &[Usage {
        typed: "watch <session id>",
        does: "tells you when the session is activated or ends, for at least the next 28 minutes",
    }],
    button: "Watch the session",
    examples: &[],
    parse: |rest| one_session_id(rest, WORD).map(|id| StartWatching(id).into()),
    usage_error: |context| no_session_id(context.typed(&sample_of(WORD)), context),
};

/// Notifies a person when a session changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartWatching(pub SessionId);

/// Which quota of watches is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TooMany {
    /// The quota of this person.
    PerUser(u32),
    /// The quota of all people together.
    InAll,
}

impl Definition for StartWatching {
    const NAME: &'static str = WORD.name;
    const WORD: Option<&'static CommandWord> = Some(WORD);
    type Scope = ProjectRef;
    const CREATES: bool = false;
    const POSTS_RESERVED: u32 = watches::RESERVED_POSTS;

    fn session_id(&self) -> Option<&SessionId> {
        Some(&self.0)
    }

    fn typed(&self) -> Option<String> {
        Some(format!("{} {}", WORD.name, self.0))
    }

    /// Stores the watch before it is confirmed.
    async fn run(self, project: ProjectRef, commands: &Commands, request: &RequestContext) -> Response {
        let session = match project.kapso.session(&self.0, Age::Recent).await {
            Ok(session) => session,
            Err(error) => return commands.session_problem(&self.0, error, request),
        };
        let now = commands.clock.now();
        let status = session.status_at(now);
        if status.has_ended() {
            return nothing_to_watch(&session, commands, request);
        }
        let availability = commands.direct_messages.availability().await;
        let direct = match availability {
            Availability::Works => Some(Direct::new(*status == Status::Active, session.expires_at, now)),
            Availability::NotConfigured | Availability::Refused(_) | Availability::Unknown => None,
        };
        if direct.is_none() && !policy::may_change(status) {
            return nothing_to_watch(&session, commands, request);
        }
        let watch = Watch {
            session: self.0,
            session_created_at: session.created_at,
            who: request.who.clone(),
            origin: request.origin.clone(),
            request_id: request.request_id.clone(),
            response_url: request.response_url.clone(),
            arrived_at: request.arrived_at,
            posts_left: watches::RESERVED_POSTS,
            not_found: 0,
            card: match request.target {
                ReplyTarget::OwnCard => Some(PressedCard::Own),
                ReplyTarget::SharedCard => Some(PressedCard::Shared),
                ReplyTarget::Command | ReplyTarget::NewMessage => None,
            },
            direct,
            shared: None,
        };
        let added = commands.watches.add(&watch).await;
        let context = commands.render_context(request);
        let too_many = |why| {
            let view = render_too_many(why, &context);
            Response::new(Outcome::TooManyWatches, view, &context).showing(&session.id)
        };
        match added {
            Ok(Upserted::Inserted | Upserted::Replaced | Upserted::Older) => {
                let until = request.arrived_at + WATCH_DURATION;
                let watched = match (watch.direct, &availability) {
                    (Some(direct), _) => Watched::Directly(direct.until),
                    (None, Availability::Refused(refusal)) => {
                        Watched::UntilBecause(until, why_no_direct_messages(Some(refusal)))
                    }
                    (None, Availability::Unknown) => Watched::UntilBecause(until, why_no_direct_messages(None)),
                    (None, Availability::NotConfigured | Availability::Works) => Watched::Until(until),
                };
                let view = render(&session, watched, &context);
                Response::new(Outcome::Watching, view, &context).showing(&session.id)
            }
            Ok(Upserted::OwnerQuotaReached) => too_many(TooMany::PerUser(QUOTA.per_owner)),
            Ok(Upserted::TotalQuotaReached) => too_many(TooMany::InAll),
            Err(_) => commands.problem(&Problem::NoStore, request).showing(&session.id),
        }
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let until = context.now + WATCH_DURATION;
        let with_status = |title, status, watched| {
            let session = Session {
                status,
                ..usual_session(context.now)?
            };
            Some((title, render(&session, watched, context)))
        };
        let watched = [
            with_status("From now on", Status::Pending, Watched::Until(until)),
            with_status(
                "From now on, by direct message",
                Status::Pending,
                Watched::Directly(context.now + DIRECT_DURATION),
            ),
            with_status(
                "An active session, by direct message",
                Status::Active,
                Watched::Directly(context.now + DIRECT_DURATION),
            ),
            with_status("It is active already", Status::Active, Watched::NothingToWatch),
            with_status("It has ended", Status::Superseded, Watched::NothingToWatch),
        ];
        let no_direct_messages = Refusal::samples()
            .into_iter()
            .filter(Refusal::concerns_everybody)
            .map(|refusal| (refusal.code(), Some(refusal)))
            .chain([("Slack does not say whether direct messages work", None)])
            .filter_map(|(title, refusal)| {
                let why = why_no_direct_messages(refusal.as_ref());
                with_status(title, Status::Pending, Watched::UntilBecause(until, why))
            });
        let too_many = [
            ("Too many watches of one person", TooMany::PerUser(QUOTA.per_owner)),
            ("Too many watches in all", TooMany::InAll),
        ];
        let too_many = too_many.map(|(title, why)| (title, render_too_many(why, context)));
        vec![SampleGroup::new(
            "A session that is watched",
            watched.into_iter().flatten().chain(no_direct_messages).chain(too_many),
            context,
        )]
    }
}

fn nothing_to_watch(session: &Session, commands: &Commands, request: &RequestContext) -> Response {
    let context = commands.render_context(request);
    let view = render(session, Watched::NothingToWatch, &context);
    Response::new(Outcome::Shown, view, &context).showing(&session.id)
}

/// The card of a session that the person watches, or has just stopped watching.
pub(super) fn render(session: &Session, watched: Watched, context: &RenderContext<'_>) -> View {
    View::new(session::card(session, watched, context), Replaces::OwnCard)
}

fn render_too_many(why: TooMany, context: &RenderContext<'_>) -> View {
    let text = match why {
        TooMany::PerUser(limit) => fill(
            "You are already watching {limit} sessions, which is the limit per person. Press Stop watching on \
             one of them, or wait until one ends.",
            [("limit", number(limit.into()))],
        ),
        TooMany::InAll => {
            Mrkdwn::new("Too many sessions are being watched right now. Try again in a few minutes, or use Refresh.")
        }
    };
    problem::with_request_id(text, context)
}
