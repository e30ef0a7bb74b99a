//! "Stop watching": no more notifications of a session.

use super::{CommandWord, Commands, Definition, Outcome, RequestContext, Response, watch};
#[cfg(feature = "demo")]
use crate::cards::samples::{SampleGroup, usual_session};
use crate::cards::sentence::{fill, monospace, paragraph};
use crate::cards::session::Watched;
use crate::cards::{Action, Problem, RenderContext, Replaces, View};
use crate::kapso::{Age, Session, SessionId};

/// Ends a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopWatching(pub SessionId);

impl Definition for StopWatching {
    const NAME: &'static str = Action::StopWatching.id();
    const WORD: Option<&'static CommandWord> = None;
    const CREATES: bool = false;
    const POSTS_RESERVED: u32 = 0;

    fn session_id(&self) -> Option<&SessionId> {
        Some(&self.0)
    }

    fn typed(&self) -> Option<String> {
        None
    }

    /// Ends the watch even if Kapso does not answer.
    async fn run(self, commands: &Commands, request: &RequestContext) -> Response {
        if commands.watches.remove(&request.who, &self.0).await.is_err() {
            return commands.problem(&Problem::NoStore, request);
        }
        let session = commands.kapso.session(&self.0, Age::Recent).await;
        let context = commands.render_context(request);
        match session {
            Ok(session) => {
                let view = render(&self.0, Some(&session), &context);
                Response::new(Outcome::Unwatched, view, &context).showing(&session.id)
            }
            Err(error) => Response::new(Outcome::Unwatched, render(&self.0, None, &context), &context).caused_by(error),
        }
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let samples = usual_session(context.now).into_iter().flat_map(|session| {
            [
                ("No longer", render(&session.id, Some(&session), context)),
                (
                    "No longer, and Kapso does not answer",
                    render(&session.id, None, context),
                ),
            ]
        });
        vec![SampleGroup::new(
            "A session that is no longer watched",
            samples,
            context,
        )]
    }
}

/// `session` is `None` if Kapso did not answer.
fn render(id: &SessionId, session: Option<&Session>, context: &RenderContext<'_>) -> View {
    if let Some(session) = session {
        return watch::render(session, Watched::NoLonger, context);
    }
    let text = fill("Stopped watching the session {id}.", [("id", monospace(id.as_str()))]);
    View::new(paragraph(text), Replaces::Nothing)
}
