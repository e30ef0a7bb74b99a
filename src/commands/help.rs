//! `/sandbox help`: the commands and buttons, in groups of short lines for phones.

use super::{CommandWord, Commands, Definition, Outcome, RequestContext, Response, Shortcut, Usage, new, watch};
#[cfg(feature = "demo")]
use crate::cards::samples::SampleGroup;
use crate::cards::sentence::{fill, join};
use crate::cards::{Action, RenderContext, Replaces, View};
use crate::kapso::SessionId;
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

const WORD: &CommandWord = &CommandWord {
    name: "help",
    takes_session_id: false,
    usages: &[Usage {
        typed: "help",
        does: "shows this help",
    }],
    button: "Show the help",
    examples: &[],
    // Whatever follows.
    parse: |_| Ok(Help.into()),
    usage_error: |context| context.typed(WORD.name),
};

/// Shows the help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help;

impl Definition for Help {
    const NAME: &'static str = WORD.name;
    const WORD: Option<&'static CommandWord> = Some(WORD);
    type Scope = ();
    const CREATES: bool = false;
    const POSTS_RESERVED: u32 = 0;

    fn session_id(&self) -> Option<&SessionId> {
        None
    }

    fn typed(&self) -> Option<String> {
        Some(WORD.name.to_owned())
    }

    async fn run(self, (): (), commands: &Commands, request: &RequestContext) -> Response {
        let may_create = commands.may_create(&request.origin, &request.who);
        let context = commands.render_context(request);
        let is_direct = commands.web_api.has_token();
        Response::new(Outcome::Help, render(may_create, is_direct, &context), &context)
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let without_qr_codes = RenderContext {
            qr_addresses: None,
            ..*context
        };
        let samples = [
            ("Help", render(true, false, context)),
            ("With a bot token", render(true, true, context)),
            (
                "For somebody who may not create sessions",
                render(false, false, context),
            ),
            (
                "Where Slack cannot reach the app",
                render(true, false, &without_qr_codes),
            ),
        ];
        vec![SampleGroup::new("Help", samples, context)]
    }
}

/// `is_direct` says whether watches tell their news by direct message.
fn render(may_create: bool, is_direct: bool, context: &RenderContext<'_>) -> View {
    let groups = [
        typed(may_create, is_direct, context),
        pressed(may_create, context),
        chosen(),
        good_to_know(),
        not_active(may_create, context),
    ];
    let text = join("\n\n", groups.clone());
    let sections = groups.map(|group| Block::section(Text::mrkdwn(group)));
    let blocks = [Block::header("Kapso's WhatsApp sandbox")].into_iter().chain(sections);
    View::new(Message::ephemeral(text, blocks.collect()), Replaces::Nothing)
}

fn typed(may_create: bool, is_direct: bool, context: &RenderContext<'_>) -> Mrkdwn {
    let words = || CommandWord::allowed(may_create);
    let usages = words()
        .flat_map(|word| word.usages.iter().map(move |usage| (word, usage)))
        .flat_map(|(word, usage)| {
            let does = if is_direct && word.name == watch::WORD.name {
                watch::DOES_DIRECTLY
            } else {
                usage.does
            };
            [context.typed(usage.typed), Mrkdwn::new(does)]
        });
    let examples = words()
        .flat_map(|word| word.examples)
        .map(|example| context.typed(example));
    let lines = [Mrkdwn::new("*What you can type*")]
        .into_iter()
        .chain(usages)
        .chain([Mrkdwn::new("For example")])
        .chain(examples);
    join("\n", lines)
}

fn pressed(may_create: bool, context: &RenderContext<'_>) -> Mrkdwn {
    let has_qr_codes = context.qr_addresses.is_some();
    let buttons = Action::ALL
        .iter()
        .filter(|action| has_qr_codes || **action != Action::ShowQrCode)
        .filter(|action| may_create || **action != Action::CreateNewSession)
        .filter_map(|action| action.help())
        .map(|(text, does)| {
            fill(
                "*{button}* {does}",
                [("button", Mrkdwn::new(text)), ("does", Mrkdwn::new(does))],
            )
        });
    let no_qr_codes = (!has_qr_codes)
        .then(|| Mrkdwn::new("There are no QR codes here: whoever runs this app has not set `PUBLIC_URL`."));
    let lines = [Mrkdwn::new("*What you can press on a session's card*")]
        .into_iter()
        .chain(buttons)
        .chain(no_qr_codes);
    join("\n", lines)
}

fn chosen() -> Mrkdwn {
    let shortcuts = Shortcut::ALL.iter().map(|shortcut| {
        let does = match shortcut {
            Shortcut::LookUpSession => "finds the session that the message is about, also in threads",
        };
        fill(
            "*{shortcut}* {does}",
            [("shortcut", Mrkdwn::new(shortcut.name())), ("does", Mrkdwn::new(does))],
        )
    });
    let head = Mrkdwn::new("*What you can choose in the ⋮ menu of a message*");
    join("\n", [head].into_iter().chain(shortcuts))
}

fn good_to_know() -> Mrkdwn {
    Mrkdwn::new(
        "*Good to know*\n\
         Slash commands do not work in threads: type them in the channel.\n\
         Only you see the answers, unless you share one.\n\
         You can paste a Kapso URL.",
    )
}

/// What to do if Kapso answers the person's own app with a 403.
fn not_active(may_create: bool, context: &RenderContext<'_>) -> Mrkdwn {
    if may_create {
        fill(
            "*If your own app gets “Active sandbox session required”*\n\
             Kapso returns 403 until the session is active: it may be waiting, expired or superseded.\n\
             Look it up, and activate it or create a new one: {new}",
            [("new", context.typed(new::EXAMPLE))],
        )
    } else {
        Mrkdwn::new(
            "*If your own app gets “Active sandbox session required”*\n\
             Kapso returns 403 until the session is active: it may be waiting, expired or superseded.\n\
             Look it up, and activate it or create a new one in Kapso.",
        )
    }
}
