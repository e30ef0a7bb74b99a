//! Asks which project a command is about, where that is not clear.

use super::named_project::Named;
#[cfg(feature = "demo")]
use super::parse;
#[cfg(feature = "demo")]
use super::show;
use super::{Command, CommandWord, Commands, Definition, Outcome, RequestContext, Response};
use crate::cards::buttons::{Action, TypedValue, button};
#[cfg(feature = "demo")]
use crate::cards::problem;
#[cfg(feature = "demo")]
use crate::cards::samples::{SAMPLE_ID, SampleGroup, usual_session};
use crate::cards::sentence::{fill, join, monospace};
use crate::cards::{Problem, RenderContext, Replaces, View};
use crate::config::Alias;
use crate::kapso::SessionId;
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;

/// Most projects with a button: a message has at most 50 blocks.
const BUTTONS_MAX: usize = 40;

/// Asks which project a command is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChooseProject {
    /// What the command named. A project that may not be used in this place is treated as one that does not exist.
    pub named: Named,
    /// The command.
    pub command: Box<Command>,
}

impl Definition for ChooseProject {
    const NAME: &'static str = "choose_project";
    const WORD: Option<&'static CommandWord> = None;
    type Scope = ();
    const CREATES: bool = false;
    const POSTS_RESERVED: u32 = 0;

    fn session_id(&self) -> Option<&SessionId> {
        None
    }

    fn typed(&self) -> Option<String> {
        None
    }

    async fn run(self, (): (), commands: &Commands, request: &RequestContext) -> Response {
        let creates = self.command.creates();
        let allowed = commands.projects.allowed(&request.who);
        let aliases: Vec<&Alias> = allowed
            .iter()
            .filter(|project| !creates || project.may_create(&request.who))
            .filter_map(|project| project.alias())
            .collect();
        if aliases.is_empty() {
            return commands.problem(&Problem::NoProjectHere, request);
        }
        let context = commands.render_context(request);
        let view = render(&self, &aliases, &context);
        Response::new(Outcome::AskedProject, view, &context)
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let aliases: Vec<Alias> = ["staging", "support"].into_iter().filter_map(Alias::parse).collect();
        let aliases: Vec<&Alias> = aliases.iter().collect();
        let question = |title, named, typed: &str| {
            let choose = ChooseProject {
                named,
                command: Box::new(parse(typed, "")),
            };
            (title, render(&choose, &aliases, context))
        };
        let show = format!("show {SAMPLE_ID}");
        let unknown = Alias::parse("sales").map_or(Named::Nothing, Named::Project);
        let samples = [
            question("It is not clear which", Named::Nothing, &show),
            question("It cannot be used here, or does not exist", unknown.clone(), &show),
            question("Several are named", Named::Several, &show),
            question("The rest was not understood", unknown, "@"),
        ];
        let in_project = RenderContext {
            project: aliases.first().copied(),
            ..*context
        };
        let session = usual_session(context.now);
        let card = session.map(|session| show::render(&session, None, &in_project));
        let named = card
            .map(|card| ("A session", card))
            .into_iter()
            .chain([("A problem", problem::render(&Problem::Unsure, &in_project))]);
        vec![
            SampleGroup::new("Which project?", samples, context),
            SampleGroup::new("In one of several projects", named, &in_project),
        ]
    }
}

fn render(choose: &ChooseProject, aliases: &[&Alias], context: &RenderContext<'_>) -> View {
    let names = aliases
        .iter()
        .take(BUTTONS_MAX)
        .map(|alias| monospace(&format!("@{alias}")));
    let names = ("names", join(", ", names));
    let question = match &choose.named {
        Named::Nothing => fill("Which Kapso project do you mean? You can use {names} here.", [names]),
        Named::Project(alias) => fill(
            "There is no project {alias} here. You can use {names}.",
            [("alias", monospace(&format!("@{alias}"))), names],
        ),
        Named::Several => fill("Please name only one Kapso project. You can use {names} here.", [names]),
    };
    let Some(typed) = choose.command.typed() else {
        return View::new(
            Message::ephemeral(question.clone(), vec![Block::section(Text::mrkdwn(question))]),
            Replaces::Nothing,
        );
    };
    let value = TypedValue(typed);
    let rows = aliases.iter().take(BUTTONS_MAX).map(|alias| {
        let in_project = RenderContext {
            origin: &context.origin.in_project(Some(alias)),
            ..*context
        };
        let choose = button(Action::RunCommand, "Use this project", &value, &in_project);
        Block::row(
            Text::plain(alias.as_str()),
            None,
            choose.with_label(&format!("Use this project: {alias}")),
        )
    });
    let blocks = [Block::section(Text::mrkdwn(question.clone()))].into_iter().chain(rows);
    View::new(Message::ephemeral(question, blocks.collect()), Replaces::Nothing)
}
