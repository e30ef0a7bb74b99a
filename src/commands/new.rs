//! `/sandbox new <+phone> [agent id]`: creates a session, once.
//!
//! Before the request to Kapso, the database stores the idempotency key of the command. A repeated command (a replay, a
//! resumed job, another process) gets the stored result, and makes no request to Kapso.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::session_id::looks_like_id;
use super::{
    Command, CommandWord, Commands, Definition, Outcome, ParseError, Phone, RequestContext, Response, Usage, phone,
};
use crate::cards::buttons::{Action, SessionValue, button, decode_value, encode_value};
#[cfg(feature = "demo")]
use crate::cards::samples::{SampleGroup, sample_id, usual_session};
use crate::cards::sentence::{fill, foreign, monospace};
use crate::cards::session;
use crate::cards::{Problem, RenderContext, Replaces, View, problem};
use crate::idempotency::{BeginOutcome, Creation, CreationOutcome, fingerprint};
use crate::kapso::{Age, AgentId, Error, Session, SessionId};
use crate::projects::ProjectRef;
use crate::slack::blocks::{Block, Text};
use crate::slack::message::Message;
use crate::slack::text::Mrkdwn;

/// A phone number that is reserved for fiction in the United States.
pub const SAMPLE_PHONE: &str = "+12025550123";
/// An example with [`SAMPLE_PHONE`].
pub(super) const EXAMPLE: &str = "new +12025550123";
/// For this long, the reply to a repeated request says that the session was created: the first reply may have been lost.
const JUST_CREATED: SignedDuration = SignedDuration::from_mins(1);
/// A longer name of an agent is cut in a question.
const AGENT_MAX: usize = 80;

pub(super) const WORD: &CommandWord = &CommandWord {
    name: "new",
    takes_session_id: false,
    usages: &[Usage {
        typed: "new <+phone> [agent id]",
        does: "creates a session for a tester's phone, if you're allowed to",
    }],
    button: "Create the session",
    examples: &[EXAMPLE],
    parse,
    usage_error: |context| {
        fill(
            "I couldn't read a phone number. Start with `+` and the country code, for example {example}. You can add \
             an agent ID after it.",
            [("example", context.typed(EXAMPLE))],
        )
    },
};

/// Creates a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct New {
    /// The tester's phone.
    pub phone: Phone,
    /// The agent; `None` for the project's default one.
    pub agent: Option<AgentId>,
    /// Given if the person confirmed that they want another session.
    pub confirmation: Option<ConfirmationToken>,
}

/// Identifies the question whether another session is wanted: the idempotency key of the request that led to it, 64 hex
/// digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmationToken(String);

impl ConfirmationToken {
    /// Reads a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == 64 && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    /// The token as it stands in a button's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The content of the value of the button that confirms: `v1:<token>:<phone>` or `v1:<token>:<phone>:<agent>`. Only the person who
/// typed the phone number sees the message it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmationValue(pub New);

impl ConfirmationValue {
    /// Reads a content; `None` for anything that [`fmt::Display`] does not write.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (token, written, agent) = match decode_value(value)?[..] {
            [token, phone] => (token, phone, None),
            [token, phone, agent] => (token, phone, Some(AgentId::parse(agent)?)),
            _ => return None,
        };
        Some(Self(New {
            phone: Phone::parse(written).filter(|phone| phone.as_str() == written)?,
            agent,
            confirmation: Some(ConfirmationToken::parse(token)?),
        }))
    }
}

impl fmt::Display for ConfirmationValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.0.confirmation.as_ref().map_or("", ConfirmationToken::as_str);
        let agent = self.0.agent.as_ref().map(AgentId::as_str);
        let fields = [token, self.0.phone.as_str()].into_iter().chain(agent);
        f.write_str(&encode_value(fields))
    }
}

impl Definition for New {
    const NAME: &'static str = WORD.name;
    const WORD: Option<&'static CommandWord> = Some(WORD);
    type Scope = ProjectRef;
    const CREATES: bool = true;
    const POSTS_RESERVED: u32 = 0;

    fn session_id(&self) -> Option<&SessionId> {
        None
    }

    fn typed(&self) -> Option<String> {
        let (word, phone) = (WORD.name, self.phone.as_str());
        Some(match &self.agent {
            Some(agent) => format!("{word} {phone} {}", agent.as_str()),
            None => format!("{word} {phone}"),
        })
    }

