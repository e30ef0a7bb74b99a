//! `/sandbox new` with nothing behind it: a form, if the app has a bot token.
//!
//! The form is the reply to the command. What is submitted becomes the command `new …`, as if it were typed in the place
//! where the form was opened; its reply goes to the `response_url` of the command that opened the form.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::named_project::{self, Named};
use super::{CommandWord, Commands, Definition, New, Outcome, Phone, RequestContext, Response, new, parse, typed_text};
#[cfg(feature = "demo")]
use crate::cards::samples::SampleGroup;
use crate::cards::sentence::fill;
use crate::cards::{Problem, RenderContext, View, problem};
use crate::config::Alias;
use crate::kapso::{AgentId, SessionId};
use crate::projects::ProjectRef;
use crate::slack::Who;
use crate::slack::form::{Field, FieldErrors, Form, METADATA_MAX};
use crate::slack::interaction::FormSubmission;

/// Names the form in Slack's payloads.
pub const CALLBACK_ID: &str = "new_session";
const PHONE: &str = "phone";
const AGENT: &str = "agent";
const PROJECT: &str = "project";

/// Opens the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenForm {
    /// The project that the command named.
    pub named: Option<Alias>,
}

/// What comes back with a submitted form, sealed: where it was opened, and where its reply goes.
#[derive(Serialize, Deserialize)]
struct Opened {
    who: Who,
    response_url: String,
    arrived_at: Timestamp,
    /// The project, if there was no choice and it has an alias.
    project: Option<Alias>,
}

/// What a valid form asks for.
#[derive(Debug)]
pub struct Submitted {
    pub new: New,
    /// Who submitted it, in the place where the form was opened.
    pub who: Who,
    pub project: Option<Alias>,
    /// That of the command that opened the form.
    pub response_url: SecretString,
    /// When it was received.
    pub arrived_at: Timestamp,
}

impl Definition for OpenForm {
    const NAME: &'static str = "form";
    const WORD: Option<&'static CommandWord> = None;
    type Scope = ();
    const CREATES: bool = false;
    const POSTS_RESERVED: u32 = 0;

    fn session_id(&self) -> Option<&SessionId> {
        None
    }

    fn typed(&self) -> Option<String> {
        Some(new::WORD.name.to_owned())
    }

    async fn run(self, (): (), commands: &Commands, request: &RequestContext) -> Response {
        let projects = commands.creatable(self.named.as_ref(), &request.who);
        let Some(sealed) = seal(&projects, commands, request) else {
            return failed("sealing", None, commands, request);
        };
        let Some(form) = form(&projects, sealed) else {
            return commands.problem(&Problem::NoProjectHere, request);
        };
        match commands.web_api.open_view(&request.trigger_id, &form).await {
            Ok(()) => Response::without_message(Outcome::FormOpened),
            Err(error) => failed(&error.to_string(), error.fix(), commands, request),
        }
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let agent = AgentId::parse("agent-123abc");
        let aliases: Vec<Alias> = ["staging", "support"].into_iter().filter_map(Alias::parse).collect();
        let one = render(&[], agent.as_ref(), String::new());
        let several = render(&aliases, None, String::new());
        let empty = read_fields(&BTreeMap::new()).err();
        let wrong = BTreeMap::from([
            (PHONE.to_owned(), "12025550123".to_owned()),
            (AGENT.to_owned(), "my agent".to_owned()),
        ]);
        let errors = read_fields(&wrong).err();
        let forms = [
            ("A form", &one, None),
            ("A form with several projects", &several, None),
            ("Nothing was entered", &one, empty),
            ("What was entered is not valid", &one, errors),
            (
                "The project can no longer be used",
                &several,
                Some(FieldErrors::at(PROJECT, NO_PROJECT)),
            ),
            ("It was open for too long", &one, Some(too_old(context.command))),
        ];
        let messages = [("The form could not be opened", render_failed(context))];
        let forms = forms.map(|(title, form, errors)| (title, form.clone(), errors));
        vec![SampleGroup::new("The form for a new session", messages, context).with_forms(forms)]
    }
}

impl Commands {
    /// The form and its project, if that is what a person wants who typed this, and it can be opened.
    #[must_use]
    pub fn form(&self, text: &str, who: &Who) -> Option<(OpenForm, Option<Alias>)> {
        if !self.web_api.has_token() {
            return None;
        }
        let (text, named) = if self.projects.have_names() {
            named_project::split(text)
        } else {
            (text.to_owned(), Named::Nothing)
        };
        let named = match named {
            Named::Nothing => None,
            Named::Project(alias) => Some(alias),
            Named::Several => return None,
        };
        if !parse::is_alone(&text, new::WORD, &self.command_name) {
            return None;
        }
        let projects = self.creatable(named.as_ref(), who);
        let project = match &projects[..] {
            // The reply to the command says why not.
            [] => return None,
            [only] => only.alias().cloned(),
            _ => None,
        };
        Some((OpenForm { named }, project))
    }

    /// The projects in which this person may create sessions from there.
    fn creatable(&self, named: Option<&Alias>, who: &Who) -> Vec<ProjectRef> {
        let mut projects = self.projects.allowed(who);
        projects.retain(|project| project.may_create(who) && (named.is_none() || project.alias() == named));
        projects
    }

