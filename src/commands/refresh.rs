//! "Refresh" and "Show the session": replaces the message by the session's current card.

use super::show::{shown, watched_until};
use super::{CommandWord, Commands, Definition, RequestContext, Response};
use crate::cards::Action;
#[cfg(feature = "demo")]
use crate::cards::samples::{SAMPLE_USER, SampleGroup, sessions};
#[cfg(feature = "demo")]
use crate::cards::{RenderContext, ReplyTarget};
use crate::kapso::{Age, SessionId};
use crate::projects::ProjectRef;
#[cfg(feature = "demo")]
use crate::slack::UserId;

/// Shows the session of a card as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refresh(pub SessionId);

impl Definition for Refresh {
    const NAME: &'static str = Action::ShowFullCard.id();
    const WORD: Option<&'static CommandWord> = None;
    type Scope = ProjectRef;
    const CREATES: bool = false;
    const POSTS_RESERVED: u32 = 0;

    fn session_id(&self) -> Option<&SessionId> {
        Some(&self.0)
    }

    fn typed(&self) -> Option<String> {
        None
    }

    async fn run(self, project: ProjectRef, commands: &Commands, request: &RequestContext) -> Response {
        match project.kapso.session(&self.0, Age::Fresh).await {
            Ok(session) => {
                let watched_until = watched_until(commands, &session, request).await;
                shown(&session, watched_until, &commands.render_context(request))
            }
            Err(error) => commands.session_problem(&self.0, error, request),
        }
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let origin = UserId::parse(SAMPLE_USER).map(|user| context.origin.shared_by(&user));
        let context = RenderContext {
            target: ReplyTarget::SharedCard,
            origin: origin.as_ref().unwrap_or(context.origin),
            ..*context
        };
        let view = |(title, session)| (title, super::show::render(&session, None, &context));
        let samples = sessions(context.now).into_iter().map(view);
        vec![SampleGroup::new(
            "A session, refreshed where it was shared",
            samples,
            &context,
        )]
    }
}
