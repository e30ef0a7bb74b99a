//! `/sandbox watching`: the sessions that the person watches, each with a button that stops it.

use super::{CommandWord, Commands, Definition, Outcome, RequestContext, Response, Usage};
use crate::cards::buttons::button;
#[cfg(feature = "demo")]
use crate::cards::samples::{SampleGroup, usual_session};
use crate::cards::sentence::{date, fill, join, monospace, number, utc};
use crate::cards::{Action, Problem, RenderContext, Replaces, SessionValue, View};
use crate::config::Alias;
use crate::kapso::SessionId;
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;
use crate::watches::{Watch, WatchedUntil};

const WORD: &CommandWord = &CommandWord {
    name: "watching",
    takes_session_id: false,
    usages: &[Usage {
        typed: "watching",
        does: "lists the sessions that you are watching",
    }],
    button: "Show what I watch",
    examples: &[],
    // Whatever follows.
    parse: |_| Ok(Watching { stop: None }.into()),
    usage_error: |context| context.typed(WORD.name),
};

/// Lists what a person watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watching {
    /// The watch to end before that: its button was pressed.
    pub stop: Option<SessionId>,
}

/// A watch in the list.
struct Row {
    session: SessionId,
    project: Option<Alias>,
    until: WatchedUntil,
}

impl Definition for Watching {
    const NAME: &'static str = WORD.name;
    const WORD: Option<&'static CommandWord> = Some(WORD);
    type Scope = ();
    const CREATES: bool = false;
    const POSTS_RESERVED: u32 = 0;

    fn session_id(&self) -> Option<&SessionId> {
        self.stop.as_ref()
    }

    fn typed(&self) -> Option<String> {
        self.stop.is_none().then(|| WORD.name.to_owned())
    }

    async fn run(self, (): (), commands: &Commands, request: &RequestContext) -> Response {
        let (watches, who) = (&commands.watches, &request.who);
        let mut outcome = Outcome::Listed;
        if let Some(session) = &self.stop {
            match watches.remove(who, request.origin.project.as_ref(), session).await {
                Ok(true) => outcome = Outcome::Unwatched,
                Ok(false) => outcome = Outcome::NotWatched,
                Err(_) => return commands.problem(&Problem::NoStore, request),
            }
        }
        let Ok(watched) = watches.of_person(who).await else {
            return commands.problem(&Problem::NoStore, request);
        };
        // Who may not use a project here learns nothing about its sessions.
        let is_usable = |watch: &Watch| commands.projects.authorize(watch.origin.project.as_ref(), who).is_ok();
        let rows = watched.into_iter().filter(is_usable).map(|watch| Row {
            until: watch.until(),
            project: watch.origin.project,
            session: watch.session,
        });
        let context = commands.render_context(request);
        let view = render(&rows.collect::<Vec<_>>(), self.stop.as_ref(), &context);
        Response::new(outcome, view, &context)
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        use crate::watches::policy::{DIRECT_DURATION, WATCH_DURATION};
        let rows: Vec<Row> = usual_session(context.now)
            .into_iter()
            .flat_map(|session| {
                [(DIRECT_DURATION, true), (WATCH_DURATION, false)].map(|(length, directly)| Row {
                    session: session.id.clone(),
                    project: None,
                    until: WatchedUntil {
                        at: context.now + length,
                        directly,
                    },
                })
            })
            .collect();
        let stopped = rows.first().map(|row| &row.session);
        let samples = [
            ("With direct messages, and without", render(&rows, None, context)),
            (
                "One was stopped",
                render(rows.get(1..).unwrap_or_default(), stopped, context),
            ),
            ("None", render(&[], None, context)),
        ];
        vec![SampleGroup::new("The sessions that you watch", samples, context)]
    }
}

/// The rows do not fit into a message only if there are more than a person may have.
fn render(rows: &[Row], stopped: Option<&SessionId>, context: &RenderContext<'_>) -> View {
    let stopped = stopped.map(|id| fill("Stopped watching {id}.", [("id", monospace(id.as_str()))]));
    let title = match rows.len() {
        0 => Mrkdwn::new("You are not watching any sessions here."),
        1 => Mrkdwn::new("You are watching 1 session."),
        count => fill(
            "You are watching {count} sessions.",
            [("count", number(u64::try_from(count).unwrap_or(u64::MAX)))],
        ),
    };
    let lead = join(" ", stopped.into_iter().chain([title]));
    let spoken = rows.iter().map(|row| row.describe(utc));
    let text = join(" ", [lead.clone()].into_iter().chain(spoken));
    let blocks = [Block::section(Text::mrkdwn(lead))];
    let rows = rows.iter().map(|row| {
        let origin = context.origin.in_project(row.project.as_ref());
        let context = RenderContext {
            origin: &origin,
            ..*context
        };
        let value = SessionValue(row.session.clone());
        let stop =
            button(Action::StopListed, "Stop", &value, &context).with_label(&format!("Stop watching {}", row.session));
        Block::row(Text::mrkdwn(row.describe(date)), None, stop)
    });
    let message = Message::ephemeral(text, blocks.into_iter().chain(rows).collect());
    View::new(message, Replaces::OwnCard)
}

impl Row {
    fn describe(&self, time: fn(jiff::Timestamp) -> Mrkdwn) -> Mrkdwn {
        let id = match &self.project {
            Some(alias) => fill(
                "{id} in {project}",
                [
                    ("id", monospace(self.session.as_str())),
                    ("project", monospace(alias.as_str())),
                ],
            ),
            None => monospace(self.session.as_str()),
        };
        let values = [("id", id), ("date", time(self.until.at))];
        if self.until.directly {
            fill("{id}: until it ends, {date} at the latest.", values)
        } else {
            fill("{id}: until {date}.", values)
        }
    }
}
