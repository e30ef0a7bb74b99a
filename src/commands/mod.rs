//! The commands: one file each, with the words that are typed for it, what it does, what it renders and its samples.
//!
//! To add one, write its file with a `Definition`, and name it twice below: as a module and in the table.

mod access;
mod help;
mod list;
mod new;
mod parse;
mod phone;
mod qr_code;
mod refresh;
mod response;
mod session_id;
mod share;
mod show;
mod stale_button;
mod unknown;
mod unwatch;
mod watch;
mod word;

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::Instant;

pub use list::PageValue;
pub use new::{ConfirmationToken, ConfirmationValue, SAMPLE_PHONE};
pub use parse::parse;
pub use phone::Phone;
pub use response::{FollowUp, Outcome, Response};
pub use word::{CommandWord, ParseError, Usage};

#[cfg(feature = "demo")]
use crate::cards::samples::SampleGroup;
use crate::cards::{Action, ButtonValue, Problem, RenderContext, ReplyTarget, problem};
use crate::clock::Clock;
use crate::config::AccessLists;
use crate::idempotency::IdempotencyKeys;
use crate::kapso::{self, SessionId};
use crate::qr::Addresses;
use crate::slack::{UserId, Who};
use crate::watches::Watches;

/// What the file of a command says about it. Nothing has a default, so that nothing can be forgotten.
pub(crate) trait Definition: Sized {
    /// The command in the log.
    const NAME: &'static str;
    /// How it is typed; `None` for what only a button does.
    const WORD: Option<&'static CommandWord>;
    /// Whether it asks Kapso to create something: only those on the operator's list may, and if it ends in an unknown
    /// way, something may have been created.
    const CREATES: bool;
    /// How many posts of the `response_url` are reserved for what comes after the reply.
    const POSTS_RESERVED: u32;

    /// The session it is about.
    fn session_id(&self) -> Option<&SessionId>;

    /// What to type behind the command's name for the same; `None` for what only a button does.
    fn typed(&self) -> Option<String>;

    /// Does it.
    fn run(self, commands: &Commands, request: &RequestContext) -> impl Future<Output = Response> + Send;

    /// Everything it renders, for the gallery.
    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup>;
}

/// Declares the enum [`Command`] and everything that is looked up by command, from one table.
macro_rules! commands {
    ($(#[doc = $doc:literal] $variant:ident($module:ident),)+) => {
        $(pub use $module::$variant;)+

        /// What somebody wants.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Command {
            $(#[doc = $doc] $variant($variant),)+
        }

        $(impl From<$variant> for Command {
            fn from(command: $variant) -> Self {
                Self::$variant(command)
            }
        })+

        impl Command {
            /// Every command as it is called in log and metrics, and what it does.
            pub const NAMES: &'static [(&'static str, &'static str)] = &[
                $((<$variant as Definition>::NAME, $doc.trim_ascii()),)+
            ];

            /// The command in log and metrics.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => <$variant as Definition>::NAME,)+
                }
            }

            /// The session it is about.
            #[must_use]
            pub fn session_id(&self) -> Option<&SessionId> {
                match self {
                    $(Self::$variant(command) => command.session_id(),)+
                }
            }

            /// What to type behind the command's name for the same; `None` for what only a button does.
            #[must_use]
            pub fn typed(&self) -> Option<String> {
                match self {
                    $(Self::$variant(command) => command.typed(),)+
                }
            }

            /// Whether it asks Kapso to create something.
            #[must_use]
            pub fn creates(&self) -> bool {
                match self {
                    $(Self::$variant(_) => <$variant as Definition>::CREATES,)+
                }
            }

            /// How many posts of the `response_url` are reserved for what comes after the reply.
            #[must_use]
            pub fn posts_reserved(&self) -> u32 {
                match self {
                    $(Self::$variant(_) => <$variant as Definition>::POSTS_RESERVED,)+
                }
            }

            async fn run(self, commands: &Commands, request: &RequestContext) -> Response {
                match self {
                    $(Self::$variant(command) => command.run(commands, request).await,)+
                }
            }
        }

        /// The words that can be typed, and whether what they do creates something. In the order of the help.
        const WORDS: &[(Option<&CommandWord>, bool)] = &[
            $((<$variant as Definition>::WORD, <$variant as Definition>::CREATES),)+
        ];

        /// The samples of every command.
        #[cfg(feature = "demo")]
        pub(crate) fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
            let mut all = Vec::new();
            $({
                let groups = <$variant as Definition>::samples(context);
                let is_empty = groups.iter().all(|group| group.samples.is_empty());
                debug_assert!(!is_empty, "{} has no samples", stringify!($variant));
                all.extend(groups);
            })+
            all
        }
    };
}

// In the order of the help and of the gallery.
commands! {
    /// Show a session.
    Show(show),
    /// Show the session of a card as it is now.
    Refresh(refresh),
    /// Show a page of the list of sessions.
    List(list),
    /// Create a session.
    New(new),
    /// Notify somebody when a session changes.
    StartWatching(watch),
    /// Stop notifying somebody of changes of a session.
    StopWatching(unwatch),
    /// Show an activation link as a QR code.
    ShowQrCode(qr_code),
    /// Show a session to everybody in the channel.
    Share(share),
    /// Show what can be typed.
    Help(help),
    /// Text that was not understood.
    Unknown(unknown),
    /// A button of another version of this app, or one whose value was changed.
    StaleButton(stale_button),
}

