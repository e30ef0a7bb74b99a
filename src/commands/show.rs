//! `/sandbox <id>` and `/sandbox show <id>`: one session.

use super::session_id::one_session_id;
use super::{CommandWord, Commands, Definition, Find, Outcome, RequestContext, Response, Usage, phone};
#[cfg(feature = "demo")]
use crate::cards::samples::{SampleGroup, sessions, sessions_by_expiry};
use crate::cards::sentence::fill;
use crate::cards::session::{self, Watched};
use crate::cards::{RenderContext, Replaces, ReplyTarget, View};
use crate::kapso::{Age, Session, SessionId};
use crate::projects::ProjectRef;
use crate::slack::text::Mrkdwn;
use crate::watches::{WatchedUntil, policy};

/// Kapso's published sample of an id.
const SAMPLE_ID: &str = "123e4567-e89b-12d3-a456-426614174000";

pub(super) const WORD: &CommandWord = &CommandWord {
    name: "show",
    takes_session_id: true,
    usages: &[
        Usage {
            typed: "<session id>",
            does: "shows a session: status, expiry, and the link that activates it",
        },
        Usage {
            typed: "<+phone>",
            does: "shows the newest session of a tester's phone",
        },
        Usage {
            typed: "show <session id>",
            does: "the same, if the ID is also a command word",
        },
    ],
    button: "Show the session",
    examples: &[SAMPLE_ID],
    parse: |rest| match (one_session_id(rest, WORD), phone::alone(rest)) {
        (Err(_), Some(phone)) => phone.map(|phone| Find(phone).into()),
        (id, _) => id.map(|id| Show(id).into()),
    },
    usage_error: |context| no_session_id(context.typed(SAMPLE_ID), context),
};

/// Shows a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Show(pub SessionId);

impl Definition for Show {
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

    async fn run(self, project: ProjectRef, commands: &Commands, request: &RequestContext) -> Response {
        match project.kapso.session(&self.0, Age::Recent).await {
            Ok(session) => {
                let watched_until = match request.target {
                    // On a message that a watch has led to.
                    ReplyTarget::NewMessage if request.origin.direct.is_some() => {
                        watched_until(commands, &session, request).await
                    }
                    _ => None,
                };
                shown(&session, watched_until, &commands.render_context(request))
            }
            Err(error) => commands.session_problem(&self.0, error, request),
        }
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let view = |(title, session)| (title, render(&session, None, context));
        let by_expiry = sessions_by_expiry(context.now).into_iter().map(view);
        let may_not_create = RenderContext {
            may_create: false,
            ..*context
        };
        let ended = sessions(context.now)
            .into_iter()
            .filter(|(_, session)| session.status_at(context.now).has_ended())
            .map(|(title, session)| (title, render(&session, None, &may_not_create)));
        vec![
            SampleGroup::new("A session", sessions(context.now).into_iter().map(view), context),
            SampleGroup::new("A session before and after its expiry", by_expiry, context),
            SampleGroup::new(
                "A session that has ended, without permission to create one",
                ended,
                context,
            ),
        ]
    }
}

/// The response that shows a session, also for other commands that cannot do anything else with it.
pub(super) fn shown(session: &Session, watched_until: Option<WatchedUntil>, context: &RenderContext<'_>) -> Response {
    Response::new(Outcome::Shown, render(session, watched_until, context), context).showing(&session.id)
}

/// Renders the card.
pub(super) fn render(session: &Session, watched_until: Option<WatchedUntil>, context: &RenderContext<'_>) -> View {
    let watched = match context.target {
        // Others see this card; who watches is private.
        ReplyTarget::SharedCard => Watched::No,
        ReplyTarget::Command | ReplyTarget::NewMessage | ReplyTarget::OwnCard | ReplyTarget::DirectMessage => {
            Watched::until(watched_until)
        }
    };
    View::new(session::card(session, watched, context), Replaces::AnyCard)
}

/// Until when the person is notified of changes of the session, if they watch it.
pub(super) async fn watched_until(
    commands: &Commands,
    session: &Session,
    request: &RequestContext,
) -> Option<WatchedUntil> {
    let status = session.status_at(commands.clock.now());
    if status.has_ended() {
        return None;
    }
    let project = request.origin.project.as_ref();
    let until = commands.watches.watched_until(&request.who, project, &session.id).await;
    // A watch without direct messages is about to end.
    until.filter(|until| until.directly || policy::may_change(status))
}

/// The message for a missing session id.
pub(super) fn no_session_id(example: Mrkdwn, context: &RenderContext<'_>) -> Mrkdwn {
    fill(
        "I couldn't find a session ID in that. Copy the ID from Kapso, for example {example}. More: {help}",
        [("example", example), ("help", context.typed("help"))],
    )
}

/// The example of a command word that takes a session id.
pub(super) fn sample_of(word: &CommandWord) -> String {
    format!("{} {SAMPLE_ID}", word.name)
}
