//! A button of another version of this app, or one whose value was changed.

use super::{CommandWord, Commands, Definition, RequestContext, Response};
use crate::cards::Problem;
#[cfg(feature = "demo")]
use crate::cards::RenderContext;
#[cfg(feature = "demo")]
use crate::cards::samples::{SampleGroup, problems};
use crate::kapso::SessionId;

/// A press that this version does not understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleButton;

impl Definition for StaleButton {
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
        commands.problem(&Problem::StaleButton, request)
    }

    /// All problems: this one among them.
    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        vec![problems(context)]
    }
}
