//! "Create a new session": asks whether to create one for the phone and the agent of a session that has ended.

#[cfg(feature = "demo")]
use super::new;
use super::show::{shown, watched_until};
use super::{CommandWord, Commands, Definition, New, Outcome, Phone, RequestContext, Response};
#[cfg(feature = "demo")]
use crate::cards::samples::SampleGroup;
use crate::cards::sentence::fill;
use crate::cards::{Action, Problem, RenderContext, View, problem};
use crate::kapso::{Age, SessionId};
use crate::projects::ProjectRef;

/// Asks whether to replace a session that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recreate(pub SessionId);

impl Definition for Recreate {
    const NAME: &'static str = Action::CreateNewSession.id();
    const WORD: Option<&'static CommandWord> = None;
    type Scope = ProjectRef;
    /// The confirmation does.
    const CREATES: bool = false;
    const POSTS_RESERVED: u32 = 0;

    fn session_id(&self) -> Option<&SessionId> {
        Some(&self.0)
    }

    fn typed(&self) -> Option<String> {
        None
    }

    /// If the session has not ended, the card is out of date, and the session is shown as it is now.
    async fn run(self, project: ProjectRef, commands: &Commands, request: &RequestContext) -> Response {
        // The question shows the phone number.
        if commands.render_context(request).masks_phone() {
            return commands.problem(&Problem::StaleButton, request);
        }
        let session = match project.kapso.session(&self.0, Age::Fresh).await {
            Ok(session) => session,
            Err(error) => return commands.session_problem(&self.0, error, request),
        };
        if !session.status_at(commands.clock.now()).has_ended() {
            let watched_until = watched_until(commands, &session, request).await;
            return shown(&session, watched_until, &commands.render_context(request));
        }
        let written = session.phone.as_deref().unwrap_or_default();
        let Some(phone) = Phone::parse(written).or_else(|| Phone::guess(written)) else {
            let context = commands.render_context(request);
            return Response::new(Outcome::NothingCreated, render_no_phone(&context), &context).showing(&session.id);
        };
        let new = New {
            phone,
            agent: session.agent_id.clone(),
            confirmation: None,
        };
        new.ask(session.agent.as_deref(), &project, commands, request).await
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        vec![SampleGroup::new(
            "A new session in place of one that has ended",
            new::question_samples(context)
                .into_iter()
                .chain([("Kapso's phone number is unreadable", render_no_phone(context))]),
            context,
        )]
    }
}

fn render_no_phone(context: &RenderContext<'_>) -> View {
    let text = fill(
        "I couldn't read this session's phone number in Kapso, so nothing was created. You can create one with {new}",
        [("new", context.typed("new <+phone>"))],
    );
    problem::with_request_id(text, context)
}