    /// Reads a submitted form. Permissions are checked when the command is run. `is_usable` says whether a `response_url`
    /// that was received then still works.
    ///
    /// # Errors
    /// What is wrong at which field.
    pub fn submitted(
        &self,
        form: &FormSubmission,
        is_usable: impl Fn(Timestamp) -> bool,
    ) -> Result<Submitted, FieldErrors> {
        let too_old = || too_old(&self.command_name);
        let opened = self.sealer.open(&form.private_metadata).ok_or_else(too_old)?;
        let opened: Opened = serde_json::from_slice(&opened).map_err(|_| too_old())?;
        let is_same_team = form.who.team.is_empty() || form.who.team == opened.who.team;
        if form.who.user != opened.who.user || !is_same_team || !is_usable(opened.arrived_at) {
            return Err(too_old());
        }
        let fields = read_fields(&form.values);
        let project = match (&opened.project, form.values.get(PROJECT)) {
            (None, Some(chosen)) => Alias::parse(chosen),
            (project, _) => project.clone(),
        };
        let no_project = self.projects.authorize(project.as_ref(), &opened.who).is_err();
        match (fields, no_project) {
            (Ok(new), false) => Ok(Submitted {
                new,
                who: opened.who,
                project,
                response_url: opened.response_url.into(),
                arrived_at: opened.arrived_at,
            }),
            (Err(errors), false) => Err(errors),
            (fields, true) if form.values.contains_key(PROJECT) => Err(match fields {
                Ok(_) => FieldErrors::at(PROJECT, NO_PROJECT),
                Err(errors) => errors.and(PROJECT, NO_PROJECT),
            }),
            (_, true) => Err(FieldErrors::at(PHONE, NO_PROJECT)),
        }
    }
}

const NO_PROJECT: &str = "This Kapso project can no longer be used here.";

fn too_old(command: &str) -> FieldErrors {
    let error = format!("This form is too old. Close it, and type {command} new again.");
    FieldErrors::at(PHONE, &error)
}

/// What was entered, with errors at the fields that are not valid.
fn read_fields(values: &BTreeMap<String, String>) -> Result<New, FieldErrors> {
    let value = |id: &str| values.get(id).map_or("", |value| value.trim());
    let written = typed_text::plain(value(PHONE));
    let phone = Phone::parse(&written).ok_or_else(|| {
        let error = match Phone::guess(&written) {
            Some(guess) => format!("Start with + and the country code. Is it {}?", guess.as_str()),
            None => format!(
                "Enter a phone number with + and the country code, such as {}.",
                new::SAMPLE_PHONE
            ),
        };
        FieldErrors::at(PHONE, &error)
    });
    let agent = match value(AGENT) {
        "" => Ok(None),
        written => AgentId::parse(written).map(Some).ok_or(INVALID_AGENT),
    };
    match (phone, agent) {
        (Ok(phone), Ok(agent)) => Ok(New {
            phone,
            agent,
            confirmation: None,
        }),
        (Ok(_), Err(error)) => Err(FieldErrors::at(AGENT, error)),
        (Err(errors), Ok(_)) => Err(errors),
        (Err(errors), Err(error)) => Err(errors.and(AGENT, error)),
    }
}

const INVALID_AGENT: &str = "An agent ID has only letters, digits, - and _. Copy it from Kapso.";

fn seal(projects: &[ProjectRef], commands: &Commands, request: &RequestContext) -> Option<String> {
    let opened = Opened {
        who: request.who.clone(),
        response_url: request.response_url.expose_secret().to_owned(),
        arrived_at: request.arrived_at,
        project: match projects {
            [only] => only.alias().cloned(),
            _ => None,
        },
    };
    let sealed = commands.sealer.seal(&serde_json::to_vec(&opened).ok()?);
    sealed.filter(|sealed| sealed.len() <= METADATA_MAX)
}

/// The form for these projects; `None` if there are none.
fn form(projects: &[ProjectRef], sealed: String) -> Option<Form> {
    Some(match projects {
        [] => return None,
        [only] => render(&[], only.default_agent.as_ref(), sealed),
        several => {
            let aliases: Vec<Alias> = several.iter().filter_map(|project| project.alias().cloned()).collect();
            render(&aliases, None, sealed)
        }
    })
}

/// Without aliases, the project is clear.
fn render(aliases: &[Alias], agent: Option<&AgentId>, sealed: String) -> Form {
    let project =
        (!aliases.is_empty()).then(|| Field::menu(PROJECT, "Kapso project", aliases.iter().map(Alias::as_str)));
    let phone = Field::text(PHONE, "Tester's phone number", Some("+1 202 555 0123"))
        .with_hint("With + and the country code. The number must be on WhatsApp.");
    let agent = Field::text(AGENT, "Agent ID", None)
        .optional()
        .filled_with(agent.map(AgentId::as_str))
        .with_hint("If it is empty, the project's default agent is used.");
    let fields = project.into_iter().chain([phone, agent]).collect();
    Form::new(CALLBACK_ID, "New sandbox session", "Create session", sealed, fields)
}

fn failed(error: &str, fix: Option<&str>, commands: &Commands, request: &RequestContext) -> Response {
    tracing::warn!(
        request_id = request.request_id,
        error,
        fix,
        "a form could not be opened"
    );
    let context = commands.render_context(request);
    Response::new(Outcome::FormFailed, render_failed(&context), &context)
}

fn render_failed(context: &RenderContext<'_>) -> View {
    let text = fill(
        "I couldn't open the form. Type it instead, for example {example}. You can add an agent ID after it.",
        [("example", context.typed(new::EXAMPLE))],
    );
    problem::with_request_id(text, context)
}
