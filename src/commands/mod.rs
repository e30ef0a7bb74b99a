//! The commands, one file each: arguments, help, `run`, rendering and samples.
//!
//! To add one, write its file with a `Definition`, and name it twice below: as a module and in the table.

mod access;
mod choose_project;
mod find;
mod form;
mod found;
mod help;
mod list;
mod look_up;
mod named_project;
mod new;
mod parse;
mod phone;
mod qr_code;
mod recreate;
mod refresh;
mod response;
mod session_id;
mod share;
mod shortcut;
mod show;
mod stale_button;
mod typed_text;
mod unknown;
mod unknown_shortcut;
mod unwatch;
mod watch;
mod watching;
mod word;

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;

pub use form::{CALLBACK_ID as FORM, Submitted};
pub use found::{Found, found};
pub use list::PageValue;
pub use named_project::{Named, split as split_project};
pub use new::{ConfirmationToken, ConfirmationValue, SAMPLE_PHONE};
pub use parse::parse;
pub use phone::Phone;
pub use response::{FollowUp, Outcome, Response};
pub use shortcut::Shortcut;
pub use word::{CommandWord, ParseError, Usage};

use crate::cards::buttons::TypedValue;
#[cfg(feature = "demo")]
use crate::cards::samples::SampleGroup;
use crate::cards::{Action, Problem, RenderContext, ReplyTarget, SessionValue, problem};
use crate::clock::Clock;
use crate::config::{AccessLists, Alias, Creators};
use crate::idempotency::IdempotencyKeys;
use crate::kapso::{self, SessionId};
use crate::projects::{ProjectRef, Projects, Resolution, Unusable};
use crate::qr::Addresses;
use crate::slack::Who;
use crate::slack::button_value::{Origin, ValueSigner};
use crate::slack::direct_messages::DirectMessages;
use crate::slack::interaction::PressedButton;
use crate::slack::sealed::Sealer;
use crate::slack::web_api::WebApi;
use crate::watches::Watches;

/// The definition of a command. Nothing has a default, so that nothing can be forgotten.
pub(crate) trait Definition: Sized {
    /// The name in the log.
    const NAME: &'static str;
    /// How it is typed; `None` for commands that only a button invokes.
    const WORD: Option<&'static CommandWord>;
    /// What it runs in: [`ProjectRef`] if it is about a project, else `()`.
    type Scope: Scope;
    /// Whether it creates something in Kapso: this needs permission, and after an error, something may have been created.
    const CREATES: bool;
    /// How many posts of the `response_url` are reserved for messages after the reply.
    const POSTS_RESERVED: u32;

    /// The session it is about.
    fn session_id(&self) -> Option<&SessionId>;

    /// The text that invokes the same command; `None` for commands that only a button invokes.
    fn typed(&self) -> Option<String>;

    /// Runs the command.
    fn run(
        self,
        scope: Self::Scope,
        commands: &Commands,
        request: &RequestContext,
    ) -> impl Future<Output = Response> + Send;

    /// Samples of every message it renders, for the gallery.
    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup>;
}

/// What a command runs in. Nothing but a project, authorised for the request, gives access to Kapso.
pub(crate) trait Scope: Sized {
    /// Whether it is a project.
    const IS_PROJECT: bool;

    /// The scope of a request.
    ///
    /// # Errors
    /// Its project may not be used.
    fn of(commands: &Commands, request: &RequestContext) -> Result<Self, Unusable>;
}

impl Scope for ProjectRef {
    const IS_PROJECT: bool = true;

    fn of(commands: &Commands, request: &RequestContext) -> Result<Self, Unusable> {
        let project = request.origin.project.as_ref();
        commands.projects.authorize(project, &request.who)
    }
}

impl Scope for () {
    const IS_PROJECT: bool = false;

    fn of(_commands: &Commands, _request: &RequestContext) -> Result<Self, Unusable> {
        Ok(())
    }
}