    async fn run(self, project: ProjectRef, commands: &Commands, request: &RequestContext) -> Response {
        // A confirmation is valid once, however often its button is pressed.
        let key = match &self.confirmation {
            Some(token) => Some(fingerprint(&["yes", token.as_str()])),
            None => request.idempotency_key.clone(),
        };
        let Some(key) = key else {
            return commands.problem(&Problem::NoStore, request);
        };
        let subject = self.subject(&project, request);
        let confirms = self.confirmation.as_ref().map(ConfirmationToken::as_str);
        match commands.idempotency.begin(&key, &subject, confirms).await {
            Ok(BeginOutcome::First) => self.create(&key, &project, commands, request).await,
            Ok(BeginOutcome::NeedsConfirmation(earlier)) => {
                self.question(key, earlier.as_ref(), None, commands, request)
            }
            Ok(BeginOutcome::Repeated(Creation { began_at, outcome })) => match outcome {
                Some(CreationOutcome::Created(id)) => created_before(&id, began_at, &project, commands, request).await,
                Some(CreationOutcome::NotCreated | CreationOutcome::ConfirmationNeeded) => {
                    let context = commands.render_context(request);
                    Response::new(Outcome::NothingCreated, render_nothing_created(&context), &context)
                }
                Some(CreationOutcome::Unknown) | None => commands.problem(&Problem::Unsure, request),
            },
            Ok(BeginOutcome::UnknownConfirmation) => commands.problem(&Problem::StaleButton, request),
            Err(_) => commands.problem(&Problem::NoStore, request),
        }
    }

    #[cfg(feature = "demo")]
    fn samples(context: &RenderContext<'_>) -> Vec<SampleGroup> {
        let new = |agent: Option<&str>| {
            Some(New {
                phone: Phone::parse(SAMPLE_PHONE)?,
                agent: agent.and_then(AgentId::parse),
                confirmation: ConfirmationToken::parse(&"5eed".repeat(16)),
            })
        };
        let created = [("Created", false), ("Created by an earlier copy of the request", true)];
        let created = created
            .into_iter()
            .filter_map(|(title, is_old)| Some((title, render(&usual_session(context.now)?, is_old, context))));
        let agent = AgentId::parse("agent-123abc");
        let rejected = [
            ("Kapso rejects the number, or needs an agent", new(None), None),
            (
                "Kapso rejects the number or the default agent",
                new(None),
                agent.as_ref(),
            ),
            ("Kapso rejects number or agent", new(Some("agent-123abc")), None),
        ];
        let rejected = rejected
            .into_iter()
            .filter_map(|(title, new, default)| Some((title, render_not_accepted(&new?, default, context))));
        let nothing = ("The same request again", render_nothing_created(context));
        let question = |(title, outcome)| {
            let began_at = context.now - SignedDuration::from_secs(20);
            let earlier = Creation { began_at, outcome };
            Some((
                title,
                render_question(&new(Some("agent-123abc"))?, Some(&earlier), None, context),
            ))
        };
        let questions = [
            ("There is one", sample_id().map(CreationOutcome::Created)),
            ("There may be one", None),
        ];
        vec![
            SampleGroup::new("A new session", created.chain(rejected).chain([nothing]), context),
            SampleGroup::new(
                "Another session for the same phone",
                questions.into_iter().filter_map(question),
                context,
            ),
        ]
    }
}

/// Samples of the question before a session replaces one that has ended.
#[cfg(feature = "demo")]
pub(super) fn question_samples(context: &RenderContext<'_>) -> Vec<(&'static str, View)> {
    let question = |agent: Option<&str>, name| {
        let new = New {
            phone: Phone::parse(SAMPLE_PHONE)?,
            agent: agent.and_then(AgentId::parse),
            confirmation: ConfirmationToken::parse(&"5eed".repeat(16)),
        };
        Some(render_question(&new, None, name, context))
    };
    let samples = [
        (
            "With its agent",
            question(Some("agent-123abc"), Some("Customer Support Agent")),
        ),
        ("Without an agent", question(None, None)),
    ];
    samples
        .into_iter()
        .filter_map(|(title, view)| Some((title, view?)))
        .collect()
}

