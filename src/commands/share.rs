//! "Share in channel": a session for everybody in the channel, in the name of the presser.

use super::show::{shown, watched_until};
use super::{CommandWord, Commands, Definition, FollowUp, Outcome, RequestContext, Response};
#[cfg(feature = "demo")]
use crate::cards::ReplyTarget;
#[cfg(feature = "demo")]
use crate::cards::samples::{SAMPLE_USER, SampleGroup, usual_session};
use crate::cards::session::{self, Watched};
use crate::cards::{Action, Problem, RenderContext, Replaces, View, problem};
use crate::kapso::{Age, Session, SessionId};
use crate::projects::ProjectRef;
use crate::slack::UserId;
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;
#[cfg(feature = "demo")]
use crate::watches::policy::WATCH_DURATION;
use crate::watches::{Shown, WatchedUntil};

/// Shows a session to everybody in the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share(pub SessionId);

impl Definition for Share {
    const NAME: &'static str = Action::ShareInChannel.id();
    const WORD: Option<&'static CommandWord> = None;
    type Scope = ProjectRef;
    const CREATES: bool = false;
    /// For the follow-up.
    const POSTS_RESERVED: u32 = 1;

    fn session_id(&self) -> Option<&SessionId> {
        Some(&self.0)
    }

    fn typed(&self) -> Option<String> {
        None
    }

    /// If there is nothing to activate any more, the card is out of date: nothing is shared, and the session is shown as
    /// it is now.
    async fn run(self, project: ProjectRef, commands: &Commands, request: &RequestContext) -> Response {
        // Without a valid user id, nothing is shared.
        let Some(shared_by) = UserId::parse(&request.who.user) else {
            return commands.problem(&Problem::StaleButton, request);
        };
        // A card in the channel cannot be taken back, so a cached session is not good enough.
        let session = match project.kapso.session(&self.0, Age::Fresh).await {
            Ok(session) => session,
            Err(error) => return commands.session_problem(&self.0, error, request),
        };
        let watched_until = watched_until(commands, &session, request).await;
        let context = commands.render_context(request);
        // A direct message is in no channel.
        if !session.can_be_activated(context.now) || request.origin.direct.is_some() {
            return shown(&session, watched_until, &context);
        }
        Response::new(Outcome::Shared, render(&session, &shared_by, &context), &context)
            .showing(&session.id)
            .followed_by(follow_up(&session, watched_until, &context))
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let Some((session, shared_by)) = usual_session(context.now).zip(UserId::parse(SAMPLE_USER)) else {
            return Vec::new();
        };
        let context = RenderContext {
            target: ReplyTarget::OwnCard,
            ..*context
        };
        let shared = [("For everybody", render(&session, &shared_by, &context))];
        let follow_up = |until| follow_up(&session, until, &context);
        let follow_ups = [
            ("It was shared", follow_up(None).message(true)),
            (
                "It was shared, and is watched",
                follow_up(Some(WatchedUntil {
                    at: context.now + WATCH_DURATION,
                    directly: false,
                }))
                .message(true),
            ),
            ("Slack did not confirm it", follow_up(None).message(false)),
        ];
        vec![
            SampleGroup::new("Sharing a session with a channel", shared, &context),
            SampleGroup {
                title: "The confirmation for the person who shared it",
                samples: follow_ups.map(|(title, message)| (title.to_owned(), message)).into(),
                forms: Vec::new(),
            },
        ]
    }
}

/// The card for the channel, whichever message the button was on.
fn render(session: &Session, shared_by: &UserId, context: &RenderContext<'_>) -> View {
    let for_channel = RenderContext {
        origin: &context.origin.shared_by(shared_by),
        ..*context
    };
    View::new(session::card_for_channel(session, &for_channel), Replaces::Nothing)
}

/// The follow-up for the person who shared it.
fn follow_up(session: &Session, watched_until: Option<WatchedUntil>, context: &RenderContext<'_>) -> FollowUp {
    FollowUp {
        delivered: render_delivered(session, watched_until, context),
        undelivered: render_undelivered(context),
        shown: Some(Shown::new(session, context.now)),
    }
}

/// The private card, which now says that it was shared.
fn render_delivered(session: &Session, watched_until: Option<WatchedUntil>, context: &RenderContext<'_>) -> Message {
    let card = session::card_after_sharing(session, Watched::until(watched_until), context);
    View::new(card, Replaces::OwnCard).into_message(context)
}

fn render_undelivered(context: &RenderContext<'_>) -> Message {
    let text = Mrkdwn::new(
        "Slack didn't confirm that the card was posted. Check whether it is in the channel before you share it again.",
    );
    problem::with_request_id(text, context).into_message(context)
}
