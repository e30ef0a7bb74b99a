//! A message with several sessions, or with none, in whose menu *Look up sandbox session* was chosen.

#[cfg(feature = "demo")]
use super::Phone;
use super::found::{FOUND_MAX, Found};
#[cfg(feature = "demo")]
use super::new::SAMPLE_PHONE;
use super::{CommandWord, Commands, Definition, Outcome, RequestContext, Response};
use crate::cards::buttons::{Action, TypedValue, button};
#[cfg(feature = "demo")]
use crate::cards::samples::{SampleGroup, sample_id};
use crate::cards::sentence::{fill, join, monospace, number};
use crate::cards::{RenderContext, Replaces, View};
use crate::kapso::SessionId;
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// Asks which of several sessions is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUp(pub Vec<Found>);

impl Definition for LookUp {
    const NAME: &'static str = "look_up";
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
        let context = commands.render_context(request);
        let outcome = if self.0.is_empty() {
            Outcome::NothingFound
        } else {
            Outcome::AskedSession
        };
        Response::new(outcome, render(&self.0, &context), &context)
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let id = sample_id().map(Found::Session);
        let phone = Phone::parse(SAMPLE_PHONE).map(Found::Phone);
        let two: Vec<Found> = id.into_iter().chain(phone).collect();
        let number = |n| SessionId::parse(&format!("session-of-agent-{n}")).map(Found::Session);
        let many: Vec<Found> = (0..=FOUND_MAX).filter_map(number).collect();
        let samples = [
            ("With a session and a phone number", render(&two, context)),
            ("With too many", render(&many, context)),
            ("With none", render(&[], context)),
        ];
        vec![SampleGroup::new(
            "A message in whose menu the shortcut was chosen",
            samples,
            context,
        )]
    }
}

fn render(found: &[Found], context: &RenderContext<'_>) -> View {
    if found.is_empty() {
        let text = fill(
            "I found no session ID, Kapso URL or phone number with `+` in that message. You can also type {example}",
            [("example", context.typed("<session id>"))],
        );
        let block = Block::section(Text::mrkdwn(text.clone()));
        return View::new(Message::ephemeral(text, vec![block]), Replaces::Nothing);
    }
    let shown = &found[..found.len().min(FOUND_MAX)];
    let names = shown.iter().map(|found| monospace(name(found)));
    let question = fill(
        "That message may be about several sessions. Which one do you mean? {names}",
        [("names", join(", ", names))],
    );
    let head = Mrkdwn::new("That message may be about several sessions. Which one do you mean?");
    let rows = shown.iter().map(|found| row(found, context));
    let rest = (found.len() > FOUND_MAX).then(|| {
        let count = u64::try_from(FOUND_MAX).unwrap_or_default();
        fill("Only the first {count} are listed.", [("count", number(count))])
    });
    let blocks = [Block::section(Text::mrkdwn(head))]
        .into_iter()
        .chain(rows)
        .chain(rest.and_then(|rest| Block::context(vec![Text::mrkdwn(rest)])));
    View::new(Message::ephemeral(question, blocks.collect()), Replaces::Nothing)
}

fn row(found: &Found, context: &RenderContext<'_>) -> Block {
    let (text, label) = match found {
        Found::Session(_) => ("Show the session", "Show the session:"),
        Found::Phone(_) => ("Find by phone number", "Find by phone number:"),
    };
    let show = button(Action::RunCommand, text, &TypedValue(found.typed()), context);
    let name = name(found);
    Block::row(Text::plain(name), None, show.with_label(&format!("{label} {name}")))
}

fn name(found: &Found) -> &str {
    match found {
        Found::Session(id) => id.as_str(),
        Found::Phone(phone) => phone.as_str(),
    }
}