impl New {
    /// Asks for a confirmation, whether or not something was created for the phone. `agent` is the name of the agent.
    pub(super) async fn ask(
        self,
        agent: Option<&str>,
        project: &ProjectRef,
        commands: &Commands,
        request: &RequestContext,
    ) -> Response {
        let Some(key) = request.idempotency_key.clone() else {
            return commands.problem(&Problem::NoStore, request);
        };
        match commands.idempotency.ask(&key, &self.subject(project, request)).await {
            Ok(BeginOutcome::NeedsConfirmation(earlier)) => {
                self.question(key, earlier.as_ref(), agent, commands, request)
            }
            // The key belongs to something else.
            Ok(BeginOutcome::First | BeginOutcome::Repeated(_) | BeginOutcome::UnknownConfirmation) => {
                commands.problem(&Problem::StaleButton, request)
            }
            Err(_) => commands.problem(&Problem::NoStore, request),
        }
    }

    fn question(
        self,
        key: String,
        earlier: Option<&Creation>,
        agent: Option<&str>,
        commands: &Commands,
        request: &RequestContext,
    ) -> Response {
        let new = Self {
            confirmation: Some(ConfirmationToken(key)),
            ..self
        };
        let context = commands.render_context(request);
        let view = render_question(&new, earlier, agent, &context);
        Response::new(Outcome::AskedAgain, view, &context)
    }

    /// What may be created once a minute without a confirmation. What was created in another project must not be known.
    fn subject(&self, project: &ProjectRef, request: &RequestContext) -> String {
        let person = [request.who.home(), &request.who.user, self.phone.as_str()];
        match project.alias() {
            Some(alias) => fingerprint(&[&person[..], &[alias.as_str()]].concat()),
            None => fingerprint(&person),
        }
    }

    async fn create(self, key: &str, project: &ProjectRef, commands: &Commands, request: &RequestContext) -> Response {
        let default_agent = project.default_agent.as_ref();
        let agent = self.agent.as_ref().or(default_agent).map(AgentId::as_str);
        let result = project.kapso.create(self.phone.as_str(), agent).await;
        let recorded = match &result {
            Ok(session) => CreationOutcome::Created(session.id.clone()),
            Err(error) if error.is_ambiguous() => CreationOutcome::Unknown,
            Err(_) => CreationOutcome::NotCreated,
        };
        commands.idempotency.finish(key, &recorded).await;
        let context = commands.render_context(request);
        let (response, error) = match result {
            Ok(session) => {
                let view = render(&session, false, &context);
                return Response::new(Outcome::Created, view, &context).showing(&session.id);
            }
            Err(error) if error.is_ambiguous() => (commands.problem(&Problem::Unsure, request), error),
            Err(error @ Error::Unprocessable) => {
                let view = render_not_accepted(&self, default_agent, &context);
                (Response::new(Outcome::NotAccepted, view, &context), error)
            }
            Err(error) => (commands.problem(&Problem::from(&error), request), error),
        };
        response.caused_by(Arc::new(error))
    }
}

/// The session that was created when the same request came before.
async fn created_before(
    id: &SessionId,
    began_at: Timestamp,
    project: &ProjectRef,
    commands: &Commands,
    request: &RequestContext,
) -> Response {
    match project.kapso.session(id, Age::Recent).await {
        Ok(session) => {
            let context = commands.render_context(request);
            let is_old = context.now.duration_since(began_at) > JUST_CREATED;
            Response::new(Outcome::Shown, render(&session, is_old, &context), &context).showing(id)
        }
        Err(error) => commands.session_problem(id, error, request),
    }
}

/// Parses a phone number in any grouping, and the id of an agent after it or, if it is clearly one, before it. A number
/// without its country code could be one of another country, so it is only offered to be looked up.
pub(super) fn parse(rest: &[&str]) -> Result<Command, ParseError> {
    let words: Vec<&str> = rest.iter().map(|word| word.trim_end_matches([',', ';'])).collect();
    let is_number = |word: &&str| phone::is_part(word) && SessionId::parse(word).is_none_or(|id| !id.is_uuid());
    let (number, others): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| is_number(word));
    let written = number.join(" ");
    let Some(phone) = Phone::parse(&written) else {
        let guess = Phone::guess(&written);
        return Err(guess.map_or(ParseError::Usage(WORD), |guess| ParseError::instead(guess.as_str())));
    };
    // Digits after a complete number may not belong to it.
    let has_more_digits = number[1..]
        .iter()
        .any(|word| word.contains(|c: char| c.is_ascii_digit()));
    let is_one = !has_more_digits || Phone::parse(number[0]).is_none();
    let (agent, is_plain) = match others.as_slice() {
        [] => (None, true),
        [agent] if words.ends_with(&[agent]) || words.starts_with(&[agent]) && looks_like_id(agent) => {
            let agent = AgentId::parse(agent);
            (agent.clone(), agent.is_some())
        }
        [_] => (None, false),
        several => {
            let likely = several.iter().rev().find(|word| looks_like_id(word));
            (likely.and_then(|word| AgentId::parse(word)), false)
        }
    };
    let new = New {
        phone,
        agent,
        confirmation: None,
    };
    match new.typed() {
        Some(instead) if !(is_one && is_plain) => Err(ParseError::instead(instead)),
        _ => Ok(new.into()),
    }
}

