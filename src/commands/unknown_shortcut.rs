//! A shortcut that this version of the app does not have.

use super::{CommandWord, Commands, Definition, Outcome, RequestContext, Response};
#[cfg(feature = "demo")]
use crate::cards::samples::SampleGroup;
use crate::cards::sentence::fill;
use crate::cards::{RenderContext, View, problem};
use crate::kapso::SessionId;

/// A shortcut that this version does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownShortcut;

impl Definition for UnknownShortcut {
    const NAME: &'static str = "unknown_shortcut";
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
        Response::new(Outcome::UnknownShortcut, render(&context), &context)
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let samples = [("A shortcut of another version", render(context))];
        vec![SampleGroup::new("A shortcut that does not exist", samples, context)]
    }
}

fn render(context: &RenderContext<'_>) -> View {
    let text = fill(
        "This shortcut is from another version of the app, so nothing was done. Type {help} to see what works.",
        [("help", context.typed("help"))],
    );
    problem::with_request_id(text, context)
}