/// Declares the enum [`Command`] and everything that is looked up by command, from one table.
macro_rules! commands {
    ($(#[doc = $doc:literal] $variant:ident($module:ident),)+) => {
        $(pub use $module::$variant;)+

        /// What a person wants, parsed from text or from a button.
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
            /// The name of every command in log and metrics, and what it does.
            pub const NAMES: &'static [(&'static str, &'static str)] = &[
                $((<$variant as Definition>::NAME, $doc.trim_ascii()),)+
            ];

            /// The name in log and metrics.
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

            /// The text that invokes the same command; `None` for commands that only a button invokes.
            #[must_use]
            pub fn typed(&self) -> Option<String> {
                match self {
                    $(Self::$variant(command) => command.typed(),)+
                }
            }

            /// Whether it creates something in Kapso.
            #[must_use]
            pub fn creates(&self) -> bool {
                match self {
                    $(Self::$variant(_) => <$variant as Definition>::CREATES,)+
                }
            }

            /// How many posts of the `response_url` are reserved for messages after the reply.
            #[must_use]
            pub fn posts_reserved(&self) -> u32 {
                match self {
                    $(Self::$variant(_) => <$variant as Definition>::POSTS_RESERVED,)+
                }
            }

            /// Whether it is about a project.
            fn is_about_project(&self) -> bool {
                match self {
                    $(Self::$variant(_) => <$variant as Definition>::Scope::IS_PROJECT,)+
                }
            }

            async fn run(self, commands: &Commands, request: &RequestContext) -> Response {
                match self {
                    $(Self::$variant(command) => match Scope::of(commands, request) {
                        // Boxed: the commands' futures differ much in size, and the largest would be copied for all.
                        Ok(scope) => Box::pin(command.run(scope, commands, request)).await,
                        Err(error) => commands.unusable(error, request),
                    },)+
                }
            }
        }

        /// The command words, and whether their commands create something. In the order of the help.
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
    /// Show the newest session of a phone.
    Find(find),
    /// Show the session of a card as it is now.
    Refresh(refresh),
    /// Show a page of the list of sessions.
    List(list),
    /// Create a session.
    New(new),
    /// Open the form for a new session.
    OpenForm(form),
    /// Ask whether to create a new session in place of one that has ended.
    Recreate(recreate),
    /// Notify a person when a session changes.
    StartWatching(watch),
    /// Stop notifying a person about changes of a session.
    StopWatching(unwatch),
    /// List what the person watches.
    Watching(watching),
    /// Show an activation link as a QR code.
    ShowQrCode(qr_code),
    /// Show a session to everybody in the channel.
    Share(share),
    /// Ask which project a command is about.
    ChooseProject(choose_project),
    /// Show the help.
    Help(help),
    /// Ask which of the sessions in a message is meant.
    LookUp(look_up),
    /// Text that was not understood.
    Unknown(unknown),
    /// A button of another version of this app, or one whose value was changed.
    StaleButton(stale_button),
    /// A shortcut of another version of this app.
    UnknownShortcut(unknown_shortcut),
}

/// The button of ours among those that were pressed; if none of them is, the first one.
#[must_use]
pub fn own_button(buttons: Vec<PressedButton>) -> PressedButton {
    let own = buttons
        .iter()
        .position(|button| Action::parse(&button.action_id).is_some());
    buttons.into_iter().nth(own.unwrap_or(0)).unwrap_or_default()
}