/// `is_old` says that the session was created by an earlier copy of the request.
fn render(session: &Session, is_old: bool, context: &RenderContext<'_>) -> View {
    View::new(
        session::card_after_creating(session, is_old, context),
        Replaces::OwnCard,
    )
}

fn render_not_accepted(new: &New, default_agent: Option<&AgentId>, context: &RenderContext<'_>) -> View {
    let phone = ("phone", monospace(new.phone.as_str()));
    let text = match (&new.agent, default_agent) {
        (Some(agent), _) => fill(
            "Kapso rejected this number: {phone}, with the agent {agent}. Check the number, and whether the agent is one \
             of this app's Kapso project.",
            [phone, ("agent", monospace(agent.as_str()))],
        ),
        (None, Some(agent)) => fill(
            "Kapso rejected this number: {phone}, with this app's default agent {agent}. Check the number: it must be on \
             WhatsApp. To name another agent, type {command}",
            [
                phone,
                ("agent", monospace(agent.as_str())),
                ("command", with_agent(new, context)),
            ],
        ),
        (None, None) => fill(
            "Kapso rejected this number: {phone}. Check it: it must be on WhatsApp. Kapso may also need to know the agent: \
             type {command}",
            [phone, ("command", with_agent(new, context))],
        ),
    };
    problem::with_request_id(text, context)
}

/// The command that creates the same session with an agent.
fn with_agent(new: &New, context: &RenderContext<'_>) -> Mrkdwn {
    context.typed(&format!("{} {} <agent id>", WORD.name, new.phone.as_str()))
}

fn render_nothing_created(context: &RenderContext<'_>) -> View {
    let text = Mrkdwn::new(
        "This request was already processed; nothing was created. Type the command once more to try again.",
    );
    problem::with_request_id(text, context)
}

/// Asks whether a session is wanted for a phone, for which one may have been created less than a minute ago. `agent` is the
/// name of the agent.
fn render_question(new: &New, earlier: Option<&Creation>, agent: Option<&str>, context: &RenderContext<'_>) -> View {
    let created = match earlier.and_then(|earlier| earlier.outcome.as_ref()) {
        Some(CreationOutcome::Created(id)) => Some(id),
        Some(CreationOutcome::NotCreated | CreationOutcome::Unknown | CreationOutcome::ConfirmationNeeded) | None => {
            None
        }
    };
    let phone = ("phone", monospace(new.phone.as_str()));
    let agent = new.agent.as_ref().map(|id| agent.unwrap_or(id.as_str()));
    let text = if earlier.is_none() {
        match agent {
            Some(agent) => fill(
                "Create a new session for {phone} with the agent {agent}?",
                [phone, ("agent", foreign(agent, AGENT_MAX))],
            ),
            None => fill("Create a new session for {phone}?", [phone]),
        }
    } else if created.is_some() {
        fill(
            "You asked for a session for {phone} less than a minute ago, and one was created. Do you want another one?",
            [phone],
        )
    } else {
        fill(
            "You asked for a session for {phone} less than a minute ago, and one may have been created: check {list} \
             first. Do you want another one?",
            [phone, ("list", context.typed("list"))],
        )
    };
    let confirm = button(
        Action::CreateAnother,
        if earlier.is_some() {
            "Create another"
        } else {
            "Create the session"
        },
        &ConfirmationValue(new.clone()),
        context,
    );
    let show = created.map(|id| {
        button(
            Action::ShowInNewMessage,
            "Show existing session",
            &SessionValue(id.clone()),
            context,
        )
    });
    let blocks = [Block::section(Text::mrkdwn(text.clone()))]
        .into_iter()
        .chain(Block::actions([confirm].into_iter().chain(show).collect()));
    View::new(Message::ephemeral(text, blocks.collect()), Replaces::Nothing)
}
