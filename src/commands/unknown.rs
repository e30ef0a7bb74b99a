//! Text that was not understood: a correction, or what is missing.

#[cfg(feature = "demo")]
use super::new;
use super::{CommandWord, Commands, Definition, Outcome, ParseError, RequestContext, Response, show};
use crate::cards::buttons::{Action, SessionValue, TypedValue, button};
#[cfg(feature = "demo")]
use crate::cards::samples::{SAMPLE_ID, SampleGroup, sample_values};
use crate::cards::sentence::{fill, paragraph};
use crate::cards::{RenderContext, Replaces, View};
use crate::kapso::SessionId;
use crate::slack::blocks::{Block, Button, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// Text that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown(pub ParseError);

impl Definition for Unknown {
    const NAME: &'static str = "unknown";
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
        Response::new(Outcome::NotUnderstood, render(&self.0, &context), &context)
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let errors = sample_values!(ParseError {
            ParseError::DidYouMean { .. } => [
                (
                    "A command word with a typo",
                    ParseError::DidYouMean { instead: "help".to_owned(), as_id: SessionId::parse("helpp") },
                ),
                ("An ID among other words", ParseError::instead(format!("show {SAMPLE_ID}"))),
                ("A session to watch", ParseError::instead(format!("watch {SAMPLE_ID}"))),
                ("A list of watches", ParseError::instead("watching")),
                ("A command word only", ParseError::instead("show")),
                (
                    "A phone number without a plus",
                    ParseError::DidYouMean {
                        instead: new::SAMPLE_PHONE.to_owned(),
                        as_id: SessionId::parse(&new::SAMPLE_PHONE[1..]),
                    },
                ),
                ("A phone number for a new session", ParseError::instead(new::EXAMPLE)),
                ("A phone number to watch", ParseError::instead(new::SAMPLE_PHONE)),
            ],
            ParseError::Usage(_) => CommandWord::all()
                .filter(|word| (word.parse)(&["?"]).is_err())
                .map(|word| (word.name, ParseError::Usage(word))),
        });
        let view = |(title, error)| (title, render(&error, context));
        vec![SampleGroup::new(
            "Text that was not understood",
            errors.into_iter().map(view),
            context,
        )]
    }
}

fn render(error: &ParseError, context: &RenderContext<'_>) -> View {
    let message = match error {
        ParseError::DidYouMean { instead, as_id } => {
            let text = did_you_mean(instead, as_id.as_ref(), context);
            let blocks = [Block::section(Text::mrkdwn(text.clone()))]
                .into_iter()
                .chain(Block::actions(buttons(instead, as_id.as_ref(), context)));
            Message::ephemeral(text, blocks.collect())
        }
        ParseError::Usage(word) => paragraph((word.usage_error)(context)),
    };
    View::new(message, Replaces::Nothing)
}

/// Run what was meant.
fn buttons(instead: &str, as_id: Option<&SessionId>, context: &RenderContext<'_>) -> Vec<Button> {
    let (name, has_arguments) = match instead.split_once(' ') {
        Some((name, _)) => (name, true),
        None => (instead, false),
    };
    let text = match CommandWord::named(name) {
        None => "Find by phone number",
        Some(word) if has_arguments || (word.parse)(&[]).is_ok() => word.button,
        Some(_) => "Show how",
    };
    let run = button(Action::RunCommand, text, &TypedValue(instead.to_owned()), context);
    let show = as_id.map(|id| {
        let value = SessionValue(id.clone());
        button(Action::ShowInNewMessage, "Show it as a session ID", &value, context)
    });
    [run].into_iter().chain(show).collect()
}

fn did_you_mean(instead: &str, as_id: Option<&SessionId>, context: &RenderContext<'_>) -> Mrkdwn {
    let instead = context.typed(instead);
    match as_id {
        Some(id) => fill(
            "Did you mean {instead}? If that's a session ID, type {show}",
            [
                ("instead", instead),
                ("show", context.typed(&format!("{} {id}", show::WORD.name))),
            ],
        ),
        None => fill("Did you mean {instead}?", [("instead", instead)]),
    }
}
