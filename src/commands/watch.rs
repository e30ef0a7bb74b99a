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
use crate::watches::{self, DirectWatch, PressedCard, QUOTA, Watch};

pub(super) const WORD: &CommandWord = &CommandWord {
    name: "watch",
    takes_session_id: true,
    usages: &[Usage {
        typed: "watch <session id>",
        does: "tells you, for the next 28 minutes, when the session is activated or ends",
    }],
    button: "Watch the session",
    examples: &[],
    parse: |rest| one_session_id(rest, WORD).map(|id| StartWatching(id).into()),
    usage_error: |context| no_session_id(context.typed(&sample_of(WORD)), context),
};

/// What `watch` does where there is a bot token.
pub(super) const DOES_DIRECTLY: &str =
    "tells you by direct message when the session is activated, expires soon or ends, for up to a week";

/// Notifies a person when a session changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartWatching(pub SessionId);

/// Why a watch gets no direct messages, where Slack has not refused them.
const ELSEWHERE: &str = "(I can send direct messages only to people of the workspace that has installed the app.)";
const UNKNOWN: &str = "(I couldn't find out whether I can send you direct messages.)";

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
        let availability = commands.direct_messages.availability(&request.who).await;
        let direct = match availability {
            Availability::Works => Some(DirectWatch::new(*status == Status::Active, session.expires_at, now)),
            Availability::NotConfigured
            | Availability::Elsewhere
            | Availability::Refused(_)
            | Availability::Unknown => earlier(&self.0, commands, request).await,
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
                ReplyTarget::DirectMessage => Some(PressedCard::Direct),
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
                    // Whatever the watch was before.
                    (_, Availability::Refused(refusal)) => {
                        Watched::UntilBecause(until, why_no_direct_messages(refusal))
                    }
                    (Some(direct), _) => Watched::Directly(direct.until),
                    (None, Availability::Elsewhere) => Watched::UntilBecause(until, ELSEWHERE),
                    (None, Availability::Unknown) => Watched::UntilBecause(until, UNKNOWN),
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
            .filter(Refusal::is_configuration_fault)
            .map(|refusal| (refusal.code(), why_no_direct_messages(&refusal)))
            .chain([
                ("Slack does not say whether direct messages work", UNKNOWN),
                ("For somebody of another company", ELSEWHERE),
            ])
            .filter_map(|(title, why)| with_status(title, Status::Pending, Watched::UntilBecause(until, why)));
        let without_expiry = [
            ("By direct message, without an expiry", Status::Pending),
            (
                "An active session, by direct message, without an expiry",
                Status::Active,
            ),
        ];
        let without_expiry = without_expiry.into_iter().filter_map(|(title, status)| {
            let session = Session {
                status,
                expires_at: None,
                ..usual_session(context.now)?
            };
            let watched = Watched::Directly(context.now + DIRECT_DURATION);
            Some((title, render(&session, watched, context)))
        });
        let too_many = [
            ("Too many watches of one person", TooMany::PerUser(QUOTA.per_owner)),
            ("Too many watches in all", TooMany::InAll),
        ];
        let too_many = too_many.map(|(title, why)| (title, render_too_many(why, context)));
        vec![SampleGroup::new(
            "A session that is watched",
            watched
                .into_iter()
                .flatten()
                .chain(without_expiry)
                .chain(no_direct_messages)
                .chain(too_many),
            context,
        )]
    }
}

/// What an earlier watch of the session knows about its direct messages, which then go on: watching again shortens nothing.
async fn earlier(session: &SessionId, commands: &Commands, request: &RequestContext) -> Option<DirectWatch> {
    let project = request.origin.project.as_ref();
    let watch = commands.watches.find(&request.who, project, session).await.ok()??;
    let is_direct = watch.is_direct();
    let end = request.arrived_at + WATCH_DURATION;
    watch.direct.filter(|direct| is_direct && direct.until > end)
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
            "You are already watching {limit} sessions, which is the limit per person. To stop watching one of them, \
             type {watching}.",
            [("limit", number(limit.into())), ("watching", context.typed("watching"))],
        ),
        TooMany::InAll => {
            Mrkdwn::new("Too many sessions are being watched right now. Try again in a few minutes, or use Refresh.")
        }
    };
    problem::with_request_id(text, context)
}