/// Reads a press of a button. `None` if there is nothing to do.
#[must_use]
pub fn press(action_id: &str, value: &str) -> Option<Command> {
    let Some(action) = Action::parse(action_id) else {
        // Ids of this app are short words; anything else may be foreign text.
        let is_word =
            (1..=32).contains(&action_id.len()) && action_id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let action = if is_word { action_id } else { "not a word" };
        tracing::warn!(action, "a button with an action id that this version does not know");
        return None;
    };
    let about_session = |command: fn(SessionId) -> Command| ButtonValue::parse(value).map(|value| command(value.id));
    let command = match action {
        Action::OpenWhatsApp => return None,
        Action::ShowFullCard => about_session(|id| Refresh(id).into()),
        Action::StartWatching => about_session(|id| StartWatching(id).into()),
        Action::StopWatching => about_session(|id| StopWatching(id).into()),
        Action::ShowQrCode => about_session(|id| ShowQrCode(id).into()),
        Action::ShareInChannel => about_session(|id| Share(id).into()),
        Action::ShowInNewMessage => about_session(|id| Show(id).into()),
        Action::NextPage | Action::PreviousPage => PageValue::parse(value).map(|PageValue(page)| List { page }.into()),
        Action::CreateAnother => ConfirmationValue::parse(value).map(|ConfirmationValue(new)| new.into()),
    };
    Some(command.unwrap_or(StaleButton.into()))
}

/// What a reply to a press answers. `is_shared` says whether the whole channel sees the message that was pressed.
#[must_use]
pub fn reply_target(action_id: &str, is_shared: bool) -> ReplyTarget {
    match Action::parse(action_id) {
        Some(Action::ShowInNewMessage) => ReplyTarget::NewMessage,
        Some(
            Action::OpenWhatsApp
            | Action::ShowQrCode
            | Action::ShowFullCard
            | Action::StartWatching
            | Action::StopWatching
            | Action::ShareInChannel
            | Action::NextPage
            | Action::PreviousPage
            | Action::CreateAnother,
        )
        | None => {
            if is_shared {
                ReplyTarget::SharedCard
            } else {
                ReplyTarget::OwnCard
            }
        }
    }
}

/// Who wants something, with what a command may need of the request beyond its words.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Who, and where.
    pub who: Who,
    /// Where late replies and notifications may be posted.
    pub response_url: SecretString,
    /// When the `response_url` came.
    pub arrived_at: Timestamp,
    /// Finds the command in the log.
    pub request_id: String,
    /// What the reply answers.
    pub target: ReplyTarget,
    /// Who shared the card that was pressed, or that led to it, if it was a shared one.
    pub shared_by: Option<UserId>,
    /// The same for a request that Slack sends again, so that a command that creates something creates it once.
    pub idempotency_key: Option<String>,
}

/// Runs commands.
pub struct Commands {
    /// Answers questions about sessions.
    pub kapso: Arc<kapso::Client>,
    /// Who may use the app, and who may create sessions.
    pub access: Arc<AccessLists>,
    /// The stored watches.
    pub watches: Watches,
    /// Make sure that one command creates one session.
    pub idempotency: IdempotencyKeys,
    /// The time that messages are relative to.
    pub clock: Clock,
    /// The slash command's name, such as `/sandbox`.
    pub command_name: String,
    /// Signs the addresses of QR codes; `None` if Slack cannot reach this app to fetch them.
    pub qr_addresses: Option<Arc<Addresses>>,
}

impl Commands {
    /// Runs a command, if the person may.
    pub async fn run(&self, command: Command, request: &RequestContext) -> Response {
        if !access::admits(&self.access, &request.who) {
            return self.problem(&Problem::NotAllowed(Arc::clone(&self.access)), request);
        }
        if command.needs_create_permission() && !self.may_create(&request.who) {
            return self.problem(&Problem::MayNotCreate(Arc::clone(&self.access)), request);
        }
        let posts_reserved = command.posts_reserved();
        let began = Instant::now();
        let response = command.run(self, request).await;
        debug_assert!(
            response.follow_up.is_none() || posts_reserved > 0,
            "a command whose response has a follow-up reserves a post for it"
        );
        Response {
            kapso: began.elapsed(),
            ..response
        }
    }

    /// The response that says what went wrong.
    #[must_use]
    pub fn problem(&self, problem: &Problem, request: &RequestContext) -> Response {
        let context = self.render_context(request);
        Response::new(problem.into(), problem::render(problem, &context), &context)
    }

    /// What the response to a request depends on besides its subject, at this moment.
    #[must_use]
    pub fn render_context<'a>(&'a self, request: &'a RequestContext) -> RenderContext<'a> {
        RenderContext {
            now: self.clock.now(),
            command: &self.command_name,
            request_id: &request.request_id,
            target: request.target,
            shared_by: request.shared_by.as_ref(),
            qr_addresses: self.qr_addresses.as_deref(),
        }
    }

    /// What a notification depends on besides its subject. It is a message of its own, beside whatever there is.
    #[must_use]
    pub fn notification_context<'a>(&'a self, request_id: &'a str, shared_by: Option<&'a UserId>) -> RenderContext<'a> {
        RenderContext {
            now: self.clock.now(),
            command: &self.command_name,
            request_id,
            target: ReplyTarget::Command,
            shared_by,
            qr_addresses: self.qr_addresses.as_deref(),
        }
    }

    /// Whether a person, who may use the app, may create sessions.
    fn may_create(&self, who: &Who) -> bool {
        access::may_create(&self.access, who)
    }

    /// The response to a request about one session that Kapso did not answer with that session.
    fn session_problem(&self, id: &SessionId, error: Arc<kapso::Error>, request: &RequestContext) -> Response {
        self.problem(&Problem::about(id, &error), request).caused_by(error)
    }
}

impl Command {
    /// Whether only those who may create sessions may do this: neither they nor a correction tells others how.
    fn needs_create_permission(&self) -> bool {
        let explains_creating = matches!(self, Self::Unknown(Unknown(error)) if parse::is_about_creating(error));
        explains_creating || self.creates()
    }
}