/// The target of the reply to a press. `is_shared` says whether the whole channel sees the pressed message.
#[must_use]
pub fn reply_target(action_id: &str, is_shared: bool) -> ReplyTarget {
    match Action::parse(action_id) {
        Some(Action::ShowInNewMessage) => ReplyTarget::NewMessage,
        // Its button is never on a card that others see.
        Some(Action::RunCommand) if is_shared => ReplyTarget::NewMessage,
        Some(
            Action::OpenWhatsApp
            | Action::ShowQrCode
            | Action::ShowFullCard
            | Action::StartWatching
            | Action::StopWatching
            | Action::StopListed
            | Action::ShareInChannel
            | Action::NextPage
            | Action::PreviousPage
            | Action::CreateAnother
            | Action::CreateNewSession
            | Action::RunCommand,
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

/// Who sent a request, and what a command needs of it besides its arguments.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The sender and the conversation.
    pub who: Who,
    /// Where late replies and notifications may be posted.
    pub response_url: SecretString,
    /// When the `response_url` was received.
    pub arrived_at: Timestamp,
    /// Finds the command in the log.
    pub request_id: String,
    /// What the reply answers.
    pub target: ReplyTarget,
    /// The command that led to this, and who shared the card since, if it was shared.
    pub origin: Origin,
    /// Opens a form, once and within three seconds; empty where no form is opened.
    pub trigger_id: SecretString,
    /// The same for a request that Slack sends again, so that a command that creates something creates it once.
    pub idempotency_key: Option<String>,
}

/// Runs commands.
pub struct Commands {
    /// The Kapso projects.
    pub projects: Arc<Projects>,
    /// Who may use the app.
    pub access: Arc<AccessLists>,
    /// The stored watches.
    pub watches: Watches,
    /// Ensure that one command creates one session.
    pub idempotency: IdempotencyKeys,
    /// The time that messages are relative to.
    pub clock: Clock,
    /// The slash command's name, such as `/sandbox`.
    pub command_name: String,
    /// Signs the addresses of QR codes; `None` if Slack cannot reach this app to fetch them.
    pub qr_addresses: Option<Arc<Addresses>>,
    /// Signs and verifies the values of buttons.
    pub signer: ValueSigner,
    /// Encrypts what comes back with a form.
    pub sealer: Sealer,
    /// The methods that need a bot token, which there may not be.
    pub web_api: WebApi,
    /// Direct messages, which need it, too.
    pub direct_messages: DirectMessages,
}

impl Commands {
    /// Reads what a person typed: the command, and the alias of its project if it has one.
    #[must_use]
    pub fn read(&self, text: &str, who: &Who) -> (Command, Option<Alias>) {
        if !self.projects.have_names() {
            return (parse(text, &self.command_name), None);
        }
        let (rest, named) = named_project::split(text);
        self.in_place(parse(&rest, &self.command_name), named, who)
    }

    /// The command with the alias of its project, if that has one; the question which project is meant, if that is not
    /// clear.
    fn in_place(&self, command: Command, named: Named, who: &Who) -> (Command, Option<Alias>) {
        if !self.projects.have_names() {
            return (command, None);
        }
        match (self.projects.resolve(named.alias(), who), &named) {
            (Resolution::Project(project), Named::Nothing | Named::Project(_)) => (command, project.alias().cloned()),
            (Resolution::Unclear(_) | Resolution::NotHere(_), Named::Nothing) if !command.is_about_project() => {
                (command, None)
            }
            _ => {
                let command = Box::new(command);
                (ChooseProject { named, command }.into(), None)
            }
        }
    }

    /// Reads it again for a pending reply, whose project was `project` if it had an alias then.
    #[must_use]
    pub fn read_again(&self, text: &str, project: Option<&Alias>, who: &Who) -> (Command, Option<Alias>) {
        match project {
            Some(alias) => {
                let (rest, _) = named_project::split(text);
                (parse(&rest, &self.command_name), Some(alias.clone()))
            }
            None => self.read(text, who),
        }
    }

    /// Reads a press of a button: what is wanted, and where the button comes from. `None` if there is nothing to do.
    #[must_use]
    pub fn press(&self, action_id: &str, value: &str) -> Option<(Command, Origin)> {
        let Some(action) = Action::parse(action_id) else {
            // Ids of this app are short words; anything else may be foreign text.
            let is_word =
                (1..=32).contains(&action_id.len()) && action_id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            let action = if is_word { action_id } else { "not a word" };
            tracing::warn!(action, "a button with an action id that this version does not know");
            return None;
        };
        let verified = self.signer.verify(value);
        let content = verified.as_ref().map(|(content, _)| *content);
        let about_session = |command: fn(SessionId) -> Command| Some(command(SessionValue::parse(content?)?.0));
        let command = match action {
            Action::OpenWhatsApp => return None,
            Action::ShowFullCard => about_session(|id| Refresh(id).into()),
            Action::StartWatching => about_session(|id| StartWatching(id).into()),
            Action::StopWatching => about_session(|id| StopWatching(id).into()),
            Action::StopListed => about_session(|id| Watching { stop: Some(id) }.into()),
            Action::ShowQrCode => about_session(|id| ShowQrCode(id).into()),
            Action::ShareInChannel => about_session(|id| Share(id).into()),
            Action::ShowInNewMessage => about_session(|id| Show(id).into()),
            Action::NextPage | Action::PreviousPage => content
                .and_then(PageValue::parse)
                .map(|PageValue(page)| List { page }.into()),
            Action::RunCommand => content
                .and_then(TypedValue::parse)
                .and_then(|TypedValue(text)| parse::offered(&text)),
            Action::CreateNewSession => about_session(|id| Recreate(id).into()),
            Action::CreateAnother => content
                .and_then(ConfirmationValue::parse)
                .map(|ConfirmationValue(new)| new.into()),
        };
        let origin = verified.map(|(_, origin)| origin).unwrap_or_default();
        Some((command.unwrap_or(StaleButton.into()), origin))
    }

    /// The project of a pressed button that runs a command as if it were typed: its own, or else that of the place.
    #[must_use]
    pub fn resolve_press(&self, action_id: &str, command: Command, origin: Origin, who: &Who) -> (Command, Origin) {
        let is_typed = Action::parse(action_id) == Some(Action::RunCommand);
        if !is_typed || origin.project.is_some() || !command.is_about_project() {
            return (command, origin);
        }
        let (command, project) = self.in_place(command, Named::Nothing, who);
        let origin = origin.in_project(project.as_ref());
        (command, origin)
    }

    /// Whether this person may use the app there.
    #[must_use]
    pub fn admits(&self, who: &Who) -> bool {
        access::admits(&self.access, who)
    }

    /// Reads a shortcut that was chosen in the menu of a message: the command, and the alias of its project if it has
    /// one. `found` is what is in the message; `project` is the project of a pending reply, if it had an alias then.
    #[must_use]
    pub fn shortcut(
        &self,
        callback_id: &str,
        found: &[Found],
        project: Option<&Alias>,
        who: &Who,
    ) -> (Command, Option<Alias>) {
        let command = match (Shortcut::parse(callback_id), found) {
            (Some(Shortcut::LookUpSession), [only]) => only.command(),
            (Some(Shortcut::LookUpSession), _) => LookUp(found.to_vec()).into(),
            (None, _) => UnknownShortcut.into(),
        };
        match project {
            Some(alias) => (command, Some(alias.clone())),
            None => self.in_place(command, Named::Nothing, who),
        }
    }

    /// Runs a command, if the person may.
    pub async fn run(&self, command: Command, request: &RequestContext) -> Response {
        if !self.admits(&request.who) {
            return self.problem(&Problem::NotAllowed(Arc::clone(&self.access)), request);
        }
        if command.needs_create_permission() && !self.may_create(&request.origin, &request.who) {
            let creators = self.creators(&request.origin, &request.who);
            return self.problem(&Problem::MayNotCreate(creators), request);
        }
        let posts_reserved = command.posts_reserved();
        let (response, kapso) = kapso::measure(command.run(self, request)).await;
        debug_assert!(
            response.follow_up.is_none() || posts_reserved > 0,
            "a command whose response has a follow-up reserves a post for it"
        );
        Response { kapso, ..response }
    }

    /// The response to a problem.
    #[must_use]
    pub fn problem(&self, problem: &Problem, request: &RequestContext) -> Response {
        let context = self.render_context(request);
        Response::new(problem.into(), problem::render(problem, &context), &context)
    }

    /// The context for rendering the response to a request now.
    #[must_use]
    pub fn render_context<'a>(&'a self, request: &'a RequestContext) -> RenderContext<'a> {
        RenderContext {
            now: self.clock.now(),
            command: &self.command_name,
            request_id: &request.request_id,
            target: request.target,
            may_create: self.may_create(&request.origin, &request.who),
            origin: &request.origin,
            project: self.shown_project(&request.origin, &request.who),
            signer: &self.signer,
            qr_addresses: self.qr_addresses.as_deref(),
        }
    }

    /// The context for rendering a notification now. It replaces no message.
    #[must_use]
    pub fn notification_context<'a>(&'a self, who: &Who, request_id: &'a str, origin: &'a Origin) -> RenderContext<'a> {
        RenderContext {
            now: self.clock.now(),
            command: &self.command_name,
            request_id,
            target: ReplyTarget::Command,
            may_create: self.may_create(origin, who),
            origin,
            project: self.shown_project(origin, who),
            signer: &self.signer,
            qr_addresses: self.qr_addresses.as_deref(),
        }
    }

    /// The project to name in messages to a person and in the log: where there are several, and this one may be used there.
    #[must_use]
    pub fn shown_project<'o>(&self, origin: &'o Origin, who: &Who) -> Option<&'o Alias> {
        let alias = origin.project.as_ref()?;
        let is_usable = self.projects.authorize(Some(alias), who).is_ok();
        (is_usable && self.projects.are_several()).then_some(alias)
    }

    /// The projects that a request from there may be about.
    fn possible_projects(&self, origin: &Origin, who: &Who) -> Vec<ProjectRef> {
        match self.projects.authorize(origin.project.as_ref(), who) {
            Ok(project) => vec![project],
            Err(_) => self.projects.allowed(who),
        }
    }

    /// Whether a person with access may create sessions in a project that a request from there may be about.
    fn may_create(&self, origin: &Origin, who: &Who) -> bool {
        let projects = self.possible_projects(origin, who);
        projects.iter().any(|project| project.may_create(who))
    }

    /// Who may create sessions in the projects that a request from there may be about, for somebody who may not.
    fn creators(&self, origin: &Origin, who: &Who) -> Creators {
        let mut people: Vec<String> = Vec::new();
        for project in self.possible_projects(origin, who) {
            if let Creators::Only(creators) = project.creators() {
                let new = creators.iter().filter(|creator| !people.contains(creator));
                let new: Vec<String> = new.cloned().collect();
                people.extend(new);
            }
        }
        Creators::Only(people)
    }

    /// The response to a request whose project may not be used.
    fn unusable(&self, _: Unusable, request: &RequestContext) -> Response {
        let problem = match &request.origin.project {
            Some(_) => Problem::ProjectUnavailable,
            // A button from a time when there was one project only.
            None => Problem::StaleButton,
        };
        self.problem(&problem, request)
    }

    /// The response to a request about one session that Kapso did not answer with that session.
    fn session_problem(&self, id: &SessionId, error: Arc<kapso::Error>, request: &RequestContext) -> Response {
        self.problem(&Problem::about(id, &error), request).caused_by(error)
    }
}

impl Command {
    /// Whether this needs the permission to create sessions. Corrections that explain how to create one need it, too, and
    /// so does the question whether to create one.
    fn needs_create_permission(&self) -> bool {
        let explains_creating = matches!(self, Self::Unknown(Unknown(error)) if parse::is_about_creating(error));
        explains_creating || self.leads_to_creation()
    }

    /// Whether it creates something, or leads to a question whose answer does.
    #[must_use]
    pub fn leads_to_creation(&self) -> bool {
        if let Self::ChooseProject(choose) = self {
            return choose.command.needs_create_permission();
        }
        self.creates() || matches!(self, Self::Recreate(_) | Self::OpenForm(_))
    }
}
