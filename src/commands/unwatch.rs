//! `/sandbox unwatch <id>` and "Stop watching": no more notifications of a session.

use super::session_id::{looks_like_id, one_session_id};
use super::show::{no_session_id, sample_of};
use super::{CommandWord, Commands, Definition, Outcome, ParseError, RequestContext, Response, Unknown, Usage, watch};
#[cfg(feature = "demo")]
use crate::cards::samples::{SampleGroup, usual_session};
use crate::cards::sentence::{fill, monospace, paragraph};
use crate::cards::session::Watched;
use crate::cards::{Problem, RenderContext, Replaces, ReplyTarget, View};
use crate::kapso::{Age, SessionId};
use crate::projects::ProjectRef;

pub(super) const WORD: &CommandWord = &CommandWord {
    name: "unwatch",
    takes_session_id: true,
    usages: &[Usage {
        typed: "unwatch <session id>",
        does: "stops watching a session",
    }],
    button: "Stop watching",
    examples: &[],
    parse: |rest| one_session_id(rest, WORD).map(|id| StopWatching(id).into()),
    usage_error: |context| no_session_id(context.typed(&sample_of(WORD)), context),
};

/// Ends a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopWatching(pub SessionId);

impl Definition for StopWatching {
    const NAME: &'static str = WORD.name;
    const WORD: Option<&'static CommandWord> = Some(WORD);
    type Scope = ProjectRef;
    const CREATES: bool = false;
    const POSTS_RESERVED: u32 = 0;

    fn session_id(&self) -> Option<&SessionId> {
        Some(&self.0)
    }

    fn typed(&self) -> Option<String> {
        Some(format!("{} {}", WORD.name, self.0))
    }

    /// Ends the watch even if Kapso does not answer.
    async fn run(self, project: ProjectRef, commands: &Commands, request: &RequestContext) -> Response {
        let (outcome, ended) = match commands.watches.remove(&request.who, project.alias(), &self.0).await {
            Ok(true) => (Outcome::Unwatched, Watched::NoLonger),
            Ok(false) => (Outcome::NotWatched, Watched::NotAtAll),
            Err(_) => return commands.problem(&Problem::NoStore, request).showing(&self.0),
        };
        let session = project.kapso.session(&self.0, Age::Recent).await;
        let context = commands.render_context(request);
        match session {
            Ok(session) => {
                let view = watch::render(&session, ended, &context);
                Response::new(outcome, view, &context).showing(&session.id)
            }
            // Such as `unwatch all`.
            Err(_) if ended == Watched::NotAtAll && !looks_like_id(self.0.as_str()) => {
                Unknown(ParseError::Usage(WORD)).run((), commands, request).await
            }
            Err(error) => Response::new(outcome, render_without_session(&self.0, ended, &context), &context)
                .showing(&self.0)
                .caused_by(error),
        }
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let samples = usual_session(context.now).into_iter().flat_map(|session| {
            [
                ("No longer", watch::render(&session, Watched::NoLonger, context)),
                (
                    "It was not watched",
                    watch::render(&session, Watched::NotAtAll, context),
                ),
                (
                    "No longer, and Kapso does not answer",
                    render_without_session(&session.id, Watched::NoLonger, context),
                ),
                (
                    "It was not watched, and Kapso does not answer",
                    render_without_session(&session.id, Watched::NotAtAll, context),
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

/// For a session that Kapso did not answer with.
fn render_without_session(id: &SessionId, ended: Watched, context: &RenderContext<'_>) -> View {
    let id = [("id", monospace(id.as_str()))];
    let text = match ended {
        Watched::NotAtAll => fill("You are not watching the session {id}.", id),
        Watched::NoLonger
        | Watched::No
        | Watched::Until(_)
        | Watched::UntilBecause(..)
        | Watched::Directly(_)
        | Watched::NothingToWatch => fill("Stopped watching the session {id}.", id),
    };
    let replaces = match context.target {
        // Its button would stay for ever.
        ReplyTarget::DirectMessage => Replaces::OwnCard,
        ReplyTarget::Command | ReplyTarget::NewMessage | ReplyTarget::OwnCard | ReplyTarget::SharedCard => {
            Replaces::Nothing
        }
    };
    View::new(paragraph(text), replaces)
}
