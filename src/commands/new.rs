//! `/sandbox new <+phone> [agent id]`: creates a session, once.
//!
//! Kapso is asked only after the store has taken down that it will be, under the fingerprint of the command. Whoever
//! comes with the same fingerprint, be it a replay, a resumed answer or another process, is told what came of it and
//! asks for nothing.

use std::sync::Arc;

use super::show::{self, Asked};
use super::{Phone, Problem, Reply, RequestContext};
use crate::jobs::{BeginOutcome, Created, Creation, JobStore, fingerprint};
use crate::kapso::{AgentId, Client, Error};

/// A session that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// The tester's phone.
    pub phone: Phone,
    /// The agent that answers; the project's default one if not said.
    pub agent: Option<AgentId>,
    /// The question that was answered with yes, where there was one.
    pub answers: Option<ConfirmationToken>,
}

/// "Again?", asked once: the fingerprint of the command that it was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmationToken(String);

impl ConfirmationToken {
    /// Reads a question off a button.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == 64 && text.bytes().all(is_hex)).then(|| Self(text.to_owned()))
    }

    /// As it stands on the button.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Creates a session, unless this very wish was here before.
pub(super) async fn new(kapso: &Client, ledger: &JobStore, asker: &RequestContext, wanted: NewSession) -> Asked {
    // A yes is one wish however often it is pressed.
    let trigger = match &wanted.answers {
        Some(question) => Some(fingerprint(&["yes", question.as_str()])),
        None => asker.trigger.clone(),
    };
    let Some(trigger) = trigger else {
        return (Reply::Problem(Problem::NoStore), None);
    };
    let subject = fingerprint(&[asker.who.home(), &asker.who.user, wanted.phone.as_str()]);
    let answers = wanted.answers.as_ref().map(ConfirmationToken::as_str);
    match ledger.begin_creation(&trigger, &subject, answers).await {
        Some(BeginOutcome::First) => create(kapso, ledger, &trigger, wanted).await,
        Some(BeginOutcome::Recent(earlier)) => {
            let wanted = NewSession {
                answers: Some(ConfirmationToken(trigger)),
                ..wanted
            };
            (Reply::AskAgain { wanted, earlier }, None)
        }
        Some(BeginOutcome::Again(Creation { outcome, .. })) => match outcome {
            Some(Created::Session(id)) => show::show(kapso, id).await,
            Some(Created::Nothing | Created::Asked) => (Reply::Problem(Problem::CameToNothing), None),
            Some(Created::Unsure) | None => (Reply::Problem(Problem::Unsure), None),
        },
        Some(BeginOutcome::Unasked) => (Reply::Problem(Problem::StaleButton), None),
        None => (Reply::Problem(Problem::NoStore), None),
    }
}

async fn create(kapso: &Client, ledger: &JobStore, trigger: &str, wanted: NewSession) -> Asked {
    let agent = wanted.agent.as_ref().map(AgentId::as_str);
    let (outcome, reply, error) = match kapso.create(wanted.phone.as_str(), agent).await {
        Ok(session) => (Created::Session(session.id.clone()), Reply::Created(session), None),
        Err(error) if error.is_ambiguous() => (Created::Unsure, Reply::Problem(Problem::Unsure), Some(error)),
        Err(error) => {
            let problem = match error {
                Error::Unprocessable => Problem::NotAccepted(wanted),
                _ => Problem::of(&error),
            };
            (Created::Nothing, Reply::Problem(problem), Some(error))
        }
    };
    ledger.finish_creation(trigger, &outcome).await;
    (reply, error.map(Arc::new))
}
